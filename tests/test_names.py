"""A method or dataset is named in its own files alone: not in the engine, the model, the sweeps, the tables."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

import datasets
import trainers
from dassl.data.datasets import DATASET_REGISTRY
from dassl.engine import TRAINER_REGISTRY

ROOT = Path(__file__).resolve().parent.parent
PLACES = ("sweep", "reporting", "dassl", "prompted_clip", "train.py")
#: Also words of the language: how they stand where they name a dataset.
WORDS = {"Folder": r"""["']Folder["']""", "digits": r"""["']digits["']|digits\.yaml""", "folder": r"\bfolder\.yaml"}


def names() -> set[str]:
    """Every method and dataset of the project, as registered and as its files are called."""
    found = set()
    for registry, package in ((TRAINER_REGISTRY, trainers), (DATASET_REGISTRY, datasets)):
        for name in registry.registered_names():
            registrant = registry.get(name)
            if registrant.__module__.startswith(f"{package.__name__}."):  # tests register some as well
                found |= {name, registrant.facts.stem} if hasattr(registrant, "facts") else {name}
    return found


def pattern(known: Iterable[str]) -> re.Pattern[str]:
    """Any of the names as a word of its own."""
    return re.compile("|".join(WORDS.get(name, rf"\b{re.escape(name)}\b") for name in known))


def test_no_method_and_no_dataset_is_named() -> None:
    known = names()
    assert {"MaPLe", "LinearProbe", "ImageNet", "dtd", "digits", "Folder"} <= known
    wanted = pattern(known)
    files = [
        file
        for place in PLACES
        for file in ([ROOT / place] if place.endswith(".py") else sorted((ROOT / place).rglob("*")))
        if file.is_file() and "__pycache__" not in file.parts
    ]
    assert len(files) > 60
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()}"
        for file in files
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if wanted.search(line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("line", "is_found"),
    [
        ('if method == "CoOp":', True),
        ("# as in CoOp, of which", True),
        ("CoOpish, MyCoOp, CoOp_2", False),
        ('DEFAULT = "digits"', True),
        ("'configs/datasets/digits.yaml'", True),
        ("twelve hex digits", False),
        ("Folder of the runs, this folder", False),
        ('add_argument("folder")', False),
        ("configs/datasets/folder.yaml", True),
        ('NAME: "Folder"', True),
        ("IMAGENET_MEAN, imagenet_policy", False),
        ("trained on imagenet", True),
    ],
)
def test_what_counts_as_a_name(line: str, is_found: bool) -> None:
    assert bool(pattern(["CoOp", "digits", "Folder", "folder", "imagenet"]).search(line)) is is_found
