"""How a run stands, as its folder tells it."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Any

from dassl.records import STATE_FILE, Asked, Memo, is_answered, is_locked, read_record
from sweep.plan import Run

__all__ = ["State", "asked_of", "is_locked", "read_record", "state_of"]


class State(enum.Enum):
    """Where a run stands; the value is what a plan calls it."""

    COMPLETE = "complete"
    OTHER = "complete, to compare"  # train.py compares settings, classes, data and weights, and refuses if they differ
    RUNNING = "running elsewhere"
    PARTIAL = "to resume"
    MISSING = "missing"


def asked_of(run: Run, root: Path) -> Asked:
    """What a run asks ``train.py`` for.

    Args:
        run: the run.
        root: the project's folder, in which it is started.
    """
    return Asked.from_arguments(run.arguments, root)


def state_of(run: Run, root: Path, record: dict[str, Any] | None, memo: Memo | None = None) -> State:
    """Where a run stands.

    Args:
        run: the run.
        root: the folder that its own folder is relative to.
        record: its record, from `read_record`.
        memo: keeps what was looked at, for the next run of the plan.
    """
    folder = root / run.folder
    if record is not None:
        return State.COMPLETE if is_answered(folder, asked_of(run, root), memo) else State.OTHER
    if not folder.is_dir():
        return State.MISSING
    if is_locked(folder):
        return State.RUNNING
    return State.PARTIAL if (folder / STATE_FILE).is_file() or any(folder.glob("*/model*.pth.tar*")) else State.MISSING
