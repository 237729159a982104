"""Unpacking archives that come from elsewhere: nothing is written outside the target, nothing is left half done."""

from __future__ import annotations

import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from tqdm import tqdm

_BLOCK = 1 << 20


def looks_like_html(file: Path) -> bool:
    """Whether a file begins like a web page: what a server sends when it does not send the file."""
    with open(file, "rb") as stream:
        head = stream.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return head.startswith((b"<!doctype html", b"<html", b"<?xml", b"<head"))


def refuse_html(file: Path) -> None:
    """Raise ValueError if the file is a web page."""
    if looks_like_html(file):
        raise ValueError(f"{file} is a web page (HTML) and not the file itself: the server showed a notice instead")


def unpack(archive: Path, target: Path, *, nested_tars: bool = False) -> None:
    """Unpack a zip or tar archive of any compression, in one pass.

    The kind is found by looking at the content, since names mislead: a file named .tar.gz may be a plain tar.

    Args:
        archive: the archive.
        target: folder to unpack into; made if missing.
        nested_tars: unpack every .tar inside into a folder of its name, without storing it (ImageNet's train archive).

    Raises:
        ValueError: not an archive, damaged, or a member would be written outside `target`.
    """
    if not hasattr(tarfile, "data_filter"):
        raise RuntimeError("this Python's tarfile has no data filter: update Python (3.10.12, 3.11.4 or newer)")
    refuse_html(archive)
    target.mkdir(parents=True, exist_ok=True)
    with open(archive, "rb") as stream:
        is_zip = stream.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
    try:
        if is_zip:
            _unpack_zip(archive, target)
        else:
            _unpack_tar(archive, target, nested_tars)
    except tarfile.FilterError as error:
        raise ValueError(f"{archive}: refused, {error}") from None
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ValueError(f"{archive} is damaged or no archive ({error}): delete it and run prepare again") from None
    except OSError as error:
        reason = error.strerror or error
        raise OSError(f"{archive} could not be unpacked into {target.parent}: {reason}; make room there") from error
    if not any(target.iterdir()):
        # tarfile takes a file of zeros for an empty archive
        raise ValueError(f"{archive} is damaged or no archive (nothing is in it): delete it and run prepare again")


def _refuse(archive: Path, name: str, reason: str) -> NoReturn:
    raise ValueError(f"{archive}: refused, its member {name!r} {reason}")


def _check_name(archive: Path, name: str) -> None:
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or (len(name) > 1 and name[1] == ":"):
        _refuse(archive, name, "would be written outside the target folder")


def _unpack_zip(archive: Path, target: Path) -> None:
    with zipfile.ZipFile(archive) as source:
        members = source.infolist()
        for member in members:
            _check_name(archive, member.filename)
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                _refuse(archive, member.filename, "is a link or a device")
        for member in tqdm(members, desc=f"unpack {archive.name}", unit="file", leave=False, disable=None):
            source.extract(member, target)


def _unpack_tar(archive: Path, target: Path, nested_tars: bool) -> None:
    size = os.path.getsize(archive)
    with (
        open(archive, "rb") as raw,
        tqdm(total=size, desc=f"unpack {archive.name}", unit="B", unit_scale=True, leave=False, disable=None) as bar,
        _open_stream(_Counted(raw, bar.update)) as source,
    ):
        for member in source:
            _check_name(archive, member.name)
            if nested_tars and member.isfile() and member.name.endswith(".tar"):
                _unpack_inner(archive, source, member, target)
            else:
                source.extract(member, target, filter="data")


def _unpack_inner(archive: Path, outer: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    content = outer.extractfile(member)
    folder = target / Path(member.name).stem
    with _open_stream(content) as inner:
        for entry in inner:
            _check_name(archive, f"{member.name}/{entry.name}")
            inner.extract(entry, folder, filter="data")


def _open_stream(stream: Any) -> tarfile.TarFile:
    """Read a tar once from front to back, its compression found by looking."""
    return tarfile.open(fileobj=stream, mode="r|*", bufsize=_BLOCK)


class _Counted:
    """A stream for tarfile that reports how far it has been read."""

    def __init__(self, stream: Any, report: Callable[[int], Any]) -> None:
        self._stream, self._report = stream, report

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._report(len(data))
        return data


def locate(tree: Path, name: str) -> Path | None:
    """The shallowest file or folder in `tree` whose path ends with `name`; None if there is none.

    A folder that holds nothing but a folder of the same name (as repackaged archives do) stands for the inner one.
    """
    level = [tree]
    for _ in range(5):
        for folder in level:
            found = folder / name
            if found.exists():
                return _innermost(found)
        level = [child for folder in level for child in _visible(folder) if child.is_dir()]
    return None


def _visible(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if not child.name.startswith((".", "__MACOSX")))


def _innermost(folder: Path) -> Path:
    while folder.is_dir() and [child.name for child in _visible(folder)] == [folder.name]:
        folder = folder / folder.name
    return folder


def move_into(source: Path, place: Path) -> None:
    """Move a file or folder to `place`; folders that exist on both sides are merged, newer files win."""
    if source.is_dir() and place.is_dir():
        for child in list(source.iterdir()):
            move_into(child, place / child.name)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, place)
