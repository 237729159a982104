"""``python -m sweep``: what was asked for → plan → runs → the command that makes the table.

Exit codes: 0 all runs are complete; 1 a run failed; 2 a mistake in what was asked for; 128 + n stopped by signal n (the
same command goes on).
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from configs.facts import ROOT
from dassl import records
from sweep import local, slurm
from sweep.ask import refusals
from sweep.layout import Call
from sweep.local import Pool, Slot, check_gpus, make_slots, visible_gpus
from sweep.plan import Plan, Run, Wanted, make_plan
from sweep.progress import Outcome, Progress, say
from sweep.recipes import PROTOCOLS
from sweep.show import plan_lines, run_lines, survey
from sweep.slurm import Cluster, Options, parse_minutes, parse_options
from sweep.state import State, is_locked

_DESCRIPTION = """Plan and carry out every run behind a table. Complete runs are skipped, broken ones resumed, and a run
is started when the run whose model it needs is complete. Stop it at any time: the same command goes on."""

_EPILOG = (
    """KEY VALUE pairs at the end go to every run, e.g. OPTIM.MAX_EPOCH 10. docs/reproduce.md has the whole story."""
)


def parser() -> argparse.ArgumentParser:
    """The argument parser, for all but the KEY VALUE pairs."""
    parse = argparse.ArgumentParser(prog="python -m sweep", description=_DESCRIPTION, epilog=_EPILOG)
    parse.add_argument("protocols", nargs="+", choices=list(PROTOCOLS), metavar="PROTOCOL", help=" | ".join(PROTOCOLS))
    what = parse.add_argument_group("what")
    what.add_argument(
        "--methods", nargs="+", default=[], metavar="M", help="METHOD or METHOD:CONFIG, or all (default: the paper's)"
    )
    what.add_argument(
        "--datasets",
        nargs="+",
        default=[],
        metavar="D",
        help="datasets; for xd and dg the targets (default: the paper's)",
    )
    what.add_argument("--source", nargs="+", default=[], metavar="D", help="xd, dg: train on (default: the paper's)")
    what.add_argument("--seeds", nargs="+", type=_natural, default=[1, 2, 3], metavar="N", help="default: 1 2 3")
    what.add_argument(
        "--shots", nargs="+", type=_positive, default=[], metavar="K", help="default: 16; for fewshot 1 2 4 8 16"
    )
    what.add_argument("--config", default="", metavar="C", help="configs/trainers/METHOD/C.yaml (default: the paper's)")
    what.add_argument("--output", default="output", metavar="DIR", help="root of all results (default: output)")
    what.add_argument("--data", default="", metavar="DIR", help="data root (default: $DATA, else ./data)")
    how = parse.add_argument_group("how")
    how.add_argument("--dry-run", action="store_true", help="show the plan and every run, and stop")
    how.add_argument("--force", action="store_true", help="run everything again; earlier folders are kept beside")
    how.add_argument("--retries", type=_natural, default=1, metavar="N", help="for runs that were killed (default: 1)")
    how.add_argument("--check-data", action="store_true", help="first see that all datasets are ready; else stop")
    how.add_argument("--table", action="store_true", help="make the tables at the end")
    here = parse.add_argument_group("on this machine")
    here.add_argument(
        "--gpus", nargs="+", metavar="G", help="GPUs to use, or none for the CPU (default: all there are)"
    )
    here.add_argument("--per-gpu", type=_positive, default=1, metavar="K", help="runs at a time on a GPU (default: 1)")
    here.add_argument("--jobs", type=_positive, metavar="N", help="on the CPU: runs at a time (default: 1)")
    cluster = parse.add_argument_group("on a SLURM cluster")
    cluster.add_argument("--slurm", action="store_true", help="submit array jobs; a model and its tests are one job")
    cluster.add_argument("--partition", default="", metavar="P", help="default: the cluster's")
    cluster.add_argument(
        "--time", default="4:00:00", metavar="T", help="limit of a job; it goes on after (default: 4 h)"
    )
    cluster.add_argument("--gres", default="", metavar="R", help="resources of a job, e.g. gpu:1")
    cluster.add_argument(
        "--slurm-option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any other option of sbatch or parameter of submitit, e.g. account=vision; may be repeated",
    )
    cluster.add_argument("--no-wait", action="store_true", help="submit and leave")
    return parse


def _natural(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return number


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return number


def split_options(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part the command line before its KEY VALUE pairs, which begin at the first config key or after ``--``.

    Raises:
        ValueError: a key without a value, or something else among the pairs.
    """
    start = len(arguments)
    for place, word in enumerate(arguments):
        if word == "--" or records.CONFIG_KEY.fullmatch(word):
            start = place
            break
    own, options = list(arguments[:start]), list(arguments[start:])
    options = options[1:] if options[:1] == ["--"] else options
    for key in options[::2]:
        if not re.fullmatch(r"[A-Za-z][\w.]*", key):
            raise ValueError(f"'{key}' stands where a config key was expected: KEY VALUE pairs come last.")
    if len(options) % 2:
        raise ValueError(f"the config key {options[-1]} has no value: expected KEY VALUE pairs.")
    return own, options


