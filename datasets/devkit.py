"""ImageNet's development kit: which validation image is of which class."""

from __future__ import annotations

import os
from pathlib import Path

from .base import required_file
from .listing import image_files

DEVKIT = "ILSVRC2012_devkit_t12"
_STEM = "imagenet"


def validation_wnids(devkit: Path) -> list[str]:
    """WordNet id of each validation image, in the order of their names.

    Args:
        devkit: the unpacked folder ILSVRC2012_devkit_t12.

    Raises:
        FileNotFoundError: a file of the kit is missing.
        ValueError: an image is of a class that the kit's meta.mat does not know.
    """
    from scipy.io import loadmat

    meta = required_file(_STEM, devkit / "data" / "meta.mat")
    truth = required_file(_STEM, devkit / "data" / "ILSVRC2012_validation_ground_truth.txt")
    synsets = loadmat(meta, squeeze_me=True)["synsets"]
    # inner nodes of WordNet have children; the classes are the leaves
    wnids = {int(entry["ILSVRC2012_ID"]): str(entry["WNID"]) for entry in synsets if int(entry["num_children"]) == 0}
    numbers = [int(line) for line in truth.read_text().split()]
    unknown = [number for number in numbers if number not in wnids]
    if unknown:
        raise ValueError(f"{truth}: class {unknown[0]} is not in {meta}")
    return [wnids[number] for number in numbers]


def sort_validation(images: Path, devkit: Path) -> int:
    """Move the flat validation images into one folder per class.

    Can be interrupted and run again: the number in an image's name says which one it is.

    Args:
        images: images/val, with files like ILSVRC2012_val_00000001.JPEG in it.
        devkit: the unpacked development kit.

    Returns:
        How many images were moved.
    """
    flat = image_files(images)
    if not flat:
        return 0
    wnids = validation_wnids(devkit)
    moves = []
    for name in flat:
        number = os.path.splitext(name)[0].rpartition("_")[2]
        if not number.isdecimal() or not 1 <= int(number) <= len(wnids):
            raise ValueError(f"{images / name}: expected a name like ILSVRC2012_val_00000001.JPEG")
        moves.append((name, wnids[int(number) - 1]))
    for wnid in {wnid for _, wnid in moves}:
        (images / wnid).mkdir(exist_ok=True)
    for name, wnid in moves:
        os.replace(images / name, images / wnid / name)
    return len(moves)
