"""Runs on a SLURM cluster, through submitit: an array of jobs, each a model's training followed by its tests.

A job that is preempted or out of time saves, goes back into the queue, and goes on from there. SLURM's queue and the
submitted jobs themselves are the only record of what is under way: a sweep that is started again finds its jobs there
and submits none twice.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweep.plan import Run
from sweep.process import NOTES, Process, Verdict, note_path, read_verdict
from sweep.progress import Outcome, Progress
from sweep.signals import noted
from sweep.state import State, is_locked, read_record

#: Elements of one array: below SLURM's default limit of 1001.
_ARRAY = 500
_TICK = 0.2


class Chain:
    """What one job does: its runs in turn.

    Args:
        runs: in order; a run after the one that it needs.
        root: folder of ``train.py``.
    """

    def __init__(self, runs: Sequence[Run], root: Path) -> None:
        self.runs, self.root = list(runs), root
        self._process: Process | None = None

    def __call__(self) -> dict[str, str]:
        """Do the runs; those that need a failed one are left out.

        Returns:
            How each ended, by folder.
        """
        ended: dict[str, str] = {}
        for run in self.runs:
            if run.needs in ended and ended[run.needs] != Verdict.DONE.value:
                continue
            verdict = self._do(run)
            ended[run.folder] = verdict.value
            if verdict is Verdict.STOPPED:
                break  # the job is being ended
        return ended

    def _do(self, run: Run) -> Verdict:
        threads = os.environ.get("SLURM_CPUS_PER_TASK")
        environment = {"OMP_NUM_THREADS": threads} if threads else {}
        while True:
            while is_locked(self.root / run.folder):
                time.sleep(_TICK)
            self._process = Process(run, self.root, environment)
            # No blocking wait here: a signal handler that interrupted one could not wait for the process itself.
            while (verdict := self._process.poll()) is None:
                time.sleep(_TICK)
            if verdict is not Verdict.IN_USE:
                return verdict

    def checkpoint(self) -> Any:
        """Called by submitit when the job is to be requeued: the run saves and ends, the job comes back as it is."""
        from submitit.helpers import DelayedSubmission

        if self._process is not None:
            # SLURM may have sent SIGTERM already, and a second one would end the run before it has saved
            self._process.stop(signal.SIGINT)
            self._process.wait_in_handler()
        return DelayedSubmission(Chain(self.runs, self.root))


@dataclass
class Options:
    """How jobs are submitted.

    Attributes:
        partition: of the cluster; "" for its default.
        minutes: time limit of a job; a job that reaches it is requeued and goes on.
        gres: generic resources, e.g. ``gpu:1``.
        more: further sbatch or submitit parameters.
    """

    partition: str = ""
    minutes: int = 240
    gres: str = ""
    more: dict[str, str] = field(default_factory=dict)


def describe(options: Options) -> str:
    """Where runs will be made, in words."""
    parts = [f"partition {options.partition}" if options.partition else "", options.gres]
    return ", ".join(["SLURM", *filter(None, parts), f"jobs of {options.minutes} minutes that go on"])


def parse_minutes(text: str) -> int:
    """A time limit as SLURM writes it: minutes, MM:SS, HH:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS; rounded up.

    Raises:
        ValueError: another form, or no time at all.
    """
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text)
    if match is None:
        raise ValueError(f"--time {text}: expected minutes, HH:MM:SS or D-HH:MM:SS.")
    days, *parts = match.groups()
    numbers = [int(part) for part in parts if part is not None]
    if days is not None:
        hours, minutes, seconds = [*numbers, 0, 0][:3]
    elif len(numbers) == 1:
        hours, minutes, seconds = 0, numbers[0], 0
    else:
        hours, minutes, seconds = ([0] * (3 - len(numbers)) + numbers)[:3]
    total = int(days or 0) * 1440 + hours * 60 + minutes + (seconds > 0)
    if total < 1:
        raise ValueError(f"--time {text}: expected at least one minute.")
    return total


def parse_options(pairs: Sequence[str]) -> dict[str, str]:
    """``KEY=VALUE`` pairs, the key as in sbatch's long options.

    Raises:
        ValueError: a pair without ``=``.
    """
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise ValueError(f"--slurm-option {pair}: expected KEY=VALUE, e.g. account=vision.")
        found[key.lstrip("-").replace("-", "_")] = value
    return found


class Cluster:
    """Submits a plan's runs and watches them.

    Args:
        progress: the runs.
        options: how to submit.
        retries: how often a job that ended without settling its runs (killed, lost) is submitted again.
        poll_seconds: time between looks at the queue.

    Raises:
        ValueError: submitit or SLURM is not there.
    """

    def __init__(self, progress: Progress, options: Options, retries: int = 1, poll_seconds: float = 5.0) -> None:
        try:
            import submitit  # noqa: F401
        except ImportError as error:
            raise ValueError("--slurm needs submitit: pip install 'submitit>=1.5'.") from error
        for program in ("sbatch", "srun", "squeue"):
            if shutil.which(program) is None:
                raise ValueError(f"--slurm needs SLURM's {program}, which is not on the PATH of this machine.")
        self.progress, self.options, self.retries, self.poll_seconds = progress, options, retries, poll_seconds
        output = (progress.root / progress.plan.wanted.output).resolve()
        self.folder = output / NOTES / "slurm"
        self.name = "sweep-" + hashlib.sha256(str(output).encode()).hexdigest()[:8]
        self._lost: Counter[str] = Counter()

    # ---------------------------------------------------------------------------------------------------- the queue

    def queued(self) -> dict[str, list[str]] | None:
        """Jobs of this sweep in the queue, each with the folders of its runs; None when SLURM does not answer."""
        query = ["squeue", "--noheader", "--array", f"--name={self.name}", "--format=%i"]
        done = subprocess.run(query, capture_output=True, text=True)
        if done.returncode != 0:
            self.progress.say(f"squeue does not answer ({done.stderr.strip()}); looking again")
            return None
        return {name: self._folders_of(name) for name in done.stdout.split()}

    def _folders_of(self, job: str) -> list[str]:
        from submitit.core.utils import DelayedSubmission, JobPaths

        try:
            submission = DelayedSubmission.load(JobPaths(self.folder, job_id=job).submitted_pickle)
        except (OSError, EOFError):
            return []  # the sweep was ended before it had told the job what to do: the job will give up by itself
        chain: Any = submission.function
        return [run.folder for run in chain.runs]

    def submit(self, runs: Sequence[Run]) -> None:
        """Submit runs, those of one model as one job.

        Raises:
            RuntimeError: SLURM refuses.
        """
        import submitit

        chains: dict[str, list[Run]] = {}
        for run in runs:
            chains.setdefault(run.needs or run.folder, []).append(run)
            note_path(run, self.progress.root, ".json").unlink(missing_ok=True)
        for first in range(0, len(chains), _ARRAY):
            part = list(chains.values())[first : first + _ARRAY]
            executor = submitit.SlurmExecutor(folder=self.folder, max_num_timeout=1000)
            try:
                executor.update_parameters(**self._parameters(executor))
                with executor.batch():
                    jobs = [executor.submit(Chain(chain, self.progress.root)) for chain in part]
            except Exception as error:  # submitit's own types, sbatch's complaint inside
                raise RuntimeError(f"SLURM did not take the jobs: {error}") from error
            self.progress.say(f"submitted {len(jobs)} jobs with {sum(map(len, part))} runs: {jobs[0].job_id} and on")
        for run in runs:
            self.progress.outcomes[run.folder] = Outcome.ACTIVE

    def _parameters(self, executor: Any) -> dict[str, Any]:
        known = executor._valid_parameters()
        own: dict[str, Any] = {"job_name": self.name, "time": self.options.minutes}
        own |= {key: getattr(self.options, key) for key in ("partition", "gres") if getattr(self.options, key)}
        further: dict[str, Any] = {"chdir": str(self.progress.root)}
        for key, text in self.options.more.items():
            value: Any = int(text) if text.isdecimal() else True if text == "true" else text
            if key in ("setup", "teardown", "srun_args"):
                value = [text]
            if key in known:
                own[key] = value
            else:
                further[key] = value
        return {**own, "additional_parameters": further}

    # ---------------------------------------------------------------------------------------------------- the watch

    def run(self, wait: bool = True) -> int:
        """Submit what is not yet in the queue; watch until all runs are settled.

        Args:
            wait: False: submit only.

        Returns:
            0: all complete (or submitted); 1: a run failed; 128 + number of the signal that ended the watch.
        """
        signals: list[int] = []
        with noted(signals):
            while (queue := self.queued()) is None:
                time.sleep(self.poll_seconds)
            self._take_over(queue)
            fresh = self.progress.of(Outcome.WAITING)
            if fresh:
                self.submit(fresh)
            while wait and self.progress.count(Outcome.ACTIVE) and not signals:
                self._sleep(signals)
                queue = self.queued()
                self._look({} if queue is None else queue, answered=queue is not None)
        if signals or not wait:
            self.progress.say(f"the jobs go on; the same command watches them, scancel --name={self.name} ends them")
            return 128 + signals[0] if signals else 0
        return 0 if self.progress.count(Outcome.COMPLETE) == len(self.progress.outcomes) else 1

    def _sleep(self, signals: list[int]) -> None:
        end = time.monotonic() + self.poll_seconds
        while time.monotonic() < end and not signals:
            time.sleep(_TICK)

    def _take_over(self, queue: dict[str, list[str]]) -> None:
        """Runs that an earlier sweep has submitted are under way."""
        taken = {name for folders in queue.values() for name in folders}
        count = 0
        for run in self.progress.of(Outcome.WAITING):
            if run.folder in taken:
                self.progress.outcomes[run.folder] = Outcome.ACTIVE
                count += 1
        if count:
            self.progress.say(f"{count} runs are in SLURM's queue already")

    def _look(self, queue: dict[str, list[str]], answered: bool) -> None:
        """Settle what is complete or failed; submit again what was lost with its job."""
        pending = {name for folders in queue.values() for name in folders}
        lost = []
        for run in self.progress.of(Outcome.ACTIVE):
            verdict = read_verdict(run, self.progress.root)
            # a run that was complete by another command needs train.py's word that its settings are the same
            settled = self.progress.states[run.folder] is not State.OTHER or verdict.get("verdict") == "done"
            if verdict.get("verdict") == "failed":
                self._fail(run, "FAILED")
            elif settled and read_record(self.progress.root / run.folder) is not None:
                self.progress.complete(run, "done")
            elif answered and run.folder not in pending:
                lost.append(run)
        again = []
        for run in lost:
            if self.progress.outcomes[run.folder] is not Outcome.ACTIVE:
                continue  # what it needs has just failed
            self._lost[run.folder] += 1
            if self._lost[run.folder] > self.retries:
                self._fail(run, f"its job ended without a result; see {self.folder}")
            else:
                self.progress.again(run, "its job has ended, it has not: submitting it again")
                again.append(run)
        again = [run for run in again if self.progress.outcomes[run.folder] is Outcome.WAITING]
        if again:
            self.submit(again)

    def _fail(self, run: Run, why: str) -> None:
        for other in self.progress.plan.runs.values():
            if other.needs == run.folder and self.progress.outcomes[other.folder] is Outcome.ACTIVE:
                self.progress.outcomes[other.folder] = Outcome.WAITING  # its job leaves it out
        self.progress.fail(run, why)
