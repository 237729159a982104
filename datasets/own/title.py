"""The name under which results on a dataset go into records, tables and folders."""

from __future__ import annotations

import os
import re
from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY


def checked_title(title: str, name: str) -> str:
    """A title in one printable line.

    Args:
        title: as given.
        name: the dataset's own registered name, which its title may be.

    Raises:
        ValueError: the title is another dataset's name: their results would share rows.
    """
    title = " ".join("".join(letter if letter.isprintable() else " " for letter in title).split())
    for other in DATASET_REGISTRY.registered_names():
        facts = getattr(DATASET_REGISTRY.get(other), "facts", None)
        taken = {_plain(other), _plain(getattr(facts, "stem", other))}
        if other != name and _plain(title) in taken:
            raise ValueError(
                f"DATASET.TITLE is {title!r}, which is the dataset {other}: choose another, so that their results "
                f"are told apart (DATASET.TITLE my_{_plain(title)})"
            )
    return title


def own_title(path: str | os.PathLike[str]) -> str:
    """What images of one's own are called unless they are given a title: the folder's name, or the CSV file's."""
    place = Path(os.path.abspath(os.path.expanduser(path)))
    return place.stem if place.suffix.lower() == ".csv" else place.name


def folder_name(title: str) -> str:
    """A title as the name of a folder: no separators, not hidden."""
    return re.sub(r'[/\\:*?"<>|]', "_", title).lstrip(".") or "_"


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
