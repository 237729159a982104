"""SIGTERM and SIGINT while training: finish the batch in hand, then stop.

A handler only takes a note. The note is looked at between batches, by the data loader, so that a trainer whose epoch
loop is its own stops as well.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_pending: int | None = None


class Interrupted(BaseException):
    """A signal asked the run to stop. Not an `Exception`, so that no plugin's handler swallows it.

    Args:
        signum: the signal's number.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum
        self.name = signal.Signals(signum).name


def pending_signal() -> int | None:
    """The number of the signal that arrived, or None."""
    return _pending


def check() -> None:
    """Stop here if a signal has arrived.

    Raises:
        Interrupted: one has.
    """
    if _pending is not None:
        raise Interrupted(_pending)


@contextmanager
def watched() -> Iterator[None]:
    """Take note of SIGTERM and SIGINT inside a block; afterwards the handlers are as they were.

    A second signal does what it always did, for those who do not want to wait for the batch. Outside of the main
    thread Python allows no handlers, and the block runs without.
    """
    global _pending
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    earlier: dict[int, Any] = {number: signal.getsignal(number) for number in map(int, _SIGNALS)}

    def note(signum: int, frame: FrameType | None) -> None:
        global _pending
        _pending = int(signum)
        signal.signal(signum, earlier[signum] if earlier[signum] is not None else signal.SIG_DFL)
        # print is not re-entrant: the signal may have come in the middle of one
        text = f"{signal.Signals(signum).name} received: stopping after this batch (send it again to stop at once)\n"
        os.write(2, text.encode())

    for number in earlier:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        _pending = None


def prepare_worker() -> None:
    """Called in a data loading process: signals to the whole group are for the main process to act on.

    Ctrl-C and batch systems signal every process of a group. A worker that died at once would take the batch in hand
    with it. So a worker ignores SIGINT, and SIGTERM ends it after two minutes only, unless the main process, which
    stops its workers when it is done, has ended it earlier.
    """

    def later(signum: int, frame: FrameType | None) -> None:
        signal.alarm(120)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "alarm"):
        signal.signal(signal.SIGTERM, later)
