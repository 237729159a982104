"""A dataset that is added by its own files alone: run, planned and tabulated in its place."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from tests.house import House
from tests.reporting.trees import transfer_runs, write_run
from tests.stubs import random_clip, save_state_dict

CODE = '''"""Noise: ten classes of grey noise."""

import numpy as np

from dassl.data.datasets import DATASET_REGISTRY

from .facts import Counts, Facts
from .packaged import PackagedDigits


@DATASET_REGISTRY.register()
class GreyNoise(PackagedDigits):
    """200 images."""

    facts = Facts(
        stem="grey",
        folder="grey",
        images="images",
        split_file="split.json",
        counts=Counts(classes=10, train=100, val=40, test=60),
        page="https://example.org",
        licence="none",
    )

    @classmethod
    def load_arrays(cls):
        return np.random.default_rng(0).integers(0, 256, (200, 8, 8)), np.arange(200) % 10
'''
OWN = {"datasets/grey_noise.py", "configs/datasets/grey.yaml"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    house = House(tmp_path_factory.mktemp("example") / "house")
    house.add("datasets/grey_noise.py", CODE)
    house.add("configs/datasets/grey.yaml", '# 100 train, 60 test images.\nDATASET:\n  NAME: "GreyNoise"\n')
    house.add(
        "configs/datasets/grey.facts.yaml", "place: 145  # between the third and the fourth shift\ngroup: shift\n"
    )
    return house


def test_it_stands_in_its_own_files_alone(house: House) -> None:
    assert house.naming("GreyNoise") == OWN


def test_it_is_run_and_has_its_column(house: House, tmp_path: Path) -> None:
    assert "GreyNoise" in house.said("train.py", "--list")
    weights = save_state_dict(random_clip(), tmp_path / "clip.pt")
    house.said(
        *("train.py", "--trainer", "ZeroshotCLIP", "--dataset-config-file", "configs/datasets/grey.yaml"),
        *("--root", str(tmp_path), "--output-dir", "output/zero", "MODEL.BACKBONE.NAME", str(weights)),
        *("INPUT.SIZE", "(16,16)", "DATASET.SUBSAMPLE_CLASSES", "all"),
    )
    record = json.loads((house.folder / "output/zero/run.json").read_text())
    assert record["dataset"] == "GreyNoise" and record["data"]["num_test"] == 60
    accuracy = {"ImageNet": 70.0, "Unheard": 20.0, "ImageNetR": 60.0, "ImageNetA": 50.0, "GreyNoise": 10.0}
    transfer_runs(house.folder / "output", "MaPLe", "ImageNet", accuracy)
    lines = csv.DictReader(io.StringIO(house.said("-m", "reporting", "dg", "output", "--format", "csv")))
    shown = [line for line in lines if line["method"] == "ZeroshotCLIP"]
    assert [line["column"] for line in shown] == ["ImageNet (source)", "ImageNetA", "GreyNoise", "ImageNetR", "Average"]
    assert float(shown[2]["mean"]) == pytest.approx(record["metrics"]["test"]["accuracy"])


def test_a_folder_by_its_stem_tells_what_a_model_was_trained_on(house: House) -> None:
    folder = house.folder / "moved"
    write_run(folder, "MaPLe", "EuroSAT", 40.0, eval_only=True, model_dir="weights/grey/MaPLe/x_16shots/seed1")
    assert "Cross-dataset transfer from GreyNoise" in house.said("-m", "reporting", "xd", "moved")


def test_it_is_planned(house: House) -> None:
    plan = ["--methods", "MaPLe", "--seeds", "1", "--dry-run", "--gpus", "none"]
    said = house.said("-m", "sweep", "dg", *plan)
    targets = re.findall(r"^  xd_test MaPLe (\w+), ", said, flags=re.MULTILINE)
    assert targets == ["imagenetv2", "imagenet_sketch", "imagenet_a", "grey", "imagenet_r"]
    base = house.said("-m", "sweep", "base2new", *plan)
    assert "grey" not in base and "caltech101" in base
    assert "base2new_train MaPLe grey, seed 1" in house.said("-m", "sweep", "base2new", "--datasets", "grey", *plan)
