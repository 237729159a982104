"""The schema of run.json, and reading it strictly: for programs that compute with what others have recorded."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any, TypeGuard

from .folder import COMPLETE, SCHEMA_VERSION

_REQUIRED: dict[str, type] = {"status": str, "method": str, "dataset": str, "protocol": dict, "metrics": dict}
_OPTIONAL: dict[str, type] = {"history": list, "cost": dict, "environment": dict, "config": dict}
_PERCENTAGES = ("accuracy", "error_rate", "macro_f1")
_AGAIN = "run that run again, or move the file away"
_LARGEST = 1e100  # of numbers beyond it not even means can be taken
_DEEPEST = 50  # levels of settings


def read_strictly(path: Path) -> dict[str, Any]:
    """The record of a complete run, every part that a report needs being what it should be.

    Args:
        path: the record's file.

    Returns:
        The record as it is in the file.

    Raises:
        ValueError: the file is damaged, of an unknown schema version, incomplete, or records a failed run; the
            message names the file and says what to do.
    """
    try:
        record = _load(path)
        _check(path, record)
    except RecursionError:
        raise ValueError(f"{path}: damaged run record, nested too deeply to be read; {_AGAIN}") from None
    return record


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value of a record is a number to count with: finite, no boolean."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _load(path: Path) -> dict[str, Any]:
    """The content of a record file of this schema version."""
    if path.exists() and not path.is_file():  # reading a pipe would wait for a writer
        raise ValueError(f"{path}: not a run record (no regular file); {_AGAIN}")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path}: damaged run record, not JSON at line {error.lineno} ({error.msg}); {_AGAIN}"
        ) from error
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or a number of thousands of digits
        raise ValueError(f"{path}: cannot be read ({error}); {_AGAIN}") from error
    if not isinstance(record, dict) or "schema_version" not in record:
        raise ValueError(f"{path}: not a run record (no schema_version); {_AGAIN}")
    if record["schema_version"] != SCHEMA_VERSION:
        raise ValueError(
            f"{path}: run record of schema version {_shown(record['schema_version'])}, this program reads version "
            f"{SCHEMA_VERSION}; use the release that wrote it, or {_AGAIN}"
        )
    return record


def _is_line(value: object) -> bool:
    """Whether a value is text without control characters and halves of surrogate pairs, which no file takes."""
    return isinstance(value, str) and not any(unicodedata.category(c) in ("Cc", "Cs") for c in value)


def _depth(node: Any) -> int:
    """How many levels of sections and lists a value has."""
    depth, level = -1, [node]
    while level:
        level = [
            child
            for value in level
            for child in (value.values() if isinstance(value, dict) else value if isinstance(value, list) else ())
        ]
        depth += 1
    return depth


def _shown(value: object) -> str:
    """A value for a sentence, in one line of bearable length."""
    text = ascii(value)
    return text if len(text) <= 60 else text[:60] + "…"


def _check(path: Path, record: dict[str, Any]) -> None:
    """Refuse a record that lacks what a report needs, or has something else in its place."""

    def refuse(key: str, value: object, expected: str) -> None:
        raise ValueError(f"{path}: damaged run record, '{key}' is {_shown(value)}, not {expected}; {_AGAIN}")

    for key, kind in _REQUIRED.items():
        if not isinstance(record.get(key), kind):
            raise ValueError(f"{path}: damaged run record, '{key}' is missing or not a {kind.__name__}; {_AGAIN}")
    for key, kind in _OPTIONAL.items():
        if record.get(key) is not None and not isinstance(record[key], kind):
            raise ValueError(f"{path}: damaged run record, '{key}' is not a {kind.__name__}; {_AGAIN}")
    if record["status"] != COMPLETE:
        raise ValueError(f"{path}: the run's status is {_shown(record['status'])}, not '{COMPLETE}'; {_AGAIN}")
    protocol = record["protocol"]
    if not isinstance(protocol.get("seed"), int) or not is_number(protocol["seed"]):
        raise ValueError(f"{path}: damaged run record, 'protocol.seed' is missing or not an integer; {_AGAIN}")
    counts = {"protocol.shots": protocol.get("shots"), "trainable_parameters": record.get("trainable_parameters")}
    for key, value in counts.items():
        if value is not None and not (isinstance(value, int) and is_number(value)):
            refuse(key, value, "an integer")
    names = {key: record.get(key) for key in ("method", "dataset", "backbone", "end_utc")}
    names |= {f"protocol.{key}": protocol.get(key) for key in ("config", "subsample_classes")}
    for key, name in names.items():
        if name is not None and not _is_line(name):
            refuse(key, name, "a line of text")
    if not isinstance(protocol.get("model_dir") or "", str):
        refuse("protocol.model_dir", protocol["model_dir"], "a folder")
    for split, figures in record["metrics"].items():
        if not isinstance(figures, dict):
            refuse(f"metrics.{split}", figures, "a dict")
        for key in _PERCENTAGES:
            figure = figures.get(key)
            if not (is_number(figure) and 0 <= figure <= 100) and (figure is not None or key == "accuracy"):
                refuse(f"metrics.{split}.{key}", figure, "a percentage")
    if _depth(record.get("config")) > _DEEPEST:
        raise ValueError(f"{path}: damaged run record, 'config' is nested too deeply; {_AGAIN}")
    for entry in record.get("history") or []:
        if not isinstance(entry, dict) or not is_number(entry.get("epoch")):
            refuse("history", entry, "an entry with its epoch")
    for key, value in (record.get("cost") or {}).items():
        if value is not None and not is_number(value):
            refuse(f"cost.{key}", value, "a number")
