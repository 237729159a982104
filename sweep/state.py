"""How a run of a plan stands; what states there are, and how a folder tells, is in `dassl.records`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dassl import records
from dassl.records import Asked, Memo, State, is_locked, read_record
from sweep.plan import Run

__all__ = ["State", "asked_of", "is_locked", "read_record", "state_of"]


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
    return records.state_of(root / run.folder, asked_of(run, root), record, memo)