def wanted_from(args: argparse.Namespace, options: Sequence[str], root: Path = ROOT) -> Wanted:
    """What the command line asks for; paths are made absolute unless the project's folder is the working folder."""

    def place(path: str) -> str:
        path = os.path.normpath(path)
        return path if os.path.isabs(path) or Path.cwd() == root else str(Path.cwd() / path)

    def dataset(name: str) -> str:
        return place(name) if name.endswith(".yaml") else name

    return Wanted(
        protocols=list(dict.fromkeys(args.protocols)),
        methods=args.methods,
        datasets=[dataset(name) for name in args.datasets],
        sources=[dataset(name) for name in args.source],
        seeds=args.seeds,
        shots=args.shots,
        config=args.config,
        output=place(args.output),
        call=Call(data=place(args.data or os.environ.get("DATA") or "data"), options=tuple(options)),
        root=root,
    )


def set_aside(plan: Plan) -> None:
    """``--force``: rename the folders of the plan's runs, so that they run afresh and this can be gone on with.

    (Handing ``--force`` to each run would begin it anew whenever the sweep is started again.)

    Raises:
        RuntimeError: a process is at work in one of them. Nothing is renamed then, but for those that came before a
            process that has begun just now.
    """
    folders = [plan.wanted.root / name for name in plan.runs if (plan.wanted.root / name).is_dir()]
    for folder in folders:
        if is_locked(folder):
            raise RuntimeError(f"a process is at work in {folder}: wait for it, or end it, before --force.")
    kept = [records.set_aside(folder, hold=False) for folder in folders]
    if any(kept):
        say(f"kept {sum(map(bool, kept))} earlier run folders as *.old-<time>, e.g. {next(filter(None, kept))}")


def check_data(plan: Plan) -> None:
    """``--check-data``: ask ``python -m datasets check`` about every dataset of the plan.

    Raises:
        ValueError: one is not ready; what is wrong with it has been printed.
    """
    names = dict.fromkeys(run.setting.dataset for run in plan.runs.values())
    named = [name for name in names if not name.endswith(".yaml")]  # a file of one's own names its images itself
    command = [sys.executable, "-m", "datasets", "check", *named, "--root", plan.wanted.call.data]
    if named and subprocess.run(command, cwd=plan.wanted.root).returncode != 0:
        raise ValueError(
            "not all datasets are ready (see above): python -m datasets prepare NAME, or choose --datasets."
        )


def carry_out(args: argparse.Namespace, progress: Progress, place: list[Slot] | Options) -> int:
    """Run what is to be run, here or on the cluster."""
    if isinstance(place, Options):
        return Cluster(progress, place, args.retries).run(wait=not args.no_wait)
    return Pool(progress, place, args.retries).run()


def cluster_options(args: argparse.Namespace) -> Options:
    """How to submit.

    Raises:
        ValueError: a time limit or option that is none.
    """
    return Options(args.partition, parse_minutes(args.time), args.gres, parse_options(args.slurm_option))


def check_place(args: argparse.Namespace) -> None:
    """Refuse options of the place that was not chosen.

    Raises:
        ValueError: one is given.
    """
    defaults = parser()
    names = ("gpus", "per_gpu", "jobs") if args.slurm else ("partition", "time", "gres", "slurm_option", "no_wait")
    why = "on this machine: leave it or --slurm out" if args.slurm else "on a SLURM cluster: give --slurm as well"
    for name in names:
        if getattr(args, name) != defaults.get_default(name):
            raise ValueError(f"--{name.replace('_', '-')} is for runs {why}.")


