"""OxfordPets: 37 breeds of cats and dogs."""

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
class OxfordPets(Benchmark):
    """Parkhi, Vedaldi, Zisserman and Jawahar: Cats and Dogs (CVPR 2012)."""

    template = "a photo of a {}, a type of pet."
    facts = Facts(
        stem="oxford_pets",
        folder="oxford_pets",
        images="images",
        split_file="split_zhou_OxfordPets.json",
        counts=Counts(classes=37, train=2944, val=736, test=3669),
        page="https://www.robots.ox.ac.uk/~vgg/data/pets/",
        licence="CC BY-SA 4.0",
        downloads=(
            Download(
                file="images.tar.gz",
                urls=("https://www.robots.ox.ac.uk/~vgg/data/pets/data/images.tar.gz",),
                size=792_000_000,
                md5="5c4f3ee8e5d25df40f4fd59a7f44e54c",
                sha256="67195c5e1c01f1ab5f9b6a5d22b8c27a580d896ece458917e61d459337fa318d",
                moves=(("images", "images"),),
            ),
            split_download(
                "split_zhou_OxfordPets.json",
                "1501r8Ber4nNKvmlFVQZ8SeUHTcdTTEqs",
                size=724_217,
                md5="fadad0caba06c4d0d2baf192015f50b4",
                sha256="d7f3ffe65b3919f95132e51422894ae18686b83c331fd8c0adcdc3dc2de6301e",
            ),
        ),
        raw=(
            Download(
                file="annotations.tar.gz",
                urls=("https://www.robots.ox.ac.uk/~vgg/data/pets/data/annotations.tar.gz",),
                size=19_200_000,
                md5="95a8c909bbe2e81eed6a22bccdf3f68f",
                sha256="52425fb6de5c424942b7626b428656fcbd798db970a937df61750c0f1d358e91",
                moves=(("annotations", "annotations"),),
            ),
        ),
        notes="The images folder also holds files that are no images; the lists name the ones that count.",
    )

    @classmethod
    def make_split(cls, folder: Path, rng: random.Random) -> Split:
        """Official test list; 20 percent of the official trainval list as val."""
        lists = [
            _read_list(required_file("oxford_pets", folder / "annotations" / f"{part}.txt", raw=True))
            for part in ("trainval", "test")
        ]
        return Split(*carve_val(lists[0], rng), lists[1])


def _read_list(file: Path) -> list[Item]:
    """Lines of `image class species breed`, classes from 1; the class is named by the image without its number."""
    items = []
    for number, line in enumerate(read_text(file).splitlines(), start=1):
        fields = line.split()
        if len(fields) != 4:
            raise ValueError(f"{file}, line {number}: expected 4 fields (image, class, species, breed), found {line!r}")
        items.append(Item(f"{fields[0]}.jpg", int(fields[1]) - 1, fields[0].rpartition("_")[0].lower()))
    return items
