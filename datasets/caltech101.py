"""Caltech101: 100 classes of objects."""

from __future__ import annotations

import random
from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY

from .base import Benchmark
from .facts import Counts, Download, Facts
from .listing import classes_from_folders
from .sources import bundle, split_download
from .splits import Split, three_way

# Two folders are no class of their own: background clutter, and a second crop of the faces.
IGNORED = ("BACKGROUND_Google", "Faces_easy")
RENAMED = {"airplanes": "airplane", "Faces": "face", "Leopards": "leopard", "Motorbikes": "motorbike"}


@DATASET_REGISTRY.register()
class Caltech101(Benchmark):
    """Fei-Fei, Fergus and Perona: Learning generative visual models from few training examples (2004)."""

    facts = Facts(
        stem="caltech101",
        folder="caltech-101",
        images="101_ObjectCategories",
        split_file="split_zhou_Caltech101.json",
        counts=Counts(classes=100, train=4128, val=1649, test=2465),
        page="https://data.caltech.edu/records/mzrjq-6wc02",
        licence="CC BY 4.0",
        downloads=(
            Download(
                file="caltech-101.zip",
                urls=("https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip",),
                size=137_000_000,
                md5="3138e1922a9193bfa496528edbbc45d0",
                moves=(("101_ObjectCategories", "101_ObjectCategories"),),
                nested="101_ObjectCategories.tar.gz",
            ),
            split_download(
                "split_zhou_Caltech101.json",
                "1hyarUivQE36mY6jSomru6Fjd-JzwcCzN",
                size=809_184,
                md5="385cabeb25ebeebaa36167d7028ebc52",
                sha256="52ce83205ff8ff8a1a18119aad6376120ae35c36e783a984bc560cbf10e73fa5",
            ),
        ),
        fallback=bundle("caltech-101.zip", 143_000_000, "101_ObjectCategories"),
        notes="100 classes: the folders BACKGROUND_Google and Faces_easy are not used. The former address at "
        "vision.caltech.edu is gone; its 101_ObjectCategories.tar.gz lies inside the archive used now.",
    )

    @classmethod
    def make_split(cls, folder: Path, rng: random.Random) -> Split:
        """50/20/30 per class, classes in plain string order (capitals first)."""
        return three_way(classes_from_folders(folder / cls.facts.images, RENAMED, IGNORED), rng)
