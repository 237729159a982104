"""StanfordCars: 196 models of cars."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np

from dassl.data.datasets import DATASET_REGISTRY

from .base import Benchmark, required_file
from .facts import Counts, Download, Facts
from .sources import bundle, split_download
from .splits import Item, Split, carve_val

_HOST = "http://ai.stanford.edu/~jkrause"
_GONE = (
    "Stanford's server no longer serves it (since 2023). Download the set rickyyyyyyy/torchvision-stanford-cars from "
    "https://www.kaggle.com/datasets/rickyyyyyyy/torchvision-stanford-cars (about 2 GB, needs an account), put the zip "
    "into the dataset's folder as stanford_cars.zip, and run this command again"
)


@DATASET_REGISTRY.register()
class StanfordCars(Benchmark):
    """Krause, Stark, Deng and Fei-Fei: 3D Object Representations for Fine-Grained Categorization (ICCVW 2013)."""

    facts = Facts(
        stem="stanford_cars",
        folder="stanford_cars",
        images=".",
        image_folders=("cars_train", "cars_test"),
        split_file="split_zhou_StanfordCars.json",
        counts=Counts(classes=196, train=6509, val=1635, test=8041),
        page="https://github.com/pytorch/vision/issues/7545",
        licence="non-commercial research",
        downloads=(
            Download(
                file="cars_train.tgz",
                urls=(f"{_HOST}/car196/cars_train.tgz",),
                size=979_000_000,
                md5="065e5b463ae28d29e77c1b4b166cfe61",
                sha256="b97deb463af7d58b6bfaa18b2a4de9829f0f79e8ce663dfa9261bf7810e9accd",
                moves=(("cars_train", "cars_train"),),
                login=_GONE,
            ),
            Download(
                file="cars_test.tgz",
                urls=(f"{_HOST}/car196/cars_test.tgz",),
                size=977_000_000,
                md5="4ce7ebf6a94d07f1952d94dd34c4d501",
                sha256="bffea656d6f425cba3c91c6d83336e4c5f86c6cffd8975b0f375d3a10da8e243",
                moves=(("cars_test", "cars_test"),),
                login=_GONE,
            ),
            split_download(
                "split_zhou_StanfordCars.json",
                "1ObCFbaAgVu0I-k_Au-gIUcefirdAuizT",
                size=1_855_652,
                md5="91255fab2e15280e6d9d9d24cc87efdb",
                sha256="40acee7aa65c8e4727a32d90e884b7c3f8960b523422317e163f7af65432959d",
            ),
        ),
        fallback=bundle("stanford_cars.zip", 2_000_000_000, "cars_train", "cars_test"),
        raw=(
            Download(
                file="car_devkit.tgz",
                urls=(
                    "https://github.com/pytorch/vision/files/11644847/car_devkit.tgz",
                    "https://ai.stanford.edu/~jkrause/cars/car_devkit.tgz",
                ),
                size=331_000,
                md5="c3b158d763b6e2245038c8ad08e45376",
                sha256="512b227b30e2f0a8aab9e09485786ab4479582073a144998da74d64b801fd288",
                moves=(("devkit", "devkit"),),
            ),
            Download(
                file="cars_test_annos_withlabels.mat",
                urls=(f"{_HOST}/car196/cars_test_annos_withlabels.mat",),
                size=186_000,
                md5="b0a2b23655a3edd16d84508592a98d10",
                sha256="790f75be8ea34eeded134cc559332baf23e30e91367e9ddca97d26ed9b895f05",
                kind="file",
                moves=(("cars_test_annos_withlabels.mat", "cars_test_annos_withlabels.mat"),),
                login=_GONE,
            ),
        ),
        notes="Stanford's server no longer serves the archives; prepare tries a repackaged copy and says how to get "
        "another. The devkit's own cars_test_annos.mat has no classes: only cars_test_annos_withlabels.mat has.",
    )

    @classmethod
    def make_split(cls, folder: Path, rng: random.Random) -> Split:
        """Official test list; 20 percent of the official training list as val."""
        names = [year_first(str(name)) for name in _mat(folder / "devkit" / "cars_meta.mat", "class_names")]
        train = _annotations(folder / "devkit" / "cars_train_annos.mat", "cars_train", names)
        test = _annotations(folder / "cars_test_annos_withlabels.mat", "cars_test", names)
        return Split(*carve_val(train, rng), test)


def year_first(name: str) -> str:
    """ "Audi TTS Coupe 2012" → "2012 Audi TTS Coupe"."""
    *words, year = name.split(" ")
    return " ".join([year, *words])


def _mat(file: Path, variable: str) -> Any:
    from scipy.io import loadmat

    content = loadmat(required_file("stanford_cars", file, raw=True), squeeze_me=True)
    if variable not in content:
        raise ValueError(f"{file}: expected the variable {variable!r}")
    return np.atleast_1d(content[variable])


def _annotations(file: Path, images: str, names: list[str]) -> list[Item]:
    annotations = _mat(file, "annotations")
    if "class" not in (annotations.dtype.names or ()):
        raise ValueError(f"{file} has no classes: it is the devkit's file without labels; get the one with labels")
    labels = [int(entry["class"]) - 1 for entry in annotations]
    return [
        Item(f"{images}/{entry['fname']}", label, names[label])
        for entry, label in zip(annotations, labels, strict=True)
    ]
