"""Runs on this machine: so many at a time on each GPU, or on the CPU."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence

from sweep.plan import Run
from sweep.process import Process, Verdict
from sweep.progress import Outcome, Progress
from sweep.signals import noted
from sweep.state import is_locked

#: Seconds between looks at the processes, and at folders that others are at work in.
_TICK = 0.1
_LOOK_AGAIN = 2.0

Slot = Mapping[str, str]


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Names of the GPUs: those of CUDA_VISIBLE_DEVICES where it is set, else all that ``nvidia-smi`` lists."""
    named = environment.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip() not in ("", "-1")]
    lines = _nvidia_smi("--query-gpu=index", "--format=csv,noheader")
    return [line.strip() for line in lines if line.strip().isdecimal()]


def _nvidia_smi(*arguments: str) -> list[str]:
    """What ``nvidia-smi`` says, in lines; none where there is no such program or it finds nothing."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.splitlines()


def check_gpus(names: Sequence[str], environment: Mapping[str, str] = os.environ) -> None:
    """See that GPUs are there: as an index or (the start of) a UUID in ``nvidia-smi -L``, or in CUDA_VISIBLE_DEVICES.

    Raises:
        ValueError: one is not.
    """
    listed = "\n".join(_nvidia_smi("-L"))
    indices = re.findall(r"^GPU (\d+):", listed, re.MULTILINE)
    uuids = re.findall(r"\(UUID: ([^)]+)\)", listed)
    named = visible_gpus(environment) if "CUDA_VISIBLE_DEVICES" in environment else []
    for name in names:
        by_uuid = name.startswith(("GPU-", "MIG-")) and any(uuid.startswith(name) for uuid in uuids)
        if name not in (*indices, *named) and not by_uuid:
            there = list(dict.fromkeys([*indices, *named]))
            found = f"it has {' '.join(there)}" if there else "nvidia-smi finds and CUDA_VISIBLE_DEVICES names none"
            raise ValueError(f"--gpus {name}: this machine has no GPU {name}; {found}. (--gpus none: the CPU)")


def make_slots(
    gpus: Sequence[str],
    per_gpu: int,
    jobs: int,
    environment: Mapping[str, str] = os.environ,
    n_cores: int | None = None,
) -> list[Slot]:
    """The places for runs, each with the variables that its runs get.

    Args:
        gpus: GPU names; none: the CPU.
        per_gpu: runs at a time on each.
        jobs: on the CPU: runs at a time.
        environment: OMP_NUM_THREADS set in here is left as it is.
        n_cores: cores to share out; None for all of this process.
    """
    places = [{"CUDA_VISIBLE_DEVICES": gpu} for _ in range(per_gpu) for gpu in gpus]
    places = places or [{"CUDA_VISIBLE_DEVICES": ""} for _ in range(jobs)]
    if "OMP_NUM_THREADS" not in environment:
        threads = max(1, (n_cores or cores()) // len(places))
        places = [{**place, "OMP_NUM_THREADS": str(threads)} for place in places]
    return list(places)


def describe(slots: Sequence[Slot]) -> str:
    """Where runs will be made, in words."""
    gpus = list(dict.fromkeys(slot["CUDA_VISIBLE_DEVICES"] for slot in slots))
    if gpus != [""]:
        return f"GPU {' '.join(gpus)}, {len(slots) // len(gpus)} at a time on each"
    return f"the CPU, {len(slots)} at a time" + (" (--jobs N for more)" if len(slots) == 1 else "")


class Pool:
    """Carries out a plan.

    Args:
        progress: the runs.
        slots: from `make_slots`.
        retries: how often a run that was ended by a signal (not by the sweep) is gone on with.
    """

    def __init__(self, progress: Progress, slots: Sequence[Slot], retries: int = 1) -> None:
        self.progress = progress
        self.retries = retries
        self._free = list(slots)
        self._active: list[tuple[Process, Slot]] = []
        self._signals: list[int] = []
        self._stopped: Counter[str] = Counter()
        self._look_at: dict[str, float] = {}

    def run(self) -> int:
        """Work until all runs are settled, or a signal asks to stop.

        Returns:
            0: all complete; 1: a run failed; 128 + number of the signal that stopped the sweep.
        """
        with noted(self._signals):
            while True:
                self._collect()
                if self._signals:
                    self._wind_up()
                    return 128 + self._signals[0]
                waiting = self._start_ready()
                if not self._active and not waiting:
                    break
                time.sleep(_TICK)
        return 0 if self.progress.count(Outcome.COMPLETE) == len(self.progress.outcomes) else 1

    def _start_ready(self) -> bool:
        """Fill the free places; True while some run waits for a process that is not ours."""
        waiting = False
        for run in self.progress.plan.runs.values():
            if not self._free:
                break
            if not self.progress.is_ready(run):
                continue
            if self._is_busy(run):
                waiting = True
                continue
            slot = self._free.pop(0)
            self._active.append((Process(run, self.progress.root, slot), slot))
            self.progress.outcomes[run.folder] = Outcome.ACTIVE
        return waiting

    def _is_busy(self, run: Run) -> bool:
        now = time.monotonic()
        if now < self._look_at.get(run.folder, 0.0):
            return True
        if not is_locked(self.progress.root / run.folder):
            self._look_at.pop(run.folder, None)
            return False
        if run.folder not in self._look_at:
            self.progress.say(f"{run.title}: another process is at work on it; waiting for that one")
        self._look_at[run.folder] = now + _LOOK_AGAIN
        return True

    def _collect(self) -> None:
        for process, slot in list(self._active):
            verdict = process.poll()
            if verdict is None:
                continue
            self._active.remove((process, slot))
            self._free.append(slot)
            self._settle(process, verdict)

    def _settle(self, process: Process, verdict: Verdict) -> None:
        run, progress = process.run, self.progress
        if verdict is Verdict.DONE:
            progress.complete(run, f"done in {process.seconds:.0f} s")
        elif verdict is Verdict.IN_USE:
            self._look_at[run.folder] = time.monotonic() + _LOOK_AGAIN
            progress.again(run, "another process is at work on it; waiting for that one")
        elif verdict is Verdict.STOPPED and (self._signals or self._stopped[run.folder] < self.retries):
            self._stopped[run.folder] += 1
            progress.again(run, "stopped, can be gone on with")
        else:
            progress.fail(run, "was stopped again" if verdict is Verdict.STOPPED else "FAILED")

    def _wind_up(self) -> None:
        """Ask the runs to save and end, and wait for them; a second signal ends them at once."""
        if self._active:
            self.progress.say(f"stopping {len(self._active)} runs: they save where they are (again: end them at once)")
        for process, _ in self._active:
            process.stop()
        while self._active:
            if len(self._signals) > 1:
                for process, _ in self._active:
                    process.kill()
            time.sleep(_TICK)
            self._collect()
