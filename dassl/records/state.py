"""How a run stands, as its folder tells it."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Any

from .asked import Asked
from .folder import STATE_FILE
from .lock import is_locked
from .marks import Memo, is_answered
from .weights import NUMBERED


class State(enum.Enum):
    """Where a run stands; the value is what a plan calls it."""

    COMPLETE = "complete"
    OTHER = "complete, to compare"  # train.py compares settings, classes, data and weights, and refuses if they differ
    RUNNING = "running elsewhere"
    PARTIAL = "to resume"
    MISSING = "missing"


def state_of(folder: Path, asked: Asked, record: dict[str, Any] | None, memo: Memo | None = None) -> State:
    """Where the run in a folder stands.

    Args:
        folder: its output folder, which need not exist.
        asked: what it is asked for.
        record: its record, from `read_record`.
        memo: keeps what was looked at, for the next run.
    """
    if record is not None:
        return State.COMPLETE if is_answered(folder, asked, memo) else State.OTHER
    if not folder.is_dir():
        return State.MISSING
    if is_locked(folder):
        return State.RUNNING
    goes_on = (folder / STATE_FILE).is_file() or any(folder.glob(f"*/{NUMBERED}*"))
    return State.PARTIAL if goes_on else State.MISSING
