"""The files of a run's folder, and reading its record."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

RECORD_FILE = "run.json"
#: The rolling file. Public code loads any file whose name holds "model.pth", so this one's does not.
STATE_FILE = "resume.pt"
LOCK_FILE = ".lock"
#: By what a repeated command is answered without PyTorch (marks.py); it can be deleted at any time.
MARKS_FILE = "marks.json"

SCHEMA_VERSION = 1
COMPLETE = "complete"

#: What every complete record has.
_PARTS = {"method": str, "config": dict, "protocol": dict, "data": dict, "metrics": dict, "environment": dict}

#: Results that are shown.
_FIGURES = ("accuracy", "macro_f1")


def load_json(path: str | os.PathLike) -> Any:
    """Read JSON from a file that anybody may have written.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not JSON, or nested too deep to be read.
    """
    try:
        return json.loads(Path(path).read_bytes())
    except RecursionError:
        raise ValueError("nested too deep") from None


def read_complete_record(folder: str | os.PathLike) -> dict[str, Any] | None:
    """The record of a complete run in a folder, or None where there is none.

    Raises:
        ValueError: there is a file, and it is no run record; one sentence says what to do.
        OSError: it cannot be read.
    """
    path = Path(folder, RECORD_FILE)
    try:
        record = load_json(path)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(_damaged(path, str(error))) from None
    if not isinstance(record, dict):
        raise ValueError(_damaged(path, f"expected a run record, found a {type(record).__name__}"))
    if record.get("status") != COMPLETE:
        return None
    version = record.get("schema_version", SCHEMA_VERSION)
    if version != SCHEMA_VERSION:
        raise ValueError(_damaged(path, f"schema version {version!r}, where this program reads {SCHEMA_VERSION}"))
    for name, kind in _PARTS.items():
        if not isinstance(record.get(name), kind):
            raise ValueError(_damaged(path, f"'{name}' is missing or not a {kind.__name__}"))
    for split, results in record["metrics"].items():
        figures = [results.get(name, 0.0) for name in _FIGURES] if isinstance(results, dict) else [None]
        if not all(isinstance(figure, int | float) for figure in figures):
            raise ValueError(_damaged(path, f"'metrics.{split}' is no result of a test"))
    return record


def damaged_record(folder: str | os.PathLike, reason: str) -> str:
    """The sentence for a record that is none."""
    return _damaged(Path(folder, RECORD_FILE), reason)


def _damaged(path: Path, reason: str) -> str:
    return f"{path} is damaged ({reason}): delete it, or use --force (FORCE=1 for the scripts)."


def read_record(folder: str | os.PathLike) -> dict[str, Any] | None:
    """The record of a complete run, or None where there is none or it cannot be read."""
    try:
        return read_complete_record(folder)
    except (OSError, ValueError):
        return None
