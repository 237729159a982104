"""Archives made in memory."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path


def tar_of(files: dict[str, bytes], mode: str = "w:gz") -> bytes:
    """A tar with these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def zip_of(files: dict[str, bytes]) -> bytes:
    """A zip with these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def files_under(folder: Path, prefix: str) -> dict[str, bytes]:
    """The files of a folder (or one file), under another name."""
    if folder.is_file():
        return {prefix: folder.read_bytes()}
    return {
        f"{prefix}/{path.relative_to(folder).as_posix()}".lstrip("/"): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
