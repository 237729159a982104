"""Sweeps of the real engine, killed at random moments."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sweep.layout import ROOT
from sweep.recipes import all_methods, is_zero_shot

from .engine import real_plan, real_sweep, start_real_sweep

pytestmark = pytest.mark.slow
MOMENTS = random.Random(5)
OPTIONS = ["OPTIM.MAX_EPOCH", "8", "TRAIN.PRINT_FREQ", "1"]


def table(output: Path) -> Any:
    command = [sys.executable, "-m", "reporting", "base2new", str(output / "base2new"), "--format", "json", "--strict"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {key: value for key, value in json.loads(done.stdout).items() if key in ("tables", "missing", "incomplete")}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, backbone: Path) -> Path:
    """The results of a sweep that nobody stopped."""
    folder = tmp_path_factory.mktemp("undisturbed")
    code, output = real_sweep(
        folder / "out", folder / "data", "--jobs", "2", *OPTIONS, "MODEL.BACKBONE.NAME", str(backbone)
    )
    assert code == 0, output
    return folder / "out"


@pytest.mark.parametrize("times", [1, 4])
def test_killed_sweep_ends_in_the_same_table(tmp_path: Path, undisturbed: Path, backbone: Path, times: int) -> None:
    output, data = tmp_path / "out", tmp_path / "data"
    options = [*OPTIONS, "MODEL.BACKBONE.NAME", str(backbone)]
    finished: dict[Path, tuple[int, int]] = {}
    for _ in range(times):
        process = start_real_sweep(output, data, "--jobs", "2", *options)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(MOMENTS.uniform(2, 30))
        process.kill()
        process.communicate()
        for path, stamp in stamps(output).items():
            assert finished.setdefault(path, stamp) == stamp  # what was complete is not done again
    code, said = real_sweep(output, data, "--jobs", "2", *options)
    assert code == 0, said
    after = stamps(output)
    assert all(after[path] == stamp for path, stamp in finished.items())
    assert {path.parent for path in after} == {Path(name) for name in real_plan(output, data, options).runs}
    assert table(output) == table(undisturbed)
    for path in after:
        epochs = [epoch["epoch"] for epoch in json.loads(path.read_text(encoding="utf-8"))["history"]]
        assert epochs in ([], list(range(1, 9)))


def stamps(output: Path) -> dict[Path, tuple[int, int]]:
    """Every record with the file and time that it was written."""
    found = {}
    for path in output.rglob("run.json"):
        status = os.stat(path)
        found[path] = (status.st_ino, status.st_mtime_ns)
    return found


def test_failed_and_repeated(tmp_path: Path, backbone: Path) -> None:
    """A mistake that the engine finds is told with its sentence, and other sweeps of the folder are not hurt."""
    options = ["OPTIM.MAX_EPOCH", "1", "MODEL.BACKBONE.NAME"]
    code, said = real_sweep(tmp_path / "out", tmp_path / "data", "--jobs", "2", *options, str(tmp_path / "none.pt"))
    assert code == 1
    assert said.count("failed: base2new_train CoOp digits") == 3 and "none.pt" in said
    assert "6 runs: 3 failed, 3 not run" in said
    code, said = real_sweep(tmp_path / "out", tmp_path / "data", "--jobs", "2", *options, str(backbone))
    assert code == 0, said


def test_every_method_in_two_protocols(tmp_path: Path) -> None:
    """One command on the small CLIP: there and back between two datasets, and few-shot; then the tables.

    (The quickstart is the sweep of every method in the third protocol.)
    """
    protocols = ["xd", "fewshot"]
    command = [sys.executable, "-m", "sweep", *protocols, "--methods", "all", "--config", "quickstart", "--seeds", "1"]
    command += ["--datasets", "digits", "mnist5k", "--source", "digits", "mnist5k", "--shots", "2", "--table"]
    command += ["--output", str(tmp_path / "out"), "--data", str(tmp_path / "data"), "--gpus", "none", "--jobs", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, "OPTIM.MAX_EPOCH", "1"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    methods = [
        name for name in all_methods()[0] if (ROOT / "configs" / "trainers" / name / "quickstart.yaml").is_file()
    ]
    zero_shot = sum(map(is_zero_shot, methods))
    trained = len(methods) - zero_shot - 1  # the linear probe has a place in few-shot alone
    runs = len(methods) * 2 + zero_shot * 2 + trained * 4
    assert f"{runs} runs: {runs} complete" in done.stdout
    for title in ("Cross-dataset transfer from Mnist5k", "Few-shot learning, all classes"):
        assert title in done.stdout
    assert "Missing" not in done.stdout
