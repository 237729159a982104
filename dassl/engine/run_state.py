"""Where a run stands: history, times, and the rolling file from which it can go on as if it had not been stopped."""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dassl.config import get_cfg_default
from dassl.data.loader import Loader
from dassl.records import FREE_ON_RESUME, STATE_FILE, changed_settings, nested_config, read_record
from dassl.records.data import changed_data
from dassl.records.settings import DATA_PATH
from dassl.utils.checkpoint import load_checkpoint, load_state_dict, plain, save_torch
from dassl.utils.distributed import is_main_process
from dassl.utils.interrupt import Interrupted
from dassl.utils.logger import log_line
from dassl.utils.meters import MetricMeter
from dassl.utils.rng import get_random_state, set_random_state

_FORMAT = 1
#: What every rolling file of this format holds; "data" is in those of newer versions alone.
_PARTS = {
    *("epoch", "batches_done", "models", "optims", "scheds", "scaler", "random_epoch", "random_now", "best_result"),
    *("results", "history", "losses", "epoch_lr", "epoch_seconds", "epoch_images", "train_seconds", "eval_seconds"),
    *("steps", "images", "start_utc", "config", "extra"),
}


def utc_now() -> str:
    """The time, in ISO 8601, UTC, to the second."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


class RunState:
    """The progress of one run, kept by its trainer.

    Attributes:
        history: one entry per finished epoch.
        results: split to the full-precision result of its last test.
        train_seconds: time in epochs, over all sessions of the run.
        eval_seconds: time in `test`, likewise.
        steps: training steps done.
        images: training images seen.
        start_utc: when the run first began.
        data: class names and lists of this session, from `dassl.records.data_of`; empty where nobody has said.
    """

    def __init__(self) -> None:
        self.history: list[dict[str, Any]] = []
        self.results: dict[str, dict[str, Any]] = {}
        self.train_seconds = 0.0
        self.eval_seconds = 0.0
        self.steps = 0
        self.images = 0
        self.start_utc = utc_now()
        self.data: dict[str, Any] = {}
        self.losses = MetricMeter()
        self.epoch_random: dict[str, Any] | None = None
        self.epoch_lr = 0.0
        self.epoch_seconds = 0.0
        self.epoch_images = 0
        self.batches_done = 0
        self._resumed_random: dict[str, Any] | None = None  # set: this epoch goes on in its middle
        self._in_batches = False  # the engine's own loop has begun: an epoch can be left and gone on with in its middle
        self._clock: float | None = None  # None: not in an epoch's batches

    # ---- epochs

    def begin(self, trainer: Any) -> None:
        """Write the rolling file once before the first epoch.

        From then on there always is one, and a run killed at any moment goes on from it.
        """
        if trainer.start_epoch < trainer.max_epoch and not (Path(trainer.output_dir) / STATE_FILE).is_file():
            self.save(trainer, trainer.start_epoch)

    def begin_epoch(self, trainer: Any) -> None:
        """Note how things stand before an epoch."""
        self._in_batches = False
        self._clock = time.perf_counter()
        if self._resumed_random is not None:
            set_random_state(self.epoch_random or {})
            return
        self.epoch_random = get_random_state()
        self.epoch_lr = trainer.get_current_lr()
        self.losses = MetricMeter()
        self.epoch_seconds, self.epoch_images, self.batches_done = 0.0, 0, 0

    def batches(self, loader: Any) -> Iterator[tuple[int, Any]]:
        """The batches that this epoch still has to do, each with its index."""
        for index, batch in self._indexed(loader, self.batches_done, self._resumed_random):
            self._resumed_random = None
            self._in_batches = True
            yield index, batch
        self._resumed_random = None
        self._in_batches = True

    @staticmethod
    def _indexed(loader: Any, first: int, random_state: dict[str, Any] | None) -> Iterator[tuple[int, Any]]:
        if random_state is None:
            yield from enumerate(loader)
        elif isinstance(loader, Loader):
            loader.start_at(first, random_state)
            yield from enumerate(loader, first)
        else:  # a plugin's own loader: what was done is loaded and passed over
            for index, batch in enumerate(loader):
                if index >= first:
                    yield index, batch
                elif index == first - 1:
                    set_random_state(random_state)

    def batch_done(self, images: int) -> None:
        """Count a training step."""
        self.batches_done += 1
        self.steps += 1
        self.images += images
        self.epoch_images += images

    def _take_time(self) -> None:
        if self._clock is None:
            return
        now = time.perf_counter()
        self.epoch_seconds += now - self._clock
        self.train_seconds += now - self._clock
        self._clock = now

    def batches_end(self) -> None:
        """Stop the epoch's clock: what is evaluated after the batches is not training."""
        self._take_time()
        self._clock = None

    def end_epoch(self, trainer: Any) -> None:
        """Add the epoch to the history, say so in one line, write the rolling file."""
        self._take_time()
        averages = {name: meter.avg for name, meter in self.losses.meters.items()}
        loss = averages.get("loss", trainer._last_scalars.get("train/loss"))
        accuracy = averages.get("acc", trainer._last_scalars.get("train/acc"))
        entry = {
            "epoch": trainer.epoch + 1,
            "loss": None if loss is None else float(loss),
            "acc": None if accuracy is None else float(accuracy),
            "lr": self.epoch_lr,
            "seconds": self.epoch_seconds,
        }
        self.history.append(entry)
        if trainer.cfg.VERBOSE and is_main_process():
            log_line(self._line(entry, trainer.max_epoch))
        self.batches_done = 0
        self._in_batches = False
        self.save(trainer, trainer.epoch + 1)

    def _line(self, entry: dict[str, Any], max_epoch: int) -> str:
        parts = [f"epoch {entry['epoch']}/{max_epoch} done:"]
        parts += [f"{key} {entry[key]:.4f}" for key in ("loss", "acc") if entry[key] is not None]
        parts += [f"lr {entry['lr']:.4e}", f"time {entry['seconds']:.1f} s"]
        if self.epoch_images and entry["seconds"] > 0:
            parts.append(f"{self.epoch_images / entry['seconds']:.1f} images/s")
        return " ".join(parts)

    # ---- the file

    def stopped(self, trainer: Any, stop: Interrupted) -> None:
        """A signal stopped the run: save what can be saved and say what to do."""
        path = Path(trainer.output_dir) / STATE_FILE
        if self._in_batches:
            self._take_time()
            self.save(trainer, trainer.epoch)
        where = f"epoch {trainer.epoch + 1}, batch {self.batches_done}" if self._in_batches else "as of the last epoch"
        if path.is_file():
            print(f"{stop.name}: stopped; state saved to {path} ({where}); the same command goes on from there")
        else:
            print(f"{stop.name}: stopped before there was anything to save")

    def save(self, trainer: Any, epoch: int) -> None:
        """Write the rolling file.

        Args:
            trainer: the trainer.
            epoch: epochs done; `batches_done` of the next one are done as well.
        """
        if not is_main_process():
            return
        models = {n: m.state_dict() for n, m in trainer._models.items() if m is not None}
        optims = {n: o.state_dict() for n, o in trainer._optims.items() if o is not None}
        scheds = {n: s.state_dict() for n, s in trainer._scheds.items() if s is not None}
        scaler = trainer.scaler.state_dict() if hasattr(trainer.scaler, "state_dict") else None
        state = {
            "format": _FORMAT,
            "epoch": epoch,
            "batches_done": self.batches_done,
            "models": models,
            "optims": optims,
            "scheds": scheds,
            "scaler": scaler,
            "random_epoch": self.epoch_random,
            "random_now": self._resumed_random or get_random_state(),
            "best_result": float(trainer.best_result),
            "results": self.results,
            "history": self.history,
            "losses": self.losses.state_dict(),
            "epoch_lr": self.epoch_lr,
            "epoch_seconds": self.epoch_seconds,
            "epoch_images": self.epoch_images,
            "train_seconds": self.train_seconds,
            "eval_seconds": self.eval_seconds,
            "steps": self.steps,
            "images": self.images,
            "start_utc": self.start_utc,
            "config": nested_config(trainer.cfg),
            "data": self.data,
            "extra": trainer.extra_state(),
        }
        save_torch({key: plain(value, key) for key, value in state.items()}, Path(trainer.output_dir) / STATE_FILE)

    def resume(self, trainer: Any, directory: str, any_config: bool) -> int | None:
        """Go on from the rolling file of a folder.

        Args:
            trainer: the trainer, with models registered.
            directory: the folder.
            any_config: go on even if the configuration has changed (the folder was named by the user).

        Returns:
            Epochs done, or None when the folder has no such file.

        Raises:
            ValueError: the file is damaged, does not fit, or is of a run with another configuration or other data.
        """
        path = Path(directory) / STATE_FILE
        if not path.is_file():
            return None
        state = load_checkpoint(path)
        remedy = "remove it to go on from the last checkpoint"
        if not isinstance(state, dict) or state.get("format") != _FORMAT:
            raise ValueError(f"{path} was not written by this version; {remedy}")
        lacking = sorted(_PARTS - state.keys())
        if lacking:
            raise ValueError(f"{path} is not the state of a run (it lacks {', '.join(lacking[:3])}); {remedy}")
        try:
            self._compare(state, trainer.cfg, directory, any_config)
            self._restore(state, trainer, path)
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise ValueError(f"{path} is not the state of a run ({type(error).__name__}: {error}); {remedy}") from error
        trainer.load_extra_state(state["extra"])
        done = f"{state['epoch']} epochs" + (f" and {self.batches_done} batches" if self.batches_done else "")
        print(f"Resumed from {path}: {done} done")
        return int(state["epoch"])

    def _restore(self, state: dict[str, Any], trainer: Any, path: Path) -> None:
        have, want = sorted(state["models"]), sorted(n for n, m in trainer._models.items() if m is not None)
        if have != want:
            raise ValueError(f"{path} holds the models {have}, but this trainer has {want}")
        for name, model_state in state["models"].items():
            load_state_dict(trainer._models[name], model_state, str(path))
        for kind, targets in (("optims", trainer._optims), ("scheds", trainer._scheds)):
            for name, part in state[kind].items():
                if targets.get(name) is not None:
                    targets[name].load_state_dict(part)
        if state["scaler"] is not None and hasattr(trainer.scaler, "load_state_dict"):
            trainer.scaler.load_state_dict(state["scaler"])
        trainer.best_result = state["best_result"]
        self._load_own(state)

    def _load_own(self, state: dict[str, Any]) -> None:
        self.history[:] = state["history"]
        self.results.update(state["results"])
        for name in ("train_seconds", "eval_seconds", "steps", "images", "start_utc"):
            setattr(self, name, state[name])
        self.batches_done = state["batches_done"]
        if self.batches_done:
            for name in ("epoch_lr", "epoch_seconds", "epoch_images"):
                setattr(self, name, state[name])
            self.losses = MetricMeter()
            self.losses.load_state_dict(state["losses"])
            self.epoch_random = state["random_epoch"]
            self._resumed_random = state["random_now"]
        else:
            set_random_state(state["random_now"])

    def take_over_record(self, directory: str, done: int) -> None:
        """Take history and costs from the record of a run that was complete, if it is of that many epochs.

        Without it, a complete run that is started again would end with a poorer record than it had.
        """
        record = read_record(directory)
        if record is not None and len(record.get("history") or []) == done:
            self.history[:] = record["history"]
            self.start_utc = record["start_utc"]
            self.train_seconds = record["cost"]["train_seconds"] or 0.0
            self.eval_seconds = record["cost"]["eval_seconds"] or 0.0
            self.steps = round(self.train_seconds / (record["cost"]["seconds_per_step"] or 1.0))
            self.images = round(self.train_seconds * (record["cost"]["images_per_second"] or 0.0))

    def _compare(self, state: dict[str, Any], cfg: Any, directory: str, any_config: bool) -> None:
        old, new = state["config"], nested_config(cfg)
        data = state.get("data") or {}
        if old["OPTIM"]["MAX_EPOCH"] != new["OPTIM"]["MAX_EPOCH"]:
            print(f"OPTIM.MAX_EPOCH was {old['OPTIM']['MAX_EPOCH']}, is now {new['OPTIM']['MAX_EPOCH']}")
        free = (*FREE_ON_RESUME, DATA_PATH) if data and self.data else FREE_ON_RESUME
        differ = changed_settings(old, new, free, _defaults(new))
        settings = [f"{key} was {was!r}, is {now!r}" for key, was, now in differ]
        self._object("configuration", settings, directory, any_config)
        if data and self.data:
            lists = list(changed_data(data, self.data, drawn_anew=new["SEED"] < 0))
            self._object("data", lists, directory, any_config)

    @staticmethod
    def _object(what: str, changed: list[str], directory: str, any_config: bool) -> None:
        if not changed:
            return
        article = "other" if what == "data" else "another"
        told = ", ".join(changed[:3])
        if not any_config:
            raise ValueError(
                f"the output folder {directory} holds an unfinished run of {article} {what} ({told}); choose "
                f"another --output-dir, remove that folder, or pass --resume {directory} to go on from it nevertheless"
            )
        print(f"Going on with {article} {what}: {told}" + (", ..." if len(changed) > 3 else ""))


def _defaults(new: dict[str, Any]) -> dict[str, Any]:
    """What keys stood at that an older state does not have: the engine's default; for a plugin's, its value now."""
    own = nested_config(get_cfg_default())

    def merged(value: Any, default: Any) -> Any:
        if not (isinstance(value, dict) and isinstance(default, dict)):
            return default
        return {**value, **{key: merged(value.get(key), each) for key, each in default.items()}}

    return merged(new, own)


def remove_state(output_dir: str | os.PathLike) -> None:
    """Remove the rolling file: the run is complete."""
    (Path(output_dir) / STATE_FILE).unlink(missing_ok=True)
