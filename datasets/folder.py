"""Folder: the user's own images, without a line of code.

DATASET.PATH is one of
- a folder with one sub-folder per class: cut 50/20/30 into train, val and test, the same way on every machine;
- a folder with train/ and test/ (and val/, if there is one), each with one sub-folder per class;
- a CSV file with the columns path, label and split. Paths start at the CSV's folder; a label is the class's name or
  sub-folder; split is train, val or test. Without the column split, it is cut 50/20/30.

Classes are in plain string order of their folders (or of the CSV's labels). A file classnames.txt beside them gives
other names: either "<folder> <name>" per line, or one name per line in the order of the folders.
"""

from __future__ import annotations

import csv
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dassl.data.datasets import DATASET_REGISTRY
from dassl.records import Source

from .base import Benchmark, data_root
from .facts import Counts, Facts
from .listing import cached_class_folders, is_image, subfolders
from .splits import PARTS, Item, Split, three_way

CLASSNAMES = "classnames.txt"


@DATASET_REGISTRY.register()
class Folder(Benchmark):
    """Images of one's own: DATASET.NAME Folder, DATASET.PATH <folder or CSV>, DATASET.TEMPLATE if wanted."""

    facts = Facts(
        stem="folder",
        folder="",
        images=".",
        counts=Counts(classes=0, train=0, val=None, test=0),
        page="",
        licence="",
    )

    digest_contents = True  # one's own images may be edited

    def __init__(self, cfg: Any) -> None:
        self.source = find_source(cfg.DATASET.PATH, cfg.DATASET.ROOT)
        self._path = cfg.DATASET.PATH
        super().__init__(cfg)
        self.repair_hint = f"run: python -m datasets check folder --path {cfg.DATASET.PATH} --deep"
        self._introduce()

    def prepare_folder(self, root: Path) -> Path:
        """The folder from which paths start: PATH itself, or the CSV's folder. The data root is not needed."""
        return self.source if self.source.is_dir() else self.source.parent

    def full_lists(self, folder: Path) -> Split:
        """The full lists, see the module's text."""
        return read_folder(self.source)

    def list_sources(self) -> list[Source] | None:
        """The folder with all below it; or the CSV file, with what lies in its folder and in those of its images."""
        path = self._path
        if os.path.abspath(path) != str(self.source):
            return None  # under the data root or a home: what it stands for depends on more than the path
        place = "" if os.path.isabs(path) else "work"
        if self.source.is_dir():
            return [Source("tree", place, path)]
        images = {os.path.dirname(item.impath) for part in (self.train_x, self.val, self.test) for item in part or []}
        folder = str(self.source.parent)
        below = sorted(os.path.relpath(image, folder) for image in {folder, *images})
        start = os.path.dirname(path)
        return [
            Source("content", place, path),
            *(Source("files", place, os.path.normpath(os.path.join(start, name))) for name in below),
        ]

    def _introduce(self) -> None:
        """Say what was found, so that a mistake is seen before the training."""
        counts = ", ".join(
            f"{len(items)} {name}"
            for name, items in zip(PARTS, (self.train_x, self.val, self.test), strict=True)
            if items
        )
        prompts = [self.template.format(name.replace("_", " ")) for name in self.classnames[:3]]
        more = ", ..." if self.num_classes > len(prompts) else ""
        print(f"Folder {self.source}: {self.num_classes} classes; images: {counts}")
        print("Prompts: " + ", ".join(f'"{prompt}"' for prompt in prompts) + more)


def find_source(path: str, root: str = "") -> Path:
    """DATASET.PATH as an absolute path: as it is, or under the data root.

    Raises:
        ValueError: `path` is empty, or a file that is no CSV.
        FileNotFoundError: it is not there.
    """
    if not path:
        raise ValueError("DATASET.PATH is empty: dataset Folder needs a folder of class folders, or a CSV file")
    candidates = [Path(os.path.abspath(Path(path).expanduser())), data_root(root) / path]
    for candidate in candidates:
        if candidate.is_dir() or (candidate.is_file() and candidate.suffix.lower() == ".csv"):
            return candidate
        if candidate.is_file():
            raise ValueError(f"DATASET.PATH {path}: expected a folder or a .csv file")
    raise FileNotFoundError(f"DATASET.PATH {path}: there is neither {candidates[0]} nor {candidates[1]}")


