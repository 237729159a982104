"""Run records: what is read, what is refused and how that is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reporting.records import read_record, read_runs
from tests.reporting.trees import base2new_run, write_run


def change(path: Path, **changes: Any) -> None:
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | changes))


def test_every_field_of_a_record_arrives(tmp_path: Path) -> None:
    path = write_run(tmp_path / "seed2", "MaPLe", "Digits", 81.5, seed=2, subsample="new", config="c", model_dir="m")
    run = read_record(path)
    assert (run.method, run.dataset, run.seed, run.subsample, run.config_name) == ("MaPLe", "Digits", 2, "new", "c")
    assert (run.shots, run.model_dir, run.backbone, run.eval_only) == (16, "m", "ViT-B/16", False)
    assert run.metrics["test"]["accuracy"] == 81.5 and run.cost["train_seconds"] == 12.5
    assert run.record_path == path and len(run.history) == 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema_version": 7}, "schema version 7, this program reads version 1"),
        ({"status": "failed"}, "status is 'failed'"),
        ({"metrics": None}, "'metrics' is missing or not a dict"),
        ({"method": 3}, "'method' is missing or not a str"),
        ({"protocol": {}}, "'protocol.seed' is missing"),
        ({"metrics": {"test": {"accuracy": "high"}}}, "'metrics.test.accuracy' is 'high'"),
        ({"metrics": {"test": {"accuracy": 101.0}}}, "not a percentage"),
    ],
)
def test_an_unusable_record_says_what_is_wrong_and_what_to_do(tmp_path: Path, changes: dict, said: str) -> None:
    path = write_run(tmp_path, "MaPLe", "Digits", 80.0)
    change(path, **changes)
    with pytest.raises(ValueError, match="run that run again") as error:
        read_record(path)
    assert said in str(error.value) and str(path) in str(error.value)


@pytest.mark.parametrize("content", ["{", "", "[1, 2]", '{"method": "MaPLe"}'])
def test_a_damaged_file_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"damaged run record|not a run record"):
        read_record(path)


def test_a_tree_keeps_the_good_runs_and_names_the_bad(tmp_path: Path) -> None:
    base2new_run(tmp_path, "MaPLe", "Digits", "train_base", 80.0, seed=1)
    base2new_run(tmp_path, "MaPLe", "Digits", "train_base", 80.0, seed=2).write_text("{")
    (tmp_path / "train_base" / "digits" / "shots_16" / "MaPLe" / "cfg" / "seed3").mkdir()
    tree = read_runs(tmp_path)
    assert [run.seed for run in tree.runs] == [1]
    assert len(tree.problems) == 2
    assert "seed2" in tree.problems[0] and "line 1" in tree.problems[0]
    assert "seed3: no run.json, the run did not finish" in tree.problems[1]


def test_hidden_folders_and_runs_set_aside_are_passed_over(tmp_path: Path) -> None:
    for name in (".trash", "seed1.old-20240101-120000"):
        write_run(tmp_path / name, "MaPLe", "Digits", 10.0)
    write_run(tmp_path / "seed1", "MaPLe", "Digits", 80.0)
    tree = read_runs(tmp_path)
    assert [run.folder.name for run in tree.runs] == ["seed1"] and not tree.problems


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such folder"):
        read_runs(tmp_path / "nowhere")


def test_zero_shot_runs_have_no_shots(tmp_path: Path) -> None:
    zero = read_record(write_run(tmp_path / "a", "ZeroshotCLIP", "Digits", 60.0, parameters=0, eval_only=True))
    trained = read_record(write_run(tmp_path / "b", "MaPLe", "Digits", 60.0))
    unknown = read_record(write_run(tmp_path / "c", "MaPLe", "Digits", 60.0, shots=-1, model_dir="m", eval_only=True))
    assert (zero.is_zero_shot, zero.known_shots) == (True, None)
    assert (trained.is_zero_shot, trained.known_shots) == (False, 16)
    assert (unknown.is_zero_shot, unknown.known_shots) == (False, None)
