"""Learning-rate schedules, one step per epoch or per training step, each with an optional warm-up."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR, StepLR

from dassl.utils.registry import check_availability

AVAI_SCHEDS = ["single_step", "multi_step", "cosine"]
AVAI_WARMUPS = ["linear", "constant"]
LR_UNITS = ["epoch", "step"]


class _WarmupScheduler(LRScheduler):
    """Warm up for some epochs, then hand over to another schedule.

    The successor is built first, counts from its own start, and takes its first step one epoch after warm-up. So with
    w epochs of warm-up, epoch e >= w has the successor's rate of its epoch e - w (or e, see `recount`).

    Args:
        optimizer: the optimiser.
        successor: the schedule after warm-up, built on the same optimiser.
        warmup_epoch: number of epochs of warm-up.
        last_epoch: as for torch's schedulers.
        recount: the successor counts from 0 after warm-up; otherwise its count includes the warm-up.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        successor: Any,
        warmup_epoch: int,
        last_epoch: int,
        recount: bool,
    ) -> None:
        self.successor = successor
        self.warmup_epoch = warmup_epoch
        self.recount = recount
        # the successor's rates as its constructor set them, before warm-up overwrites them
        self._successor_lrs = [group["lr"] for group in optimizer.param_groups]
        super().__init__(optimizer, last_epoch)

    def warmup_lrs(self) -> list[float]:
        """The rates of epoch `last_epoch`, during warm-up."""
        raise NotImplementedError

    def get_lr(self) -> list[Any]:
        """The rates of epoch `last_epoch` < `warmup_epoch`."""
        return self.warmup_lrs()

    def step(self, epoch: int | None = None) -> None:
        """Go on to the next epoch. The deprecated argument `epoch` is ignored."""
        if self.last_epoch + 1 < self.warmup_epoch:
            super().step()
            return
        first = self.last_epoch + 1 == self.warmup_epoch
        self.last_epoch += 1
        self._step_count += 1
        if first:
            # The successor's torch formulas go on from the optimiser's current rates: give it back its own.
            for group, lr in zip(self.optimizer.param_groups, self._successor_lrs, strict=True):
                group["lr"] = lr
            for _ in range(0 if self.recount else self.warmup_epoch):
                self.successor.step()
        else:
            self.successor.step()
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """All plain state, with the successor's own state in it (never the object)."""
        state = {k: v for k, v in self.__dict__.items() if k not in ("optimizer", "successor")}
        return {**state, "successor": _plain_state(self.successor)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore; a state without the successor's (an old checkpoint's) sets the successor by the epoch alone."""
        state = dict(state_dict)
        successor = state.pop("successor", None)
        self.__dict__.update(state)
        if isinstance(successor, dict):
            _restore(self.successor, successor)
        else:
            self.successor.last_epoch = max(0, self.last_epoch - (self.warmup_epoch if self.recount else 0))
            self.successor._step_count = self.successor.last_epoch + 1
            self.successor._last_lr = [group["lr"] for group in self.optimizer.param_groups]


def _plain_state(scheduler: Any) -> dict[str, Any]:
    return {k: dict(v) if isinstance(v, Counter) else v for k, v in scheduler.state_dict().items()}


def _restore(scheduler: Any, state: dict[str, Any]) -> None:
    if isinstance(scheduler, MultiStepLR) and "milestones" in state:
        state = {**state, "milestones": Counter(state["milestones"])}
    scheduler.load_state_dict(state)


class ConstantWarmupScheduler(_WarmupScheduler):
    """A constant rate for `warmup_epoch` epochs, then the successor.

    Args:
        optimizer: the optimiser.
        successor: the schedule after warm-up, built on the same optimiser.
        warmup_epoch: number of epochs of warm-up.
        cons_lr: the rate during warm-up.
        last_epoch: as for torch's schedulers.
        verbose: not used any more; accepted because plugins pass it.
        recount: see `build_lr_scheduler`.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        successor: Any,
        warmup_epoch: int,
        cons_lr: float,
        last_epoch: int = -1,
        verbose: bool = False,
        recount: bool = True,
    ) -> None:
        self.cons_lr = cons_lr
        super().__init__(optimizer, successor, warmup_epoch, last_epoch, recount)

    def warmup_lrs(self) -> list[float]:
        """`cons_lr` for every parameter group."""
        return [self.cons_lr for _ in self.base_lrs]


