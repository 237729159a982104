"""One process per output folder, and setting a folder aside without pulling it from under a process."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
import weakref
from pathlib import Path

from .folder import LOCK_FILE

try:
    import fcntl
except ImportError:  # no flock on Windows: the folder is not guarded there
    fcntl = None  # type: ignore[assignment]

#: What a refusal says, so that whoever started the process can tell it from other errors.
IN_USE = "is using the output folder"

_STAMP = "%Y%m%d-%H%M%S"
_SET_ASIDE = re.compile(r"\.old-\d{8}-\d{6}")

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
        while (handle := self._take(folder)) is not None:
            if _is_at(handle, Path(self.folder, LOCK_FILE)):
                self._handle = handle
                return
            os.close(handle)  # the folder was set aside in between: what was locked is the old one's
            Path(self.folder).mkdir(parents=True, exist_ok=True)

    def _take(self, folder: str | os.PathLike) -> int | None:
        handle = os.open(Path(self.folder) / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o666)
        for tries_left in (2, 1, 0):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _sign(handle)
                return handle
            except BlockingIOError:
                if tries_left:  # it may be `is_locked` of another process, which holds it for an instant
                    time.sleep(0.02)
            except OSError as error:
                os.close(handle)
                print(f"{folder} cannot be locked ({error.strerror}): make sure that no other run uses it")
                return None
        owner = os.read(handle, 32).decode(errors="replace").strip()
        os.close(handle)
        raise RuntimeError(_refusal(folder, f" (process {owner})" if owner else ""))

    def move_to(self, folder: str | os.PathLike, handle: int | None) -> None:
        """Hold another folder from now on, by a handle that is locked already."""
        self.close_handle()
        _held.pop(self.folder, None)
        self.folder, self._handle = os.path.realpath(folder), handle
        _held[self.folder] = self

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


def _refusal(folder: str | os.PathLike, who: str = "") -> str:
    return f"another run{who} {IN_USE} {folder}; wait for it or choose another --output-dir"


def _sign(handle: int) -> None:
    os.ftruncate(handle, 0)
    os.write(handle, str(os.getpid()).encode())


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


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


def is_locked(folder: str | os.PathLike) -> bool:
    """Whether a process is at work in a run's folder."""
    if fcntl is None:
        return False
    try:
        handle = os.open(Path(folder) / LOCK_FILE, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def set_aside(folder: str | os.PathLike, hold: bool = True) -> str | None:
    """Rename an output folder to a name with the time, keeping all that is in it; the lock is taken before.

    The fresh folder is made and locked under a hidden name and then renamed, so that it never stands there unlocked.

    Args:
        folder: the output folder.
        hold: leave a fresh folder in its place, locked until this process ends; otherwise none.

    Returns:
        The name under which the old one is kept; None when there was nothing in it.

    Raises:
        RuntimeError: a process is at work in it, or took the name while it was free.
    """
    lock = lock_output_dir(folder)
    place = os.path.abspath(folder)
    if set(os.listdir(place)) <= {LOCK_FILE}:
        if not hold:
            lock.release()
        return None
    kept = _free_name(f"{place}.old-{time.strftime(_STAMP)}")
    if not hold:
        os.rename(place, kept)
        lock.release()
        return kept
    fresh = tempfile.mkdtemp(prefix=f".{os.path.basename(place)}-", dir=os.path.dirname(place))
    try:
        os.chmod(fresh, os.stat(place).st_mode & 0o7777)
        handle = None
        if lock._handle is not None:
            handle = os.open(Path(fresh) / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o666)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _sign(handle)
        os.rename(place, kept)
        try:
            os.rename(fresh, place)
        except OSError:  # another process made the folder in between, and has it
            raise RuntimeError(f"{_refusal(folder)} (what it held is kept as {kept})") from None
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    lock.move_to(place, handle)
    return kept


def _free_name(name: str) -> str:
    taken = [name, *(f"{name}-{number}" for number in range(2, 100))]
    return next((each for each in taken if not os.path.lexists(each)), name)


def _forget_in_child() -> None:
    # A forked worker shares the open file. If the run is killed, a worker that outlives it by some seconds must not
    # keep the folder locked. Closing the copy does not unlock it for the parent.
    for lock in _held.values():
        lock.close_handle()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)


def was_set_aside(name: str) -> bool:
    """Whether a folder's name is one that `set_aside` gives."""
    return _SET_ASIDE.search(name) is not None
