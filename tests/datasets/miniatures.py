"""Miniatures of the 15 layouts: real file formats, three classes, images of one pixel. Written out by hand."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy.io import savemat


class Expected(NamedTuple):
    """What a miniature must load as: class names; images of train, val, test; images of base train and base test."""

    name: str
    stem: str
    folder: str
    build: Callable[[Path], None]
    classnames: list[str]
    counts: tuple[int, int, int]
    base: tuple[int, int]


@cache
def pixel(format: str = "JPEG") -> bytes:
    """An image file of one pixel."""
    buffer = io.BytesIO()
    Image.new("RGB", (1, 1), (200, 100, 50)).save(buffer, format)
    return buffer.getvalue()


def write_images(folder: Path, names: Iterable[str]) -> None:
    """Write an image under each name (which may hold folders)."""
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(pixel())


def several(*folders: str, number: int = 4) -> list[str]:
    """Names of images in each of the folders."""
    return [f"{folder}/{i}.jpg" for folder in folders for i in range(number)]


def write_lines(file: Path, lines: Iterable[str]) -> None:
    """Write a text file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def caltech101(folder: Path) -> None:
    images = folder / "101_ObjectCategories"
    for category in ("Faces", "Leopards", "accordion"):
        write_images(images / category, [f"image_{i:04d}.jpg" for i in range(1, 11)])
    for category in ("BACKGROUND_Google", "Faces_easy"):
        write_images(images / category, [f"image_{i:04d}.jpg" for i in range(1, 8)])


def oxford_pets(folder: Path) -> None:
    lists: dict[str, list[str]] = {"trainval": [], "test": []}
    for number, (name, species) in enumerate([("Abyssinian", 1), ("american_bulldog", 2), ("Bengal", 1)], start=1):
        for i in range(1, 15):
            lists["trainval" if i <= 10 else "test"].append(f"{name}_{i} {number} {species} 1")
            write_images(folder / "images", [f"{name}_{i}.jpg"])
    (folder / "images" / "Abyssinian_1.mat").write_bytes(b"no image")
    for part, lines in lists.items():
        write_lines(folder / "annotations" / f"{part}.txt", lines)


def stanford_cars(folder: Path) -> None:
    names = ["AM General Hummer SUV 2000", "Acura RL Sedan 2012", "Ram C/V Cargo Van Minivan 2012"]
    devkit = folder / "devkit"
    devkit.mkdir(parents=True)
    savemat(devkit / "cars_meta.mat", {"class_names": np.array([names], dtype=object)})
    # classes take turns, the third first
    for part, file, each in (
        ("cars_train", devkit / "cars_train_annos.mat", 10),
        ("cars_test", folder / "cars_test_annos_withlabels.mat", 4),
    ):
        rows = [(f"{i + 1:05d}.jpg", (3, 1, 2)[i % 3], 1) for i in range(3 * each)]
        annotations = np.zeros((1, len(rows)), dtype=[("fname", object), ("class", object), ("bbox_x1", object)])
        annotations[0, :] = rows
        savemat(file, {"annotations": annotations})
        write_images(folder / part, [row[0] for row in rows])


def oxford_flowers(folder: Path) -> None:
    labels = [3] * 10 + [1] * 10 + [2] * 10
    folder.mkdir(parents=True)
    savemat(folder / "imagelabels.mat", {"labels": np.array([labels], dtype=np.uint8)})
    names = {"1": "pink primrose", "2": "hard-leaved pocket orchid", "3": "canterbury bells"}
    (folder / "cat_to_name.json").write_text(json.dumps(names))
    write_images(folder / "jpg", [f"image_{i:05d}.jpg" for i in range(1, 31)])


def food101(folder: Path) -> None:
    for name in ("apple_pie", "baby_back_ribs", "waffles"):
        write_images(folder / "images" / name, [f"{i}.jpg" for i in range(1000, 1010)])
    write_lines(folder / "meta" / "classes.txt", ["apple_pie", "baby_back_ribs", "waffles"])


def fgvc_aircraft(folder: Path) -> None:
    variants = ["707-320", "F-16A/B", "Yak-42"]
    write_lines(folder / "variants.txt", variants)
    number = 0
    for part, each in (("train", 4), ("val", 3), ("test", 3)):
        lines = []
        for variant in variants:
            for _ in range(each):
                number += 1
                lines.append(f"{number:07d} {variant}")
                write_images(folder / "images", [f"{number:07d}.jpg"])
        write_lines(folder / f"images_variant_{part}.txt", lines)


def sun397(folder: Path) -> None:
    scenes = ["a/abbey", "a/apartment_building/outdoor", "y/youth_hostel"]
    write_lines(folder / "ClassName.txt", [f"/{scene}" for scene in scenes])
    for part, numbers in (("Training", range(10)), ("Testing", range(10, 14))):
        paths = [f"{scene}/sun_{i:04d}.jpg" for scene in scenes for i in numbers]
        write_lines(folder / f"{part}_01.txt", [f"/{path}" for path in paths])
        write_images(folder / "SUN397", paths)


def dtd(folder: Path) -> None:
    for name in ("banded", "blotchy", "zigzagged"):
        write_images(folder / "images" / name, [f"{name}_{i:04d}.jpg" for i in range(10)])
    (folder / "imdb").mkdir()
    (folder / "labels").mkdir()


def eurosat(folder: Path) -> None:
    for name in ("SeaLake", "AnnualCrop", "Highway"):
        write_images(folder / "2750" / name, [f"{name}_{i}.jpg" for i in range(1, 11)])


