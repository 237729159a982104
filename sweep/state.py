"""How a run stands, as its folder tells it."""

from __future__ import annotations

import enum
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sweep.plan import Run

try:
    import fcntl
except ImportError:  # no flock on Windows: train.py does not guard its folder there either
    fcntl = None  # type: ignore[assignment]

RECORD = "run.json"
RESUME = "resume.pt"
LOCK = ".lock"

#: Arguments of ``train.py`` that say where, not what.
_FREE = ("--root", "--output-dir")


class State(enum.Enum):
    """Where a run stands; the value is what a plan calls it."""

    COMPLETE = "complete"
    OTHER = "complete, by another command"  # train.py compares the settings, and refuses if they differ
    RUNNING = "running elsewhere"
    PARTIAL = "to resume"
    MISSING = "missing"


def read_record(folder: Path) -> dict[str, Any] | None:
    """The record of a complete run, or None where there is none or it cannot be read."""
    try:
        record = json.loads((folder / RECORD).read_bytes())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and record.get("status") == "complete" else None


def question(arguments: Sequence[str], output: str) -> list[str]:
    """The arguments of ``train.py`` without what says where things lie.

    Args:
        arguments: of ``train.py``, or its recorded command line.
        output: root of the results that these arguments were made with, to shorten ``--model-dir`` by; "" to keep it.
    """
    kept: list[str] = []
    after = ""
    for argument in arguments:
        if after in _FREE or argument in _FREE or argument == "--force":
            pass
        elif after == "--model-dir":
            kept.append(argument.removeprefix(output + "/") if output else argument)
        else:
            kept.append(re.sub(r"^.*/(?=configs/(trainers|datasets)/)", "", argument))
        after = argument
    return kept


def answers(record: dict[str, Any], run: Run) -> bool:
    """Whether a record is of the same command, wherever its data and results lay."""
    words = str((record.get("environment") or {}).get("command", "")).split(" ")
    script = next((index for index, word in enumerate(words) if word.endswith("train.py")), None)
    if script is None:
        return False
    asked = " ".join(run.arguments).split(" ")  # as the record has it: values with blanks fall apart
    have, want = question(words[script + 1 :], ""), question(asked, run.setting.output)
    if len(have) != len(want):
        return False
    if run.needs:  # the tree of results may have been moved as a whole
        place = want.index("--model-dir") + 1
        have[place] = want[place] if ("/" + have[place]).endswith("/" + want[place]) else have[place]
    return have == want


def is_locked(folder: Path) -> bool:
    """Whether a process is at work in a run's folder."""
    if fcntl is None:
        return False
    try:
        handle = os.open(folder / LOCK, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def state_of(run: Run, root: Path, record: dict[str, Any] | None) -> State:
    """Where a run stands.

    Args:
        run: the run.
        root: the folder that its own folder is relative to.
        record: its record, from `read_record`.
    """
    folder = root / run.folder
    if record is not None:
        return State.COMPLETE if answers(record, run) else State.OTHER
    if not folder.is_dir():
        return State.MISSING
    if is_locked(folder):
        return State.RUNNING
    return State.PARTIAL if (folder / RESUME).is_file() or any(folder.glob("*/model*.pth.tar*")) else State.MISSING
