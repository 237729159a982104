"""Running averages of what a training step reports."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch


class AverageMeter:
    """Last value and running average of one quantity.

    Args:
        ema: average exponentially (0.9 old, 0.1 new) instead of evenly.
    """

    def __init__(self, ema: bool = False) -> None:
        self.ema = ema
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.val: float = 0.0
        self.avg: float = 0.0
        self.sum: float = 0.0
        self.count: int = 0

    def update(self, val: Any, n: int = 1) -> None:
        """Add a value that stands for `n` observations. Tensors of one element are taken as numbers."""
        if isinstance(val, torch.Tensor):
            val = val.item()
        first = self.count == 0
        self.val = val
        self.sum += val * n
        self.count += n
        if self.ema and not first:
            self.avg = 0.9 * self.avg + 0.1 * val
        elif self.count:
            self.avg = val if self.ema else self.sum / self.count


class MetricMeter:
    """A set of `AverageMeter`s by name, as returned by a training step.

    Args:
        delimiter: what stands between two quantities when printed.
    """

    def __init__(self, delimiter: str = " ") -> None:
        self.meters: dict[str, AverageMeter] = defaultdict(AverageMeter)
        self.delimiter = delimiter

    def update(self, input_dict: dict[str, Any] | None) -> None:
        """Add one step's values (floats or one-element tensors); None is ignored.

        Raises:
            TypeError: `input_dict` is not a dict.
        """
        if input_dict is None:
            return
        if not isinstance(input_dict, dict):
            raise TypeError(
                f"a training step must return a dict of numbers (or None), found {type(input_dict).__name__}"
            )
        for name, value in input_dict.items():
            self.meters[name].update(value)

    def state_dict(self) -> dict[str, list]:
        """The meters as plain numbers, for a checkpoint."""
        return {name: [m.val, m.avg, m.sum, m.count] for name, m in self.meters.items()}

    def load_state_dict(self, state: dict[str, list]) -> None:
        """Restore what `state_dict` returned."""
        for name, (val, avg, total, count) in state.items():
            meter = self.meters[name]
            meter.val, meter.avg, meter.sum, meter.count = val, avg, total, count

    def __str__(self) -> str:
        return self.delimiter.join(f"{name} {m.val:.4f} ({m.avg:.4f})" for name, m in self.meters.items())
