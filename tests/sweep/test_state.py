"""How a run stands, told from its folder."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.plan import Plan, Run
from sweep.state import State, asked_of, is_locked, read_record, state_of

from .world import plan_for, sweep


@pytest.fixture
def plan(root: Path) -> Plan:
    return plan_for(root, options=("FAKE.STEPS", "1"))


def states(root: Path, plan: Plan) -> list[State]:
    return [state_of(run, root, read_record(root / run.folder)) for run in plan.runs.values()]


def run_all(root: Path, *more: str) -> None:
    arguments = ["base2new", "--methods", "MaPLe", "--datasets", "digits", "--config", "quickstart", "--seeds", "1"]
    code, output = sweep(root, *arguments, *more, "FAKE.STEPS", "1")
    assert code == 0, output


def test_from_missing_to_complete(root: Path, plan: Plan) -> None:
    assert states(root, plan) == [State.MISSING] * 2
    train = root / next(iter(plan.runs))
    train.mkdir(parents=True)
    (train / "log.txt").write_text("began")
    assert states(root, plan) == [State.MISSING] * 2  # nothing that could be gone on with
    (train / "resume.pt").write_text("0")
    assert states(root, plan) == [State.PARTIAL, State.MISSING]
    with (train / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert states(root, plan) == [State.RUNNING, State.MISSING]
    assert not is_locked(train)
    run_all(root)
    assert states(root, plan) == [State.COMPLETE] * 2


def test_record_of_another_command(root: Path, plan: Plan) -> None:
    run_all(root)
    other = plan_for(root, options=("FAKE.STEPS", "2"))
    assert states(root, other) == [State.OTHER] * 2
    assert states(root, plan_for(root)) == [State.OTHER] * 2


CONTENTS = ["{", "[]", '{"status": "failed"}', "", '{"status": "complete"}', "[" * 100_000]


@pytest.mark.parametrize("content", CONTENTS)
def test_record_that_is_none(root: Path, plan: Plan, content: str) -> None:
    folder = root / next(iter(plan.runs))
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(content)
    assert states(root, plan)[0] is State.MISSING


@pytest.mark.parametrize("name", ["configs/trainers/MaPLe/quickstart.yaml", "configs/datasets/digits.yaml"])
def test_an_edited_config_file(root: Path, plan: Plan, name: str) -> None:
    run_all(root)
    (root / name).write_text("OPTIM:\n  LR: 0.1\n")
    assert states(root, plan) == [State.OTHER] * 2


def test_a_model_that_was_trained_again(root: Path, plan: Plan) -> None:
    run_all(root)
    (root / next(iter(plan.runs)) / "model" / "model.pth.tar-1").write_text("other weights")
    assert states(root, plan) == [State.COMPLETE, State.OTHER]


def test_without_marks_train_py_compares(root: Path, plan: Plan) -> None:
    run_all(root)
    for folder in plan.runs:
        (root / folder / "marks.json").unlink()
    assert states(root, plan) == [State.OTHER] * 2


def test_files_are_read_once_for_a_plan(root: Path, plan: Plan) -> None:
    run_all(root)
    memo: dict = {}
    for run in plan.runs.values():
        assert state_of(run, root, read_record(root / run.folder), memo) is State.COMPLETE
    (root / "configs/datasets/digits.yaml").write_text("")
    assert all(state_of(run, root, {}, memo) is State.COMPLETE for run in plan.runs.values())
    assert all(state_of(run, root, {}) is State.OTHER for run in plan.runs.values())


def test_results_may_be_moved(root: Path) -> None:
    run_all(root, "--output", "first", "--data", "here")
    shutil.move(root / "first", root / "second")
    moved = plan_for(root, output="second", options=("FAKE.STEPS", "1"))
    assert states(root, moved) == [State.COMPLETE] * 2
    far = plan_for(root, output=str(root / "second"), options=("FAKE.STEPS", "1"))
    assert states(root, far) == [State.COMPLETE] * 2


def test_model_of_another_source_is_another_run(root: Path) -> None:
    first, second = (
        next(run for run in plan_for(root, "xd", sources=[name]).runs.values() if run.needs)
        for name in ("imagenet", "mnist5k")
    )
    assert first.folder == second.folder and first.needs != second.needs
    for number, run in enumerate((first, second)):
        (root / run.needs / "model").mkdir(parents=True)
        (root / run.needs / "model" / "model.pth.tar-1").write_text(str(number))
    command = [sys.executable, "train.py", *first.arguments]
    assert subprocess.run(command, cwd=root, capture_output=True).returncode == 0
    record = read_record(root / first.folder)
    assert state_of(first, root, record) is State.COMPLETE
    assert state_of(second, root, record) is State.OTHER


def test_values_with_blanks(root: Path) -> None:
    options = ("INPUT.SIZE", "(32, 32)", "DATASET.TEMPLATE", "a  {} .")
    run = next(iter(plan_for(root, options=options).runs.values()))
    assert asked_of(run, root).question()["pairs"][-4:] == list(options)


def test_identity_is_the_folder(plan: Plan) -> None:
    titles = [run.title for run in plan.runs.values()]
    assert titles == ["base2new_train MaPLe digits, seed 1", "base2new_test MaPLe digits, seed 1"]
    assert all(isinstance(run, Run) and json.dumps(run.arguments) for run in plan.runs.values())
