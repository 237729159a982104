"""Reading run records: every record under a folder becomes a :class:`Run`.

A record that cannot be used is never dropped in silence: it becomes a sentence in :attr:`RunTree.problems`.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from configs import facts
from dassl.records import RECORD_FILE, read_strictly, was_set_aside
from reporting.titles import tell_apart

_SEED_FOLDER = re.compile(r"seed\d+")


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
        return self.folder / RECORD_FILE

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
    return name.startswith(".") or was_set_aside(name)


def read_record(path: Path) -> Run:
    """Read one run record.

    Args:
        path: the record's file.

    Returns:
        The run.

    Raises:
        ValueError: the file is damaged, of an unknown schema version, incomplete, or records a failed run; the
            message names the file and says what to do.
    """
    record = read_strictly(path)
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
        if RECORD_FILE in files:
            try:
                tree.runs.append(read_record(here / RECORD_FILE))
            except ValueError as error:
                tree.problems.append(str(error))
        elif _SEED_FOLDER.fullmatch(here.name):
            tree.problems.append(f"{here}: no {RECORD_FILE}, the run did not finish; start it again to resume it")
    tree.runs, tree.notes = tell_apart(tree.runs)
    return tree
