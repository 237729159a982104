"""Images of one's own as the lists of a dataset, or why they cannot be used."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..facts import Finding
from ..listing import subfolders
from ..splits import PARTS, Item, Split, three_way
from ..text import counted, is_utf8, printable, read_text, some
from .found import Found
from .table import read_table
from .tree import read_tree

CLASSNAMES = "classnames.txt"
#: Fewer images of a class cannot be cut 50/20/30.
FEWEST_TO_CUT = 4
#: What some call the parts. Folders of such names alone are no classes.
LIKE_PARTS = frozenset((*PARTS, "training", "testing", "validation", "valid", "eval", "dev"))


@dataclass
class OwnImages:
    """What is to be known of images of one's own.

    Attributes:
        split: the lists; empty where findings stand against them.
        findings: what must be mended first.
        notes: what is left out, or good to know.
    """

    split: Split = field(default_factory=lambda: Split([], [], []))
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def refuse(self, more: str) -> None:
        """Raise ValueError if there are findings: with the first of them, and `more`, where the others are told."""
        if self.findings:
            first = self.findings[0]
            others = f" ({len(self.findings) - 1} more: {more})" if len(self.findings) > 1 else ""
            raise ValueError(f"{first.problem}; {first.fix}{others}")


def read_own(source: Path) -> OwnImages:
    """The lists of a folder or CSV file.

    Args:
        source: absolute path of a folder or of a .csv file.

    Returns:
        Lists (val may be empty), findings and notes. Paths are relative to the folder (or to the CSV's folder), or
        absolute.
    """
    try:
        found = read_table(source) if source.is_file() else read_tree(source)
    except ValueError as error:
        return OwnImages(findings=[Finding(str(error), f"correct {source}")])
    own = OwnImages(findings=found.findings, notes=found.notes)
    folders = sorted({folder for part in found.parts.values() for folder in part})
    own.findings += _unprintable(found)
    if found.parts:
        own.findings += _too_little(source, found, folders)
    if not own.findings:
        try:
            names = _class_names(source if source.is_dir() else source.parent, folders)
        except ValueError as error:
            own.findings.append(Finding(str(error), f"correct {CLASSNAMES}, or delete it"))
        else:
            own.split = _lists(found, names)
            own.notes += _untested(found)
    return own


def _unprintable(found: Found) -> list[Finding]:
    """Names that can be neither printed nor recorded, shortened to the folder or file that has to be renamed."""
    bad = set()
    for classes in found.parts.values():
        for path in (path for paths in classes.values() for path in paths if not is_utf8(path)):
            names = path.split("/")
            depth = next(depth for depth, name in enumerate(names, start=1) if not is_utf8(name))
            bad.add("/".join(names[:depth]))
    if not bad:
        return []
    return [Finding(f"{counted(len(bad), 'name')} not in UTF-8: {some(sorted(bad))}", "rename the folders or files")]


def _too_little(source: Path, found: Found, folders: Sequence[str]) -> list[Finding]:
    """What lacks, though no training or test can do without it."""
    if not folders:
        fix = "put the images of each class into a folder of the class's name" + _or_table(source)
        return [Finding(f"{source}: no images of any class found", fix)]
    if len(folders) == 1:
        inner = source / folders[0]
        name = printable(folders[0])
        fix = "put those of each class into a folder of the class's name"
        if source.is_dir() and "" in found.parts and subfolders(inner):
            fix += f"; if {printable(str(inner))} holds the class folders, give that as the path"
        fix += _or_table(source)
        return [Finding(f"{source}: all images are of one class, {name}", fix)]
    if "" in found.parts:
        return _cannot_be_cut(source, found.parts[""])
    for part in ("train", "test"):
        if not found.parts.get(part):
            return [Finding(f"{source}: no images for {part}", "train and test both need images of the classes")]
    absent = [
        f"{name} ({len(files)} in {part})"
        for part in PARTS
        for name, files in found.parts.get(part, {}).items()
        if name not in found.parts["train"]
    ]
    if not absent:
        return []
    problem = f"{counted(len(absent), 'class', 'classes')} without training images: {some(absent)}"
    return [Finding(problem, "add images of them to train, or leave these out")]


def _or_table(source: Path) -> str:
    """The end of a sentence on a folder of images that a CSV file in it may tell the classes of."""
    tables = sorted(entry.name for entry in source.glob("*.[cC][sS][vV]")) if source.is_dir() else []
    return f"; or give a CSV file with the classes as the path, such as {source / tables[0]}" if tables else ""


def _cannot_be_cut(source: Path, classes: dict[str, list[str]]) -> list[Finding]:
    if {name.lower() for name in classes} <= LIKE_PARTS:
        problem = f"{source}: {some(list(classes))} look like parts, not like classes"
        return [Finding(problem, "call the folders train and test, and a third one val")]
    small = [f"{name} ({len(files)})" for name, files in classes.items() if len(files) < FEWEST_TO_CUT]
    if not small:
        return []
    problem = f"{counted(len(small), 'class', 'classes')} with too few images to cut into train, val and test: "
    fix = f"{FEWEST_TO_CUT} of a class are the least; or sort the images into train and test yourself"
    return [Finding(problem + some(small), fix)]


def _lists(found: Found, names: dict[str, str]) -> Split:
    rank = {folder: label for label, folder in enumerate(names)}
    if "" in found.parts:
        # a generator of its own: the same cut in every run, whatever the run's seed
        classes = [(rank[name], names[name], files) for name, files in found.parts[""].items()]
        return three_way(classes, random.Random(0))
    lists = [
        [Item(file, rank[name], names[name]) for name, files in found.parts.get(part, {}).items() for file in files]
        for part in PARTS
    ]
    return Split(*lists)


def _untested(found: Found) -> list[str]:
    """A class without test images is trained for nothing, and the accuracy says nothing about it."""
    absent = [name for name in found.parts.get("train", ()) if name not in found.parts["test"]]
    return [f"{counted(len(absent), 'class', 'classes')} without test images: {some(absent)}"] if absent else []


def _class_names(folder: Path, folders: Sequence[str]) -> dict[str, str]:
    """Folder → class name in the order of the folders, from classnames.txt where there is one."""
    file = folder / CLASSNAMES
    if not file.is_file():
        return {name: name for name in folders}
    lines = [line.strip() for line in read_text(file).splitlines() if line.strip()]
    named = {}
    for line in lines:
        # the longest folder name that the line starts with, since names may hold spaces
        owner = max((name for name in folders if line.startswith((f"{name} ", f"{name}\t"))), key=len, default=None)
        if owner is not None:
            named[owner] = line[len(owner) :].strip()
    if set(named) == set(folders):
        return {name: named[name] for name in folders}
    if not named and len(lines) == len(folders):
        return dict(zip(folders, lines, strict=True))
    missing = next(name for name in folders if name not in named)
    raise ValueError(
        f'{file}: expected "<folder> <name>" for each of the {len(folders)} classes, or {len(folders)} names in the '
        f"order of the folders; found {len(lines)} lines, and none for {missing!r}"
    )
