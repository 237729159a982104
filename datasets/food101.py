"""Food101: 101 dishes."""

from __future__ import annotations

import random
from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY

from .base import Benchmark
from .facts import Counts, Download, Facts
from .listing import classes_from_folders
from .sources import bundle, split_download
from .splits import Split, three_way


@DATASET_REGISTRY.register()
class Food101(Benchmark):
    """Bossard, Guillaumin and Van Gool: Food-101 (ECCV 2014)."""

    template = "a photo of {}, a type of food."
    facts = Facts(
        stem="food101",
        folder="food-101",
        images="images",
        split_file="split_zhou_Food101.json",
        counts=Counts(classes=101, train=50_500, val=20_200, test=30_300),
        page="https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101/",
        licence="research use; see the page",
        downloads=(
            Download(
                file="food-101.tar.gz",
                urls=("http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz",),
                size=5_000_000_000,
                md5="85eeb15f3717b99a5da872d97d918f87",
                sha256="d97d15e438b7f4498f96086a4f7e2fa42a32f2712e87d3295441b2b6314053a4",
                moves=(("images", "images"),),
            ),
            split_download(
                "split_zhou_Food101.json",
                "1QK0tGi096I0Ba6kggatX1ee6dJFIcEJl",
                size=5_000_000,
                git_blob="39557040ee6501bd32aa8b5dfd75f7941a32f0a7",
            ),
        ),
        fallback=bundle("food101.zip", 5_010_000_000, "images"),
        notes="Split 50/20/30 (500/200/300 per class), not the official 750/250 lists.",
    )

    @classmethod
    def make_split(cls, folder: Path, rng: random.Random) -> Split:
        """50/20/30 per class, classes in plain string order."""
        return three_way(classes_from_folders(folder / cls.facts.images), rng)
