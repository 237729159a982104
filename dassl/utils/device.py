"""Which device a run uses."""

from __future__ import annotations

from typing import Any

import torch


def select_device(cfg: Any) -> torch.device:
    """The device that ``cfg.DEVICE`` and ``cfg.USE_CUDA`` ask for.

    ``auto`` takes CUDA where there is one, then MPS, then the CPU. ``USE_CUDA False`` means the CPU.

    Args:
        cfg: a config with USE_CUDA and DEVICE (a config without DEVICE counts as auto).

    Returns:
        The device.

    Raises:
        ValueError: DEVICE is none of auto, cpu, cuda, cuda:N, mps.
        RuntimeError: the device asked for is not there.
    """
    wanted = str(cfg.get("DEVICE", "auto")).lower()
    kind, _, index = wanted.partition(":")
    if kind not in ("auto", "cpu", "cuda", "mps") or (index and (kind != "cuda" or not index.isdigit())):
        raise ValueError(f"DEVICE is {cfg.DEVICE!r}; expected auto, cpu, cuda, cuda:N or mps")
    if not cfg.USE_CUDA or kind == "cpu":
        return torch.device("cpu")
    if kind == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    if kind == "mps":
        if not torch.backends.mps.is_available():
            raise RuntimeError("DEVICE is mps, but this PyTorch finds no MPS device; use DEVICE auto or cpu")
        return torch.device("mps")
    if not torch.cuda.is_available():
        raise RuntimeError(f"DEVICE is {wanted}, but this PyTorch finds no CUDA device; use DEVICE auto or cpu")
    number = int(index) if index else torch.cuda.current_device()
    if number >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise RuntimeError(f"DEVICE is {wanted}, but there are {count} CUDA devices, cuda:0 to cuda:{count - 1}")
    return torch.device("cuda", number)
