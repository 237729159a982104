"""One process per output folder."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest

from dassl.utils import lock_output_dir

from .world import Tiny, config, write_images

FORK = multiprocessing.get_context("fork")


def _try(folder: Path, answers: object) -> None:
    try:
        lock_output_dir(folder)
        answers.put("taken")  # type: ignore[attr-defined]
    except RuntimeError as error:
        answers.put(str(error))  # type: ignore[attr-defined]


def in_another_process(folder: Path) -> str:
    answers = FORK.Queue()
    process = FORK.Process(target=_try, args=(folder, answers))
    process.start()
    answer = answers.get(timeout=30)
    process.join()
    return answer


def test_second_process_is_refused_until_the_first_lets_go(tmp_path: Path) -> None:
    lock = lock_output_dir(tmp_path / "out")
    again = lock_output_dir(tmp_path / "out")  # the same process may
    answer = in_another_process(tmp_path / "out")
    assert f"another run (process {os.getpid()}) is using the output folder" in answer and "--output-dir" in answer
    again.release()
    assert "another run" in in_another_process(tmp_path / "out")
    lock.release()
    assert in_another_process(tmp_path / "out") == "taken"


def _hold_and_die(folder: Path) -> None:
    lock_output_dir(folder)
    os.kill(os.getpid(), 9)


def test_a_crash_leaves_no_lock(tmp_path: Path) -> None:
    process = FORK.Process(target=_hold_and_die, args=(tmp_path,))
    process.start()
    process.join()
    assert (tmp_path / ".lock").exists()
    assert in_another_process(tmp_path) == "taken"


def test_a_forked_worker_that_outlives_the_run_holds_no_lock(tmp_path: Path) -> None:
    lock = lock_output_dir(tmp_path)
    release = FORK.Event()
    worker = FORK.Process(target=release.wait)
    worker.start()
    lock.release()
    assert in_another_process(tmp_path) == "taken"
    release.set()
    worker.join()


def test_a_file_system_without_locks_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def unsupported(handle: int, kind: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("dassl.utils.lock.fcntl.flock", unsupported)
    lock_output_dir(tmp_path / "out").release()
    assert "cannot be locked (Operation not supported)" in capsys.readouterr().out


def test_trainer_takes_the_lock_before_it_loads_anything(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    write_images(tmp_path)
    trainer = Tiny(config(tmp_path, tmp_path / "out"))
    assert "another run" in in_another_process(tmp_path / "out")
    del trainer
