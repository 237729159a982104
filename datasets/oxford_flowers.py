"""OxfordFlowers: 102 kinds of flowers."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np

from dassl.data.datasets import DATASET_REGISTRY

from .base import Benchmark, required_file
from .facts import Counts, Download, Facts
from .sources import split_download
from .splits import Split, three_way
from .text import read_text

_HOST = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102"


@DATASET_REGISTRY.register()
class OxfordFlowers(Benchmark):
    """Nilsback and Zisserman: Automated flower classification over a large number of classes (ICVGIP 2008)."""

    template = "a photo of a {}, a type of flower."
    facts = Facts(
        stem="oxford_flowers",
        folder="oxford_flowers",
        images="jpg",
        split_file="split_zhou_OxfordFlowers.json",
        counts=Counts(classes=102, train=4093, val=1633, test=2463),
        page="https://www.robots.ox.ac.uk/~vgg/data/flowers/102/",
        licence="not stated; see the page",
        downloads=(
            Download(
                file="102flowers.tgz",
                urls=(f"{_HOST}/102flowers.tgz",),
                size=345_000_000,
                md5="52808999861908f626f3c1f4e79d11fa",
                moves=(("jpg", "jpg"),),
            ),
            split_download(
                "split_zhou_OxfordFlowers.json",
                "1Pp0sRXzZFZq15zVOzKjKBu4A9i01nozT",
                size=771_139,
                md5="cfeaf0508c398ca993bf48ca5f034569",
                sha256="2f50c42fc1a17ca13c271cb4269b1347bdb43d2be672e34f74a4e4cbfbcca794",
            ),
        ),
        raw=(
            Download(
                file="imagelabels.mat",
                urls=(f"{_HOST}/imagelabels.mat",),
                size=502,
                md5="e0620be6f572b9609742df49c70aed4d",
                kind="file",
                moves=(("imagelabels.mat", "imagelabels.mat"),),
            ),
            split_download(
                "cat_to_name.json",
                "1AkcxCXeK_RCGCEC_GvmWxjcjaNhu-at0",
                size=2_212,
                md5="e9e30ddad249c414268af3d43f0a4222",
                sha256="0469f1ad7fe0072d98155c49aa58649d998edbbe3326229003aa5f7228525236",
            ),
        ),
        notes="Split 50/20/30, not Oxford's own lists (setid.mat), so numbers differ from papers that use those.",
    )

    @classmethod
    def make_split(cls, folder: Path, rng: random.Random) -> Split:
        """50/20/30 per class, classes in the order in which they first occur in the label file."""
        from scipy.io import loadmat

        labels = np.ravel(loadmat(required_file("oxford_flowers", folder / "imagelabels.mat", raw=True))["labels"])
        names = json.loads(read_text(required_file("oxford_flowers", folder / "cat_to_name.json", raw=True)))
        files: dict[int, list[str]] = {}
        for i, label in enumerate(labels, start=1):
            files.setdefault(int(label), []).append(f"image_{i:05d}.jpg")
        return three_way([(label - 1, names[str(label)], paths) for label, paths in files.items()], rng)
