"""What was predicted for each test image, as a table."""

from __future__ import annotations

import csv
from collections.abc import Sequence

import torch

from dassl.utils.files import atomic_path

HEADER = ("impath", "label", "classname", "predicted", "predicted_classname", "probability")


class Predictions:
    """Collects predictions and writes them as CSV.

    Args:
        lab2cname: label to class name.
    """

    def __init__(self, lab2cname: dict[int, str]) -> None:
        self.lab2cname = lab2cname
        self.rows: list[tuple] = []

    def add(self, impaths: Sequence[str], labels: torch.Tensor, scores: torch.Tensor) -> None:
        """Add a batch.

        Args:
            impaths: image files.
            labels: true labels (batch,).
            scores: logits (batch, classes); the probability written is their softmax at the prediction.
        """
        best = scores.float().softmax(dim=1).max(dim=1)
        for path, label, chosen, probability in zip(
            impaths, labels.tolist(), best.indices.tolist(), best.values.tolist(), strict=True
        ):
            names = [self.lab2cname.get(index, str(index)) for index in (label, chosen)]
            self.rows.append((path, label, names[0], chosen, names[1], f"{probability:.6f}"))

    def write(self, path: str) -> None:
        """Write the table, whole or not at all."""
        with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(HEADER)
            writer.writerows(self.rows)
        print(f"Predictions saved to {path}")
