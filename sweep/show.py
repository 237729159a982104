"""The plan, as it is shown before anything runs."""

from __future__ import annotations

from collections.abc import Mapping

from dassl.records import Memo
from sweep.plan import Plan, Run
from sweep.process import read_verdict
from sweep.progress import duration
from sweep.state import State, read_record, state_of
from sweep.times import Times, read_elsewhere


def survey(plan: Plan) -> tuple[dict[str, State], Times]:
    """How every run of a plan stands, and what finished ones say about time."""
    root = plan.wanted.root
    states, times = {}, Times(read_elsewhere(root))
    memo: Memo = {}
    for run in plan.runs.values():
        record = read_record(root / run.folder)
        states[run.folder] = state_of(run, root, record, memo)
        if record is not None:
            verdict = read_verdict(run, root)
            whole = verdict.get("verdict") == "done" and verdict.get("fresh")
            times.add(record, float(verdict["seconds"]) if whole else None, root)
    return states, times


def plan_lines(plan: Plan, states: Mapping[str, State], times: Times, workers: int) -> list[str]:
    """The plan in lines: a row of counts for each protocol, the sum, notes, the time that it should take.

    Args:
        plan: the plan.
        states: from `survey`.
        times: from `survey`.
        workers: runs at a time; 0 where that is not known (SLURM).
    """
    rows = [("", "runs", *(state.value for state in State))]
    groups = [*plan.protocols.items(), ("all", list(plan.runs))]
    for name, folders in groups if len(plan.protocols) > 1 else groups[:1]:
        counts = [sum(states[folder] is state for folder in folders) for state in State]
        rows.append((name, str(len(folders)), *map(str, counts)))
    shown = [place for place, title in enumerate(rows[0]) if place < 2 or any(row[place] != "0" for row in rows[1:])]
    widths = {place: max(len(row[place]) for row in rows) for place in shown}
    lines = ["  ".join(row[place].rjust(widths[place]) for place in shown).rstrip() for row in rows]
    lines += [f"note: {note}" for note in dict.fromkeys(plan.notes)]
    todo = [run for run in plan.runs.values() if states[run.folder] is not State.COMPLETE]
    if todo:
        lines.append(time_line(plan, todo, times, workers))
    return lines


def time_line(plan: Plan, todo: list[Run], times: Times, workers: int) -> str:
    """The time that the runs to do should take, and what that is based on."""
    estimate = times.estimate(todo, plan.wanted.root)
    known = len(todo) - estimate.unknown
    if not known:
        return f"time: nothing like these {len(todo)} runs has been finished yet, so there is no estimate"
    text = f"time: about {duration(estimate.seconds)} one after the other"
    if workers > 1:
        text += f", {duration(estimate.seconds / workers)} with {workers} at a time"
    text += f" (as measured on {', '.join(sorted(estimate.devices))}"
    if estimate.rough:
        text += f"; {estimate.rough} of {len(todo)} from the same method on other data"
    if estimate.unknown:
        text += f"; {estimate.unknown} of {len(todo)} not counted: nothing like them has been finished yet"
    return text + ")"


def run_lines(plan: Plan, states: Mapping[str, State], times: Times) -> list[str]:
    """One line for each run that is to be carried out."""
    lines = []
    for run in plan.runs.values():
        if states[run.folder] is State.COMPLETE:
            continue
        timing = times.of(run, plan.wanted.root)
        after = f", after {plan.runs[run.needs].step}" if run.needs else ""
        cost = f", {duration(timing.seconds)}" if timing else ""
        lines.append(f"  {run.title}: {states[run.folder].value}{after}{cost}\n    {run.folder}")
    return lines
