"""The trainers that plugins derive from."""

from __future__ import annotations

import datetime
import math
import os
import time
from typing import TYPE_CHECKING, Any

import torch

from dassl.data import DataManager
from dassl.evaluation import build_evaluator
from dassl.records import STATE_FILE, data_of, lock_output_dir
from dassl.utils.checkpoint import BEST
from dassl.utils.device import select_device
from dassl.utils.files import remove_stale_temporaries
from dassl.utils.meters import AverageMeter, MetricMeter

from .base import TrainerBase
from .predictions import Predictions
from .progress import EpochProgress, with_bar

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

__all__ = ["AverageMeter", "MetricMeter", "SimpleTrainer", "SummaryWriter", "TrainerBase", "TrainerX"]


def __getattr__(name: str) -> Any:
    # tensorboard's import is slow; plugins that want the class from here get it all the same
    if name == "SummaryWriter":
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class SimpleTrainer(TrainerBase):
    """A trainer with data, an evaluator and the usual ends of an epoch and of a run.

    Subclasses give `build_model`, which registers the models, and `forward_backward`.

    Args:
        cfg: the config.

    Attributes:
        dm: the data manager.
        device: where models and batches live.
        best_result: best result on val so far.
    """

    def __init__(self, cfg: Any) -> None:
        super().__init__()
        self.check_cfg(cfg)
        self.cfg = cfg
        self.device = self._select_device(cfg)
        self.start_epoch = self.epoch = 0
        self.max_epoch = cfg.OPTIM.MAX_EPOCH
        self.output_dir = cfg.OUTPUT_DIR
        self._output_lock = lock_output_dir(self.output_dir, owner=self)
        self.build_data_loader()
        if self.total_steps() > 0:
            self.max_epoch = math.ceil(self.total_steps() / len(self.train_loader_x))
        if getattr(self, "dm", None) is not None:
            self._run_state.data = data_of(self.dm.dataset)  # as it is now, not at the end
        self.build_model()
        self.evaluator = build_evaluator(cfg, lab2cname=self.lab2cname)
        self.best_result = -math.inf
        self.time_start = time.time()

    @staticmethod
    def _select_device(cfg: Any) -> torch.device:
        device = select_device(cfg)
        if device.type == "cuda":
            torch.cuda.set_device(device)
            count = torch.cuda.device_count()
            if count > 1:
                print(f"Using {device} of {count} GPUs: one process uses one")
        return device

    # ---- building

    def check_cfg(self, cfg: Any) -> None:
        """Refuse a config that this trainer cannot work with. Default: none."""

    def build_data_loader(self) -> None:
        """Make the data manager and take over its loaders."""
        dm = DataManager(self.cfg)
        self.train_loader_x = dm.train_loader_x
        self.train_loader_u = dm.train_loader_u
        self.val_loader = dm.val_loader
        self.test_loader = dm.test_loader
        self.num_classes = dm.num_classes
        self.num_source_domains = dm.num_source_domains
        self.lab2cname = dm.lab2cname
        self.dm = dm

    def total_steps(self) -> int:
        """Training steps of the whole run, where their number is given (OPTIM.MAX_STEPS); 0: MAX_EPOCH epochs."""
        return getattr(self.cfg.OPTIM, "MAX_STEPS", 0)  # a plugin's config may be older than the key

    def build_model(self) -> None:
        """Make and register the model, its optimiser and its schedule."""
        raise NotImplementedError(f"{type(self).__name__} must define build_model")

    # ---- life cycle

    def train(self) -> None:  # type: ignore[override]
        """Run all epochs that are still to be done.

        Raises:
            ValueError: there is a model to optimise, and no epoch to do it in. (A method without an optimiser, or with
                a `train` of its own, has no use for ``OPTIM.MAX_EPOCH`` and may have any.)
        """
        if self.max_epoch < 1 and any(optim is not None for optim in self._optims.values()):
            raise ValueError(
                f"OPTIM.MAX_EPOCH is {self.max_epoch}: expected at least 1 epoch, since {self.cfg.TRAINER.NAME} would "
                "be tested untrained"
            )
        super().train(self.start_epoch, self.max_epoch)

    def before_train(self) -> None:
        """Go on from an earlier session of the run if there is one, open the TensorBoard writer."""
        self._check_splits()
        remove_stale_temporaries(self.output_dir)
        self.start_epoch = self._resume_run()
        self.init_writer(os.path.join(self.output_dir, "tensorboard"))
        self.time_start = time.time()

    def _check_splits(self) -> None:
        test = self.cfg.TEST
        if test.NO_TEST:
            return  # the other keys are not read then, and a plugin's config need not have them
        if test.FINAL_MODEL not in ("last_step", "best_val"):
            raise ValueError(f"TEST.FINAL_MODEL is {test.FINAL_MODEL!r}; expected last_step or best_val")
        needs = "TEST.FINAL_MODEL best_val" if test.FINAL_MODEL == "best_val" else ""
        needs = "TEST.SPLIT val" if test.get("SPLIT") == "val" else needs
        if needs and self.val_loader is None:
            raise ValueError(f"{needs} needs a validation split, and dataset {self.cfg.DATASET.NAME} has none")

    def _resume_run(self) -> int:
        directory = self.cfg.RESUME or self.output_dir
        done = self._run_state.resume(self, directory, any_config=bool(self.cfg.RESUME))
        if done is None:
            done = self.resume_model_if_exist(directory)
            if self.cfg.RESUME and not done:
                raise FileNotFoundError(
                    f"nothing to resume from in {directory}: it has neither a {STATE_FILE} nor a checkpoint of each of "
                    f"the models {self.get_model_names()}"
                )
            if done:
                self._run_state.take_over_record(directory, done)
        return done

    def after_epoch(self) -> None:
        """Test on val when the best model is wanted, and write checkpoints when they are due."""
        last = self.epoch + 1 == self.max_epoch
        frequency = self.cfg.TRAIN.CHECKPOINT_FREQ
        due = frequency > 0 and (self.epoch + 1) % frequency == 0
        if not self.cfg.TEST.NO_TEST and self.cfg.TEST.FINAL_MODEL == "best_val":
            kept = self._run_state.results.get("val")
            result = self.test(split="val")
            if result > self.best_result:
                self.best_result = result
                self.save_model(self.epoch, self.output_dir, val_result=result, model_name=BEST)
            elif kept is not None:
                self._run_state.results["val"] = kept  # the record shows the model that is deployed
        if due or last:
            self.save_model(self.epoch, self.output_dir)

    def after_train(self) -> None:
        """Test the model that is to be deployed: that of the last epoch, or the best on val."""
        print("Finish training")
        if not self.cfg.TEST.NO_TEST:
            if self.cfg.TEST.FINAL_MODEL == "best_val":
                print("Deploy the model with the best val performance")
                self.load_model(self.output_dir)
            else:
                print("Deploy the last-epoch model")
            self.test()
        elapsed = datetime.timedelta(seconds=round(time.time() - self.time_start))
        print(f"Elapsed: {elapsed}")
        self.close_writer()

    @torch.no_grad()
    def test(self, split: str | None = None) -> float:
        """Evaluate on a split.

        Args:
            split: val or test; None: ``TEST.SPLIT``.

        Returns:
            The first value of the evaluator's result (accuracy, in percent).

        Raises:
            ValueError: the dataset has no such split.
        """
        started = time.perf_counter()
        self.set_model_mode("eval")
        self.evaluator.reset()
        split = split or self.cfg.TEST.SPLIT
        loader = self._loader_of(split)
        predictions = Predictions(self.lab2cname) if self.cfg.TEST.get("SAVE_PREDICTIONS", False) else None
        print(f"Evaluate on the *{split}* set")
        for batch in with_bar(self.cfg, f"test on {split}", loader, len(loader)):
            input, label = self.parse_batch_test(batch)
            output = self.model_inference(input)
            self.evaluator.process(output, label)
            if predictions is not None:
                predictions.add(batch["impath"], label, output)
        results = self.evaluator.evaluate()
        for name, value in results.items():
            self.write_scalar(f"{split}/{name}", value, self.epoch)
        self._run_state.results[split] = getattr(self.evaluator, "full_result", None) or dict(results)
        if predictions is not None and split == self.cfg.TEST.SPLIT:
            predictions.write(os.path.join(self.output_dir, "predictions.csv"))
        self._run_state.eval_seconds += time.perf_counter() - started
        return next(iter(results.values()))

    def _loader_of(self, split: str) -> Any:
        loaders = {"val": self.val_loader, "test": self.test_loader}
        if split not in loaders:
            raise ValueError(f"the split to test on is {split!r}; expected val or test")
        if loaders[split] is None:
            raise ValueError(f"dataset {self.cfg.DATASET.NAME} has no {split} split to test on")
        return loaders[split]

    # ---- batches

    def parse_batch_test(self, batch: dict[str, Any]) -> tuple[Any, torch.Tensor]:
        """Input and label, on the device."""
        return to_device(batch["img"], self.device), batch["label"].to(self.device)

    def model_inference(self, input: Any) -> torch.Tensor:
        """Scores of the model; plugins set `self.model`."""
        return self.model(input)  # type: ignore[attr-defined]


