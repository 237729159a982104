"""A folder of class folders, or one with train/, test/ and val/: which images are of which class."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ..facts import Finding
from ..splits import PARTS
from ..text import counted, printable, some
from .formats import is_unreadable_image, readable_suffixes, suffix
from .found import Found

# what operating systems and storage boxes put beside images
_NOT_THE_USERS = ("__MACOSX", "@eaDir")


class _Listing(NamedTuple):
    """What lies directly in one folder: names, sorted."""

    images: list[str]
    folders: list[str]
    unreadable: list[str]
    no_files: list[str]


def read_tree(source: Path) -> Found:
    """Find the images in and below the class folders; hidden folders and files do not count.

    Args:
        source: absolute path of the folder. With train/ and test/ in it, the class folders lie in these.

    Returns:
        The images; paths relative to `source`, classes and paths in plain string order.
    """
    tree = _Tree(source)
    top = tree.look("").folders
    parts = {name.lower(): name for name in top if name.lower() in PARTS}
    found = Found({})
    if {"train", "test"} <= set(parts):
        found.parts = {part: tree.classes(parts[part], part) for part in PARTS if part in parts}
        tree.leave_out([name for name in top if name not in parts.values()])
    elif "train" in parts and not tree.look(parts["train"]).images:
        # with images directly in it, it is a class of that name
        problem = f"{source} has {parts['train']}/, with no images directly in it, and no test/"
        fix = "add test/; if train is a class, put its images directly into its folder"
        found.findings.append(Finding(problem, fix))
        return found
    else:
        found.parts = {"": tree.classes("", "")}
    tree.report(found)
    return found


class _Tree:
    """A folder tree; links are followed, each folder is listed once, circles end where they close."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self._listed: dict[tuple[int, int], _Listing] = {}
        # real folder of images → (part, class) that it is in → its path there
        self._places: dict[tuple[int, int], dict[tuple[str, str], str]] = {}
        self._seen: dict[str, _Listing] = {}
        self._nested: Counter[str] = Counter()
        self._empty: list[str] = []
        self._left_out: dict[str, tuple[int, str]] = {}

    def _identity(self, folder: str) -> tuple[int, int]:
        status = os.stat(self.source / folder)
        return status.st_dev, status.st_ino

    def look(self, folder: str) -> _Listing:
        """What lies directly in a folder (a path relative to the source, "" for itself)."""
        identity = self._identity(folder)
        if identity not in self._listed:
            self._listed[identity] = _list(self.source / folder)
        return self._listed[identity]

    def below(self, folder: str) -> Iterator[tuple[str, _Listing]]:
        """A folder and those below it, with what lies in each; one that several links lead to comes once."""
        above = folder.split("/")[:-1]
        seen = {self._identity("/".join(above[:depth])) for depth in range(len(above) + 1)}
        todo = [folder]
        while todo:
            here = todo.pop()
            if self._identity(here) in seen:
                continue
            seen.add(self._identity(here))
            listing = self.look(here)
            self._seen[here] = listing
            yield here, listing
            todo += [f"{here}/{name}" for name in reversed(listing.folders)]

    def classes(self, folder: str, part: str) -> dict[str, list[str]]:
        """Class folder → paths of the images in and below it, sorted."""
        listing = self._seen[folder] = self.look(folder)
        self._left_out[folder] = len(listing.images), "in no class folder"
        found = {}
        for name in listing.folders:
            path = f"{folder}/{name}" if folder else name
            images: list[str] = []
            for here, inner in self.below(path):
                if inner.images:
                    images += [f"{here}/{image}" for image in inner.images]
                    self._places.setdefault(self._identity(here), {})[part, name] = here
                    if here != path:
                        self._nested[here] += len(inner.images)
            if images:
                found[name] = sorted(images)
            else:
                self._empty.append(path)
        return found

    def leave_out(self, folders: list[str]) -> None:
        """Take note of the images that lie beside train/, test/ and val/."""
        top = self._seen[""] = self.look("")
        self._left_out[""] = len(top.images), "in no class folder"
        for name in folders:
            number = sum(len(inner.images) for _, inner in self.below(name))
            self._left_out[name] = number, f"in none of {', '.join(PARTS)}"

    def report(self, found: Found) -> None:
        """Add a sentence on everything odd that was met on the way."""
        places = [where for where in self._places.values() if len(where) > 1]
        labelled = [where for where in places if len({name for _, name in where}) > 1]
        found.add_two_labels("folder", [_same(where.values()) for where in labelled])
        parts = {_same(where.values()): {part for part, _ in where} for where in places if where not in labelled}
        found.add_two_parts("folder", parts)
        no_files = [f"{folder}/{name}".lstrip("/") for folder, inner in self._seen.items() for name in inner.no_files]
        if no_files:
            links = counted(len(no_files), "link or pipe", "links or pipes")
            problem = f"{links} where images are expected: {_names(no_files)}"
            found.findings.append(Finding(problem, "delete them, or put the files in their places"))
        for folder, (number, why) in sorted(self._left_out.items()):
            if number:
                found.notes.append(
                    f"{counted(number, 'image')} left out, {why}: in {printable(str(self.source / folder))}"
                )
        if self._empty:
            found.notes.append(f"{counted(len(self._empty), 'folder')} without images, no class: {_names(self._empty)}")
        if self._nested:
            shown = _names(f"{folder} ({number})" for folder, number in self._nested.items())
            found.notes.append(f"{counted(self._nested.total(), 'image')} in sub-folders, taken in: {shown}")
        unreadable = Counter(suffix(name) for inner in self._seen.values() for name in inner.unreadable)
        if unreadable:
            found.notes.append(
                f"{counted(unreadable.total(), 'image')} left out, of formats that the installed Pillow does not read "
                f"({', '.join(sorted(unreadable))}): convert them to PNG or JPEG"
            )


def _list(folder: Path) -> _Listing:
    listing = _Listing([], [], [], [])
    readable = readable_suffixes()
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name.startswith(".") or entry.name in _NOT_THE_USERS:
                continue
            if entry.is_dir():
                listing.folders.append(entry.name)
            elif suffix(entry.name) in readable:
                (listing.images if entry.is_file() else listing.no_files).append(entry.name)
            elif entry.is_symlink() and not entry.is_file():
                listing.no_files.append(entry.name)  # it may have led to a class
            elif is_unreadable_image(entry.name):
                listing.unreadable.append(entry.name)
    return listing


def _names(paths: Iterable[str]) -> str:
    return some(sorted(paths))


def _same(paths: Iterable[str]) -> str:
    return " = ".join(paths)
