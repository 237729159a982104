"""Estimates from finished runs."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from sweep.show import plan_lines, survey
from sweep.state import State
from sweep.times import Kind, Times, Timing, condense, main, read_elsewhere, recorded_name, timing_of

from .world import make_world, plan_for, sweep

RECORD = {
    "method": "MaPLe",
    "dataset": "Digits",
    "protocol": {"shots": 16, "subsample_classes": "base", "config": "quickstart", "eval_only": False, "seed": 1},
    "cost": {"train_seconds": 8.0, "eval_seconds": 2.0},
    "environment": {"device_name": "abacus"},
}
KIND = Kind(False, "base", "MaPLe", "quickstart", "Digits", 16)


def test_timing_of_a_record() -> None:
    assert timing_of(RECORD) == (KIND, Timing(10.0, "abacus"))
    assert timing_of({**RECORD, "cost": {"train_seconds": None, "eval_seconds": 3.0}}) == (KIND, Timing(3.0, "abacus"))
    assert timing_of({}) is None
    for nonsense in ({"method": 3}, {"cost": []}, {"protocol": "x"}, {"environment": None}):
        assert timing_of({**RECORD, **nonsense}) is None
    for seconds in (float("inf"), float("nan"), -3.0, "long"):
        assert timing_of({**RECORD, "cost": {"train_seconds": seconds, "eval_seconds": 2.0}}) is None
    assert timing_of({**RECORD, "protocol": {**RECORD["protocol"], "shots": float("inf")}}) is None
    zero_shot = timing_of({**RECORD, "method": "ZeroshotCLIP"})
    assert zero_shot is not None and zero_shot[0].shots == 0


def test_own_runs_come_before_others_and_exact_before_similar(root: Path) -> None:
    elsewhere = {KIND: Timing(100.0, "mainframe"), KIND._replace(dataset="Mnist5K"): Timing(50.0, "mainframe")}
    plan = plan_for(root, datasets=["digits", "mnist5k", "dtd"])
    train = [run for run in plan.runs.values() if not run.needs]
    estimate = Times(elsewhere).estimate(train, root)
    assert (estimate.seconds, estimate.rough, estimate.unknown) == (100 + 50 + 75, 1, 0)
    assert estimate.devices == {"mainframe"}
    times = Times(elsewhere)
    times.add(RECORD)
    times.add(RECORD, 30.0)
    assert times.of(train[0], root) == Timing(20.0, "abacus")
    everything = times.estimate(plan.runs.values(), root)
    assert everything.unknown == 3  # nothing is known about the tests


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        (['NAME: "Digits"  # ten of them'], "Digits"),
        (["NAME: Folder", 'PATH: "/a b/c"'], "my shapes"),
        (["NAME: Folder", "PATH: x", "TITLE: 'Shapes, all #2'"], "Shapes, all #2"),
        (["NAME: Folder", "PATH: ''", "TITLE: Shapes"], "Folder"),
        (["ROOT: /data"], "my shapes"),
    ],
)
def test_dataset_as_records_call_it(tmp_path: Path, lines: list[str], name: str) -> None:
    file = tmp_path / "my shapes.yaml"
    file.write_text("DATASET:\n" + "".join(f"  {line}\n" for line in lines))
    assert recorded_name(file) == name


def test_plan_tells_the_time(root: Path) -> None:
    arguments = ["base2new", "--methods", "MaPLe", "--datasets", "digits", "--config", "quickstart"]
    code, output = sweep(root, *arguments, "--seeds", "1", "--dry-run")
    assert code == 0
    sweep(root, *arguments, "--seeds", "1")
    plan = plan_for(root, seeds=[1, 2, 3])
    states, times = survey(plan)
    lines = plan_lines(plan, states, times, workers=2)
    assert lines[0].split() == ["runs", "complete", "missing"]
    assert lines[1].split() == ["base2new", "6", "2", "4"]
    assert lines[-1].startswith("time: about") and "2 at a time (as measured on abacus)" in lines[-1]
    assert states[next(iter(plan.runs))] is State.COMPLETE
    code, output = sweep(root, *arguments, "--seeds", "1", "2", "--dry-run")
    assert "base2new_test MaPLe digits, seed 2: missing, after base2new_train" in output
    assert "seed 1" not in output


def test_nothing_to_go_by(root: Path) -> None:
    plan = plan_for(root)
    states, times = survey(plan)
    assert plan_lines(plan, states, times, 1)[-1] == (
        "time: nothing like these 2 runs has been finished yet, so there is no estimate"
    )


def test_times_to_ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_world(tmp_path / "project")
    arguments = ["base2new", "--methods", "MaPLe", "ZeroshotCLIP", "--datasets", "digits", "--config", "quickstart"]
    sweep(root, *arguments)
    content = condense([root / "output"])
    assert {method: len(entries) for method, entries in content.items()} == {"MaPLe": 2, "ZeroshotCLIP": 2}  # no seeds
    shutil.rmtree(root / "configs" / "trainers" / "ZeroshotCLIP")
    monkeypatch.setattr(sys, "argv", ["times", str(root / "output")])
    assert main(root) == 0
    said = capsys.readouterr().out
    assert "2 kinds of runs written to" in said and "2 kinds of runs of ZeroshotCLIP left out" in said
    assert json.loads((root / "configs/trainers/MaPLe/times.json").read_text())["runs"] == content["MaPLe"]
    assert read_elsewhere(root) == {
        KIND: Timing(3.0, "abacus"),
        KIND._replace(eval_only=True, classes="new"): Timing(3.0, "abacus"),
    }
    other = plan_for(root, seeds=[4])
    _, times = survey(other)
    assert [times.of(run, root) for run in other.runs.values()] == [Timing(3.0, "abacus")] * 2
    monkeypatch.setattr(sys, "argv", ["times", str(tmp_path / "nothing")])
    assert main(root) == 2
    assert "no finished run below" in capsys.readouterr().err


def test_shipped_times_can_be_read() -> None:
    found = read_elsewhere()
    assert {kind.method for kind in found} >= {"MaPLe", "ZeroshotCLIP2"}
    assert all(timing.seconds > 0 for timing in found.values())
