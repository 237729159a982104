"""Small CLIP models with random weights, for tests: OpenAI's own modules, so that they double as the oracle.

All weights are random and none is trivial (LayerNorm scale 1 and bias 0, zero biases and the like are replaced), so
that a forgotten term or a wrong order shows in the numbers.
"""

from __future__ import annotations

import functools
import warnings
from pathlib import Path
from typing import Any

import torch
from clip.model import CLIP, LayerNorm
from clip.simple_tokenizer import SimpleTokenizer
from torch import Tensor, nn

# Towers of different widths, depths, patch counts and context lengths; keyword arguments of `random_clip`.
SHAPES: dict[str, dict[str, int]] = {
    "default": {},
    "text_wider": {"embed_dim": 48, "text_width": 192, "text_layers": 2, "vision_width": 128, "vision_layers": 4},
    "vision_wider": {"embed_dim": 64, "text_width": 128, "text_layers": 4, "vision_width": 192, "vision_layers": 2},
    "more_patches": {"image_resolution": 32, "vision_patch_size": 8, "context_length": 40, "text_layers": 2},
    "one_patch": {"image_resolution": 8, "vision_patch_size": 8, "context_length": 77, "vision_layers": 2},
}


@functools.lru_cache(maxsize=1)
def tokenizer() -> SimpleTokenizer:
    """CLIP's BPE tokenizer, built once per session (building takes most of a second)."""
    return SimpleTokenizer()


def _randomise(model: nn.Module, generator: torch.Generator) -> None:
    """Random values of a reasonable scale for every weight, bias, norm and batch statistic."""

    def normal(tensor: Tensor, std: float, mean: float = 0.0) -> None:
        tensor.copy_(torch.randn(tensor.shape, generator=generator) * std + mean)

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name == "logit_scale":
                parameter.fill_(2.5)  # exp = 12: large enough to weigh the cosine, small enough for tolerances
            elif parameter.dim() == 1 and name.endswith("weight"):
                normal(parameter, 0.2, mean=1.0)
            elif parameter.dim() == 1:
                normal(parameter, 0.2)
            elif "embedding" in name:
                normal(parameter, 0.3)
            elif name.endswith("proj") and parameter.dim() == 2:  # text_projection and visual.proj: input width first
                normal(parameter, parameter.shape[0] ** -0.5)
            else:
                normal(parameter, (parameter.numel() / parameter.shape[0]) ** -0.5)
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                normal(buffer, 0.1)
            elif name.endswith("running_var"):
                buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)


def to_dtype(model: CLIP, dtype: torch.dtype) -> CLIP:
    """The model in `dtype`, in place. OpenAI's LayerNorm computes in float32 whatever comes in; for float64 it becomes
    PyTorch's own, which is the same function in the type of its input."""
    model.to(dtype)
    if dtype == torch.float64:
        for module in model.modules():
            if isinstance(module, LayerNorm):
                module.__class__ = nn.LayerNorm
    return model


def random_clip(
    seed: int = 0,
    *,
    embed_dim: int = 32,
    image_resolution: int = 16,
    vision_layers: int = 3,
    vision_width: int = 64,
    vision_patch_size: int = 8,
    context_length: int = 24,
    vocab_size: int = 49408,
    text_width: int = 64,
    text_layers: int = 3,
    dtype: torch.dtype = torch.float32,
) -> CLIP:
    """A small ViT CLIP in evaluation mode; the same seed and shape give the same weights.

    Args:
        seed: of the weights.
        embed_dim: joint width d.
        image_resolution: side of the input, pixels.
        vision_layers, vision_width, vision_patch_size: the image tower; width a multiple of 64.
        context_length, vocab_size, text_width, text_layers: the text tower; width a multiple of 64.
        dtype: float32 or float64.
    """
    model = CLIP(
        embed_dim,
        image_resolution,
        vision_layers,
        vision_width,
        vision_patch_size,
        context_length,
        vocab_size,
        text_width,
        text_width // 64,
        text_layers,
    )
    _randomise(model, torch.Generator().manual_seed(seed))
    return to_dtype(model.eval(), dtype)


def random_rn_clip(
    seed: int = 0,
    *,
    embed_dim: int = 32,
    image_resolution: int = 32,
    vision_layers: tuple[int, int, int, int] = (1, 1, 1, 1),
    vision_width: int = 8,
    context_length: int = 24,
    vocab_size: int = 49408,
    text_width: int = 64,
    text_layers: int = 3,
    dtype: torch.dtype = torch.float32,
) -> CLIP:
    """A small CLIP with a ModifiedResNet (the RN50 kind) in evaluation mode.

    `image_resolution` must be a multiple of 32 and `vision_width` a multiple of 2; the rest as in `random_clip`.
    """
    model = CLIP(
        embed_dim,
        image_resolution,
        vision_layers,
        vision_width,
        None,
        context_length,
        vocab_size,
        text_width,
        text_width // 64,
        text_layers,
    )
    _randomise(model, torch.Generator().manual_seed(seed))
    return to_dtype(model.eval(), dtype)


def random_images(model: CLIP, batch: int, seed: int = 0) -> Tensor:
    """(batch, 3, side, side), standard normal, in the model's type."""
    side = model.visual.input_resolution
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 3, side, side, generator=generator).to(model.dtype)


def save_state_dict(clip_model: CLIP, path: str | Path) -> Path:
    """Writes the plain state dict with `torch.save`; returns the path."""
    torch.save(clip_model.state_dict(), path)
    return Path(path)


def save_jit_archive(clip_model: CLIP, path: str | Path) -> Path:
    """Writes a TorchScript archive as OpenAI ships them: `torch.jit.load(path).state_dict()` has the weights and, as
    buffers, `input_resolution`, `context_length` and `vocab_size`. Returns the path."""
    archived: Any = CLIP.__new__(CLIP)
    archived.__dict__.update(clip_model.__dict__)
    # Own containers, so that the three buffers do not land in the caller's model.
    archived._buffers = dict(clip_model._buffers)
    del archived.__dict__["context_length"], archived.__dict__["vocab_size"]
    archived.register_buffer("input_resolution", torch.tensor(clip_model.visual.input_resolution))
    archived.register_buffer("context_length", torch.tensor(clip_model.context_length))
    archived.register_buffer("vocab_size", torch.tensor(clip_model.vocab_size))
    text = torch.zeros(1, clip_model.context_length, dtype=torch.long)
    text[:, :2] = torch.tensor([49406, 49407])[:, None].T
    with warnings.catch_warnings(), torch.no_grad():
        # TorchScript is deprecated in favour of torch.export, and tracing warns of shapes it turns into constants.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(archived, (random_images(clip_model, 1), text), check_trace=False)
        torch.jit.save(traced, str(path))
    return Path(path)
