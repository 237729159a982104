"""How a run stands, told from its folder."""

from __future__ import annotations

import fcntl
import json
import shutil
from pathlib import Path

import pytest

from sweep.plan import Plan, Run
from sweep.state import State, answers, is_locked, question, read_record, state_of

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


@pytest.mark.parametrize("content", ["{", "[]", '{"status": "failed"}', ""])
def test_record_that_is_none(root: Path, plan: Plan, content: str) -> None:
    folder = root / next(iter(plan.runs))
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(content)
    assert states(root, plan)[0] is State.MISSING


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
    assert first.folder == second.folder
    record = {"environment": {"command": "python train.py " + " ".join(first.arguments)}}
    assert answers(record, first)
    assert not answers(record, second)


def test_values_with_blanks(root: Path) -> None:
    run = next(iter(plan_for(root, options=("INPUT.SIZE", "(32, 32)")).runs.values()))
    assert answers({"environment": {"command": "python3 /x/train.py " + " ".join(run.arguments)}}, run)
    assert not answers({"environment": {"command": "pytest"}}, run)
    assert not answers({}, run)


def test_question_leaves_out_where() -> None:
    words = [
        "--root",
        "a",
        "--output-dir",
        "o/x",
        "--force",
        "--config-file",
        "/p/configs/trainers/M/c.yaml",
        "--model-dir",
        "o/y",
        "K",
        "v",
    ]
    kept = ["--config-file", "configs/trainers/M/c.yaml", "--model-dir", "y", "K", "v"]
    assert question(words, "o") == kept


def test_identity_is_the_folder(plan: Plan) -> None:
    titles = [run.title for run in plan.runs.values()]
    assert titles == ["base2new_train MaPLe digits, seed 1", "base2new_test MaPLe digits, seed 1"]
    assert all(isinstance(run, Run) and json.dumps(run.arguments) for run in plan.runs.values())
