"""What a running epoch or evaluation shows: a bar on a terminal, plain lines in a log, nothing when quiet."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from dassl.utils.distributed import is_main_process
from dassl.utils.logger import log_line
from dassl.utils.meters import AverageMeter, MetricMeter


def shows_bar(cfg: Any) -> bool:
    """Whether a bar is drawn: standard error is a terminal, and the run is not quiet."""
    return bool(cfg.VERBOSE and is_main_process() and sys.stderr.isatty())


def bar(cfg: Any, title: str, total: int, first: int = 0) -> Any:
    """A tqdm bar that vanishes when done; one that does nothing where no bar is shown."""
    from tqdm import tqdm

    return tqdm(total=total, initial=first, desc=title, leave=False, dynamic_ncols=True, disable=not shows_bar(cfg))


def with_bar(cfg: Any, title: str, batches: Iterable, total: int) -> Iterator:
    """Iterate under a bar."""
    with bar(cfg, title, total) as shown:
        for batch in batches:
            yield batch
            shown.update()


class EpochProgress:
    """The lines (or the bar) of one training epoch.

    Args:
        trainer: the trainer.
        first: index of the first batch that is still to be done.
    """

    def __init__(self, trainer: Any, first: int) -> None:
        self.trainer = trainer
        self.cfg = trainer.cfg
        self.time, self.data = AverageMeter(), AverageMeter()
        self.bar = bar(self.cfg, f"epoch {trainer.epoch + 1}/{trainer.max_epoch}", trainer.num_batches, first)

    def step(self, losses: MetricMeter, lr: float) -> None:
        """Called after each batch, with `time` and `data` up to date."""
        self.bar.update()
        if not self.cfg.VERBOSE or not is_main_process():
            return
        trainer, frequency = self.trainer, self.cfg.TRAIN.PRINT_FREQ
        if (trainer.batch_idx + 1) % frequency and trainer.num_batches >= frequency:
            return
        line = self.line(losses, lr)
        self.bar.set_postfix_str(str(losses), refresh=False)
        log_line(line, console=self.bar.disable)

    def line(self, losses: MetricMeter, lr: float) -> str:
        """Epoch, batch, seconds per batch, of that for data, losses, learning rate, time left."""
        trainer = self.trainer
        left = trainer.num_batches - trainer.batch_idx - 1
        left += (trainer.max_epoch - trainer.epoch - 1) * trainer.num_batches
        eta = datetime.timedelta(seconds=int(self.time.avg * left))
        return " ".join(
            [
                f"epoch [{trainer.epoch + 1}/{trainer.max_epoch}]",
                f"batch [{trainer.batch_idx + 1}/{trainer.num_batches}]",
                f"time {self.time.val:.3f} ({self.time.avg:.3f})",
                f"data {self.data.val:.3f} ({self.data.avg:.3f})",
                str(losses),
                f"lr {lr:.4e}",
                f"eta {eta}",
            ]
        )

    def close(self) -> None:
        """Take the bar away."""
        self.bar.close()
