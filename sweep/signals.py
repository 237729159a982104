"""Signals that ask a sweep to stop."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def noted(signals: list[int]) -> Iterator[None]:
    """Inside the block, SIGINT, SIGTERM and SIGHUP are appended to the list and do nothing else."""
    numbers: list[int] = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup wants to be left alone
        numbers.append(signal.SIGHUP)
    earlier: dict[int, Any] = {}
    for number in numbers:
        earlier[number] = signal.signal(number, lambda received, _: signals.append(received))
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
