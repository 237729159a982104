"""What every trainer can do: keep models with their optimisers, step them, write and read checkpoints, run epochs."""

from __future__ import annotations

import math
import os
from collections import OrderedDict
from typing import Any

import torch

from dassl.utils import interrupt
from dassl.utils.checkpoint import (
    BEST,
    NUMBERED,
    checkpoint_files,
    load_checkpoint,
    load_state_dict,
    newest_checkpoint,
    resume_from_checkpoint,
    save_checkpoint,
)
from dassl.utils.distributed import is_main_process
from dassl.utils.registry import nearest_name
from dassl.utils.rng import get_random_state, set_random_state
from dassl.utils.tools import tolist_if_not

from .anomaly import advice, first_not_finite, has_gradient
from .run_state import RunState


class TrainerBase:
    """Models, optimisers, checkpoints and the loop over epochs.

    Attributes:
        results: split to the evaluator's full-precision result, of the last `test` of that split.
        history: one entry per finished epoch: ``epoch`` (from 1), ``loss``, ``acc`` (%), ``lr``, ``seconds``.
    """

    cfg: Any
    output_dir: str
    epoch: int = 0
    start_epoch: int = 0
    max_epoch: int = 0
    batch_idx: int = 0
    num_batches: int = 0
    best_result: float = -math.inf
    scaler: Any = None

    def __init__(self) -> None:
        self._models: OrderedDict[str, Any] = OrderedDict()
        self._optims: OrderedDict[str, Any] = OrderedDict()
        self._scheds: OrderedDict[str, Any] = OrderedDict()
        self._writer: Any = None
        self._last_scalars: dict[str, float] = {}
        self._run_state = RunState()
        # For reading. The record is made from the run state, so that a plugin may use these names for itself.
        self.results = self._run_state.results
        self.history = self._run_state.history

    # ---- models

    def register_model(self, name: str = "model", model: Any = None, optim: Any = None, sched: Any = None) -> None:
        """Put a model in the trainer's care: mode, checkpoints, steps.

        Args:
            name: its name and the name of its checkpoint folder.
            model: a module; None registers an optimiser alone.
            optim: its optimiser, or None.
            sched: its schedule, stepped by `update_lr`, or None.

        Raises:
            RuntimeError: ``super().__init__()`` was not called.
            ValueError: the name is taken.
        """
        if "_models" not in self.__dict__:
            raise RuntimeError("register_model was called before super().__init__()")
        if name in self._models:
            raise ValueError(f"a model named {name!r} is already registered; there are {list(self._models)}")
        self._models[name] = model
        self._optims[name] = optim
        self._scheds[name] = sched

    def get_model_names(self, names: str | list[str] | None = None) -> list[str]:
        """All registered names, or `names` as a list.

        Raises:
            ValueError: one of `names` is not registered.
        """
        if names is None:
            return list(self._models)
        chosen = tolist_if_not(names)
        for name in chosen:
            if name not in self._models:
                near = nearest_name(name, self._models)
                hint = f"; did you mean {near!r}?" if near else ""
                raise ValueError(f"no model named {name!r} is registered, only {list(self._models)}{hint}")
        return chosen

    def set_model_mode(self, mode: str = "train", names: str | list[str] | None = None) -> None:
        """Set models to ``train``, ``eval`` or ``test`` (the same as eval).

        Raises:
            ValueError: another mode.
        """
        if mode not in ("train", "eval", "test"):
            raise ValueError(f"mode is {mode!r}; expected train, eval or test")
        for name in self.get_model_names(names):
            if self._models[name] is not None:
                self._models[name].train(mode == "train")

    # ---- steps

    def update_lr(self, names: str | list[str] | None = None) -> None:
        """One step of each schedule; plugins call it at the last batch of an epoch."""
        for name in self.get_model_names(names):
            if self._scheds[name] is not None:
                self._scheds[name].step()

    def get_current_lr(self, names: str | list[str] | None = None) -> float:
        """Learning rate of the first parameter group of the first model that has an optimiser; 0.0 without one."""
        for name in self.get_model_names(names):
            if self._optims[name] is not None:
                return float(self._optims[name].param_groups[0]["lr"])
        return 0.0

    def detect_anomaly(self, loss: torch.Tensor) -> None:
        """Stop on a loss that is not finite; to be called before the optimiser's step.

        Raises:
            FloatingPointError: it is not. Epoch, batch and learning rate are named, and the weights where it is they
                that were not finite to begin with.
        """
        self._stop_unless_finite(loss)

    def _stop_unless_finite(self, loss: torch.Tensor, stepped: bool = False) -> None:
        """`detect_anomaly`, also for a loss whose step has been made (then its weights are no cause, but a result)."""
        if bool(torch.isfinite(loss).all()):
            return
        # what is registered goes by its registered name; a frozen backbone, say, is an attribute
        broken = None if stepped else first_not_finite({**vars(self), **self._models})
        folder = getattr(self, "output_dir", "")
        kept = bool(folder) and any(checkpoint_files(os.path.join(folder, name)) for name in self._models)
        raise FloatingPointError(
            f"{'' if broken is None else f'{broken.name} is not finite, and so '}"
            f"the loss is {float(loss.detach().float().mean())} in epoch {self.epoch + 1} of {self.max_epoch}, "
            f"batch {self.batch_idx + 1} of {self.num_batches}, at learning rate {self.get_current_lr():.4g}; "
            f"{'the last checkpoint is kept' if kept else 'there is no checkpoint yet'} ({advice(broken)})"
        )

    def model_zero_grad(self, names: str | list[str] | None = None) -> None:
        """Clear the gradients."""
        for name in self.get_model_names(names):
            if self._optims[name] is not None:
                self._optims[name].zero_grad()

    def model_backward(self, loss: torch.Tensor) -> None:
        """Check the loss and compute the gradients."""
        self.detect_anomaly(loss)
        loss.backward()

    def model_update(self, names: str | list[str] | None = None) -> None:
        """One step of each optimiser."""
        for name in self.get_model_names(names):
            if self._optims[name] is not None:
                self._optims[name].step()

    def model_backward_and_update(self, loss: torch.Tensor, names: str | list[str] | None = None) -> None:
        """A training step: clear, check, backward, step. With a `scaler` the loss is scaled for the backward pass.

        The scaler then takes the scale out of the gradients before an optimiser sees them, and leaves out the step of
        an optimiser whose gradients are not finite. (`model_backward` and `model_update` alone know no scaler.)

        Args:
            loss: not scaled.
            names: the models to step; None: all.
        """
        self.detect_anomaly(loss)
        self.model_zero_grad(names)
        self.scaled(loss).backward()
        self.scaled_update(names)

    def scaled(self, loss: torch.Tensor) -> torch.Tensor:
        """The loss as its backward pass is to begin with: times the scale, where there is a `scaler`."""
        return loss if self.scaler is None else self.scaler.scale(loss)

    def scaled_update(self, names: str | list[str] | None = None) -> None:
        """One step of each optimiser on gradients of `scaled` losses."""
        if self.scaler is None:
            self.model_update(names)
            return
        optims = {id(self._optims[name]): self._optims[name] for name in self.get_model_names(names)}
        # a scaler refuses to step an optimiser that the loss did not reach; without a scaler its step does nothing
        reached = [optim for optim in optims.values() if optim is not None and has_gradient(optim)]
        for optim in reached:
            self.scaler.step(optim)
        if reached:
            self.scaler.update()

    # ---- scalars

    def init_writer(self, log_dir: str) -> None:
        """Open a TensorBoard writer, unless there is one. (Imported here: tensorboard's import is slow.)"""
        if self._writer is None and is_main_process():
            from torch.utils.tensorboard import SummaryWriter

            os.makedirs(log_dir, exist_ok=True)
            self._writer = SummaryWriter(log_dir=log_dir)

    def close_writer(self) -> None:
        """Close the TensorBoard writer, if any."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def write_scalar(self, tag: str, scalar_value: Any, global_step: int | None = None) -> None:
        """Write a number for TensorBoard; nothing happens without a writer."""
        self._last_scalars[tag] = scalar_value
        if self._writer is not None:
            self._writer.add_scalar(tag, scalar_value, global_step)

    # ---- checkpoints

    def save_model(
        self,
        epoch: int,
        directory: str,
        is_best: bool = False,
        val_result: float | None = None,
        model_name: str = "",
    ) -> None:
        """Write a checkpoint of every model: ``<directory>/<name>/model.pth.tar-<epoch + 1>``.

        With the model goes the list of class names that it was trained on, where the trainer has a dataset.

        Args:
            epoch: index of the epoch just done, from 0.
            directory: usually the output folder.
            is_best: also write ``model-best.pth.tar``.
            val_result: the result on val, stored.
            model_name: another file name.
        """
        if not is_main_process():
            return
        names = self._classnames()
        for name in self.get_model_names():
            model, optim, sched = self._models[name], self._optims[name], self._scheds[name]
            if model is None:
                continue
            state = {
                "state_dict": model.state_dict(),
                "epoch": epoch + 1,
                "optimizer": optim.state_dict() if optim is not None else None,
                "scheduler": sched.state_dict() if sched is not None else None,
                "val_result": val_result,
                "best_result": self.best_result,
                "random_state": get_random_state(),
            }
            if names is not None:
                state["classnames"] = names
            save_checkpoint(state, os.path.join(directory, name), is_best=is_best, model_name=model_name)

    def _classnames(self) -> list[str] | None:
        names = getattr(getattr(getattr(self, "dm", None), "dataset", None), "classnames", None)
        return None if names is None else [str(name) for name in names]

    def resume_model_if_exist(self, directory: str) -> int:
        """Go on from the newest model checkpoints of a folder, if every model has one.

        Random state and best result are restored where the checkpoint holds them.

        Returns:
            Epochs done; 0 when there is nothing to go on from.
        """
        names = [name for name in self.get_model_names() if self._models[name] is not None]
        folders = [os.path.join(directory, name) for name in names]
        if not names or not all(os.path.isfile(os.path.join(folder, "checkpoint")) for folder in folders):
            return 0
        start = 0
        for name, folder in zip(names, folders, strict=True):
            start = resume_from_checkpoint(folder, self._models[name], self._optims[name], self._scheds[name])
        checkpoint = load_checkpoint(newest_checkpoint(folders[-1]))
        if checkpoint.get("classnames", self._classnames()) != self._classnames():
            print(f"Note: {folders[-1]} was trained on other classes than this run's, or in another order")
        self.best_result = checkpoint.get("best_result", self.best_result)
        if checkpoint.get("random_state"):
            set_random_state(checkpoint["random_state"])
        return start

    def load_model(self, directory: str, epoch: int | None = None) -> None:
        """Load every model's weights from ``<directory>/<name>/``.

        Args:
            directory: an output folder; an empty string loads nothing and says so.
            epoch: which checkpoint; None: ``model-best.pth.tar``.

        Raises:
            FileNotFoundError: there is no such checkpoint.
            ValueError: it is damaged or does not fit; the tensor is named.
        """
        if not directory:
            print("load_model: no folder was given, so no weights are loaded")
            return
        file_name = BEST if epoch is None else f"{NUMBERED}{epoch}"
        for name in self.get_model_names():
            if self._models[name] is None:
                continue
            path = os.path.join(directory, name, file_name)
            checkpoint = load_checkpoint(path)
            load_state_dict(self._models[name], checkpoint["state_dict"], path)
            print(f"Loaded {name} from {path} (epoch {checkpoint.get('epoch')})")

    def extra_state(self) -> dict[str, Any]:
        """State of a plugin's own that a resumed run needs: tensors, numbers, strings, lists, dicts. Default: none."""
        return {}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Restore what `extra_state` returned."""

    # ---- life cycle

    def train(self, start_epoch: int, max_epoch: int) -> None:
        """Run the epochs. SIGTERM and SIGINT stop after the batch in hand, with everything saved.

        Raises:
            SystemExit: with 128 + the signal's number, when stopped by one.
        """
        self.start_epoch, self.max_epoch = start_epoch, max_epoch
        try:
            with interrupt.watched():
                try:
                    self.before_train()
                    self._run_state.begin(self)
                    for epoch in range(self.start_epoch, self.max_epoch):
                        self.epoch = epoch
                        self._run_state.begin_epoch(self)
                        self.before_epoch()
                        self.run_epoch()
                        self.after_epoch()
                        self._run_state.end_epoch(self)
                        interrupt.check()
                    self.after_train()
                except interrupt.Interrupted as stop:
                    self._run_state.stopped(self, stop)
                    raise SystemExit(128 + stop.signum) from None
        finally:
            self._close_loaders()

    def _close_loaders(self) -> None:
        for name in ("train_loader_x", "train_loader_u", "val_loader", "test_loader"):
            close = getattr(getattr(self, name, None), "close", None)
            if close is not None:
                close()

    def before_train(self) -> None:
        """Called once before the first epoch."""

    def after_train(self) -> None:
        """Called once after the last epoch."""

    def before_epoch(self) -> None:
        """Called before each epoch."""

    def after_epoch(self) -> None:
        """Called after each epoch."""

    def run_epoch(self) -> None:
        """One epoch."""
        raise NotImplementedError

    def test(self, split: str | None = None) -> float:
        """Evaluate."""
        raise NotImplementedError

    def parse_batch_train(self, batch: dict[str, Any]) -> Any:
        """What a training step needs of a batch, on the device."""
        raise NotImplementedError

    def parse_batch_test(self, batch: dict[str, Any]) -> Any:
        """Input and label of a test batch, on the device."""
        raise NotImplementedError

    def forward_backward(self, batch: dict[str, Any]) -> dict[str, Any] | None:
        """One training step; returns numbers to report."""
        raise NotImplementedError

    def model_inference(self, input: Any) -> torch.Tensor:
        """Scores (batch, classes) of a test input."""
        raise NotImplementedError
