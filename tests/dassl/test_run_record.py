"""run.json and predictions.csv."""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dassl.engine import run_record
from dassl.engine.run_record import build_run_record, git_commit, write_run_record
from dassl.records import digests_of

from .world import Tiny, config, run, write_images

KEYS = {
    "schema_version": int,
    "status": str,
    "method": str,
    "dataset": str,
    "backbone": str,
    "protocol": {"shots", "subsample_classes", "seed", "epoch_loaded", "model_dir", "eval_only", "config"},
    "config": dict,
    "config_digest": str,
    "data": {"num_classes", "classnames", "num_train", "num_val", "num_test", "fewshot_digest", "digests"},
    "weights": dict,
    "files": dict,
    "metrics": dict,
    "history": list,
    "trainable_parameters": int,
    "cost": {
        *("train_seconds", "eval_seconds", "seconds_per_step", "images_per_second"),
        *("peak_rss_bytes", "peak_cuda_bytes"),
    },
    "environment": {"python", "torch", "device", "device_name", "git_commit", "command"},
    "start_utc": str,
    "end_utc": str,
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_images(folder)
    return folder


def read(output: Path) -> dict[str, Any]:
    return json.loads((output / "run.json").read_text(encoding="utf-8"))


def test_schema(root: Path, tmp_path: Path) -> None:
    trainer = run(config(root, tmp_path / "out", "DATASET.NUM_SHOTS", 4))
    record = read(tmp_path / "out")
    assert record.keys() == KEYS.keys()
    for key, kind in KEYS.items():
        if isinstance(kind, set):
            assert record[key].keys() == kind
        else:
            assert isinstance(record[key], kind)
    assert (record["schema_version"], record["status"], record["method"]) == (1, "complete", "Tiny")
    assert (
        record["protocol"]["shots"] == 4 and record["protocol"]["seed"] == 1 and record["protocol"]["config"] == "tiny"
    )
    assert record["data"]["classnames"] == ["red", "green", "blue"] and record["data"]["num_train"] == 12
    assert record["config"]["INPUT"]["SIZE"] == [8, 8]
    digest = hashlib.sha256(json.dumps(record["config"], sort_keys=True).encode()).hexdigest()[:12]
    assert record["config_digest"] == digest
    assert set(record["metrics"]) == {"test"}
    result = record["metrics"]["test"]
    assert result.keys() == {"accuracy", "error_rate", "macro_f1", "total", "correct", "per_class"}
    assert result["accuracy"] == 100 * result["correct"] / result["total"]
    assert [c["classname"] for c in result["per_class"]] == ["red", "green", "blue"]
    assert [e.keys() for e in record["history"]] == [{"epoch", "loss", "acc", "lr", "seconds"}] * 3
    assert record["trainable_parameters"] == 579
    cost = record["cost"]
    assert cost["peak_cuda_bytes"] is None and cost["peak_rss_bytes"] > 10**7 and cost["eval_seconds"] > 0
    assert cost["seconds_per_step"] == pytest.approx(cost["train_seconds"] / 9)
    assert cost["images_per_second"] == pytest.approx(36 / cost["train_seconds"])
    assert record["start_utc"] <= record["end_utc"] and record["start_utc"].endswith("+00:00")
    assert trainer.history == record["history"]


def test_evaluation_only(root: Path, tmp_path: Path) -> None:
    run(config(root, tmp_path / "first"))
    trainer = Tiny(config(root, tmp_path / "out"))
    trainer.load_model(str(tmp_path / "first"), epoch=3)
    trainer.test()
    path = write_run_record(trainer, "stem", eval_only=True, model_dir=str(tmp_path / "first"), load_epoch=3)
    record = read(tmp_path / "out")
    assert path == tmp_path / "out" / "run.json"
    assert record["protocol"]["eval_only"] and record["protocol"]["epoch_loaded"] == 3
    assert record["protocol"]["model_dir"].endswith("first")
    assert record["history"] == [] and record["cost"]["train_seconds"] is None
    assert record["metrics"] == read(tmp_path / "first")["metrics"]


def test_own_attributes_of_the_dataset(root: Path, tmp_path: Path) -> None:
    trainer = Tiny(config(root, tmp_path / "out"))
    trainer.dm.dataset.fewshot_digest = "abc"
    trainer.test()
    record = build_run_record(trainer, eval_only=True)
    assert record["data"]["fewshot_digest"] == "abc" and record["protocol"]["subsample_classes"] == "all"


def test_which_data_and_weights(root: Path, tmp_path: Path) -> None:
    trainer = Tiny(config(root, tmp_path / "out"))
    at_the_start = digests_of(trainer.dm.dataset)
    assert set(at_the_start) == {"train_x", "val", "test"}
    trainer.test()
    trainer.dm.dataset._train_x = trainer.dm.dataset.train_x[::-1]
    weights = {"files": {"net/model.pth.tar-3": "ab"}, "run": None}
    record = build_run_record(trainer, eval_only=True, weights=weights, files={"MODEL.INIT_WEIGHTS": "cd"})
    assert record["data"]["digests"] == at_the_start  # of what was trained on, whatever came after
    assert record["weights"] == weights and record["files"] == {"MODEL.INIT_WEIGHTS": "cd"}


def test_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(code: int, text: str) -> Any:
        return lambda *args, **more: subprocess.CompletedProcess(args, code, text, "")

    monkeypatch.setattr(run_record.subprocess, "run", answers(0, "0123abc\n"))
    assert git_commit() == "0123abc"
    monkeypatch.setattr(run_record.subprocess, "run", answers(128, ""))
    assert git_commit() is None

    def missing(*args: Any, **more: Any) -> Any:
        raise FileNotFoundError("git")

    monkeypatch.setattr(run_record.subprocess, "run", missing)
    assert git_commit() is None


def test_predictions(root: Path, tmp_path: Path) -> None:
    trainer = run(config(root, tmp_path / "out", "TEST.SAVE_PREDICTIONS", True))
    with open(tmp_path / "out" / "predictions.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24
    assert list(rows[0]) == ["impath", "label", "classname", "predicted", "predicted_classname", "probability"]
    hits = sum(row["label"] == row["predicted"] for row in rows)
    assert hits == trainer.results["test"]["correct"]
    assert all(Path(row["impath"]).name.startswith(row["classname"]) for row in rows)
    assert all(1 / 3 <= float(row["probability"]) <= 1 for row in rows)
