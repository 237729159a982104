"""What ImageNet and its variants share: class names by WordNet id, and datasets that are a test set only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from dassl.records import Source

from .base import Benchmark, required_file
from .facts import Finding
from .listing import cached_class_folders
from .splits import Item, Split
from .text import read_text

CLASSNAMES = "classnames.txt"
N_CLASSNAMES = 1000
# two classes of ImageNet each are called so in the list of CLIP's authors
SHARED_NAMES = ("missile", "sunglasses")
# names that tell the list of CLIP's authors, which the published numbers use, from look-alikes
ANCHORS = {"n01494475": "hammerhead shark", "n01514668": "rooster", "n15075141": "toilet paper"}


def read_classnames(stem: str, folder: Path) -> dict[str, str]:
    """WordNet id → class name, in the file's order, from `folder`/classnames.txt.

    Some classes share a name (`SHARED_NAMES`), so ids are what tells classes apart.

    Raises:
        FileNotFoundError: the file is not there.
        ValueError: a line is not "<wnid> <name>".
    """
    file = required_file(stem, folder / CLASSNAMES)
    names: dict[str, str] = {}
    for number, line in enumerate(read_text(file).splitlines(), start=1):
        wnid, _, name = line.strip().partition(" ")
        if not re.fullmatch(r"n\d{8}", wnid) or not name or wnid in names:
            raise ValueError(
                f"{file}, line {number}: expected a new WordNet id and a name, found {line.strip()!r}; "
                f"run: python -m datasets check {stem}"
            )
        names[wnid] = name
    return names


def classnames_mistakes(stem: str, folder: Path, *, ordered: bool) -> list[Finding]:
    """What is wrong with `folder`/classnames.txt; nothing when it is not there, which reading the lists reports.

    Args:
        stem: the dataset.
        folder: its folder.
        ordered: whether the order of the lines matters, as it does where folders are numbers.
    """
    file = folder / CLASSNAMES
    if not file.is_file():
        return []
    fix = f"delete {file} and run: python -m datasets prepare {stem}"
    try:
        names = read_classnames(stem, folder)
    except (ValueError, OSError) as error:
        return [Finding(str(error).partition("; run:")[0], fix)]
    found = []
    if len(names) != N_CLASSNAMES:
        found.append(Finding(f"{file} has {len(names)} class names, expected {N_CLASSNAMES}", fix))
    other = [f"{wnid} is {names[wnid]}, not {name}" for wnid, name in ANCHORS.items() if names.get(wnid, name) != name]
    if other:
        found.append(Finding(f"{file} is another list of names ({other[0]}): accuracy would not be comparable", fix))
    ids = list(names)
    if ordered and ids != sorted(ids):
        ranks = {wnid: rank for rank, wnid in enumerate(sorted(ids))}
        as_strings = [ranks[wnid] for wnid in ids] == sorted(range(len(ids)), key=str)
        how = "sorted as strings (0, 1, 10, 100, ...)" if as_strings else "not in the order of the WordNet ids"
        found.append(Finding(f"{file} is {how}: folders, which are numbers, would get the wrong names", fix))
    return found


def items_by_wnid(files: dict[str, list[str]], names: dict[str, str], prefix: str, where: Path) -> list[Item]:
    """Items of a tree of <wnid> folders; a label is the folder's rank among those present."""
    unknown = [wnid for wnid in files if wnid not in names]
    if unknown:
        raise ValueError(f"{where}: folder {unknown[0]!r} ({len(unknown)} such) is not in {CLASSNAMES}; move it away")
    return [
        Item(f"{prefix}{wnid}/{file}", label, names[wnid])
        for label, (wnid, names_of_files) in enumerate(files.items())
        for file in names_of_files
    ]


def tree_sources(folder: str, *images: str) -> list[Source]:
    """What lists of <wnid> folders are read from: the folders (by their times, as there are many) and the names."""
    trees = [Source("times", "root", f"{folder}/{place}") for place in images]
    return [*trees, Source("content", "root", f"{folder}/{CLASSNAMES}")]


class ImageNetVariant(Benchmark):
    """An ImageNet variant: all images are test images, and the same list tells the classes.

    As in the published protocol, few-shot and base/new do not apply: the whole set is tested, with all its classes.
    """

    shared_names = SHARED_NAMES

    def list_sources(self) -> list[Source]:
        """The class folders, by their times, and the names."""
        return tree_sources(self.facts.folder, self.facts.images)

    @classmethod
    def mistakes(cls, folder: Path) -> list[Finding]:
        """Another list of class names."""
        return classnames_mistakes(cls.facts.stem, folder, ordered=False)

    def chosen_lists(
        self, folder: Path, shots: int, seed: int, subsample: str
    ) -> tuple[Sequence[Item], Sequence[Item] | None, Sequence[Item]]:
        """All images as train and as test, no val."""
        if subsample != "all":
            print(
                f"{self.facts.stem} is a test set: SUBSAMPLE_CLASSES {subsample} does not apply, all classes are used"
            )
        items = self.read_lists(folder).test
        return items, None, items

    @classmethod
    def read_lists(cls, folder: Path) -> Split:
        """A label is the rank of the <wnid> folder among those present (0 to 199 in ImageNet-A and -R)."""
        images = folder / cls.facts.images
        files = cached_class_folders(images)
        items = items_by_wnid(files, read_classnames(cls.facts.stem, folder), "", images)
        return Split(items, [], items)
