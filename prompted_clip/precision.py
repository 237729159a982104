"""The one precision switch of the project: which number format the frozen CLIP computes in."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Precision:
    """Number formats of a frozen backbone.

    Args:
        name: the name it was asked for by (``auto`` already resolved).
        compute: dtype of linear layers, convolutions and attention.
        residual: dtype of the residual stream, LayerNorms and embeddings. Differs from ``compute`` in ``amp`` only.
        scaled: whether the loss needs a gradient scaler (16-bit floats with a float32 residual stream on CUDA).
    """

    name: str
    compute: torch.dtype
    residual: torch.dtype
    scaled: bool = False

    @property
    def output(self) -> torch.dtype:
        """Dtype of features and logits: at least float32, so that cosines and the loss lose nothing."""
        return torch.promote_types(self.residual, torch.float32)


#: Names that a user may give. ``fp64`` exists for checks against references, not for training.
PRECISIONS = ("auto", "fp32", "fp16", "bf16", "amp", "fp64")


def resolve_precision(name: str, device: torch.device | str) -> Precision:
    """Turn a precision name into number formats for a device.

    ``auto`` is fp16 on CUDA (what the paper's configurations use) and fp32 elsewhere. ``bf16`` does matrix products in
    bfloat16 and keeps the residual stream in float32, whose sums bfloat16's 8 bits would wear down. ``amp`` does the
    same in float16 with a scaled loss on CUDA, and is ``bf16`` elsewhere.

    Raises:
        ValueError: for an unknown name.
    """
    kind = torch.device(device).type
    if name not in PRECISIONS:
        raise ValueError(f"Unknown precision {name!r}: expected one of {', '.join(PRECISIONS)}.")
    if name == "auto":
        name = "fp16" if kind == "cuda" else "fp32"
    if name == "amp":
        compute = torch.float16 if kind == "cuda" else torch.bfloat16
        return Precision(name, compute, torch.float32, scaled=compute is torch.float16)
    if name == "bf16":
        return Precision(name, torch.bfloat16, torch.float32)
    dtype = {"fp32": torch.float32, "fp16": torch.float16, "fp64": torch.float64}[name]
    return Precision(name, dtype, dtype)
