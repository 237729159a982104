"""Standard output, mirrored to a file."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import Any, TextIO


class Logger:
    """A stand-in for `sys.stdout` that also writes to a file.

    Args:
        fpath: the log file; its folder is made if missing. None: no file.
    """

    def __init__(self, fpath: str | None = None) -> None:
        # A second logger in one process replaces the first; it must not write through it.
        stdout: Any = sys.stdout
        self.console: TextIO = stdout.console if isinstance(stdout, Logger) else stdout
        self.file: TextIO | None = None
        if fpath is not None:
            os.makedirs(os.path.dirname(fpath) or ".", exist_ok=True)
            self.file = open(fpath, "a", encoding="utf-8")  # noqa: SIM115 - open for as long as the process lives

    def write(self, msg: str) -> int:
        """Write to console and file."""
        self.console.write(msg)
        self.write_to_file(msg)
        return len(msg)

    def write_to_file(self, msg: str) -> None:
        """Write to the file only, e.g. while a progress bar has the terminal."""
        if self.file is not None and not self.file.closed:
            self.file.write(msg)
            self.file.flush()

    def flush(self) -> None:
        """Flush the console (the file is flushed at every write)."""
        self.console.flush()

    def isatty(self) -> bool:
        """Whether the console is a terminal."""
        return self.console.isatty()

    def close(self) -> None:
        """Close the file and give the console back."""
        if self.file is not None:
            self.file.close()
        if sys.stdout is self:
            sys.stdout = self.console

    def __enter__(self) -> Logger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        # encoding, fileno, buffer, ...: whatever else a stream has
        if name == "console":
            raise AttributeError(name)
        return getattr(self.console, name)


def setup_logger(output: str | None = None) -> None:
    """Mirror standard output to a log file.

    An older log is never overwritten: when there is one, the new log's name gets the date and time.

    Args:
        output: a folder (the log is ``log.txt`` in it) or a file name that ends with .txt or .log. None: do nothing.
    """
    if output is None:
        return
    fpath = output if output.endswith((".txt", ".log")) else os.path.join(output, "log.txt")
    if os.path.exists(fpath):
        stamped = fpath + time.strftime("-%Y-%m-%d-%H-%M-%S")
        fpath, count = stamped, 1
        while os.path.exists(fpath):
            fpath = f"{stamped}-{count}"
            count += 1
    earlier: Any = sys.stdout
    logger = Logger(fpath)
    if isinstance(earlier, Logger):
        earlier.close()
    sys.stdout = logger


def log_line(line: str, console: bool = True) -> None:
    """Print a line; with ``console=False`` it reaches the log file only."""
    stdout: Any = sys.stdout
    if console:
        print(line)
    elif isinstance(stdout, Logger):
        stdout.write_to_file(line + "\n")
