"""Helpers on modules and their parameters."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from .checkpoint import load_checkpoint, resume_from_checkpoint, save_checkpoint, strip_module_prefix
from .registry import nearest_name

__all__ = [
    "count_num_param",
    "init_network_weights",
    "load_checkpoint",
    "load_pretrained_weights",
    "open_all_layers",
    "open_specified_layers",
    "resume_from_checkpoint",
    "save_checkpoint",
]


def count_num_param(model: nn.Module | None = None, params: Iterable | torch.Tensor | None = None) -> int:
    """Count parameters.

    Args:
        model: a module; all of its parameters count.
        params: instead of `model`: parameters, or groups as an optimiser takes them.

    Returns:
        The number of scalars.

    Raises:
        ValueError: neither argument was given.
    """
    if model is not None:
        return sum(p.numel() for p in model.parameters())
    if params is None:
        raise ValueError("count_num_param needs a model or parameters")
    if isinstance(params, torch.Tensor):
        return params.numel()
    total = 0
    for entry in params:
        if isinstance(entry, dict):
            total += count_num_param(params=entry["params"])
        else:
            total += entry.numel()
    return total


def load_pretrained_weights(model: nn.Module, weight_path: str) -> None:
    """Copy the weights that fit, by name and shape, from a checkpoint file into a model.

    Args:
        model: changed in place.
        weight_path: a checkpoint with ``state_dict``, or a state dict.

    Raises:
        ValueError: not a single weight fits.
    """
    checkpoint = load_checkpoint(weight_path)
    found = strip_module_prefix(checkpoint.get("state_dict", checkpoint))
    expected = model.state_dict()
    fitting = {k: v for k, v in found.items() if k in expected and expected[k].shape == v.shape}
    if not fitting:
        raise ValueError(
            f"no weight of {weight_path} fits the model; it has e.g. {next(iter(found), None)!r}, "
            f"the model e.g. {next(iter(expected), None)!r}"
        )
    expected.update(fitting)
    model.load_state_dict(expected)
    left_out = sorted(set(found) - set(fitting))
    print(f"Loaded {len(fitting)} of {len(found)} tensors from {weight_path}")
    if left_out:
        print(f"Not used, because name or shape differs: {left_out}")


def open_all_layers(model: nn.Module) -> None:
    """Make every parameter trainable and set train mode."""
    model.train()
    for param in model.parameters():
        param.requires_grad = True


def open_specified_layers(model: nn.Module, open_layers: str | list[str]) -> None:
    """Train only some of a model's direct children; the others are frozen and in eval mode.

    Args:
        model: changed in place.
        open_layers: names of direct children.

    Raises:
        ValueError: the model has no such child.
    """
    names = [open_layers] if isinstance(open_layers, str) else list(open_layers)
    children = dict(model.named_children())
    for name in names:
        if name not in children:
            near = nearest_name(name, children)
            hint = f"; did you mean {near!r}?" if near else ""
            raise ValueError(f"the model has no layer {name!r}, only {list(children)}{hint}")
    for name, child in children.items():
        opened = name in names
        child.train(opened)
        for param in child.parameters():
            param.requires_grad = opened


def init_network_weights(model: nn.Module, init_type: str = "normal", gain: float = 0.02) -> None:
    """Initialise convolutions, linear and normalisation layers.

    Args:
        model: changed in place.
        init_type: normal, xavier, kaiming or orthogonal, for weights of convolutions and linear layers.
        gain: standard deviation (normal) or gain (xavier, orthogonal).

    Raises:
        ValueError: unknown `init_type`.
    """
    init = {
        "normal": lambda w: nn.init.normal_(w, 0.0, gain),
        "xavier": lambda w: nn.init.xavier_normal_(w, gain=gain),
        "kaiming": lambda w: nn.init.kaiming_normal_(w, a=0, mode="fan_in"),
        "orthogonal": lambda w: nn.init.orthogonal_(w, gain=gain),
    }.get(init_type)
    if init is None:
        raise ValueError(f"init_type is {init_type!r}; expected normal, xavier, kaiming or orthogonal")
    for module in model.modules():
        weight = getattr(module, "weight", None)
        bias = getattr(module, "bias", None)
        if not isinstance(weight, nn.Parameter):
            continue
        if isinstance(module, (nn.modules.conv._ConvNd, nn.Linear)):
            init(weight)
        elif isinstance(module, (nn.modules.batchnorm._BatchNorm, nn.InstanceNorm1d, nn.InstanceNorm2d)):
            nn.init.constant_(weight, 1.0)
        else:
            continue
        if isinstance(bias, nn.Parameter):
            nn.init.constant_(bias, 0.0)
