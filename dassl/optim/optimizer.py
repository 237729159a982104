"""Optimisers by name."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from dassl.utils.registry import check_availability, nearest_name

AVAI_OPTIMS = ["adam", "amsgrad", "sgd", "rmsprop", "radam", "adamw"]


def build_optimizer(model: Any, optim_cfg: Any, param_groups: Any = None) -> torch.optim.Optimizer:
    """The optimiser that ``cfg.OPTIM`` describes.

    Args:
        model: a module, or an iterable of parameters or of parameter groups.
        optim_cfg: the OPTIM section.
        param_groups: if given, optimised instead of all of the model's parameters. STAGED_LR is then ignored, and a
            warning says so.

    Returns:
        The optimiser. With STAGED_LR, layers in NEW_LAYERS have the rate LR and all others LR * BASE_LR_MULT.

    Raises:
        ValueError: an unknown optimiser or layer, or nothing to optimise.
        TypeError: STAGED_LR without a module.
    """
    check_availability(optim_cfg.NAME, AVAI_OPTIMS)
    if param_groups is not None:
        if optim_cfg.STAGED_LR:
            warnings.warn("OPTIM.STAGED_LR has no effect: parameter groups were given", stacklevel=2)
        params = _as_list(param_groups)
    elif optim_cfg.STAGED_LR:
        params = _staged_groups(model, optim_cfg)
    else:
        params = list(model.parameters()) if isinstance(model, nn.Module) else _as_list(model)
    if not any(True for entry in params if not isinstance(entry, dict) or entry["params"]):
        raise ValueError("nothing to optimise: the model or the parameter groups hold no parameter")
    return _make(params, optim_cfg)


def _as_list(params: Any) -> list:
    entries = [params] if isinstance(params, (dict, torch.Tensor)) else list(params)
    return [{**e, "params": _group_params(e["params"])} if isinstance(e, dict) else e for e in entries]


def _group_params(params: Any) -> list:
    return [params] if isinstance(params, torch.Tensor) else list(params)


def _staged_groups(model: Any, optim_cfg: Any) -> list[dict]:
    if not isinstance(model, nn.Module):
        raise TypeError("OPTIM.STAGED_LR needs a module, to tell its layers apart by name; found parameters")
    layers = optim_cfg.NEW_LAYERS
    names = [layers] if isinstance(layers, str) else list(layers)
    children = dict(model.named_children())
    for name in names:
        if name not in children:
            near = nearest_name(name, children)
            hint = f"; did you mean {near!r}?" if near else ""
            raise ValueError(f"OPTIM.NEW_LAYERS has {name!r}, but the model's layers are {list(children)}{hint}")
    new = [p for name in names for p in children[name].parameters()]
    seen = {id(p) for p in new}
    base = [p for p in model.parameters() if id(p) not in seen]
    groups = [{"params": base, "lr": optim_cfg.LR * optim_cfg.BASE_LR_MULT}, {"params": new}]
    return [group for group in groups if group["params"]]


def _make(params: Iterable, cfg: Any) -> torch.optim.Optimizer:
    common: dict[str, Any] = {"lr": cfg.LR, "weight_decay": cfg.WEIGHT_DECAY}
    betas = (cfg.ADAM_BETA1, cfg.ADAM_BETA2)
    eps = getattr(cfg, "EPS", 1e-8)  # a plugin's config may be older than the key
    if cfg.NAME == "sgd":
        return torch.optim.SGD(
            params, momentum=cfg.MOMENTUM, dampening=cfg.SGD_DAMPNING, nesterov=cfg.SGD_NESTEROV, **common
        )
    if cfg.NAME == "rmsprop":
        return torch.optim.RMSprop(params, momentum=cfg.MOMENTUM, alpha=cfg.RMSPROP_ALPHA, eps=eps, **common)
    if cfg.NAME == "radam":
        return torch.optim.RAdam(params, betas=betas, eps=eps, **common)
    if cfg.NAME == "adamw":
        return torch.optim.AdamW(params, betas=betas, eps=eps, **common)
    return torch.optim.Adam(params, betas=betas, eps=eps, amsgrad=cfg.NAME == "amsgrad", **common)
