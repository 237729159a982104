"""The contract of a run's folder: what is read of it, and what counts as part of a result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dassl.config import get_cfg_default
from dassl.records import (
    FREE_ON_RESUME,
    NOT_THE_RESULT,
    WEIGHT_FILES,
    changed_settings,
    nested_config,
    read_complete_record,
    read_record,
)
from dassl.records.settings import DATA_PATH, flat

from .test_imports import loaded_by

WHOLE: dict[str, Any] = {
    "schema_version": 1,
    "status": "complete",
    "method": "M",
    "config": {},
    "protocol": {},
    "data": {},
    "metrics": {"test": {"accuracy": 50.0}},
    "environment": {},
}


def test_without_torch() -> None:
    loaded = loaded_by("import dassl.records, dassl.records.question, dassl.records.marks")
    assert not loaded & {"torch", "numpy", "yacs", "PIL"}


def write(folder: Path, content: Any) -> Path:
    (folder / "run.json").write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return folder


def test_a_whole_record_is_read(tmp_path: Path) -> None:
    assert read_complete_record(tmp_path) is None and read_record(tmp_path) is None
    assert read_complete_record(write(tmp_path, WHOLE)) == WHOLE == read_record(tmp_path)
    older = {key: value for key, value in WHOLE.items() if key != "schema_version"}
    assert read_complete_record(write(tmp_path, older)) == older


def test_a_run_that_is_not_complete_has_no_record(tmp_path: Path) -> None:
    write(tmp_path, {**WHOLE, "status": "failed"})
    assert read_complete_record(tmp_path) is None and read_record(tmp_path) is None


DAMAGED = {
    "list": ("[]", "expected a run record, found a list"),
    "number": ("7", "found a int"),
    "half": ('{"status": "comp', "line 1"),
    "nothing": ("", "line 1"),
    "brackets": ("[" * 100_000, "nested too deep"),
    "status alone": ('{"status": "complete"}', "'method' is missing"),
    "newer": ({**WHOLE, "schema_version": 2}, "schema version 2"),
    "config": ({**WHOLE, "config": []}, "'config' is missing or not a dict"),
    "results": ({**WHOLE, "metrics": {"test": 3}}, "'metrics.test'"),
    "figure": ({**WHOLE, "metrics": {"test": {"accuracy": "88"}}}, "'metrics.test'"),
    "f1": ({**WHOLE, "metrics": {"test": {"accuracy": 8.0, "macro_f1": None}}}, "'metrics.test'"),
}


@pytest.mark.parametrize(("content", "told"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_record_is_one_sentence_or_none(tmp_path: Path, content: Any, told: str) -> None:
    write(tmp_path, content)
    with pytest.raises(ValueError, match=r"run\.json is damaged .*delete it, or use --force") as caught:
        read_complete_record(tmp_path)
    assert told in str(caught.value) and "\n" not in str(caught.value)
    assert read_record(tmp_path) is None


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(ValueError, match="is damaged"):
        read_complete_record(tmp_path)
    assert read_record(tmp_path) is None


def test_the_lists_of_keys_name_keys_that_there_are() -> None:
    known = dict(flat(nested_config(get_cfg_default())))
    of_datasets = {"DATASET.TITLE"}  # the datasets add it, as they do DATA_PATH
    assert {*FREE_ON_RESUME, *WEIGHT_FILES} - of_datasets <= known.keys()
    assert set(NOT_THE_RESULT) < set(FREE_ON_RESUME)  # what changes no result may differ in a continuation
    assert DATA_PATH not in known


values = st.one_of(st.integers(0, 2), st.lists(st.integers(0, 1), max_size=2), st.sampled_from(["", "a"]))
trees = st.dictionaries(st.sampled_from("AB"), st.dictionaries(st.sampled_from("XYZ"), values, max_size=3), max_size=2)


@given(trees, trees)
def test_settings_that_differ_are_told_as_a_comparison_by_hand_finds_them(old: dict, new: dict) -> None:
    keys = {f"{a}.{b}" for tree in (old, new) for a, node in tree.items() for b in node}
    by_hand = []
    for key in sorted(keys - {"A.X"}):
        a, b = key.split(".")
        pair = (old.get(a, {}).get(b), new.get(a, {}).get(b))
        if pair[0] != pair[1]:
            by_hand.append((key, *pair))
    assert list(changed_settings(old, new, ["A.X"])) == by_hand


def test_a_key_that_the_record_does_not_know_yet_counts_when_it_is_set() -> None:
    defaults = {"A": {"OLD": 1, "NEW": 2}}
    old = {"A": {"OLD": 1, "GONE": 5}}
    assert not list(changed_settings(old, defaults, (), defaults))
    assert list(changed_settings(old, {"A": {"OLD": 1, "NEW": 3}}, (), defaults)) == [("A.NEW", None, 3)]
    assert list(changed_settings(old, {"A": {"OLD": 4, "NEW": 2}}, (), defaults)) == [("A.OLD", 1, 4)]


def test_nodes_of_other_methods_do_not_count() -> None:
    old = {"TRAINER": {"NAME": "M", "M": {"N": 1}, "OTHER": {"N": 1}}}
    new = {"TRAINER": {"NAME": "K", "M": {"N": 2}, "OTHER": {"N": 2}}}
    changed = [key for key, _, _ in changed_settings(old, new, (), nodes=("M",))]
    assert changed == ["TRAINER.M.N", "TRAINER.NAME"]
    assert [key for key, _, _ in changed_settings(old, new, ())] == [
        "TRAINER.M.N",
        "TRAINER.NAME",
        "TRAINER.OTHER.N",
    ]