class TrainerX(SimpleTrainer):
    """A trainer on labelled data. Subclasses give `build_model` and `forward_backward`."""

    def run_epoch(self) -> None:
        """One pass over `train_loader_x`: a step per batch, lines or a bar, TensorBoard scalars."""
        self.set_model_mode("train")
        run = self._run_state
        self.num_batches = len(self.train_loader_x)
        if self.total_steps() > 0:  # the last epoch may be a part of one
            self.num_batches = min(self.num_batches, self.total_steps() - self.epoch * self.num_batches)
        progress = EpochProgress(self, run.batches_done)
        end = time.perf_counter()
        try:
            for index, batch in run.batches(self.train_loader_x):
                self.batch_idx = index
                progress.data.update(time.perf_counter() - end)
                lr = self.get_current_lr()  # of this step; the last step of an epoch also sets the next epoch's rate
                summary = self.forward_backward(batch)
                progress.time.update(time.perf_counter() - end)
                run.losses.update(summary)
                self._check_summary(summary)
                self._write_step_scalars(run.losses, lr)
                progress.step(run.losses, lr)
                run.batch_done(_batch_size(batch))
                end = time.perf_counter()
                if index + 1 == self.num_batches:
                    break
        finally:
            progress.close()
        run.batches_end()

    def _check_summary(self, summary: dict[str, Any] | None) -> None:
        # A plugin with a step of its own (a GradScaler, say) may never have called detect_anomaly.
        loss = (summary or {}).get("loss")
        if loss is not None:
            self._stop_unless_finite(torch.as_tensor(loss), stepped=True)

    def _write_step_scalars(self, losses: MetricMeter, lr: float) -> None:
        step = self.epoch * len(self.train_loader_x) + self.batch_idx
        for name, meter in losses.meters.items():
            self.write_scalar(f"train/{name}", meter.avg, step)
        self.write_scalar("train/lr", lr, step)

    def parse_batch_train(self, batch: dict[str, Any]) -> tuple[Any, ...]:
        """Input, label and domain, on the device."""
        return to_device(batch["img"], self.device), batch["label"].to(self.device), batch["domain"].to(self.device)

    def forward_backward(self, batch: dict[str, Any]) -> dict[str, Any] | None:
        """One training step.

        Args:
            batch: a dict with ``img``, ``label``, ``domain``, ``impath``, ``index``.

        Returns:
            Numbers to report; ``loss`` and ``acc`` enter the run's history.
        """
        raise NotImplementedError(f"{type(self).__name__} must define forward_backward")


def to_device(value: Any, device: torch.device) -> Any:
    """A tensor, or each tensor of a list (several views), on the device; anything else as it is."""
    if isinstance(value, (list, tuple)):
        return [to_device(part, device) for part in value]
    return value.to(device, non_blocking=True) if isinstance(value, torch.Tensor) else value


def _batch_size(batch: Any) -> int:
    label = batch.get("label") if isinstance(batch, dict) else None
    return len(label) if label is not None else 0
