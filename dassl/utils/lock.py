"""One process per output folder."""

from __future__ import annotations

import os
import weakref
from pathlib import Path

try:
    import fcntl
except ImportError:  # no flock on Windows: the folder is not guarded there
    fcntl = None  # type: ignore[assignment]

_NAME = ".lock"
_held: dict[str, OutputLock] = {}


class OutputLock:
    """A lock on a folder that ends with the process, however the process ends.

    It is an advisory lock of the operating system on ``<folder>/.lock``, so a crash leaves nothing to clean up: the
    file may stay, the lock does not. Within one process it can be taken any number of times.

    Args:
        folder: the output folder; made if missing.

    Raises:
        RuntimeError: another process holds it.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        self.folder = os.path.realpath(folder)
        self._count = 0
        self._handle: int | None = None
        Path(self.folder).mkdir(parents=True, exist_ok=True)
        if fcntl is None:
            return
        handle = os.open(Path(self.folder) / _NAME, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if not isinstance(error, BlockingIOError):
                os.close(handle)
                print(f"{folder} cannot be locked ({error.strerror}): make sure that no other run uses it")
                return
            owner = os.read(handle, 32).decode(errors="replace").strip()
            os.close(handle)
            who = f" (process {owner})" if owner else ""
            raise RuntimeError(
                f"another run{who} is using the output folder {folder}; wait for it or choose another --output-dir"
            ) from None
        os.ftruncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        self._handle = handle

    def release(self) -> None:
        """Give the lock back, once per time it was taken."""
        self._count -= 1
        if self._count <= 0:
            _held.pop(self.folder, None)
            self.close_handle()

    def close_handle(self) -> None:
        """Close the file; in the process that took the lock this releases it."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def lock_output_dir(folder: str | os.PathLike, owner: object | None = None) -> OutputLock:
    """Take the lock of an output folder.

    Args:
        folder: the folder; made if missing.
        owner: an object whose end releases the lock; None holds it until `OutputLock.release` or the process' end.

    Returns:
        The lock.

    Raises:
        RuntimeError: another process holds it; one sentence names the folder and that process.
    """
    key = os.path.realpath(folder)
    lock = _held.get(key)
    if lock is None:
        lock = _held[key] = OutputLock(folder)
    lock._count += 1
    if owner is not None:
        weakref.finalize(owner, lock.release)
    return lock


def _forget_in_child() -> None:
    # A forked worker shares the open file. If the run is killed, a worker that outlives it by some seconds must not
    # keep the folder locked. Closing the copy does not unlock it for the parent.
    for lock in _held.values():
        lock.close_handle()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
