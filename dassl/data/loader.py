"""The data loader: torch's, with a stop between batches, a resumable epoch and errors in one sentence."""

from __future__ import annotations

import atexit
import builtins
import random
import re
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from dassl.utils import interrupt
from dassl.utils.rng import draw_seed, set_random_state

from .dataset_wrapper import DatasetWrapper
from .samplers import SkippableSampler


def init_worker(worker_id: int) -> None:
    """Set up one data loading process."""
    interrupt.prepare_worker()
    torch.set_num_threads(1)
    # torch seeds itself and random per worker, but not NumPy
    seed = torch.initial_seed()
    np.random.seed(seed % 2**32)
    random.seed(seed)


class Loader(DataLoader):
    """torch's DataLoader with four additions.

    - Between two batches it looks whether a signal asked the run to stop (`dassl.utils.interrupt`).
    - `start_at` makes the next epoch begin at a later batch, the epoch being otherwise the same.
    - A worker's file error is raised here as the same error with its own one-sentence message.
    - It can be deep-copied while its worker processes live, and notices a replaced ``dataset.transform``.
    """

    _first_batch = 0
    _random_state: dict[str, Any] | None = None
    _seen_transform: Any = None
    # Each epoch takes one number from torch's global generator. Evaluation must not, or it would change the training
    # that goes on after it.
    draws_seed = True
    _live: Any = None  # weak reference to torch's iterator of the running epoch

    def start_at(self, batch: int, random_state: dict[str, Any]) -> None:
        """Make the next epoch go on in its middle.

        Before that epoch is begun, the random state must be what it was when the epoch first began.

        Args:
            batch: number of batches to leave out.
            random_state: restored when they are out of the way, before a batch is handed out.
        """
        self._first_batch, self._random_state = batch, random_state

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        transform = getattr(self.dataset, "transform", None)
        if self._iterator is not None and transform is not self._seen_transform:
            self.close()  # worker processes hold a copy of the dataset as it was
        self._seen_transform = transform
        drop, state = self._first_batch, self._random_state
        self._first_batch, self._random_state = 0, None
        if drop and isinstance(self.sampler, SkippableSampler) and isinstance(self.dataset, DatasetWrapper):
            # Samples are seeded by their place in the epoch: those left out need not be loaded.
            self.sampler.skip_once(drop * (self.batch_size or 1))
            drop = -1
        # torch draws its workers' seed here, but with persistent workers for the first epoch only.
        self.generator = torch.Generator().manual_seed(draw_seed() if self.draws_seed else 0)
        with warnings.catch_warnings():
            # Python 3.12 and later warn of any fork in a process with threads; torch's workers are made for it.
            warnings.filterwarnings("ignore", message=".*multi-threaded.*fork", category=DeprecationWarning)
            iterator = super().__iter__()
        if self._live is None:
            # After torch's own function for the end of the process was registered, so that it runs before that.
            atexit.register(_close_at_exit, weakref.ref(self))
        self._live = weakref.ref(iterator)
        return self._batches(iterator, drop, state)

    def _batches(self, iterator: Any, drop: int, state: dict[str, Any] | None) -> Iterator[Any]:
        """Hand out batches; `drop` of them are thrown away first, -1 means that the sampler leaves them out."""
        while True:
            interrupt.check()
            if state is not None and drop == 0:
                set_random_state(state)
                state = None
            try:
                batch = next(iterator)
            except StopIteration:
                if state is not None:
                    set_random_state(state)
                return
            except OSError as error:
                raise _without_traceback(error) from None
            except RuntimeError:
                # A signal to the whole process group can end the workers too.
                interrupt.check()
                raise
            if drop > 0:
                drop -= 1
                continue
            if state is not None:
                set_random_state(state)  # the sampler drew its numbers when it was first asked, just now
                state = None
            yield batch

    def close(self) -> None:
        """End the worker processes; the next epoch starts new ones."""
        iterators = {id(i): i for i in (self._iterator, self._live() if self._live else None) if i is not None}
        self._iterator = None
        for iterator in iterators.values():
            end = getattr(iterator, "_shutdown_workers", None)
            if end is not None:
                end()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_iterator": None, "_live": None, "generator": None}


def _close_at_exit(loader: weakref.ref) -> None:
    alive = loader()
    if alive is not None:
        alive.close()


def _without_traceback(error: OSError) -> OSError:
    """torch puts a worker's whole traceback into the message; take the last line, which is the message."""
    text = str(error)
    if not text.startswith("Caught "):
        return error
    match = re.match(r"([\w.]+): (.*)", text.strip().splitlines()[-1])
    if match is None:
        return error
    kind = getattr(builtins, match.group(1), OSError)
    return kind(match.group(2))
