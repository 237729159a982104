"""FGVCAircraft: 100 variants of aircraft."""

from __future__ import annotations

from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY
from dassl.records import Source

from .base import Benchmark, required_file
from .facts import Counts, Download, Facts
from .sources import bundle
from .splits import PARTS, Item, Split
from .text import read_text


@DATASET_REGISTRY.register()
class FGVCAircraft(Benchmark):
    """Maji, Kannala, Rahtu, Blaschko and Vedaldi: Fine-Grained Visual Classification of Aircraft (2013)."""

    template = "a photo of a {}, a type of aircraft."
    facts = Facts(
        stem="fgvc_aircraft",
        folder="fgvc_aircraft",
        images="images",
        counts=Counts(classes=100, train=3334, val=3333, test=3333),
        page="https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/",
        licence="non-commercial research",
        downloads=(
            Download(
                file="fgvc-aircraft-2013b.tar.gz",
                urls=("https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/archives/fgvc-aircraft-2013b.tar.gz",),
                size=2_753_000_000,
                md5="d4acdd33327262359767eeaa97a4f732",
                moves=(("fgvc-aircraft-2013b/data", "."),),
            ),
        ),
        fallback=bundle(
            "fgvc_aircraft.zip",
            2_750_000_000,
            "images",
            "variants.txt",
            *(f"images_variant_{part}.txt" for part in PARTS),
        ),
        notes="No split file: the official lists images_variant_{train,val,test}.txt are used as they are.",
    )

    def list_sources(self) -> list[Source]:
        """The official lists."""
        names = ["variants.txt", *(f"images_variant_{part}.txt" for part in PARTS)]
        return [Source("content", "root", f"{self.facts.folder}/{name}") for name in names]

    @classmethod
    def read_lists(cls, folder: Path) -> Split:
        """The official lists; a label is the variant's line in variants.txt."""
        stem = cls.facts.stem
        names = [line.strip() for line in read_text(required_file(stem, folder / "variants.txt")).splitlines()]
        labels = {name: label for label, name in enumerate(names)}
        parts = []
        for part in PARTS:
            file = required_file(stem, folder / f"images_variant_{part}.txt")
            items = []
            for number, line in enumerate(read_text(file).splitlines(), start=1):
                image, _, name = line.strip().partition(" ")
                if name not in labels:
                    raise ValueError(f"{file}, line {number}: variant {name!r} is not in {folder / 'variants.txt'}")
                items.append(Item(f"{image}.jpg", labels[name], name))
            parts.append(items)
        return Split(*parts)
