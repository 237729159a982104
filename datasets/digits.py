"""Digits: the 8x8 handwritten digits inside scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np

from dassl.data.datasets import DATASET_REGISTRY

from .facts import Counts, Facts
from .packaged import PackagedDigits


@DATASET_REGISTRY.register()
class Digits(PackagedDigits):
    """1,797 images of ten digits, 8x8 pixels with 17 grey levels (UCI Optical Recognition of Handwritten Digits)."""

    package = "scikit-learn"
    facts = Facts(
        stem="digits",
        folder="digits",
        images="images",
        split_file="split_maple_Digits.json",
        counts=Counts(classes=10, train=898, val=359, test=540),
        page="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
        licence="CC BY 4.0",
        notes="Comes with scikit-learn; written as PNG on first use.",
    )

    @classmethod
    def load_arrays(cls) -> tuple[Any, Any]:
        """scikit-learn's `load_digits`, its levels 0 to 16 spread over 0 to 255."""
        from sklearn.datasets import load_digits

        bunch = load_digits()
        return np.rint(bunch.images * (255 / 16)).astype(np.uint8), bunch.target
