"""What others must know of the methods and datasets, from the file that stands with each.

    configs/trainers/<Trainer>/method.yaml      beside the method's settings; keys: method.py, MethodFacts and RowFacts
    configs/datasets/<stem>.facts.yaml          beside the dataset's config; keys: dataset.py, DatasetFacts

Sweeps, tables and docs/methods.md take their methods and datasets from here and keep no list of their own. Neither file
is needed to train: a method or dataset without one comes last in tables, by name. No PyTorch, no config system.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from configs.dataset import DATASET_ENDING, DatasetFacts, read_dataset
from configs.method import METHOD_FILE, MethodFacts, RowFacts, read_method

#: The project's folder.
ROOT = Path(__file__).resolve().parent.parent


def in_place(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """The names without repetition: known ones in their order, then the others by name."""
    unique = set(names)
    placed = [name for name in known if name in unique]
    return placed + sorted(unique - set(placed))


@cache
def methods(root: Path = ROOT) -> dict[str, MethodFacts]:
    """The methods that have facts, by place.

    Raises:
        ValueError: a mistake in a file.
    """
    found = [read_method(path) for path in sorted((root / "configs" / "trainers").glob(f"*/{METHOD_FILE}"))]
    return {facts.name: facts for facts in sorted(found, key=lambda facts: (facts.row.place, facts.name))}


def board_of(method: str, root: Path = ROOT) -> str:
    """A method's board; "" where no file states it."""
    found = methods(root).get(method)
    return found.board if found else ""


@cache
def rows(root: Path = ROOT) -> tuple[RowFacts, ...]:
    """All rows of all methods, by place.

    Raises:
        ValueError: a mistake in a file.
    """
    found = [row for facts in methods(root).values() for row in (facts.row, *facts.rows)]
    return tuple(sorted(found, key=lambda row: (row.place, row.entry)))


def setting_of(row: RowFacts, root: Path = ROOT) -> str:
    """A row's usual setting, as a path below configs/trainers/ without .yaml."""
    rules = methods(root)[row.method].settings["default"]
    return f"{row.method}/{row.settings[0] if row.settings else rules[-1].setting}"


@cache
def datasets(root: Path = ROOT) -> dict[str, DatasetFacts]:
    """The datasets that have facts, by place; the key is the stem.

    Raises:
        ValueError: a mistake in a file.
    """
    found = [read_dataset(path) for path in sorted((root / "configs" / "datasets").glob(f"*{DATASET_ENDING}"))]
    return {facts.stem: facts for facts in sorted(found, key=lambda facts: (facts.place, facts.stem))}


def group(name: str, root: Path = ROOT) -> list[DatasetFacts]:
    """The datasets of a group, by place."""
    return [facts for facts in datasets(root).values() if facts.group == name]


def source_dataset(root: Path = ROOT) -> DatasetFacts:
    """The dataset that models of xd and dg are trained on.

    Raises:
        ValueError: none is, or several are.
    """
    return _the_one("source", [facts for facts in datasets(root).values() if facts.is_source], root)


def default_dataset(root: Path = ROOT) -> DatasetFacts:
    """The dataset of ``train.py`` where none is named.

    Raises:
        ValueError: none is, or several are.
    """
    return _the_one("default", [facts for facts in datasets(root).values() if facts.is_default], root)


def _the_one(key: str, found: list[DatasetFacts], root: Path) -> DatasetFacts:
    if len(found) != 1:
        names = " and ".join(f"{facts.stem}{DATASET_ENDING}" for facts in found) or "none"
        raise ValueError(f"'{key}: true' stands in {names} of {root / 'configs' / 'datasets'}: expected one file.")
    return found[0]
