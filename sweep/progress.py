"""How a sweep's runs stand while it works, and what it has to say at its end."""

from __future__ import annotations

import enum
import shlex
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from sweep.plan import Plan, Run
from sweep.process import command, last_lines, note_path
from sweep.state import State, read_record


class Outcome(enum.Enum):
    """What became of a run in this sweep."""

    WAITING = "not started"
    ACTIVE = "running"
    COMPLETE = "complete"
    FAILED = "failed"
    BLOCKED = "not run"  # the run whose model it needs failed


@dataclass
class Progress:
    """The runs of a plan with their outcomes.

    Args:
        plan: the plan.
        states: how each run stood at the start, by folder.
        say: prints a line.
    """

    plan: Plan
    states: dict[str, State]
    say: Callable[[str], None] = print
    outcomes: dict[str, Outcome] = field(init=False)

    def __post_init__(self) -> None:
        complete = State.COMPLETE
        self.outcomes = {
            name: Outcome.COMPLETE if state is complete else Outcome.WAITING for name, state in self.states.items()
        }
        self._started = time.monotonic()

    @property
    def root(self) -> Path:
        """The folder that run folders are relative to."""
        return self.plan.wanted.root

    def count(self, outcome: Outcome) -> int:
        """How many runs have an outcome."""
        return sum(found is outcome for found in self.outcomes.values())

    def of(self, outcome: Outcome) -> list[Run]:
        """The runs with an outcome, in the plan's order."""
        return [run for name, run in self.plan.runs.items() if self.outcomes[name] is outcome]

    def is_ready(self, run: Run) -> bool:
        """Whether a run waits for nothing but a place."""
        if self.outcomes[run.folder] is not Outcome.WAITING:
            return False
        return not run.needs or self.outcomes[run.needs] is Outcome.COMPLETE

    def complete(self, run: Run, how: str) -> None:
        """A run is complete."""
        self.outcomes[run.folder] = Outcome.COMPLETE
        figures = []
        for split, metrics in ((read_record(self.root / run.folder) or {}).get("metrics") or {}).items():
            figures.append(f"{split} {metrics['accuracy']:.2f} %")
        self._tell(run, ", ".join([how, *figures]))

    def fail(self, run: Run, why: str) -> None:
        """A run has failed: those that need its model will not be run."""
        self.outcomes[run.folder] = Outcome.FAILED
        self._tell(run, why)
        for other in self.plan.runs.values():
            if other.needs == run.folder and self.outcomes[other.folder] is Outcome.WAITING:
                self.outcomes[other.folder] = Outcome.BLOCKED

    def again(self, run: Run, why: str) -> None:
        """A run waits for a place once more."""
        self.outcomes[run.folder] = Outcome.WAITING
        self._tell(run, why)

    def _tell(self, run: Run, what: str) -> None:
        settled = len(self.outcomes) - self.count(Outcome.WAITING) - self.count(Outcome.ACTIVE)
        self.say(f"[{settled}/{len(self.outcomes)}] {run.title}: {what}")

    def summary(self, outcomes: Iterable[Outcome] = tuple(Outcome)) -> str:
        """Counts in words."""
        parts = [f"{count} {outcome.value}" for outcome in outcomes if (count := self.count(outcome))]
        return f"{len(self.outcomes)} runs: {', '.join(parts)}; {duration(time.monotonic() - self._started)}"

    def report(self) -> None:
        """Say how it ended: each failed run with the end of its log and the command that repeats it."""
        for run in self.of(Outcome.FAILED):
            self.say(f"\nfailed: {run.title}")
            for line in last_lines(run, self.root):
                self.say(f"    {line}")
            self.say(f"  log:    {note_path(run, self.root, '.log')}")
            self.say(f"  repeat: cd {shlex.quote(str(self.root))} && {shlex.join(command(run))}")
        blocked = self.of(Outcome.BLOCKED)
        if blocked:
            self.say("\nnot run, because the run whose model they test failed:")
            for run in blocked:
                self.say(f"  {run.title}")
        self.say(f"\n{self.summary()}")


def duration(seconds: float) -> str:
    """A time for people, e.g. ``2 h 05 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours / 24:.1f} days"


def say(text: str) -> None:
    """Print a line at once, also into a file or pipe."""
    print(text, flush=True, file=sys.stdout)