def check_settings(plan: Plan, states: Mapping[str, State]) -> None:
    """Ask ``train.py`` whether it takes the settings of the runs to do, where some of them are the user's own.

    Raises:
        ValueError: it does not.
        RuntimeError: it cannot be asked.
    """
    todo: dict[tuple[str, str, str], list[Run]] = {}
    for run in plan.runs.values():
        s = run.setting
        if states[run.folder] is not State.COMPLETE and (plan.wanted.call.options or s.dataset.endswith(".yaml")):
            todo.setdefault((s.method, s.config, s.dataset), []).append(run)
    if not todo:
        return
    found = refusals([runs[0].arguments for runs in todo.values()], plan.wanted.root)
    refused = [(why, runs) for why, runs in zip(found, todo.values(), strict=True) if why]
    if refused:
        why, runs = refused[0]
        count = sum(len(runs) for _, runs in refused)
        raise ValueError(f"{why} ({count} of {len(states)} runs would fail, the first is {runs[0].title})")


def slots_of(args: argparse.Namespace) -> list[Slot]:
    """The places for runs on this machine.

    Raises:
        ValueError: ``--jobs`` with GPUs, or a GPU that is not there.
    """
    gpus = visible_gpus() if args.gpus is None else [] if args.gpus == ["none"] else args.gpus
    if gpus and args.jobs is not None:
        raise ValueError(f"--jobs is for the CPU, and there are GPUs ({' '.join(gpus)}): --per-gpu, or --gpus none.")
    if args.gpus is not None:
        check_gpus(gpus)
    return make_slots(gpus, args.per_gpu, args.jobs or 1)


def finish(args: argparse.Namespace, progress: Progress, code: int) -> int:
    """Say how it ended and name the commands that make the tables, or make them."""
    progress.report()
    if code >= 128:
        say("stopped; the same command goes on")
        return code
    stale = [run for run in progress.of(Outcome.FAILED) if records.read_record(progress.root / run.folder)]
    if stale:  # train.py has refused to take them for what is asked for, and a table would
        more = f" and {len(stale) - 1} more" if len(stale) > 1 else ""
        say(f"no table: there are results of other settings or data in {stale[0].folder}{more} (see above)")
        return code
    for report in progress.plan.reports():
        command = ["python", "-m", "reporting", *report]
        say(f"table: {shlex.join(command)}")
        if args.table and progress.count(Outcome.COMPLETE):
            made = subprocess.run([sys.executable, *command[1:]], cwd=progress.root)
            code = code or made.returncode
    return code


def run(arguments: Sequence[str], root: Path = ROOT) -> int:
    """Carry out a command line for the project in a folder.

    Returns:
        the exit code.
    """
    own, options = split_options(arguments)
    args = parser().parse_args(own)
    check_place(args)
    plan = make_plan(wanted_from(args, options, root))
    place = cluster_options(args) if args.slurm else slots_of(args)
    states, times = survey(plan)
    if args.force:
        states = dict.fromkeys(states, State.MISSING)
        plan.notes.append("--force: everything is run again, earlier folders are kept beside")
    workers = 0 if isinstance(place, Options) else len(place)
    where = slurm.describe(place) if isinstance(place, Options) else local.describe(place)
    for line in plan_lines(plan, states, times, workers):
        say(line)
    say(f"on:   {where}")
    check_settings(plan, states)
    if args.dry_run:
        for line in run_lines(plan, states, times):
            say(line)
        return 0
    if args.check_data:
        check_data(plan)
    if args.force:
        set_aside(plan)
    progress = Progress(plan, states, say)
    code = 0
    if any(state is not State.COMPLETE for state in states.values()):
        code = carry_out(args, progress, place)
    return finish(args, progress, code)


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Entry point: a mistake becomes one sentence and exit code 2."""
    try:
        return run(sys.argv[1:] if arguments is None else arguments, root)
    except KeyboardInterrupt:  # before anything was started; later, signals are noted and acted on in good order
        return 128 + signal.SIGINT
    except BrokenPipeError:  # the reader of a pipe has seen enough, as in `--dry-run | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except (ValueError, OSError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
