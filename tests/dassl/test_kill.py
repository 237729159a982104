"""A run stopped at any moment ends, when started again, exactly as one that was never stopped."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest

from .process import assert_clean, assert_same, finish, outcome, start, wait_for
from .world import config, write_images

WORKERS = {0: ("DATALOADER.NUM_WORKERS", 0), 2: ("DATALOADER.NUM_WORKERS", 2, "DATALOADER.WORKERS_ABOVE_MB", 0)}
MOMENTS = random.Random(7)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_images(folder)
    return folder


def setting(root: Path, output: Path, workers: int = 0, **more: Any) -> Any:
    options = [x for pair in more.items() for x in pair]
    fixed = ("TRAINER.NAME", "Patient", "OPTIM.MAX_EPOCH", 6, "TEST.FINAL_MODEL", "best_val")
    return config(root, output, *fixed, "TRAIN.CHECKPOINT_FREQ", 2, *WORKERS[workers], *options)


@pytest.fixture(scope="module")
def whole(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The outcome of a run that nobody stopped, without worker processes."""
    cfg = setting(root, tmp_path_factory.mktemp("whole") / "out")
    finish(cfg)
    return outcome(cfg.OUTPUT_DIR)


def check_resumed(cfg: Any, whole: dict[str, Any]) -> None:
    finish(cfg)
    assert_same(outcome(cfg.OUTPUT_DIR), whole)
    assert_clean(cfg.OUTPUT_DIR)


def test_worker_processes_change_nothing(root: Path, tmp_path: Path, whole: dict[str, Any]) -> None:
    cfg = setting(root, tmp_path / "out", workers=2)
    finish(cfg)
    assert_same(outcome(cfg.OUTPUT_DIR), whole)


def killed_at(cfg: Any, seconds: float) -> None:
    """Start a run and kill it after that time; it must not have been complete by then."""
    process = start(cfg)
    process.join(seconds)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not (Path(cfg.OUTPUT_DIR) / "run.json").exists()


# A run sleeps for 6 epochs * 6 batches * 8 ms and has some work to do as well.
SECONDS = 6 * 6 * 0.008


@pytest.mark.parametrize("workers", [0, 2])
def test_killed_resumes_exactly(root: Path, tmp_path: Path, whole: dict[str, Any], workers: int) -> None:
    cfg = setting(root, tmp_path / "out", workers)
    killed_at(cfg, SECONDS * MOMENTS.random())
    check_resumed(cfg, whole)


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(20))
def test_killed_at_twenty_moments(root: Path, tmp_path: Path, whole: dict[str, Any], moment: int) -> None:
    cfg = setting(root, tmp_path / "out", workers=2 * (moment % 2))
    killed_at(cfg, SECONDS * MOMENTS.random())
    if moment % 3 == 0:  # some are killed again, early, when they have just resumed
        killed_at(cfg, SECONDS * MOMENTS.random() / 4)
    check_resumed(cfg, whole)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("workers", [0, 2])
def test_signal_saves_and_exits(
    root: Path, tmp_path: Path, whole: dict[str, Any], workers: int, number: signal.Signals
) -> None:
    cfg = setting(root, tmp_path / "out", workers)
    log = Path(cfg.OUTPUT_DIR + ".log")
    process = start(cfg)
    wait_for(lambda: log.exists() and "epoch [3/6] batch [2/6]" in log.read_text(encoding="utf-8"))
    os.killpg(process.pid, number)  # as a terminal or a batch system does: the data loading processes get it as well
    process.join(60)
    text = log.read_text(encoding="utf-8")
    assert process.exitcode == 128 + number, text
    assert "resume.pt (epoch 3, batch " in text
    assert not (Path(cfg.OUTPUT_DIR) / "run.json").exists()
    finish(cfg)
    assert "2 epochs and " in log.read_text(encoding="utf-8")
    assert_same(outcome(cfg.OUTPUT_DIR), whole)
    assert_clean(cfg.OUTPUT_DIR)


def crash_around_rename(number: int, after: bool) -> None:
    """Make this process kill itself around the n-th time that a file gets its final name."""
    rename = os.replace
    calls = iter(range(10_000))

    def crashing(source: Any, target: Any, **more: Any) -> None:
        last = next(calls) == number
        if last and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        rename(source, target, **more)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = crashing  # type: ignore[assignment]


def _crash_case(root: Path, tmp_path: Path, whole: dict[str, Any], number: int, after: bool) -> None:
    cfg = setting(root, tmp_path / f"out{number}{after}")
    process = start(cfg, lambda: crash_around_rename(number, after))
    process.join(60)
    if process.exitcode == 0:
        pytest.fail(f"the run renames fewer than {number} files")
    check_resumed(cfg, whole)


@pytest.mark.parametrize(("number", "after"), [(1, False), (3, True)])
def test_crash_while_saving(root: Path, tmp_path: Path, whole: dict[str, Any], number: int, after: bool) -> None:
    _crash_case(root, tmp_path, whole, number, after)


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", range(12))
def test_crash_around_every_rename(root: Path, tmp_path: Path, whole: dict[str, Any], number: int, after: bool) -> None:
    _crash_case(root, tmp_path, whole, number, after)
