"""Marks: by which a repeated command is answered without PyTorch.

Beside a complete record stand the command line that it answers, and marks of all files that the answer depends on:
config files, lists of images, weights. The same command line with every mark as it was is answered by the record.
Anything else is compared by ``train.py`` itself, setting by setting and list by list; a mark that no longer holds says
only that something may have changed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .asked import Asked
from .data import sha256
from .folder import MARKS_FILE, RECORD_FILE, load_json
from .weights import checkpoint_name

_FORMAT = 1
#: Places of which every answer has a mark.
_CONFIG_FILES = {"config_file", "dataset_config_file"}

#: What was measured in this process already, by kind and path. A sweep looks at the same files for each run.
Memo = dict[tuple[str, str], Any]


@dataclass(frozen=True)
class Source:
    """A file or folder that an answer depends on.

    Attributes:
        kind: what of it counts, a key of `MEASURES`.
        place: where its path starts: see `Asked.place`; "" for absolute paths.
        path: the path.
        large: the file's size and time are looked at first, and its content only when they differ.
    """

    kind: str
    place: str
    path: str
    large: bool = False


def _content(path: Path) -> str:
    return sha256(path) if path.is_file() else "none"


def _folder_times(path: Path) -> str:
    """Changes when a file is added to, removed from or renamed in a folder or one of its sub-folders."""
    with os.scandir(path) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    lines = [f"{name}\t{os.stat(path / name).st_mtime_ns}" for name in ("", *names)]
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _files(path: Path) -> str:
    return _digest(_entries(path, "", set(), deep=False))


def _tree(path: Path) -> str:
    return _digest(_entries(path, "", set(), deep=True))


def _digest(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(f"{line}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _entries(folder: Path, prefix: str, seen: set[tuple[int, int]], deep: bool) -> Iterator[str]:
    """Names, sizes and times of the files in a folder, and the names of its sub-folders; hidden ones do not count."""
    with os.scandir(folder) as found:
        entries = sorted((entry for entry in found if not entry.name.startswith(".")), key=lambda entry: entry.name)
    for entry in entries:
        name = prefix + entry.name
        try:
            stat = entry.stat()
        except OSError:  # a dangling link
            yield f"{name}\tnone"
            continue
        if not entry.is_dir():
            yield f"{name}\t{stat.st_size}\t{stat.st_mtime_ns}"
            continue
        yield f"{name}/"
        inode = (stat.st_dev, stat.st_ino)
        if deep and inode not in seen:  # a link may lead back up
            yield from _entries(Path(entry.path), f"{name}/", seen | {inode}, deep)


MEASURES: dict[str, Callable[[Path], Any]] = {
    "content": _content,  # of a file: what is in it
    "times": _folder_times,  # of a tree of a million images: one stat for each folder
    "files": _files,  # of a folder: its files
    "tree": _tree,  # of a folder: all files below it
    "checkpoint": checkpoint_name,  # of a model's folder: which checkpoint is meant
}


def _measure(kind: str, path: Path, memo: Memo) -> Any:
    key = (kind, os.path.abspath(path))
    if key not in memo:
        try:
            memo[key] = MEASURES[kind](path)
        except OSError:
            memo[key] = "none"
    return memo[key]


def _stamp(path: Path) -> list[int]:
    try:
        stat = path.stat()
    except OSError:
        return []
    return [stat.st_size, stat.st_mtime_ns]


def take(asked: Asked, sources: Iterable[Source], root: str = "") -> list[dict[str, Any]]:
    """The marks of sources as they are now.

    Args:
        asked: the command line.
        sources: what the answer depends on.
        root: the data root that the config files name, or "".
    """
    marks: list[dict[str, Any]] = []
    memo: Memo = {}
    for source in sources:
        path = asked.place(source.place, root) / source.path if source.place else Path(source.path)
        mark = {"kind": source.kind, "place": source.place, "path": source.path}
        mark["found"] = _measure(source.kind, path, memo)
        marks.append({**mark, "stamp": _stamp(path)} if source.large else mark)
    return marks


def write_marks(folder: str | os.PathLike, asked: Asked, marks: list[dict[str, Any]], root: str = "") -> None:
    """Write the marks of a complete record beside it; where that is not possible, the next answer is a slow one."""
    record = Path(folder, RECORD_FILE)
    content = {"format": _FORMAT, "record": sha256(record), "asked": asked.question(), "root": root, "marks": marks}
    path = Path(folder, MARKS_FILE)
    temporary = path.with_name(f".{MARKS_FILE}.{os.getpid()}")
    try:
        temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)


def is_answered(folder: str | os.PathLike, asked: Asked, memo: Memo | None = None) -> bool:
    """Whether a folder's complete record answers a command line, as far as can be told quickly.

    Args:
        folder: the run's folder.
        asked: the command line.
        memo: keeps what was measured from one call to the next.

    Returns:
        True: it does. False: it may or may not.
    """
    memo = {} if memo is None else memo
    try:
        content = load_json(Path(folder, MARKS_FILE))
        if content["format"] != _FORMAT or content["asked"] != asked.question():
            return False
        if content["record"] != sha256(Path(folder, RECORD_FILE)):
            return False
        if _CONFIG_FILES - {mark["place"] for mark in content["marks"]}:
            return False
        return all(_holds(mark, asked, str(content["root"]), memo) for mark in content["marks"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False  # there are no marks, or no such ones


def _holds(mark: dict[str, Any], asked: Asked, root: str, memo: Memo) -> bool:
    path = asked.place(mark["place"], root) / mark["path"] if mark["place"] else Path(mark["path"])
    if mark.get("stamp") and mark["stamp"] == _stamp(path):
        return True
    return _measure(mark["kind"], path, memo) == mark["found"]
