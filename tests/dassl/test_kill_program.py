"""The real program on the small CLIP, killed at random moments of a run of six epochs."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import train

from .process import assert_clean, assert_same, fork, outcome, wait_for

MOMENTS = random.Random(11)


def start(root: Path, output: Path, workers: int = 0) -> Any:
    options = ["OPTIM.MAX_EPOCH", "6", "DATASET.NUM_SHOTS", "4", "TEST.FINAL_MODEL", "best_val"]
    options += ["DATALOADER.NUM_WORKERS", str(workers), "DATALOADER.WORKERS_ABOVE_MB", "0"]
    options += ["INPUT.TRANSFORMS", "('random_resized_crop', 'normalize')", "TRAIN.PRINT_FREQ", "1"]
    arguments = ["--trainer", "MaPLe", "--root", str(root), "--output-dir", str(output), *options]

    def work() -> int:
        sys.argv = ["train.py", *arguments]
        return train.main(arguments)

    return fork(Path(f"{output}.log"), work)


def finish(root: Path, output: Path, workers: int = 0) -> None:
    process = start(root, output, workers)
    process.join(300)
    assert process.exitcode == 0, Path(f"{output}.log").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def whole(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The outcome of a run that nobody stopped."""
    output = tmp_path_factory.mktemp("whole") / "out"
    finish(root, output)
    finish(root, output)  # a complete run: nothing to do
    return outcome(str(output))


def training_began(output: Path) -> bool:
    log = Path(f"{output}.log")
    return log.exists() and "epoch [1/6] batch [1/5]" in log.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(20))
def test_killed_program_resumes_exactly(root: Path, tmp_path: Path, whole: dict[str, Any], moment: int) -> None:
    output = tmp_path / "out"
    workers = 2 * (moment % 2)
    process = start(root, output, workers)
    wait_for(lambda: training_began(output) or process.exitcode is not None, 120)
    time.sleep(1.5 * MOMENTS.random())
    process.kill()
    process.join(60)
    if process.exitcode != -signal.SIGKILL:
        assert process.exitcode == 0 and json.loads((output / "run.json").read_text())["status"] == "complete"
    finish(root, output, workers)
    assert_same(outcome(str(output)), whole)
    assert_clean(str(output))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signalled_program_says_what_to_do(
    root: Path, tmp_path: Path, whole: dict[str, Any], number: signal.Signals
) -> None:
    output = tmp_path / "out"
    process = start(root, output, workers=2)
    wait_for(lambda: training_began(output), 120)
    os.kill(process.pid, number)
    process.join(60)
    assert process.exitcode == 128 + number
    text = Path(f"{output}.log").read_text(encoding="utf-8")
    assert f"{number.name}: stopped; state saved to {output / 'resume.pt'}" in text and "Traceback" not in text
    finish(root, output)
    assert_same(outcome(str(output)), whole)
    assert_clean(str(output))