def read_folder(source: Path) -> Split:
    """The lists of a folder or CSV file.

    Args:
        source: absolute path of a folder or of a .csv file.

    Returns:
        train, val (may be empty) and test; paths relative to the folder (or to the CSV's folder).
    """
    if source.is_file():
        parts = _csv_parts(source)
    elif {"train", "test"} <= set(names := subfolders(source)):
        parts = {part: _class_files(source / part, f"{part}/") for part in PARTS if part in names}
    elif "train" in names:
        raise ValueError(f"{source} has train/ and no test/: add the test images, or move the class folders up")
    else:
        parts = {"": _class_files(source, "")}
    folders = sorted({folder for part in parts.values() for folder in part})
    if not folders:
        raise ValueError(f"{source}: no images found; expected one sub-folder per class with images in it")
    names_of = _class_names(source if source.is_dir() else source.parent, folders)
    rank = {folder: label for label, folder in enumerate(folders)}
    if "" in parts:
        # a generator of its own: the same cut in every run, whatever the run's seed
        return three_way([(rank[name], names_of[name], files) for name, files in parts[""].items()], random.Random(0))
    lists = [
        [Item(file, rank[name], names_of[name]) for name, files in parts.get(part, {}).items() for file in files]
        for part in PARTS
    ]
    return Split(*lists)


def _class_files(folder: Path, prefix: str) -> dict[str, list[str]]:
    """Class folder → paths; a folder without images is no class."""
    return {
        name: [f"{prefix}{name}/{file}" for file in files]
        for name, files in cached_class_folders(folder).items()
        if files
    }


def _csv_parts(file: Path) -> dict[str, dict[str, list[str]]]:
    """Part ("" where there is no column split) → label → paths, labels in plain string order."""
    with open(file, newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        columns = reader.fieldnames or []
        if not {"path", "label"} <= set(columns):
            raise ValueError(
                f"{file}: expected the columns path, label and split, found {', '.join(columns) or 'none'}"
            )
        rows = list(reader)
    found: dict[str, dict[str, list[str]]] = {}
    for number, row in enumerate(rows, start=2):
        path, label, part = ((row.get(column) or "").strip() for column in ("path", "label", "split"))
        if not path or not label or not is_image(path):
            raise ValueError(
                f"{file}, line {number}: expected an image's path and its label, found {path!r}, {label!r}"
            )
        if "split" in columns and part not in PARTS:
            raise ValueError(f"{file}, line {number}: split is {part!r}, expected train, val or test")
        found.setdefault(part, {}).setdefault(label, []).append(path.replace("\\", "/"))
    if "split" in columns and not {"train", "test"} <= set(found):
        raise ValueError(f"{file}: the column split names {', '.join(found) or 'nothing'}; train and test are needed")
    return {part: dict(sorted(classes.items())) for part, classes in found.items()}


def _class_names(folder: Path, folders: Sequence[str]) -> dict[str, str]:
    """Folder → class name, from classnames.txt where there is one."""
    file = folder / CLASSNAMES
    if not file.is_file():
        return {name: name for name in folders}
    lines = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    named = {}
    for line in lines:
        # the longest folder name that the line starts with, since names may hold spaces
        owner = max((name for name in folders if line.startswith((f"{name} ", f"{name}\t"))), key=len, default=None)
        if owner is not None:
            named[owner] = line[len(owner) :].strip()
    if set(named) == set(folders):
        return named
    if not named and len(lines) == len(folders):
        return dict(zip(folders, lines, strict=True))
    missing = next(name for name in folders if name not in named)
    raise ValueError(
        f'{file}: expected "<folder> <name>" for each of the {len(folders)} classes, or {len(folders)} names in the '
        f"order of the folders; found {len(lines)} lines, and none for {missing!r}"
    )