class LinearWarmupScheduler(_WarmupScheduler):
    """Epoch 0 at `min_lr`, epoch e at base rate * e / `warmup_epoch`, then the successor.

    Args:
        optimizer: the optimiser.
        successor: the schedule after warm-up, built on the same optimiser.
        warmup_epoch: number of epochs of warm-up.
        min_lr: the rate of the first epoch.
        last_epoch: as for torch's schedulers.
        verbose: not used any more; accepted because plugins pass it.
        recount: see `build_lr_scheduler`.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        successor: Any,
        warmup_epoch: int,
        min_lr: float,
        last_epoch: int = -1,
        verbose: bool = False,
        recount: bool = True,
    ) -> None:
        self.min_lr = min_lr
        super().__init__(optimizer, successor, warmup_epoch, last_epoch, recount)

    def warmup_lrs(self) -> list[float]:
        """The ramp."""
        if self.last_epoch == 0:
            return [self.min_lr for _ in self.base_lrs]
        return [float(lr) * self.last_epoch / self.warmup_epoch for lr in self.base_lrs]


def moves_per_step(optim_cfg: Any) -> bool:
    """Whether the schedule moves after every training step (``LR_PER step``), not after every epoch.

    Raises:
        ValueError: another unit.
    """
    unit = getattr(optim_cfg, "LR_PER", "epoch")  # a plugin's config may be older than the key
    check_availability(unit, LR_UNITS)
    return unit == "step"


def build_lr_scheduler(
    optimizer: torch.optim.Optimizer, optim_cfg: Any, steps_per_epoch: int = 0, total_steps: int = 0
) -> LRScheduler:
    """The schedule that ``cfg.OPTIM`` describes; its `step` is called once per epoch, or per step with ``LR_PER step``.

    For base rate r, epochs e = 0, 1, ... and T = MAX_EPOCH, without warm-up:

    - single_step: r * GAMMA ** (e // STEPSIZE), STEPSIZE <= 0 meaning T
    - multi_step: r * GAMMA ** (number of milestones <= e)
    - cosine: m + (r - m) / 2 * (1 + cos(pi * e / T)), m = LR_MIN

    With WARMUP_EPOCH w > 0, epochs e < w have WARMUP_CONS_LR (constant) or WARMUP_MIN_LR, r/w, 2r/w, ... (linear).
    After that the formulas hold with e - w in place of e, T unchanged; with WARMUP_RECOUNT False, with e itself.

    With ``LR_PER step`` the same formulas hold with training steps in place of epochs: T is the number of steps of the
    run, w and STEPSIZE are multiplied by the steps of an epoch.

    Args:
        optimizer: the optimiser.
        optim_cfg: the OPTIM section.
        steps_per_epoch: training steps of an epoch; needed with ``LR_PER step``.
        total_steps: steps of the run; 0: MAX_EPOCH epochs of them.

    Raises:
        ValueError: unknown names, a STEPSIZE that does not fit the schedule, or ``LR_PER step`` without steps.
    """
    name = optim_cfg.LR_SCHEDULER
    check_availability(name, AVAI_SCHEDS)
    unit, total = 1, optim_cfg.MAX_EPOCH
    if moves_per_step(optim_cfg):
        if steps_per_epoch < 1:
            raise ValueError("OPTIM.LR_PER is 'step', but build_lr_scheduler was not told how many steps an epoch has")
        unit, total = steps_per_epoch, total_steps or optim_cfg.MAX_EPOCH * steps_per_epoch
    scheduler = _make(optimizer, name, optim_cfg, unit, total)
    warmup = optim_cfg.WARMUP_EPOCH * unit
    if warmup <= 0:
        return scheduler
    check_availability(optim_cfg.WARMUP_TYPE, AVAI_WARMUPS)
    if warmup >= optim_cfg.MAX_EPOCH > 0:
        print(
            f"OPTIM.WARMUP_EPOCH is {warmup} and OPTIM.MAX_EPOCH {optim_cfg.MAX_EPOCH}: the whole run is warm-up, and "
            f"OPTIM.LR {optim_cfg.LR:g} is never reached"
        )
    recount = optim_cfg.WARMUP_RECOUNT
    if optim_cfg.WARMUP_TYPE == "constant":
        return ConstantWarmupScheduler(optimizer, scheduler, warmup, optim_cfg.WARMUP_CONS_LR, recount=recount)
    return LinearWarmupScheduler(optimizer, scheduler, warmup, optim_cfg.WARMUP_MIN_LR, recount=recount)


def _make(optimizer: torch.optim.Optimizer, name: str, cfg: Any, unit: int, total: int) -> LRScheduler:
    if name == "cosine":
        return CosineAnnealingLR(optimizer, total, eta_min=getattr(cfg, "LR_MIN", 0.0))
    sizes = [cfg.STEPSIZE] if isinstance(cfg.STEPSIZE, int) else list(cfg.STEPSIZE)
    if not sizes or not all(isinstance(size, int) for size in sizes):
        raise ValueError(f"OPTIM.STEPSIZE is {cfg.STEPSIZE!r}; expected whole numbers of epochs, e.g. (5,)")
    if name == "multi_step":
        return MultiStepLR(optimizer, milestones=[size * unit for size in sizes], gamma=cfg.GAMMA)
    return StepLR(optimizer, step_size=sizes[-1] * unit if sizes[-1] > 0 else total, gamma=cfg.GAMMA)
