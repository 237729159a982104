"""DescribableTextures: 47 kinds of texture."""

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
class DescribableTextures(Benchmark):
    """Cimpoi, Maji, Kokkinos, Mohamed and Vedaldi: Describing Textures in the Wild (CVPR 2014)."""

    template = "{} texture."
    facts = Facts(
        stem="dtd",
        folder="dtd",
        images="images",
        split_file="split_zhou_DescribableTextures.json",
        counts=Counts(classes=47, train=2820, val=1128, test=1692),
        page="https://www.robots.ox.ac.uk/~vgg/data/dtd/",
        licence="research use; see the page",
        downloads=(
            Download(
                file="dtd-r1.0.1.tar.gz",
                urls=("https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz",),
                size=625_000_000,
                md5="fff73e5086ae6bdbea199a49dfb8a4c1",
                sha256="e42855a52a4950a3b59612834602aa253914755c95b0cff9ead6d07395f8e205",
                moves=(("images", "images"),),
            ),
            split_download(
                "split_zhou_DescribableTextures.json",
                "1u3_QfB467jqHgNXC00UIzbLZRQCg2S7x",
                size=563_702,
                md5="02ff57f1bbd002a43320737a3ecbc113",
                sha256="f26ebeccd2b58e68d70f07a0dc39fe49bf7b69024bac34396b954dfd87969c38",
            ),
        ),
        fallback=bundle("dtd.zip", 626_000_000, "images"),
        notes="Split 50/20/30 (60/24/36 per class), not the ten official folds.",
    )

    @classmethod
    def make_split(cls, folder: Path, rng: random.Random) -> Split:
        """50/20/30 per class, classes in plain string order."""
        return three_way(classes_from_folders(folder / cls.facts.images), rng)
