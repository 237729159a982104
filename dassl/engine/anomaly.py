"""What a step looks at besides the loss: values that are not finite, gradients that are not there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class NotFinite:
    """A tensor with values that are not finite.

    Args:
        name: in words, e.g. "tensor head.weight of net".
        trains: whether it is a parameter that trains.
    """

    name: str
    trains: bool


def first_not_finite(values: Mapping[str, Any]) -> NotFinite | None:
    """A tensor that is not finite among the modules of ``values`` (the last of them that trains, if one does), or None.

    Infinities in buffers are passed over: masks are made of them.
    """
    found = None
    for name, module in values.items():
        if not isinstance(module, nn.Module):
            continue
        for key, parameter in module.named_parameters():
            if not bool(torch.isfinite(parameter).all()) and (parameter.requires_grad or found is None):
                found = NotFinite(f"tensor {key} of {name}", parameter.requires_grad)
        for key, buffer in module.named_buffers():
            if bool(torch.isnan(buffer).any()) and found is None:
                found = NotFinite(f"tensor {key} of {name}", trains=False)
    return found


def advice(broken: NotFinite | None) -> str:
    """What to do about a loss that is not finite, where ``broken`` is the tensor that made it so, if one did."""
    if broken is None or broken.trains:
        return "try a lower OPTIM.LR or a higher precision"
    return "it does not train: it came so from its file, or overflowed in a lower precision than the file's"


def has_gradient(optim: torch.optim.Optimizer) -> bool:
    """Whether any parameter of an optimiser has a gradient."""
    return any(p.grad is not None for group in optim.param_groups for p in group["params"])
