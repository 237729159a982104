"""Run records: what is read, what is refused and how that is said."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reporting import cli
from reporting.records import Run, read_record, read_runs
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
        ({"metrics": {"test": {"accuracy": True}}}, "'metrics.test.accuracy' is True, not a percentage"),
        ({"metrics": {"test": {"accuracy": 80.0, "macro_f1": 1e308}}}, "'metrics.test.macro_f1' is 1e+308"),
        ({"metrics": {"test": [80.0]}}, "'metrics.test' is [80.0], not a dict"),
        ({"protocol": {"seed": True}}, "'protocol.seed' is missing or not an integer"),
        ({"protocol": {"seed": 1, "shots": "16"}}, "'protocol.shots' is '16', not an integer"),
        ({"protocol": {"seed": 1, "model_dir": 3}}, "'protocol.model_dir' is 3, not a folder"),
        ({"trainable_parameters": 10**400}, "'trainable_parameters' is 1000"),
        ({"dataset": "two\nlines"}, "'dataset' is 'two\\nlines', not a line of text"),
        ({"backbone": "\ud800"}, "'backbone' is '\\ud800', not a line of text"),
        ({"history": {"epoch": 1}}, "'history' is not a list"),
        ({"history": [{"loss": 1.0}]}, "'history' is {'loss': 1.0}, not an entry with its epoch"),
        ({"cost": {"train_seconds": "long"}}, "'cost.train_seconds' is 'long', not a number"),
        ({"environment": ["cpu"]}, "'environment' is not a dict"),
    ],
)
def test_an_unusable_record_says_what_is_wrong_and_what_to_do(tmp_path: Path, changes: dict, said: str) -> None:
    path = write_run(tmp_path, "MaPLe", "Digits", 80.0)
    change(path, **changes)
    with pytest.raises(ValueError, match="run that run again") as error:
        read_record(path)
    assert said in str(error.value) and str(path) in str(error.value)


BROKEN = {
    "half": (b"{", "damaged run record, not JSON at line 1"),
    "empty": (b"", "damaged run record, not JSON at line 1"),
    "empty list": (b"[]", "not a run record"),
    "list": (b"[1, 2]", "not a run record"),
    "string": (b'"run"', "not a run record"),
    "number": (b"3", "not a run record"),
    "null": (b"null", "not a run record"),
    "other JSON": (b'{"method": "MaPLe"}', "not a run record"),
    "brackets": (b"[" * 100_000, "nested too deeply to be read"),
    "braces": (b'{"a":' * 100_000, "nested too deeply to be read"),
    "digits": (b'{"schema_version": ' + b"1" * 5000 + b"}", "cannot be read (Exceeds the limit"),
    "no UTF-8": (b'{"method": "\xff"}', "cannot be read ('utf-8' codec"),
    "zeros": (bytes(1000), "damaged run record, not JSON at line 1"),
    "version": (b'{"schema_version": [[1]]}', "schema version [[1]]"),
}


@pytest.mark.parametrize(("content", "said"), BROKEN.values(), ids=BROKEN)
def test_a_damaged_file_is_refused_and_ends_no_report(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "bad" / "run.json"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(ValueError) as refused:
        read_record(path)
    assert said in str(refused.value) and str(refused.value).startswith(f"{path}: ")
    write_run(tmp_path / "good", "MaPLe", "Digits", 80.0)
    tree = read_runs(tmp_path)
    assert len(tree.runs) == 1 and tree.problems == [str(refused.value)]


def test_a_pipe_in_the_place_of_a_record_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "run.json")
    (problem,) = read_runs(tmp_path).problems
    assert "run.json: not a run record (no regular file)" in problem


def test_a_folder_that_cannot_be_read_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("closed", "open"):
        write_run(tmp_path / name, "MaPLe", "Digits", 80.0)
    scandir = os.scandir

    def refusing(folder: str) -> Any:
        if str(folder).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    tree = read_runs(tmp_path)
    assert [run.folder.name for run in tree.runs] == ["open"]
    assert tree.problems == [f"{tmp_path / 'closed'}: the folder cannot be read (Permission denied); make it readable"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(10**300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


def places(node: Any, above: tuple = ()) -> list[tuple]:
    """The keys that lead to every value of a record."""
    below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [(*above, key) for key, _ in below] + [p for key, value in below for p in places(value, (*above, key))]


@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_stands_in_a_record_the_report_is_made(tmp_path: Path, data: st.DataObject) -> None:
    """Any one value of a record replaced by any other: the run counts or is named, and the rest is reported."""
    node = {"TRAINER": {"IVLP": {"PROMPT_DEPTH_VISION": 0}}, "OPTIM": {"LR": 0.1}}
    base2new_run(tmp_path, "IVLP", "Digits", "train_base", 70.0, settings=node)
    path = base2new_run(tmp_path, "IVLP", "Digits", "train_base", 80.0, seed=2, settings=node)
    record = json.loads(path.read_text())
    *above, last = data.draw(st.sampled_from(places(record)))
    inner = record
    for key in above:
        inner = inner[key]
    inner[last] = data.draw(JSON)
    path.write_text(json.dumps(record))
    tree = read_runs(tmp_path)
    assert len(tree.runs) + len(tree.problems) == 2
    protocol = data.draw(st.sampled_from(["base2new", "ablation"]))
    words = [word for name in ("t.md", "t.tex", "t.json", "t.csv") for word in ("--output", str(tmp_path / name))]
    assert cli.main([protocol, str(tmp_path), *words]) == 0
    json.loads((tmp_path / "t.json").read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    if data.draw(st.integers(0, 19)) == 0:  # drawing takes its time
        page = ["--html", str(tmp_path / "t.html"), "--plot", str(tmp_path / "t.svg"), "--plot-kind", "history"]
        assert cli.main([protocol, str(tmp_path), *page]) == 0


def test_settings_by_name(tmp_path: Path) -> None:
    node = {"TRAINER": {"IVLP": {"DEPTH": 0}}, "OPTIM": ["LR"]}
    run: Run = read_record(write_run(tmp_path, "IVLP", "Digits", 80.0, settings=node))
    assert run.setting("TRAINER", "IVLP", "DEPTH") == 0 and run.setting("TRAINER", "IVLP") == {"DEPTH": 0}
    assert run.setting("TRAINER", "VPT", "DEPTH") is None and run.setting("OPTIM", "LR") is None


@pytest.mark.parametrize(("levels", "is_read"), [(50, True), (51, False)])
def test_settings_are_read_to_a_depth_that_none_has(tmp_path: Path, levels: int, is_read: bool) -> None:
    nested: Any = 1
    for level in range(levels):
        nested = [nested] if level % 2 and level < levels - 1 else {"a": nested}
    write_run(tmp_path, "MaPLe", "Digits", 80.0, settings=nested)
    tree = read_runs(tmp_path)
    assert len(tree.runs) == is_read
    assert is_read or "'config' is nested too deeply" in tree.problems[0]


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
