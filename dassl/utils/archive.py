"""Unpacking archives without ever leaving the target folder."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import IO

from .files import atomic_path


def extract_archive(archive: str | os.PathLike, folder: str | os.PathLike) -> None:
    """Unpack a zip or tar file (any compression that tarfile knows).

    All members are checked first: if one of them would leave the folder (an absolute path, ``..``, a link that
    points outside) or is neither file, folder nor inner link, nothing at all is written.

    Args:
        archive: the file.
        folder: where to unpack; made if missing.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no archive, is damaged, or holds an unsafe member; the member is named.
    """
    archive, folder = Path(archive), Path(folder)
    if not archive.is_file():
        raise FileNotFoundError(f"archive not found: {archive}")
    try:
        if zipfile.is_zipfile(archive):
            _extract_zip(archive, folder)
        elif tarfile.is_tarfile(archive):
            _extract_tar(archive, folder)
        else:
            raise ValueError(f"{archive} is neither a zip nor a tar file")
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, RuntimeError) as error:
        raise ValueError(f"archive {archive} is damaged or cannot be unpacked: {error}") from None


def _safe_name(archive: Path, name: str) -> PurePosixPath:
    # Backslashes and drive letters are paths on Windows.
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts and ":" in path.parts[0]):
        raise ValueError(f"archive {archive} holds {name!r}, which would be written outside of its folder; refused")
    return path


def _check_not_through_link(archive: Path, folder: Path, path: PurePosixPath, links: set[PurePosixPath]) -> None:
    """A member must not be written through a link, be it in the archive or already on the disk."""
    for parent in [*path.parents][:-1]:
        if parent in links or (folder / parent).is_symlink():
            raise ValueError(f"archive {archive} writes {str(path)!r} through the link {str(parent)!r}; refused")


def _extract_zip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        members = []
        for info in file.infolist():
            path = _safe_name(archive, info.filename)
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise ValueError(f"archive {archive} holds {info.filename!r}, a link or special file; refused")
            _check_not_through_link(archive, folder, path, set())
            members.append((info, path))
        folder.mkdir(parents=True, exist_ok=True)
        for info, path in members:
            if info.is_dir():
                (folder / path).mkdir(parents=True, exist_ok=True)
                continue
            with atomic_path(folder / path, durable=False) as temporary, file.open(info) as source:
                _copy(source, temporary)


def _extract_tar(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as file:
        members: list[tuple[tarfile.TarInfo, PurePosixPath]] = []
        links: set[PurePosixPath] = set()
        for info in file:
            path = _safe_name(archive, info.name)
            if info.issym() or info.islnk():
                base = path.parent if info.issym() else PurePosixPath()
                _check_link(archive, info, base)
                links.add(path)
            elif not (info.isfile() or info.isdir()):
                raise ValueError(f"archive {archive} holds {info.name!r}, a special file; refused")
            members.append((info, path))
        for _, path in members:
            _check_not_through_link(archive, folder, path, links)
        folder.mkdir(parents=True, exist_ok=True)
        for info, path in members:
            _write_tar_member(file, info, folder, path)


def _check_link(archive: Path, info: tarfile.TarInfo, base: PurePosixPath) -> None:
    target = PurePosixPath(info.linkname.replace("\\", "/"))
    # ".." after a name could step out of what that name links to, so it may only stand at the front.
    ups = [part == ".." for part in target.parts]
    inside = sum(ups) <= len(base.parts) and ups == sorted(ups, reverse=True)
    if target.is_absolute() or not inside:
        raise ValueError(
            f"archive {archive} holds the link {info.name!r} to {info.linkname!r}, outside of its folder; refused"
        )


def _write_tar_member(file: tarfile.TarFile, info: tarfile.TarInfo, folder: Path, path: PurePosixPath) -> None:
    target = folder / path
    if info.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if info.issym():
        target.unlink(missing_ok=True)
        target.symlink_to(info.linkname)
        return
    # A hard link is written as a copy of what it names.
    source = file.extractfile(info)
    if source is None:
        raise tarfile.TarError(f"{info.name!r} has no content")
    with atomic_path(target, durable=False) as temporary:
        _copy(source, temporary)


def _copy(source: IO[bytes], path: Path) -> None:
    with open(path, "wb") as target:
        shutil.copyfileobj(source, target)
