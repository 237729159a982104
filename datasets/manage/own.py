"""`python -m datasets check folder --path …`: images of one's own."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dassl.utils.images import read_image

from ..folder import Folder, find_source
from ..own.lists import read_own
from ..splits import PARTS, Split
from ..text import counted, some
from .check import INCOMPLETE, READY, Report, broken_images, decode, summary, unique_paths

#: An image of which no value (of 255) is brighter shows nothing: 12 bits stored as 16, or the numbers of classes.
DARKEST = 16
#: Images longer than that are strips: few, and probably there by mistake.
LONGEST = 50


def check_own(path: str, root: str = "", *, deep: bool = False) -> Report:
    """Check images of one's own, with the sentences that training says of them.

    Args:
        path: as in DATASET.PATH.
        root: the data root.
        deep: decode every image as well, and look for copies.

    Raises:
        ValueError, FileNotFoundError: `path` leads to no folder and no CSV file.
    """
    if not path:
        raise ValueError("check folder: --path is needed, the folder or CSV file of your images")
    source = find_source(path, root)
    own = read_own(source)
    report = Report(Folder.facts.stem, READY, "", own.findings, own.notes)
    if not own.findings:
        report.summary = summary(own.split)
    if deep and not own.findings:
        _decode(report, own.split, source if source.is_dir() else source.parent)
    report.status = INCOMPLETE if report.findings else READY
    return report


def _decode(report: Report, split: Split, images: Path) -> None:
    paths = unique_paths(split)
    files = [os.path.join(images, path) for path in paths]
    results = decode(files, _look)
    fix = "put readable copies in their places, or delete them (and their rows in a CSV file)"
    report.findings += broken_images(results, fix)
    seen = [(path, result) for path, result in zip(paths, results, strict=True) if isinstance(result, tuple)]
    dark = [path for path, (brightest, _) in seen if brightest <= DARKEST]
    if dark:
        report.notes.append(
            f"{counted(len(dark), 'image')} almost black, no value above {DARKEST} of 255: {some(dark)}; if these "
            "are 12 bits stored as 16, or numbers of classes, stretch them to the whole range"
        )
    lines = [path for path, (_, ratio) in seen if ratio > LONGEST]
    if lines:
        report.notes.append(
            f"{counted(len(lines), 'image')} more than {LONGEST} times as long as wide: {some(lines)}; the middle is "
            "all that a model sees of them, and to resize them takes much memory"
        )
    report.notes += _copies(split, images)


def _look(file: str) -> tuple[int, float]:
    """An image's brightest value, and how many times as long as wide it is."""
    image = read_image(file, Folder.upright)
    return int(np.asarray(image).max()), max(image.size) / min(image.size)


def _copies(split: Split, images: Path) -> list[str]:
    """Images that are the same file, byte for byte, under several names, where that matters."""
    place = {item.path: (part, item.classname) for part, items in zip(PARTS, split, strict=True) for item in items}
    leaked, labelled = [], []
    for paths in _equal_files(list(place), images):
        if len({place[path][1] for path in paths}) > 1:
            labelled.append(" = ".join(paths))
        elif {"train", "test"} <= {place[path][0] for path in paths}:
            leaked.append(" = ".join(paths))
    notes = []
    if labelled:
        notes.append(f"{counted(len(labelled), 'image')} stored under two labels, byte for byte: {some(labelled)}")
    if leaked:
        notes.append(f"{counted(len(leaked), 'image')} stored in train and in test, byte for byte: {some(leaked)}")
    return notes


def _equal_files(paths: Sequence[str], images: Path) -> list[list[str]]:
    """Groups of files with the same content; only files of the same size are read."""
    sizes = defaultdict(list)
    for path in paths:
        sizes[os.path.getsize(images / path)].append(path)
    contents = defaultdict(list)
    for size, group in sizes.items():
        for path in group if len(group) > 1 else ():
            contents[size, hashlib.sha256((images / path).read_bytes()).digest()].append(path)
    return [group for group in contents.values() if len(group) > 1]
