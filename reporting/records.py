"""Reading run records: every ``run.json`` under a folder becomes a :class:`Run`.

A record that cannot be used is never dropped in silence: it becomes a sentence in :attr:`RunTree.problems`.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from configs import facts
from reporting.titles import tell_apart

SCHEMA_VERSION = 1
RECORD_NAME = "run.json"
_SET_ASIDE = re.compile(r"\.old-\d{8}-\d{6}")
_SEED_FOLDER = re.compile(r"seed\d+")
_REQUIRED: dict[str, type] = {"status": str, "method": str, "dataset": str, "protocol": dict, "metrics": dict}
_OPTIONAL: dict[str, type] = {"history": list, "cost": dict, "environment": dict, "config": dict}
_PERCENTAGES = ("accuracy", "error_rate", "macro_f1")
_AGAIN = "run that run again, or move the file away"
_LARGEST = 1e100  # of numbers beyond it not even means can be taken
_DEEPEST = 50  # levels of settings


@dataclass(frozen=True)
class Run:
    """One finished run, as its record tells it.

    Accuracies are in percent. ``shots`` is None where the record gives none; ``model_dir`` is the folder whose
    weights an evaluation loaded, empty for a run that trained its own (or needs none).
    """

    folder: Path
    method: str
    dataset: str
    backbone: str
    config_name: str
    shots: int | None
    subsample: str
    seed: int
    eval_only: bool
    model_dir: str
    metrics: dict[str, dict[str, Any]]
    history: list[dict[str, Any]] = field(default_factory=list)
    trainable_parameters: int | None = None
    cost: dict[str, float | None] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    end_utc: str = ""

    @property
    def record_path(self) -> Path:
        return self.folder / RECORD_NAME

    @property
    def is_zero_shot(self) -> bool:
        """Whether nothing was trained: shots and, but for evaluation noise, seed do not matter to it.

        The method's facts tell: one without trainable parameters may still learn from images (a cache of features).
        """
        known = facts.methods().get(self.method)
        return known.trains_nothing if known else self.trainable_parameters == 0

    @property
    def known_shots(self) -> int | None:
        """Images per class it was trained on; None for zero-shot methods and where the record does not tell."""
        return None if self.is_zero_shot or not self.shots or self.shots < 1 else self.shots

    def setting(self, *keys: str) -> Any:
        """A setting of the run by the names of its sections and its own, None where the record has none."""
        node: Any = self.settings
        for key in keys:
            node = node.get(key) if isinstance(node, dict) else None
        return node


@dataclass
class RunTree:
    """All runs below ``root``, one sentence for each folder that should hold a run and does not, and remarks."""

    root: Path
    runs: list[Run] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def is_passed_over(name: str) -> bool:
    """Whether a folder of this name is not looked into: hidden, or an earlier run that was set aside (``--force``)."""
    return name.startswith(".") or _SET_ASIDE.search(name) is not None


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
    if record["status"] != "complete":
        raise ValueError(f"{path}: the run's status is {_shown(record['status'])}, not 'complete'; {_AGAIN}")
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


def read_record(path: Path) -> Run:
    """Read one run record.

    Args:
        path: the ``run.json`` file.

    Returns:
        The run.

    Raises:
        ValueError: the file is damaged, of an unknown schema version, incomplete, or records a failed run; the
            message names the file and says what to do.
    """
    try:
        record = _load(path)
        _check(path, record)
    except RecursionError:
        raise ValueError(f"{path}: damaged run record, nested too deeply to be read; {_AGAIN}") from None
    protocol = record["protocol"]
    return Run(
        folder=path.parent,
        method=record["method"],
        dataset=record["dataset"],
        backbone=record.get("backbone") or "",
        config_name=protocol.get("config") or "",
        shots=protocol.get("shots"),
        subsample=protocol.get("subsample_classes") or "all",
        seed=protocol["seed"],
        eval_only=bool(protocol.get("eval_only")),
        model_dir=protocol.get("model_dir") or "",
        metrics=record["metrics"],
        history=record.get("history") or [],
        trainable_parameters=record.get("trainable_parameters"),
        cost=record.get("cost") or {},
        environment=record.get("environment") or {},
        settings=record.get("config") or {},
        end_utc=record.get("end_utc") or "",
    )


def read_runs(root: str | Path) -> RunTree:
    """Read every run record below a folder, in a stable order.

    Args:
        root: the folder to search; hidden folders and runs set aside are passed over.

    Returns:
        The runs, datasets of one name told apart, and a sentence for each record that is unusable and each ``seedN``
        folder without a record.

    Raises:
        FileNotFoundError: ``root`` is not a folder.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder; give the folder that holds the runs, e.g. output/base2new")
    tree = RunTree(root)

    def unreadable(error: OSError) -> None:
        tree.problems.append(f"{error.filename}: the folder cannot be read ({error.strerror}); make it readable")

    for folder, subfolders, files in os.walk(root, onerror=unreadable):
        subfolders[:] = sorted(name for name in subfolders if not is_passed_over(name))
        here = Path(folder)
        if RECORD_NAME in files:
            try:
                tree.runs.append(read_record(here / RECORD_NAME))
            except ValueError as error:
                tree.problems.append(str(error))
        elif _SEED_FOLDER.fullmatch(here.name):
            tree.problems.append(f"{here}: no {RECORD_NAME}, the run did not finish; start it again to resume it")
    tree.runs, tree.notes = tell_apart(tree.runs)
    return tree
