"""Accuracy, error rate, macro F1 and per-class accuracy of a split."""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import Any

import numpy as np
import torch

from dassl.utils import distributed
from dassl.utils.checkpoint import save_torch

from .build import EVALUATOR_REGISTRY


class EvaluatorBase:
    """What an evaluator looks like.

    Args:
        cfg: the config.
    """

    def __init__(self, cfg: Any) -> None:
        self.cfg = cfg

    def reset(self) -> None:
        """Forget what was processed."""
        raise NotImplementedError

    def process(self, mo: Any, gt: Any) -> None:
        """Take in a batch: model output and labels."""
        raise NotImplementedError

    def evaluate(self) -> OrderedDict[str, float]:
        """Print and return the result of all batches since `reset`."""
        raise NotImplementedError


@EVALUATOR_REGISTRY.register()
class Classification(EvaluatorBase):
    """Single-label classification.

    Args:
        cfg: the config; its TEST section is read.
        lab2cname: label to class name, for per-class results.

    Attributes:
        full_result: after `evaluate`, all numbers at full precision: ``accuracy``, ``error_rate``, ``macro_f1`` in
            percent, ``total``, ``correct``, and ``per_class``, a list of ``label, classname, accuracy, total``.
            None before.
    """

    def __init__(self, cfg: Any, lab2cname: dict[int, str] | None = None, **kwargs: Any) -> None:
        super().__init__(cfg)
        if cfg.TEST.PER_CLASS_RESULT and lab2cname is None:
            raise ValueError("TEST.PER_CLASS_RESULT needs the class names (lab2cname)")
        self._lab2cname = lab2cname
        self.full_result: dict[str, Any] | None = None
        self.reset()

    def reset(self) -> None:
        """Forget what was processed."""
        self._correct = 0
        self._total = 0
        self._y_true: list[int] = []
        self._y_pred: list[int] = []

    def process(self, mo: torch.Tensor, gt: torch.Tensor) -> None:
        """Take in a batch.

        Args:
            mo: scores (batch, classes).
            gt: labels (batch,).

        Raises:
            FloatingPointError: a score is NaN, so that no class can be called the largest.
        """
        if torch.isnan(mo).any():
            raise FloatingPointError(f"the model's output is NaN after {self._total} images of the evaluation")
        pred = mo.max(1)[1]
        self._correct += int(pred.eq(gt).sum().item())
        self._total += gt.shape[0]
        self._y_true.extend(gt.tolist())
        self._y_pred.extend(pred.tolist())

    def evaluate(self) -> OrderedDict[str, float]:
        """Print the result and return it.

        Returns:
            ``accuracy``, ``error_rate``, ``macro_f1`` and, with PER_CLASS_RESULT, ``perclass_accuracy``; in percent.

        Raises:
            ValueError: nothing was processed.
        """
        y_true = np.array(distributed.gather_list(self._y_true), dtype=np.int64)
        y_pred = np.array(distributed.gather_list(self._y_pred), dtype=np.int64)
        if not len(y_true):
            raise ValueError("nothing was evaluated: no batch was processed since the last reset")
        matrix = confusion(y_true, y_pred)
        full = self.full_result = self._numbers(matrix)
        results: OrderedDict[str, float] = OrderedDict(
            (name, full[name]) for name in ("accuracy", "error_rate", "macro_f1")
        )
        print("=> result")
        print(f"* total: {full['total']:,}")
        print(f"* correct: {full['correct']:,}")
        print(f"* accuracy: {full['accuracy']:.1f}%")
        print(f"* error: {full['error_rate']:.1f}%")
        print(f"* macro_f1: {full['macro_f1']:.1f}%")
        if self.cfg.TEST.PER_CLASS_RESULT:
            results["perclass_accuracy"] = self._print_per_class(full["per_class"])
        if self.cfg.TEST.COMPUTE_CMAT and distributed.is_main_process():
            rows = matrix.sum(axis=1, keepdims=True)
            path = os.path.join(self.cfg.OUTPUT_DIR, "cmat.pt")
            save_torch(torch.from_numpy(matrix / np.maximum(rows, 1)), path)
            print(f"Confusion matrix (rows: true class, each summing to 1) saved to {path}")
        return results

    def _numbers(self, matrix: np.ndarray) -> dict[str, Any]:
        total, correct = int(matrix.sum()), int(np.trace(matrix))
        images = matrix.sum(axis=1)
        accuracy = 100.0 * correct / total
        per_class = [
            {
                "label": int(label),
                "classname": (self._lab2cname or {}).get(int(label), str(label)),
                "accuracy": 100.0 * int(matrix[label, label]) / int(images[label]),
                "total": int(images[label]),
            }
            for label in np.flatnonzero(images)
        ]
        return {
            "accuracy": accuracy,
            "error_rate": 100.0 - accuracy,
            "macro_f1": macro_f1(matrix),
            "total": total,
            "correct": correct,
            "per_class": per_class,
        }

    @staticmethod
    def _print_per_class(per_class: list[dict[str, Any]]) -> float:
        print("=> per-class result")
        for entry in per_class:
            correct = round(entry["accuracy"] * entry["total"] / 100)
            print(
                f"* class: {entry['label']} ({entry['classname']})\ttotal: {entry['total']:,}\t"
                f"correct: {correct:,}\tacc: {entry['accuracy']:.1f}%"
            )
        average = float(np.mean([entry["accuracy"] for entry in per_class]))
        print(f"* average: {average:.1f}%")
        return average


def confusion(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    """Counts (classes, classes): rows are true labels, columns predicted ones."""
    size = int(max(y_true.max(), y_pred.max())) + 1
    return np.bincount(y_true * size + y_pred, minlength=size * size).reshape(size, size)


def macro_f1(matrix: np.ndarray) -> float:
    """Mean F1 over the classes that occur as true labels, in percent.

    F1 = 2 hits / (images + predictions) of a class; a class never predicted has 0.
    """
    images, predictions = matrix.sum(axis=1), matrix.sum(axis=0)
    there = images > 0
    f1 = 2.0 * np.diag(matrix)[there] / (images + predictions)[there]
    return 100.0 * float(f1.mean())