def ucf101(folder: Path) -> None:
    lists = folder / "ucfTrainTestlist"
    actions = ["Hammering", "HammerThrow", "HandstandPushups"]
    folders = ["Hammering", "Hammer_Throw", "Handstand_Pushups"]
    # the videos of the third have another spelling
    videos = ["Hammering", "HammerThrow", "HandStandPushups"]
    write_lines(lists / "classInd.txt", [f"{i} {action}" for i, action in enumerate(actions, start=1)])
    train, test = [], []
    for i, (action, name, video) in enumerate(zip(actions, folders, videos, strict=True), start=1):
        for group in range(1, 15):
            file = f"v_{video}_g{group:02d}_c01"
            if group <= 10:
                train.append(f"{action}/{file}.avi {i}")
            else:
                test.append(f"{action}/{file}.avi")
            write_images(folder / "UCF-101-midframes" / name, [f"{file}.jpg"])
    write_lines(lists / "trainlist01.txt", train)
    write_lines(lists / "testlist01.txt", test)


WNIDS = {"n01440764": "tench", "n01443537": "goldfish", "n01484850": "great white shark"}


def classnames(folder: Path, names: dict[str, str] = WNIDS) -> None:
    write_lines(folder / "classnames.txt", [f"{wnid} {name}" for wnid, name in names.items()])


def imagenet(folder: Path) -> None:
    for wnid in WNIDS:
        write_images(folder / "images" / "train" / wnid, [f"{wnid}_{i}.JPEG" for i in range(10)])
    for i, wnid in enumerate(list(WNIDS) * 4, start=1):
        write_images(folder / "images" / "val" / wnid, [f"ILSVRC2012_val_{i:08d}.JPEG"])
    classnames(folder)


NUMBERED = [f"name {i}" for i in range(12)]


def imagenetv2(folder: Path) -> None:
    for i in range(12):
        write_images(folder / "imagenetv2-matched-frequency-format-val" / str(i), [f"{i:02d}a.jpeg", f"{i:02d}b.jpeg"])
    classnames(folder, {f"n{i:08d}": name for i, name in enumerate(NUMBERED)})


def imagenet_sketch(folder: Path) -> None:
    for wnid in WNIDS:
        write_images(folder / "images" / wnid, [f"sketch_{i}.JPEG" for i in range(4)])
    classnames(folder)


def imagenet_a(folder: Path) -> None:
    # two of the three classes: labels are 0 and 1
    for wnid in ("n01443537", "n01484850"):
        write_images(folder / "imagenet-a" / wnid, [f"0.000_{i}.jpg" for i in range(4)])
    write_lines(folder / "imagenet-a" / "README.txt", ["about"])
    classnames(folder)


def imagenet_r(folder: Path) -> None:
    for wnid in ("n01440764", "n01484850"):
        write_images(folder / "imagenet-r" / wnid, [f"art_{i}.jpg" for i in range(4)])
    write_lines(folder / "imagenet-r" / "README.txt", ["about"])
    classnames(folder)


WITH_SPLIT = [
    Expected("Caltech101", "caltech101", "caltech-101", caltech101, ["face", "leopard", "accordion"],
             (15, 6, 9), (10, 6)),
    Expected("OxfordPets", "oxford_pets", "oxford_pets", oxford_pets, ["abyssinian", "american_bulldog", "bengal"],
             (24, 6, 12), (16, 8)),
    Expected("StanfordCars", "stanford_cars", "stanford_cars", stanford_cars,
             ["2000 AM General Hummer SUV", "2012 Acura RL Sedan", "2012 Ram C/V Cargo Van Minivan"],
             (24, 6, 12), (16, 8)),
    Expected("OxfordFlowers", "oxford_flowers", "oxford_flowers", oxford_flowers,
             ["pink primrose", "hard-leaved pocket orchid", "canterbury bells"], (15, 6, 9), (10, 6)),
    Expected("Food101", "food101", "food-101", food101, ["apple_pie", "baby_back_ribs", "waffles"],
             (15, 6, 9), (10, 6)),
    Expected("SUN397", "sun397", "sun397", sun397, ["abbey", "outdoor apartment_building", "youth_hostel"],
             (24, 6, 12), (16, 8)),
    Expected("DescribableTextures", "dtd", "dtd", dtd, ["banded", "blotchy", "zigzagged"], (15, 6, 9), (10, 6)),
    Expected("EuroSAT", "eurosat", "eurosat", eurosat, ["Annual Crop Land", "Highway or Road", "Sea or Lake"],
             (15, 6, 9), (10, 6)),
    Expected("UCF101", "ucf101", "ucf101", ucf101, ["Hammering", "Hammer_Throw", "Handstand_Pushups"],
             (24, 6, 12), (16, 8)),
]  # fmt: skip
WITH_LISTS = [
    Expected("FGVCAircraft", "fgvc_aircraft", "fgvc_aircraft", fgvc_aircraft, ["707-320", "F-16A/B", "Yak-42"],
             (12, 9, 9), (8, 6)),
    Expected("ImageNet", "imagenet", "imagenet", imagenet, list(WNIDS.values()), (30, 12, 12), (20, 8)),
]  # fmt: skip
TEST_ONLY = [
    Expected("ImageNetV2", "imagenetv2", "imagenetv2", imagenetv2, NUMBERED, (24, 0, 24), (24, 24)),
    Expected("ImageNetSketch", "imagenet_sketch", "imagenet-sketch", imagenet_sketch, list(WNIDS.values()),
             (12, 0, 12), (12, 12)),
    Expected("ImageNetA", "imagenet_a", "imagenet-adversarial", imagenet_a, ["goldfish", "great white shark"],
             (8, 0, 8), (8, 8)),
    Expected("ImageNetR", "imagenet_r", "imagenet-rendition", imagenet_r, ["tench", "great white shark"],
             (8, 0, 8), (8, 8)),
]  # fmt: skip
ALL = WITH_SPLIT + WITH_LISTS + TEST_ONLY
