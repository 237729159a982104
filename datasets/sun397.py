"""SUN397: 397 scenes."""

from __future__ import annotations

import random
from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY

from .base import Benchmark, required_file
from .facts import Counts, Download, Facts
from .sources import split_download
from .splits import Item, Split, carve_val
from .text import read_text


@DATASET_REGISTRY.register()
class SUN397(Benchmark):
    """Xiao, Hays, Ehinger, Oliva and Torralba: SUN database (CVPR 2010)."""

    facts = Facts(
        stem="sun397",
        folder="sun397",
        images="SUN397",
        split_file="split_zhou_SUN397.json",
        counts=Counts(classes=397, train=15_880, val=3970, test=19_850),
        page="https://vision.princeton.edu/projects/2010/SUN/",
        licence="research use; see the page",
        downloads=(
            Download(
                file="SUN397.tar.gz",
                urls=(
                    "https://huggingface.co/zhengli97/SUN397_Dataset/resolve/main/SUN397.tar.gz",
                    "http://vision.princeton.edu/projects/2010/SUN/SUN397.tar.gz",
                ),
                size=39_000_000_000,
                md5="8ca2778205c41d23104230ba66911c7a",
                sha256="f404130965a7ad77bed5ececc71e720ab50f3cc1e1bb257257610d38f3b928ec",
                moves=(("SUN397", "SUN397"),),
            ),
            split_download(
                "split_zhou_SUN397.json",
                "1y2RD81BYuiyvebdN-JymPfyWYcd8_MUq",
                size=5_000_000,
                git_blob="8d10037b0690b6c65e307a354b039efb0f42404c",
            ),
        ),
        raw=(
            Download(
                file="Partitions.zip",
                urls=(
                    "https://3dvision.princeton.edu/projects/2010/SUN/download/Partitions.zip",
                    "https://vision.princeton.edu/projects/2010/SUN/download/Partitions.zip",
                ),
                md5="29a205c0a0129d21f36cbecfefe81881",
                moves=tuple((name, name) for name in ("ClassName.txt", "Training_01.txt", "Testing_01.txt")),
            ),
        ),
        notes="Princeton's server stopped serving the archive in 2025; the copy used has the same checksum. Some files "
        "named .jpg are other formats, which does no harm.",
    )

    @classmethod
    def make_split(cls, folder: Path, rng: random.Random) -> Split:
        """Official partition 01; 20 percent of its training list as val."""
        stem = cls.facts.stem
        # the image archive has a copy of the class list
        keys = _lines(
            required_file(stem, folder / "ClassName.txt", folder / cls.facts.images / "ClassName.txt", raw=True)
        )
        labels = {key: label for label, key in enumerate(keys)}
        lists = []
        for part in ("Training", "Testing"):
            file = required_file(stem, folder / f"{part}_01.txt", raw=True)
            items = []
            for path in _lines(file):
                key = path.rpartition("/")[0]
                if key not in labels:
                    raise ValueError(f"{file}: {path} is of class {key!r}, which ClassName.txt does not have")
                items.append(Item(path, labels[key], scene_name(key)))
            lists.append(items)
        return Split(*carve_val(lists[0], rng), lists[1])


def scene_name(key: str) -> str:
    """ "a/apartment_building/outdoor" → "outdoor apartment_building"."""
    return " ".join(reversed(key.split("/")[1:]))


def _lines(file: Path) -> list[str]:
    """Lines without their leading slash; empty ones left out."""
    return [line.strip()[1:] for line in read_text(file).splitlines() if line.strip()]
