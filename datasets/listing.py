"""Listing folders of images: sorted, hidden entries skipped, and remembered for trees of ImageNet's size."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from .cache import read_cached, write_cached

IMAGE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"))

ClassFiles = dict[str, list[str]]


def is_image(name: str) -> bool:
    """Whether a file's name says that it is an image."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def subfolders(folder: str | os.PathLike[str]) -> list[str]:
    """Names of the folders in `folder`, sorted; stray files and hidden entries do not count."""
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())


def image_files(folder: str | os.PathLike[str]) -> list[str]:
    """Names of the image files in `folder`, sorted; hidden entries do not count. Does not stat the files."""
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if not entry.name.startswith(".") and is_image(entry.name))


def fingerprint(folder: str | os.PathLike[str], names: Collection[str]) -> str:
    """Digest that changes when a file is added to, removed from or renamed in `folder` or one of its sub-folders.

    Costs one stat per folder and none per file: every such change touches the modification time of its folder.
    """
    digest = hashlib.sha256(os.fsencode(os.path.abspath(folder)))
    for name in ("", *names):
        digest.update(os.fsencode(f"\n{name}\t{os.stat(os.path.join(folder, name)).st_mtime_ns}"))
    return digest.hexdigest()[:24]


def list_class_folders(folder: str | os.PathLike[str]) -> ClassFiles:
    """Class folder → its image files, both sorted, from the folder tree itself."""
    return {name: image_files(os.path.join(folder, name)) for name in subfolders(folder)}


def tree_fingerprint(folder: str | os.PathLike[str]) -> str:
    """`fingerprint` of `folder` and all its sub-folders."""
    return fingerprint(folder, subfolders(folder))


def cached_class_folders(folder: str | os.PathLike[str]) -> ClassFiles:
    """`list_class_folders`, read from the cache folder as long as the tree's fingerprint is the same."""
    mark = tree_fingerprint(folder)
    name = f"listing-2/{Path(folder).name}-{hashlib.sha256(os.fsencode(os.path.abspath(folder))).hexdigest()[:12]}.json"
    stored = read_cached(name)
    if isinstance(stored, dict) and stored.get("fingerprint") == mark:
        return stored["files"]
    files = list_class_folders(folder)
    write_cached(name, {"folder": os.path.abspath(folder), "fingerprint": mark, "files": files})
    return files


def missing_files(paths: Iterable[str], folder: str | os.PathLike[str]) -> Iterator[str]:
    """Those of the paths (absolute, or relative to `folder`) where nothing lies. Lists each folder once."""
    present: dict[str, set[str]] = {}
    for path in paths:
        place, name = os.path.split(path)
        if place not in present:
            try:
                present[place] = set(os.listdir(os.path.join(folder, place)))
            except (OSError, ValueError):  # ValueError: a NUL in the path
                present[place] = set()
        if name not in present[place]:
            yield path


def classes_from_folders(
    folder: str | os.PathLike[str], names: Mapping[str, str] | None = None, ignore: Collection[str] = ()
) -> list[tuple[int, str, list[str]]]:
    """The classes that a folder of class folders holds, for making a split.

    Args:
        folder: folder with one sub-folder per class.
        names: sub-folder → class name where they differ.
        ignore: sub-folders that are no class.

    Returns:
        (label, class name, paths relative to `folder`) per class; labels are ranks in plain string order.
    """
    kept = [name for name in subfolders(folder) if name not in ignore]
    return [
        (label, (names or {}).get(name, name), [f"{name}/{file}" for file in image_files(os.path.join(folder, name))])
        for label, name in enumerate(kept)
    ]
