"""Sweeps on a real SLURM, started on this machine for the purpose."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sweep.layout import ROOT
from sweep.plan import Run

from . import slurm_daemons
from .engine import real_plan, real_sweep, start_real_sweep
from .world import assert_each_once, ledger, plan_for, start_sweep, sweep, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(slurm_daemons.missing()), reason=slurm_daemons.missing() or "SLURM is there"),
]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with slurm_daemons.cluster(tmp_path_factory.mktemp("slurm")) as environment:
        yield environment


def call(slurm: dict[str, str], *command: str) -> str:
    done = subprocess.run(command, env={**os.environ, **slurm}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def job_of(slurm: dict[str, str], output: Path, run: Run) -> str:
    """The job that a run belongs to, "" while it is not submitted."""
    from submitit.core.utils import DelayedSubmission, JobPaths

    for name in call(slurm, "squeue", "--noheader", "--array", "--format=%i").split():
        path = JobPaths(output / ".sweep" / "slurm", job_id=name).submitted_pickle
        chain: Any = DelayedSubmission.load(path).function if path.exists() else None
        if chain is not None and run.folder in [other.folder for other in chain.runs]:
            return name
    return ""


SLURM = ["--slurm", "--time", "30", "--slurm-option", "cpus-per-task=1"]
GRID = [
    "base2new",
    "--config",
    "quickstart",
    "--datasets",
    "digits",
    "mnist5k",
    "--methods",
    "MaPLe",
    "--seeds",
    "1",
    *SLURM,
]


def test_an_array_of_jobs(root: Path, slurm: dict[str, str]) -> None:
    code, output = sweep(root, *GRID, **slurm)
    assert code == 0, output
    assert "submitted 2 jobs with 4 runs" in output
    assert_each_once(root, plan_for(root, datasets=["digits", "mnist5k"]))


def test_failures_are_told(root: Path, slurm: dict[str, str]) -> None:
    code, output = sweep(root, *GRID, "FAKE.FAIL", "mnist5k", **slurm)
    assert code == 1, output
    assert "failed: base2new_train MaPLe mnist5k, seed 1" in output
    assert "error: the loss is nan" in output
    assert "4 runs: 2 complete, 1 failed, 1 not run" in output


def test_wrong_options_are_told(root: Path, slurm: dict[str, str]) -> None:
    code, output = sweep(root, *GRID, "--partition", "nowhere", **slurm)
    assert code == 2
    assert "error: SLURM did not take the jobs" in output and "partition" in output


def test_killed_sweep_finds_its_jobs(root: Path, slurm: dict[str, str]) -> None:
    options = ("FAKE.STEPS", "40", "FAKE.SECONDS", "0.1")
    process = start_sweep(root, *GRID, *options, **slurm)
    wait_until(lambda: len(ledger(root)) > 3)
    process.kill()
    process.communicate(timeout=60)
    process = start_sweep(root, *GRID, *options, **slurm)
    assert process.stdout is not None
    wait_until(lambda: "4 runs are in SLURM's queue already" in process.stdout.readline())
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT, output
    assert "scancel --name=sweep-" in output
    code, output = sweep(root, *GRID, *options, **slurm)
    assert code == 0, output
    assert "submitted" not in output
    assert_each_once(root, plan_for(root, datasets=["digits", "mnist5k"]))


def figures(root: Path, run: Run) -> Any:
    record = json.loads((root / run.folder / "run.json").read_text(encoding="utf-8"))
    history = [{key: value for key, value in epoch.items() if key != "seconds"} for epoch in record["history"]]
    return record["metrics"], history, record["data"]


def test_cancelled_preempted_and_requeued_jobs_end_as_local_runs(
    tmp_path: Path, slurm: dict[str, str], backbone: Path
) -> None:
    """Six runs of the real engine: a job is cancelled, one preempted, one requeued, each while it trains."""
    here, there = tmp_path / "here", tmp_path / "there"
    options = ["MODEL.BACKBONE.NAME", str(backbone), "OPTIM.MAX_EPOCH", "12"]
    code, output = real_sweep(here, tmp_path / "data", "--jobs", "2", *options)
    assert code == 0, output

    process = start_real_sweep(there, tmp_path / "data", *SLURM, *options, **slurm)
    plan = real_plan(there, tmp_path / "data", options)
    assert len(plan.runs) == 6
    disturb = {
        1: lambda job: ("scancel", job),
        2: lambda job: ("scancel", "--signal=USR2", job),  # what SLURM sends before it preempts, or at the time limit
        3: lambda job: ("scontrol", "requeue", job),
    }
    for seed, action in disturb.items():
        (train,) = [run for run in plan.runs.values() if run.setting.seed == seed and not run.needs]
        log = Path(there / ".sweep" / os.path.relpath(train.folder, there)).with_suffix(".log")
        wait_until(lambda log=log: log.exists() and "epoch 1/12 done" in log.read_text(encoding="utf-8"), 180)
        call(slurm, *action(job_of(slurm, there, train)))
        wait_until(lambda log=log: "state saved to" in log.read_text(encoding="utf-8"), 60)
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 0, output
    assert "its job has ended, it has not: submitting it again" in output
    for run in plan.runs.values():
        local = here / os.path.relpath(run.folder, there)
        assert figures(ROOT, run) == figures(ROOT, real_run_at(run, local)), run.title


def real_run_at(run: Run, folder: Path) -> Run:
    import dataclasses

    return dataclasses.replace(run, leg=dataclasses.replace(run.leg, folder=str(folder)))
