"""Split files: which image is train, val or test, and the three rules by which a split is made.

A split file is one JSON object with the keys train, val, test; each an array of [path, label, class name], the path
relative to the dataset's images folder. It is the form in which the published splits are distributed. Reading and
writing it stands here once, for every dataset.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dassl.utils.files import atomic_path

from .text import is_utf8

PARTS = ("train", "val", "test")


class Item(NamedTuple):
    """One image: path relative to the images folder ("/" on every system), label from 0, class name."""

    path: str
    label: int
    classname: str


class Split(NamedTuple):
    """Three lists of items. Order matters: few-shot sampling visits them as they stand."""

    train: list[Item]
    val: list[Item]
    test: list[Item]


def read_split(file: str | os.PathLike[str]) -> Split:
    """Read and check a split file.

    Args:
        file: the split JSON.

    Returns:
        The three lists in the file's order.

    Raises:
        FileNotFoundError: the file is not there.
        ValueError: the file is not JSON, or an entry is not [path, label >= 0, class name], or a label has two names.
    """
    try:
        content = json.loads(Path(file).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"Split file {file} is not valid JSON ({error}): delete it and fetch it again") from None
    if not isinstance(content, dict) or set(content) != set(PARTS):
        found = ", ".join(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise ValueError(f"Split file {file}: expected the keys train, val, test, found {found or 'none'}")
    names: dict[int, str] = {}
    parts = [
        [_read_item(entry, f"{file}: {part}[{i}]", names) for i, entry in enumerate(content[part])] for part in PARTS
    ]
    return Split(*parts)


def _read_item(entry: Any, where: str, names: dict[int, str]) -> Item:
    try:
        path, label, classname = entry
        # some tools write numbers as strings; a split saved on Windows carries backslashes
        item = Item(str(path).replace("\\", "/"), int(label), str(classname))
    except (TypeError, ValueError):
        raise ValueError(f"Split file {where}: expected [path, label, class name], found {entry!r}") from None
    if not is_utf8(item.path + item.classname):
        raise ValueError(f"Split file {where}: {entry!r} is not in UTF-8")
    if item.label < 0 or item.path.startswith("/") or ".." in item.path.split("/"):
        raise ValueError(f"Split file {where}: expected a relative path and a label from 0, found {entry!r}")
    if names.setdefault(item.label, item.classname) != item.classname:
        raise ValueError(
            f"Split file {where}: label {item.label} is named {item.classname!r} here and {names[item.label]!r} before"
        )
    return item


def write_split(split: Split, file: str | os.PathLike[str]) -> None:
    """Write a split file, whole or not at all, byte for byte as the published ones are written."""
    content = {part: [list(item) for item in items] for part, items in zip(PARTS, split, strict=True)}
    write_text_whole(file, json.dumps(content, indent=4, separators=(",", ": ")))


def write_text_whole(file: str | os.PathLike[str], text: str) -> None:
    """Write text under a temporary name in the same folder, then rename: no reader ever sees half of it."""
    with atomic_path(file) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)


def three_way(classes: Iterable[tuple[int, str, Sequence[str]]], rng: random.Random) -> Split:
    """Rule T: shuffle each class's images and cut them 50 / 20 / 30 percent.

    Args:
        classes: (label, class name, paths) in the order in which classes are visited.
        rng: the generator that shuffles; never Python's global one, which belongs to the run.

    Returns:
        The split, grouped by class in visiting order. Counts are rounded half to even, as Python's `round` does.

    Raises:
        ValueError: a class is too small to give every part an image.
    """
    split = Split([], [], [])
    for label, classname, paths in classes:
        items = [Item(path, label, classname) for path in paths]
        rng.shuffle(items)
        n_train, n_val = round(0.5 * len(items)), round(0.2 * len(items))
        parts = items[:n_train], items[n_train : n_train + n_val], items[n_train + n_val :]
        if not all(parts):
            raise ValueError(
                f"Class {classname!r} has {len(items)} images: too few to cut into train, val and test "
                f"(50/20/30 gives {', '.join(str(len(part)) for part in parts)})"
            )
        for whole, part in zip(split, parts, strict=True):
            whole.extend(part)
    return split


def carve_val(trainval: Sequence[Item], rng: random.Random) -> tuple[list[Item], list[Item]]:
    """Rule V: take 20 percent of each class of an official training list as validation.

    Args:
        trainval: the official list; classes are visited in order of first appearance.
        rng: the generator that shuffles; never Python's global one.

    Returns:
        (train, val), each grouped by class.

    Raises:
        ValueError: a class is too small to give val an image.
    """
    groups: dict[int, list[Item]] = {}
    for item in trainval:
        groups.setdefault(item.label, []).append(item)
    train: list[Item] = []
    val: list[Item] = []
    for group in groups.values():
        n_val = round(0.2 * len(group))
        if n_val == 0:
            raise ValueError(f"Class {group[0].classname!r} has {len(group)} training images: too few to set val apart")
        rng.shuffle(group)
        val.extend(group[:n_val])
        train.extend(group[n_val:])
    return train, val
