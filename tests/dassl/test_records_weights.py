"""Which checkpoint is meant, and whether the weights of a record are those of now."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from dassl.records import checkpoint_name, weights_of
from dassl.records.weights import changed_weights, trained_since

from .test_records import WHOLE


def model(run: Path, *names: str, pointer: str = "") -> Path:
    """A run's folder with checkpoints of the model "net"; each file holds its own name."""
    folder = run / "net"
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(name)
    if pointer:
        (folder / "checkpoint").write_text(f"{pointer}\n")
    return folder


CHOICES = {
    "best": (["model-best.pth.tar", "model.pth.tar-5"], "model.pth.tar-5", None, "model-best.pth.tar"),
    "pointer": (["model.pth.tar-5", "model.pth.tar-10"], "model.pth.tar-5", None, "model.pth.tar-5"),
    "newest": (["model.pth.tar-5", "model.pth.tar-10"], "", None, "model.pth.tar-10"),
    "pointer to nothing": (["model.pth.tar-5"], "model.pth.tar-7", None, "model.pth.tar-5"),
    "epoch": (["model-best.pth.tar", "model.pth.tar-5"], "model.pth.tar-5", 5, "model.pth.tar-5"),
    "epoch that is not there": (["model.pth.tar-5"], "model.pth.tar-5", 4, None),
    "other files": (["model.pth.tar-5.part", "notes"], "", None, None),
    "nothing": ([], "", None, None),
}


@pytest.mark.parametrize(("names", "pointer", "epoch", "meant"), CHOICES.values(), ids=CHOICES)
def test_which_checkpoint_is_meant(
    tmp_path: Path, names: list[str], pointer: str, epoch: int | None, meant: str | None
) -> None:
    assert checkpoint_name(model(tmp_path, *names, pointer=pointer), epoch) == meant


def test_no_folder_and_a_pointer_of_bytes(tmp_path: Path) -> None:
    assert checkpoint_name(tmp_path / "none") is None
    (model(tmp_path, "model.pth.tar-2") / "checkpoint").write_bytes(b"\xff\xfe")
    assert checkpoint_name(tmp_path / "net") == "model.pth.tar-2"
    (tmp_path / "net" / "checkpoint").write_text("\n")
    assert checkpoint_name(tmp_path / "net") == "model.pth.tar-2"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run of five epochs, with its record."""
    folder = tmp_path / "run"
    model(folder, "model.pth.tar-5", pointer="model.pth.tar-5")
    (folder / "run.json").write_text(json.dumps({**WHOLE, "end_utc": "2024-01-01T10:00:00+00:00"}))
    return folder


@pytest.fixture
def old(run: Path) -> dict[str, Any]:
    """What a record of that run's test says."""
    return weights_of(str(run), [run / "net" / "model.pth.tar-5"])


def test_what_is_recorded(run: Path, old: dict[str, Any]) -> None:
    digest = hashlib.sha256(b"model.pth.tar-5").hexdigest()
    record = hashlib.sha256((run / "run.json").read_bytes()).hexdigest()
    assert old == {"files": {"net/model.pth.tar-5": digest}, "run": record}
    assert weights_of(str(run), []) == {}
    (run / "run.json").unlink()
    assert weights_of(str(run), [run / "net" / "model.pth.tar-5"])["run"] is None


def changed(old: dict[str, Any], place: Path, epoch: int | None = None) -> list[str]:
    return list(changed_weights(old, str(place), epoch))


def test_the_same_wherever_they_lie(run: Path, old: dict[str, Any]) -> None:
    moved = run.with_name("moved")
    shutil.move(run, moved)
    assert changed(old, moved) == changed(old, moved, 5) == []
    assert changed(old, moved / "net") == []  # the model's own folder
    assert changed(old, moved / "net" / "model.pth.tar-5") == []  # the file itself


def test_trained_again(run: Path, old: dict[str, Any]) -> None:
    (run / "net" / "model.pth.tar-5").write_text("other weights")
    assert changed(old, run) == ["the weights model.pth.tar-5 have changed: trained again since"]
    assert changed(old, run / "net" / "model.pth.tar-5") != []


def test_another_checkpoint_is_meant_now(run: Path, old: dict[str, Any]) -> None:
    model(run, "model.pth.tar-8", pointer="model.pth.tar-8")
    assert changed(old, run) == ["weights: model.pth.tar-5 → model.pth.tar-8"]
    assert changed(old, run, 5) == [] and changed(old, run, 8) == ["weights: model.pth.tar-5 → model.pth.tar-8"]
    (run / "net" / "model.pth.tar-8").write_text("model.pth.tar-5")  # what counts is what is in it
    assert changed(old, run) == []


def test_weights_that_are_gone_count_by_the_run_that_made_them(run: Path, old: dict[str, Any]) -> None:
    shutil.rmtree(run / "net")
    assert changed(old, run) == changed(old, run, 5) == []
    assert changed(old, run, 4) == [f"the weights model.pth.tar-5 are no longer in {run / 'net'}"]
    assert changed({**old, "run": None}, run) != []
    (run / "run.json").write_text(json.dumps({**WHOLE, "end_utc": "2024-01-02T10:00:00+00:00"}))
    assert changed(old, run) == [f"the weights model.pth.tar-5 are no longer in {run / 'net'}"]
    shutil.rmtree(run)
    assert changed(old, run) != []


def test_records_that_do_not_say_which_weights(run: Path, tmp_path: Path) -> None:
    assert not trained_since({"end_utc": "2024-01-01T10:00:00+00:00"}, str(run))
    assert trained_since({"end_utc": "2024-01-01T09:59:59+00:00"}, str(run))
    assert trained_since({}, str(run)) and not trained_since({}, str(tmp_path / "none"))
    os.remove(run / "run.json")
    assert not trained_since({}, str(run))
