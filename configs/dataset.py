"""What others must know of a dataset: ``configs/datasets/<stem>.facts.yaml``, beside its config."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from configs.strict import Node, one_of, read_yaml

DATASET_ENDING = ".facts.yaml"
#: benchmark: the datasets that published averages are over; shift: the source's classes under another distribution.
GROUPS = ("benchmark", "shift")


@dataclass(frozen=True)
class DatasetFacts:
    """What ``<stem>.facts.yaml`` says.

    Attributes:
        stem: of its config, and its name in folders.
        name: its registered name, which tables show; from the config.
        place: order in tables; sparse.
        group: one of `GROUPS`, or "".
        is_source: models of xd and dg are trained on it.
        is_default: ``train.py`` takes it where none is named.
    """

    stem: str
    name: str
    place: int
    group: str
    is_source: bool
    is_default: bool


def dataset_stems(folder: Path) -> list[str]:
    """The datasets that have a config in a folder."""
    return sorted(path.stem for path in folder.glob("*.yaml") if not path.name.endswith(DATASET_ENDING))


def read_dataset(path: Path) -> DatasetFacts:
    """Read one ``<stem>.facts.yaml``, and the dataset's name from the config beside it.

    Raises:
        ValueError: a mistake in one of them; the sentence names file and key.
    """
    stem = path.name.removesuffix(DATASET_ENDING)
    config = path.with_name(f"{stem}.yaml")
    if not config.is_file():
        raise ValueError(f"{path}: there is no {config.name} beside it, whose facts these would be.")
    node = Node(read_yaml(path), str(path))
    place = node.take("place", int)
    found = node.take("group", str, "")
    facts = DatasetFacts(
        stem=stem,
        name=dataset_name(config),
        place=place,
        group=found and one_of(found, GROUPS, f"{path}: group"),
        is_source=node.take("source", bool, False),
        is_default=node.take("default", bool, False),
    )
    node.done()
    return facts


def dataset_name(config: Path) -> str:
    """The registered name that a dataset's config gives.

    Raises:
        ValueError: it gives none.
    """
    return Node(Node(read_yaml(config), str(config)).take("DATASET", dict), f"{config}: DATASET").take("NAME", str)
