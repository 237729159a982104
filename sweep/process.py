"""One run as a process: it ends with the sweep, leaves a log and a verdict, and a signal stops it in good order."""

from __future__ import annotations

import contextlib
import ctypes
import enum
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dassl.records import IN_USE, RECORD_FILE, STATE_FILE
from sweep.plan import Run
from sweep.state import is_locked, read_record

#: Below the output root: logs and verdicts. Hidden, so that the tables' programs pass over it.
NOTES = ".sweep"

#: How a process begins in the log.
_STARTED = "$ "

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class Verdict(enum.Enum):
    """How a process ended."""

    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"  # by a signal: the run can be gone on with
    IN_USE = "in use"  # another process is at work in the folder


def note_path(run: Run, root: Path, suffix: str) -> Path:
    """The log (``.log``) or verdict (``.json``) of a run."""
    output = run.setting.output
    return root / output / NOTES / (os.path.relpath(run.folder, output) + suffix)


def tie_to_parent(parent: int) -> None:
    """Called in a new process: on Linux, ask for SIGTERM when the sweep dies, however it dies.

    The run then finishes its batch, saves and ends. Elsewhere it goes on to its end; its lock on the folder makes the
    next sweep wait for it.

    Args:
        parent: the sweep's process.
    """
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # SLURM sends it to every process of a job; it is the sweep's to act
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it died before the call
            os.kill(os.getpid(), signal.SIGTERM)


class Process:
    """A ``train.py`` process at work on a run.

    Its session is its own: Ctrl-C in a terminal reaches the sweep alone, which passes it on once. (A second signal
    makes ``train.py`` stop at once, without saving.)

    Args:
        run: the run.
        root: working folder, with ``train.py`` and ``configs/``.
        environment: variables to set.
    """

    def __init__(self, run: Run, root: Path, environment: Mapping[str, str]) -> None:
        self.run, self.root = run, root
        self.log = note_path(run, root, ".log")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        note_path(run, root, ".json").unlink(missing_ok=True)
        self.fresh = not any((root / run.folder / name).exists() for name in (STATE_FILE, RECORD_FILE))
        self._asked_to_stop = False
        self._started = time.monotonic()
        parent = os.getpid()
        with self.log.open("ab") as log:
            log.write(f"{_STARTED}{shlex.join(command(run))}\n".encode())
            log.flush()
            self._log_start = log.tell()
            self._child = subprocess.Popen(
                command(run),
                cwd=root,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lambda: tie_to_parent(parent),
            )

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return time.monotonic() - self._started

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Ask the run, once, to save and end."""
        if not self._asked_to_stop and self._child.poll() is None:
            self._asked_to_stop = True
            self._child.send_signal(number)

    def kill(self) -> None:
        """End the run and its worker processes now."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)

    def wait_in_handler(self) -> None:
        """Wait for the end without collecting it: safe in a signal handler, whatever the main program was doing."""
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, self._child.pid, os.WEXITED | os.WNOWAIT)

    def poll(self) -> Verdict | None:
        """None while the run is at work, afterwards how it ended; the verdict is written beside the log."""
        code = self._child.poll()
        if code is None:
            return None
        verdict = self._verdict(code)
        content = {"verdict": verdict.value, "code": code, "seconds": round(self.seconds, 3), "fresh": self.fresh}
        path = note_path(self.run, self.root, ".json")
        temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
        temporary.write_text(json.dumps(content), encoding="utf-8")
        os.replace(temporary, path)
        return verdict

    def _verdict(self, code: int) -> Verdict:
        folder = self.root / self.run.folder
        if code == 0:
            return Verdict.DONE if read_record(folder) else Verdict.FAILED
        if is_locked(folder) or IN_USE in self.said():
            return Verdict.IN_USE
        stopped = code < 0 or code - 128 in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        return Verdict.STOPPED if stopped else Verdict.FAILED

    def said(self) -> str:
        """What this process wrote."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")


def command(run: Run) -> list[str]:
    """The command of a run, for its root folder."""
    return [sys.executable, "train.py", *run.arguments]


def read_verdict(run: Run, root: Path) -> dict[str, Any]:
    """What the last process of a run left, or an empty dict."""
    try:
        content = json.loads(note_path(run, root, ".json").read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def last_lines(run: Run, root: Path, count: int = 8) -> list[str]:
    """The end of what a run's last process wrote, without blank lines; nothing of the processes before it."""
    try:
        text = note_path(run, root, ".log").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    said = text.rpartition(f"\n{_STARTED}")[2]
    return [line for line in said.splitlines()[1:] if line.strip()][-count:]
