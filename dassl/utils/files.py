"""Files that are either whole or not there: a temporary neighbour, then a rename."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Public code loads any file whose name holds "model.pth", so a temporary name must not be built from the final one.
_PREFIX = ".saving-"


@contextmanager
def atomic_path(path: str | os.PathLike, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well.

    Args:
        path: the final name. Its folder is made if missing.
        durable: flush the file to the disk before the rename, so that even a loss of power leaves the old file or
            the new one. Not worth its time for thousands of small files that can be made again.

    Yields:
        The temporary path to write to. It is removed when the block raises.

    Raises:
        OSError: the file could not be written (disk full, no permission); the old file is untouched.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=_PREFIX, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        os.chmod(temporary, 0o666 & ~_umask())
        yield temporary
        if durable:
            _flush_to_disk(temporary)
        os.replace(temporary, path)
    except OSError as error:
        _remove(temporary)
        if isinstance(error, WriteError):
            raise
        raise WriteError(error.errno, _sentence(path, error.strerror or str(error))) from error
    except BaseException:
        _remove(temporary)
        raise


class WriteError(OSError):
    """A file could not be written; the message names it and the reason in one sentence."""

    def __str__(self) -> str:
        return str(self.args[1]) if len(self.args) > 1 else super().__str__()


def _sentence(path: Path, reason: str) -> str:
    kept = "the previous file is kept" if path.exists() else "nothing was written"
    return f"cannot write {path}: {reason}; {kept}"


def _umask() -> int:
    # The mask can only be read by setting it.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _flush_to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path | None) -> None:
    if path is not None:
        path.unlink(missing_ok=True)


def remove_stale_temporaries(folder: str | os.PathLike) -> None:
    """Remove what a killed writer left under `folder`. Call it only while holding the folder's lock."""
    for path in Path(folder).glob(f"**/{_PREFIX}*"):
        path.unlink(missing_ok=True)
