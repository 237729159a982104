"""The published few-shot samples, item by item. Needs the published split files: their folder in MAPLE_SPLITS_DIR."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from dassl.data.datasets import DATASET_REGISTRY, DatasetBase
from datasets.classes import select_classes
from datasets.fewshot import paths_digest, sample_fewshot
from datasets.splits import Split, read_split, write_split

VARIABLE = "MAPLE_SPLITS_DIR"

# first path (seed 1, 16 shots); digests train/val of seed 1 with 1 and 16 shots
VECTORS = {
    "Caltech101": ("Faces/image_0201.jpg", "33173bedf9ad/d8cdaf6e3fcf", "e60a836bd33c/53555d3fce94"),
    "DescribableTextures": ("banded/banded_0117.jpg", "b6fe093e7582/15a11c6b2c66", "daf3b28e531f/9ef81bd9b8f3"),
    "EuroSAT": ("AnnualCrop/AnnualCrop_2365.jpg", "07843a86e827/1973d460e843", "ad260707da91/f171ab42c4e4"),
    "OxfordFlowers": ("image_00144.jpg", "2daab14963c6/4d89ce5311ed", "ea366f552e24/3a88b427e7b1"),
    "OxfordPets": ("Abyssinian_141.jpg", "cd2df5bce89f/d7ffbf1be71a", "711e62ca7ba4/b75fc02100f3"),
    "StanfordCars": ("cars_train/00467.jpg", "d35e1547dbda/6d79c97cfabd", "f7d56096c792/edeb0808f53c"),
    "UCF101": (
        "Apply_Eye_Makeup/v_ApplyEyeMakeup_g14_c04.jpg",
        "8d32f53fb5ea/bf70c9c64e89",
        "b88bd6d2db74/6499ec117e62",
    ),
}
# first path, seed 1, 1 shot
FIRST = {"Food101": "apple_pie/3065929.jpg", "SUN397": "a/abbey/sun_anunhwbsxmmdzwmk.jpg"}
# images of train, val, test as base/new
HALVES = {
    "Caltech101": ((2594, 1534), (1036, 613), (1549, 916)),
    "OxfordPets": ((1508, 1436), (377, 359), (1881, 1788)),
    "StanfordCars": ((3240, 3269), (812, 823), (4002, 4039)),
    "OxfordFlowers": ((1744, 2349), (696, 937), (1053, 1410)),
    "Food101": ((25_500, 25_000), (10_200, 10_000), (15_300, 15_000)),
    "SUN397": ((7960, 7920), (1990, 1980), (9950, 9900)),
    "DescribableTextures": ((1440, 1380), (576, 552), (864, 828)),
    "EuroSAT": ((7000, 6500), (2800, 2600), (4200, 3900)),
    "UCF101": ((3926, 3713), (975, 923), (1934, 1849)),
}


def published(name: str) -> Path:
    folder = os.environ.get(VARIABLE)
    if not folder:
        pytest.skip(f"set {VARIABLE} to the folder with the published split_zhou_*.json files")
    file = Path(folder) / f"split_zhou_{name}.json"
    if not file.is_file():
        pytest.skip(f"{VARIABLE} has no {file.name}")
    return file


def sample(split: Split, shots: int) -> tuple[str, str]:
    train, val = sample_fewshot(DatasetBase().generate_fewshot_dataset, split.train, split.val, shots=shots, seed=1)
    return train[0].path, f"{paths_digest(train)}/{paths_digest(val)}"


@pytest.mark.parametrize("name", VECTORS)
def test_published_samples(name: str) -> None:
    split = read_split(published(name))
    first, one, sixteen = VECTORS[name]
    assert sample(split, 1)[1] == one
    assert sample(split, 16) == (first, sixteen)


@pytest.mark.parametrize("name", FIRST)
def test_published_first_image(name: str) -> None:
    assert sample(read_split(published(name)), 1)[0] == FIRST[name]


@pytest.mark.parametrize("name", HALVES)
def test_published_counts(name: str) -> None:
    split = read_split(published(name))
    counts = DATASET_REGISTRY.get(name).facts.counts
    assert tuple(len(part) for part in split) == (counts.train, counts.val, counts.test)
    assert len({item.label for item in split.train}) == counts.classes
    halves = [[len(part) for part in select_classes(subsample, *split)] for subsample in ("base", "new")]
    assert tuple(zip(*halves, strict=True)) == HALVES[name]


@pytest.mark.parametrize("name", VECTORS)
def test_written_as_published(name: str, tmp_path: Path) -> None:
    """Reading and writing a published file gives its bytes, whose SHA-256 stands in the code."""
    file = published(name)
    write_split(read_split(file), tmp_path / "copy.json")
    written = (tmp_path / "copy.json").read_bytes()
    assert written == file.read_bytes().rstrip(b"\n")
    facts = DATASET_REGISTRY.get(name).facts
    known = next(download.sha256 for download in facts.downloads if download.file == facts.split_file)
    assert hashlib.sha256(written).hexdigest() == known
