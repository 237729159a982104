"""EuroSAT: 10 kinds of land use seen from a satellite."""

from __future__ import annotations

import random
from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY

from .base import Benchmark
from .facts import Counts, Download, Facts, Finding
from .listing import classes_from_folders
from .sources import bundle, split_download
from .splits import Split, three_way

CLASSNAMES = {
    "AnnualCrop": "Annual Crop Land",
    "Forest": "Forest",
    "HerbaceousVegetation": "Herbaceous Vegetation Land",
    "Highway": "Highway or Road",
    "Industrial": "Industrial Buildings",
    "Pasture": "Pasture Land",
    "PermanentCrop": "Permanent Crop Land",
    "Residential": "Residential Buildings",
    "River": "River",
    "SeaLake": "Sea or Lake",
}


@DATASET_REGISTRY.register()
class EuroSAT(Benchmark):
    """Helber, Bischke, Dengel and Borth: EuroSAT (JSTARS 2019)."""

    template = "a centered satellite photo of {}."
    facts = Facts(
        stem="eurosat",
        folder="eurosat",
        images="2750",
        split_file="split_zhou_EuroSAT.json",
        counts=Counts(classes=10, train=13_500, val=5400, test=8100),
        page="https://github.com/phelber/EuroSAT",
        licence="MIT",
        downloads=(
            Download(
                file="EuroSAT.zip",
                urls=(
                    "https://huggingface.co/datasets/torchgeo/eurosat/resolve/"
                    "c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip",
                    "http://madm.dfki.de/files/sentinel/EuroSAT.zip",
                ),
                size=94_300_000,
                md5="c8fa014336c82ac7804f0398fcb19387",
                sha256="8ebea626349354c5328b142b96d0430e647051f26efc2dc974c843f25ecf70bd",
                moves=(("2750", "2750"),),
            ),
            split_download(
                "split_zhou_EuroSAT.json",
                "1Ip7yaCWFi0eaOFUGga0lUdVi_DDQth1o",
                size=3_006_492,
                md5="989e1eca757dec43cfcee28faf6b28fc",
                sha256="541503a77d0b26b735d85ec7a3e672804fe0aa466c2e5f07da772cc6c0af8ad2",
            ),
        ),
        fallback=bundle("eurosat.zip", 94_800_000, "2750"),
        notes="The RGB images in the folder 2750. Zenodo's EuroSAT_RGB.zip is another file whose folder EuroSAT_RGB "
        "must be renamed to 2750.",
    )

    @classmethod
    def mistakes(cls, folder: Path) -> list[Finding]:
        """Zenodo's archive, whose folder has another name."""
        other, place = folder / "EuroSAT_RGB", folder / cls.facts.images
        if other.is_dir() and not place.exists():
            return [Finding(f"{other} has the name of Zenodo's archive", f"mv {other} {place}")]
        return []

    @classmethod
    def make_split(cls, folder: Path, rng: random.Random) -> Split:
        """50/20/30 per class, classes in plain string order, with the names of the published split."""
        return three_way(classes_from_folders(folder / cls.facts.images, CLASSNAMES), rng)
