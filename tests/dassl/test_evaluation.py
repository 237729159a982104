"""Accuracy and the evaluator, against scikit-learn and by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score

from dassl.config import get_cfg_default
from dassl.evaluation import EVALUATOR_REGISTRY, Classification, build_evaluator
from dassl.metrics import compute_accuracy

NAMES = {0: "cat", 1: "dog", 2: "owl"}


def evaluator(output: Path | None = None, **options: Any) -> Classification:
    cfg = get_cfg_default()
    cfg.OUTPUT_DIR = str(output)
    cfg.merge_from_list([x for key, value in options.items() for x in (f"TEST.{key}", value)])
    return build_evaluator(cfg, lab2cname=NAMES)


def scores(predicted: list[int], classes: int = 3) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(predicted), classes).float()


def test_compute_accuracy() -> None:
    output = torch.tensor([[0.1, 0.9, 0.0], [0.5, 0.2, 0.3], [0.3, 0.3, 0.4], [0.6, 0.3, 0.1]])
    target = torch.tensor([1, 2, 0, 1])
    top1, top2, top9 = compute_accuracy(output, target, topk=(1, 2, 9))
    assert top1.shape == (1,) and top1.item() == 25.0 and top2.item() >= 75.0 and top9.item() == 100.0
    assert compute_accuracy((output, None), target)[0].item() == 25.0
    assert compute_accuracy(output.double().requires_grad_(), target)[0].requires_grad is False


def test_printed_result(capsys: pytest.CaptureFixture) -> None:
    judge = evaluator(PER_CLASS_RESULT=True)
    judge.process(scores([0] * 1000 + [1] * 234), torch.tensor([0] * 1000 + [1] * 200 + [2] * 34))
    results = judge.evaluate()
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:7] == [
        "=> result",
        "* total: 1,234",
        "* correct: 1,200",
        "* accuracy: 97.2%",
        "* error: 2.8%",
        "* macro_f1: 64.1%",
    ]
    assert "* class: 2 (owl)\ttotal: 34\tcorrect: 0\tacc: 0.0%" in lines and lines[-1] == "* average: 66.7%"
    assert list(results) == ["accuracy", "error_rate", "macro_f1", "perclass_accuracy"]
    assert results["accuracy"] == pytest.approx(100 * 1200 / 1234)


def test_full_precision_is_always_kept(capsys: pytest.CaptureFixture) -> None:
    judge = evaluator()
    judge.process(scores([0, 1, 1]), torch.tensor([0, 0, 1]))
    assert list(judge.evaluate()) == ["accuracy", "error_rate", "macro_f1"]
    assert "per-class" not in capsys.readouterr().out
    full = judge.full_result
    assert full is not None and full["accuracy"] == pytest.approx(200 / 3)
    assert (full["total"], full["correct"]) == (3, 2)
    assert full["per_class"] == [
        {"label": 0, "classname": "cat", "accuracy": 50.0, "total": 2},
        {"label": 1, "classname": "dog", "accuracy": 100.0, "total": 1},
    ]


@given(
    pairs=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=60), batch=st.integers(1, 20)
)
@settings(max_examples=60, deadline=None)
def test_against_scikit_learn(pairs: list[tuple[int, int]], batch: int) -> None:
    true, predicted = map(list, zip(*pairs, strict=True))
    judge = evaluator()
    for i in range(0, len(pairs), batch):
        judge.process(scores(predicted[i : i + batch], 6), torch.tensor(true[i : i + batch]))
    results = judge.evaluate()
    expected = 100 * f1_score(true, predicted, average="macro", labels=np.unique(true), zero_division=0)
    assert results["macro_f1"] == pytest.approx(expected)
    assert results["accuracy"] == pytest.approx(100 * np.mean(np.equal(true, predicted)))
    assert results["accuracy"] + results["error_rate"] == pytest.approx(100)


def test_confusion_matrix(tmp_path: Path) -> None:
    true, predicted = [0, 0, 0, 1, 2], [0, 1, 0, 1, 0]
    judge = evaluator(tmp_path, COMPUTE_CMAT=True)
    judge.process(scores(predicted), torch.tensor(true))
    judge.evaluate()
    saved = torch.load(tmp_path / "cmat.pt", weights_only=True)
    assert np.allclose(saved.numpy(), confusion_matrix(true, predicted, normalize="true"))


def test_reset_and_refusals() -> None:
    judge = evaluator()
    judge.process(scores([0]), torch.tensor([1]))
    judge.reset()
    with pytest.raises(ValueError, match="nothing was evaluated"):
        judge.evaluate()
    with pytest.raises(FloatingPointError, match="output is NaN after 0 images"):
        judge.process(torch.tensor([[float("nan"), 1.0]]), torch.tensor([0]))
    cfg = get_cfg_default()
    cfg.TEST.PER_CLASS_RESULT = True
    with pytest.raises(ValueError, match="needs the class names"):
        build_evaluator(cfg)
    cfg.TEST.EVALUATOR = "Clasification"
    with pytest.raises(ValueError, match="did you mean 'Classification'"):
        build_evaluator(cfg)
    assert "Classification" in EVALUATOR_REGISTRY.registered_names()
