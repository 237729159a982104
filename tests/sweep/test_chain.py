"""What a SLURM job does, without SLURM."""

from __future__ import annotations

import os
import pickle
import signal
from pathlib import Path
from typing import Any

import pytest

from sweep.process import Verdict, read_verdict
from sweep.progress import Progress
from sweep.show import survey
from sweep.slurm import Chain, Cluster, Options

from .world import assert_each_once, ledger, plan_for


def test_runs_follow_each_other(root: Path) -> None:
    plan = plan_for(root)
    assert set(Chain(list(plan.runs.values()), root)().values()) == {"done"}
    assert_each_once(root, plan)


def test_what_needs_a_failed_run_is_left_out(root: Path) -> None:
    plan = plan_for(root, options=("FAKE.FAIL", "digits"))
    train, test = plan.runs.values()
    assert Chain([train, test], root)() == {train.folder: "failed"}
    assert read_verdict(train, root)["code"] == 2
    assert read_verdict(test, root) == {}


def test_a_killed_run_ends_the_job(root: Path) -> None:
    plan = plan_for(root, options=("FAKE.KILL", "digits"))
    train, test = plan.runs.values()
    assert Chain([train, test], root)() == {train.folder: "stopped"}
    assert set(Chain([train, test], root)().values()) == {"done"}
    assert_each_once(root, plan)


def test_requeued_job_goes_on(root: Path) -> None:
    """As submitit does it: a handler calls checkpoint and ends the job, which is later unpickled and called again."""
    plan = plan_for(root, options=("FAKE.STEPS", "30", "FAKE.SECONDS", "0.03"))
    chain = Chain(list(plan.runs.values()), root)
    submissions: list[Any] = []

    def requeue(number: int, frame: object) -> None:
        submissions.append(chain.checkpoint())
        raise SystemExit(-1)

    earlier = signal.signal(signal.SIGALRM, requeue)
    signal.setitimer(signal.ITIMER_REAL, 0.7)
    try:
        with pytest.raises(SystemExit):
            chain()
    finally:
        signal.signal(signal.SIGALRM, earlier)
    (submission,) = submissions
    assert chain._process is not None and chain._process.poll() is Verdict.STOPPED
    assert 0 < len(ledger(root)) < 30
    again = pickle.loads(pickle.dumps(submission.function))
    assert set(again().values()) == {"done"}
    assert_each_once(root, plan)


def test_runs_ignore_the_signal_for_the_job(root: Path) -> None:
    """SLURM sends SIGUSR2 to every process of a job; only submitit's may act on it."""
    plan = plan_for(root)
    (root / "train.py").write_text("import signal; print(signal.getsignal(signal.SIGUSR2).name)", encoding="utf-8")
    Chain(list(plan.runs.values())[:1], root)()
    log = next((root / "output" / ".sweep").rglob("*.log"))
    assert log.read_text(encoding="utf-8").endswith("\nSIG_IGN\n")


def test_no_slurm_here(root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plan = plan_for(root)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="--slurm needs SLURM's sbatch, which is not on the PATH"):
        Cluster(Progress(plan, survey(plan)[0]), Options())


def programs(folder: Path, **scripts: str) -> None:
    """Stand-ins for SLURM's programs."""
    folder.mkdir(exist_ok=True)
    for name, script in {"srun": "exit 0", "squeue": "exit 0", **scripts}.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)


def test_one_array_with_the_options(root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two models with their tests are an array of two; sbatch gets all options, and jobs that vanish are told."""
    said: list[str] = []
    plan = plan_for(root, datasets=["digits", "mnist5k"])
    programs(tmp_path / "bin", sbatch=f'cp "$1" {tmp_path}/array.sh; echo Submitted batch job 7')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    options = Options("gpus", 90, "gpu:1", {"account": "vision", "array_parallelism": "1", "hint": "nomultithread"})
    cluster = Cluster(Progress(plan, survey(plan)[0], said.append), options, retries=0, poll_seconds=0.1)
    assert cluster.run() == 1
    script = (tmp_path / "array.sh").read_text()
    for line in ("array=0-1%1", "time=90", "gres=gpu:1", "partition=gpus", "account=vision", "hint=nomultithread"):
        assert f"#SBATCH --{line}\n" in script
    assert f"#SBATCH --chdir={root}\n" in script
    assert said[0] == "submitted 2 jobs with 4 runs: 7_0 and on"
    assert sum("its job ended without a result" in line for line in said) == 2
    assert not ledger(root)


def test_submit_and_leave(root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A sweep started again finds its jobs in the queue and submits none twice."""
    said: list[str] = []
    plan = plan_for(root, datasets=["digits", "mnist5k"])
    programs(tmp_path / "bin", sbatch="echo Submitted batch job 7")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    assert Cluster(Progress(plan, survey(plan)[0], said.append), Options()).run(wait=False) == 0
    programs(tmp_path / "bin", sbatch="exit 1", squeue="echo 7_0; echo 7_1")
    assert Cluster(Progress(plan, survey(plan)[0], said.append), Options()).run(wait=False) == 0
    assert "4 runs are in SLURM's queue already" in said
