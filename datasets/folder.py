"""Folder: the user's own images, without a line of code.

DATASET.PATH is one of
- a folder with one sub-folder per class: cut 50/20/30 into train, val and test, the same way on every machine;
- a folder with train/ and test/ (and val/, if there is one), each with one sub-folder per class;
- a CSV file with the columns path, label and split. Paths are absolute or start at the CSV's folder; a label is the
  class's name or sub-folder; split is train, val or test. Without the column split, it is cut 50/20/30.

Images in sub-folders of a class folder are of that class. Classes are in plain string order of their folders (or of
the CSV's labels). A file classnames.txt beside them gives other names: either "<folder> <name>" per line, or one name
per line in the order of the folders.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

from dassl.data.datasets import DATASET_REGISTRY
from dassl.records import Source

from .base import Benchmark, data_root
from .facts import Counts, Facts
from .own.lists import read_own
from .own.title import checked_title, folder_name, own_title
from .splits import PARTS, Split
from .text import is_utf8, printable


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

    upright = True  # photographs are often stored as the sensor lay
    digest_contents = True  # one's own images may be edited

    def __init__(self, cfg: Any) -> None:
        self.source = find_source(cfg.DATASET.PATH, cfg.DATASET.ROOT)
        self._path = cfg.DATASET.PATH
        self.notes: list[str] = []
        super().__init__(cfg)
        self.title = self.title or checked_title(own_title(self.source), type(self).__name__)
        self.repair_hint = f"run: {check_command(self.source)} --deep"
        self._introduce()

    def prepare_folder(self, root: Path) -> Path:
        """The folder from which paths start: PATH itself, or the CSV's folder. The data root is not needed."""
        return self.source if self.source.is_dir() else self.source.parent

    def full_lists(self, folder: Path) -> Split:
        """The full lists, see the module's text.

        Raises:
            ValueError: the images cannot be used as they lie; says why, as `check` does.
        """
        own = read_own(self.source)
        own.refuse(check_command(self.source))
        self.notes = own.notes
        return own.split

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
        """Say what was found, so that a mistake is seen before the training. (The prompts are the method's to show.)"""
        counts = ", ".join(
            f"{len(items)} {name}"
            for name, items in zip(PARTS, (self.train_x, self.val, self.test), strict=True)
            if items
        )
        print(f"Folder {self.source}: {self.num_classes} classes; images: {counts}")
        one = ["one class alone: every answer is right, and an accuracy says nothing"] if self.num_classes == 1 else []
        for note in (*self.notes, *one):
            print(f"Note: {note}")


def find_source(path: str, root: str = "") -> Path:
    """DATASET.PATH as an absolute path: as it is, or under the data root.

    Raises:
        ValueError: `path` is empty, not in UTF-8, or a file that is no CSV.
        FileNotFoundError: it is not there.
    """
    if not path:
        raise ValueError("DATASET.PATH is empty: dataset Folder needs a folder of class folders, or a CSV file")
    candidates = [Path(os.path.abspath(Path(path).expanduser())), data_root(root) / path]
    for candidate in candidates:
        if candidate.is_dir() or (candidate.is_file() and candidate.suffix.lower() == ".csv"):
            if not is_utf8(str(candidate)):
                raise ValueError(f"DATASET.PATH {printable(str(candidate))}: this name is not in UTF-8; rename it")
            return candidate
        if candidate.is_file():
            raise ValueError(f"DATASET.PATH {path}: expected a folder or a .csv file")
    places = list(dict.fromkeys(printable(str(candidate)) for candidate in candidates))
    absent = f"neither {places[0]} nor {places[1]}" if len(places) > 1 else f"no {places[0]}"
    raise FileNotFoundError(f"DATASET.PATH {printable(path)}: there is {absent}")


def check_command(source: Path) -> str:
    """The command that checks such images."""
    return f"python -m datasets check folder --path {shlex.quote(str(source))}"


def settle_path(cfg: Any, file: str | os.PathLike[str]) -> None:
    """Look for the relative DATASET.PATH of a dataset's YAML beside that file first.

    Args:
        cfg: a config into which the YAML was merged, and nothing after it. The path becomes absolute if it is there.
        file: the YAML.
    """
    path = Path(cfg.DATASET.PATH or "").expanduser()
    beside = Path(os.path.abspath(Path(file).parent / path))
    if cfg.DATASET.PATH and not path.is_absolute() and beside.exists():
        cfg.DATASET.PATH = str(beside)


def settle_title(cfg: Any, file: str | os.PathLike[str]) -> str:
    """Fill in DATASET.TITLE where the dataset is Folder: as given, else the YAML's name, else that of the images.

    Args:
        cfg: the whole config.
        file: the dataset's YAML.

    Returns:
        The dataset's name in folders: the YAML's, but for Folder the title.

    Raises:
        ValueError: the title is another dataset's name.
    """
    options, stem = cfg.DATASET, Path(file).stem
    if Folder.__name__ != options.NAME:
        return stem
    # folder.yaml is of no images in particular
    general = stem == Folder.facts.stem
    title = options.TITLE or (own_title(options.PATH or "") if general else stem)
    options.TITLE = checked_title(title, options.NAME)
    return folder_name(options.TITLE)
