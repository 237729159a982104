"""One process per output folder."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import re
from pathlib import Path
from typing import Any

import pytest

from dassl.records import is_locked, set_aside
from dassl.records import lock as lock_module
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

    monkeypatch.setattr("dassl.records.lock.fcntl.flock", unsupported)
    lock_output_dir(tmp_path / "out").release()
    assert "cannot be locked (Operation not supported)" in capsys.readouterr().out


def test_trainer_takes_the_lock_before_it_loads_anything(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    write_images(tmp_path)
    trainer = Tiny(config(tmp_path, tmp_path / "out"))
    assert "another run" in in_another_process(tmp_path / "out")
    del trainer


# ---- setting aside


def filled(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("old")
    return folder


def test_a_folder_is_set_aside_and_the_fresh_one_is_locked(tmp_path: Path) -> None:
    out = filled(tmp_path / "out")
    kept = set_aside(out)
    assert kept is not None and re.fullmatch(r"out\.old-\d{8}-\d{6}", Path(kept).name)
    assert (Path(kept) / "run.json").read_text() == "old"
    assert os.listdir(out) == [".lock"] and oct(out.stat().st_mode) == oct(Path(kept).stat().st_mode)
    assert f"another run (process {os.getpid()})" in in_another_process(out)
    assert in_another_process(Path(kept)) == "taken"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", Path(kept).name]
    lock_output_dir(out).release()  # the same process may, and the lock stays
    assert is_locked(out)


def test_a_folder_with_its_parents_and_where_there_are_no_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock_output_dir(tmp_path / "a" / "b").release()
    monkeypatch.setattr(lock_module, "fcntl", None)
    lock_output_dir(tmp_path / "c" / "d").release()
    assert (tmp_path / "a" / "b" / ".lock").is_file() and os.listdir(tmp_path / "c" / "d") == []
    assert not is_locked(tmp_path / "c" / "d")
    filled(tmp_path / "out")
    assert set_aside(tmp_path / "out") is not None and os.listdir(tmp_path / "out") == []


def test_nothing_in_it_is_nothing_to_set_aside(tmp_path: Path) -> None:
    assert set_aside(tmp_path / "new") is None and is_locked(tmp_path / "new")
    assert set_aside(tmp_path / "new") is None
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert set_aside(tmp_path / "other", hold=False) is None and not is_locked(tmp_path / "other")


def test_no_folder_is_left_for_a_sweep(tmp_path: Path) -> None:
    kept = set_aside(filled(tmp_path / "out"), hold=False)
    assert kept is not None and [str(path) for path in tmp_path.iterdir()] == [kept]
    assert not is_locked(kept)


def test_twice_in_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_module.time, "strftime", lambda _: "20240101-120000")
    names = [Path(str(set_aside(filled(tmp_path / "out"), hold=False))).name for _ in range(3)]
    assert names == ["out.old-20240101-120000", "out.old-20240101-120000-2", "out.old-20240101-120000-3"]


def test_a_running_run_keeps_its_folder(tmp_path: Path) -> None:
    out = filled(tmp_path / "out")
    ready, release = FORK.Event(), FORK.Event()
    runner = FORK.Process(target=_hold, args=(out, ready, release))
    runner.start()
    assert ready.wait(30)
    for hold in (True, False):
        with pytest.raises(RuntimeError, match=rf"another run \(process {runner.pid}\) is using the output folder"):
            set_aside(out, hold)
    assert [path.name for path in tmp_path.iterdir()] == ["out"] and (out / "run.json").read_text() == "old"
    release.set()
    runner.join()


def _hold(folder: Path, ready: Any, release: Any) -> None:
    lock_output_dir(folder)
    ready.set()
    release.wait()


def _force(folder: Path, start: Any, answers: Any, release: Any) -> None:
    start.wait()
    try:
        answers.put(set_aside(folder))
    except RuntimeError as error:
        answers.put(error)
    release.wait()


def test_of_simultaneous_calls_one_gets_the_folder(tmp_path: Path) -> None:
    for attempt in range(10):
        out = filled(tmp_path / str(attempt) / "out")
        start, release, answers = FORK.Event(), FORK.Event(), FORK.Queue()
        processes = [FORK.Process(target=_force, args=(out, start, answers, release)) for _ in range(3)]
        for process in processes:
            process.start()
        start.set()
        found = [answers.get(timeout=30) for _ in processes]
        assert is_locked(out) and not (out / "run.json").exists()
        assert sum(not isinstance(answer, RuntimeError) for answer in found) == 1
        assert len(list(out.parent.glob("out.old-*/run.json"))) == 1
        assert not list(out.parent.glob(".out-*"))  # the hidden name is gone
        release.set()
        for process in processes:
            process.join()


def test_a_folder_that_was_taken_while_its_name_was_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, rename = filled(tmp_path / "out"), os.rename

    def renamed(old: Any, new: Any) -> None:
        rename(old, new)
        if str(old) == str(out):  # another process is quicker
            (out / "mine").mkdir(parents=True)

    monkeypatch.setattr(lock_module.os, "rename", renamed)
    with pytest.raises(RuntimeError, match=r"another run is using .*what it held is kept as .*out\.old-"):
        set_aside(out)
    assert [path.name for path in out.iterdir()] == ["mine"]
    assert not list(tmp_path.glob(".out-*")) and len(list(tmp_path.glob("out.old-*"))) == 1


def test_a_lock_on_a_folder_that_was_set_aside_meanwhile_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, flock = filled(tmp_path / "out"), fcntl.flock

    def slow(handle: int, kind: int) -> None:
        if (out / "run.json").exists():
            os.rename(out, tmp_path / "kept")
        flock(handle, kind)

    monkeypatch.setattr(lock_module.fcntl, "flock", slow)
    lock = lock_output_dir(out)
    monkeypatch.undo()
    assert is_locked(out) and not is_locked(tmp_path / "kept")
    lock.release()


def test_a_look_at_the_lock_refuses_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".lock").touch()
    looking = os.open(tmp_path / ".lock", os.O_RDWR)
    fcntl.flock(looking, fcntl.LOCK_SH)
    monkeypatch.setattr(lock_module.time, "sleep", lambda _: os.close(looking))
    lock_output_dir(tmp_path).release()
