"""Every layout loads as the published loaders load it; expectations are written out in miniatures.py."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from dassl.data.datasets import DATASET_REGISTRY
from datasets.manage.cli import main

from .conftest import Load
from .miniatures import ALL, TEST_ONLY, WITH_LISTS, WITH_SPLIT, Expected, classnames, imagenet, imagenet_a, write_images

REDUCED = WITH_SPLIT + WITH_LISTS


def by_stem(case: Any) -> str:
    return case.stem


def place(case: Expected, root: Path) -> Path:
    """Build the miniature, and its split file where it has one."""
    folder = root / case.folder
    case.build(folder)
    if case in WITH_SPLIT:
        assert main(["split", case.stem, "--root", str(root)]) == 0
    return folder


def labels(items: Any) -> list[int]:
    return [item.label for item in items]


@pytest.mark.parametrize("case", ALL, ids=by_stem)
def test_full_data(case: Expected, root: Path, load: Load) -> None:
    place(case, root)
    dataset = load(case.name)
    assert dataset.classnames == case.classnames
    assert (len(dataset.train_x), len(dataset.val or ()), len(dataset.test)) == case.counts
    assert dataset.dataset_dir == str(root / case.folder)
    assert dataset.fewshot_digest is None
    for item in [*dataset.train_x, *(dataset.val or ()), *dataset.test]:
        assert Path(item.impath).is_absolute() and Path(item.impath).is_file()
        assert item.classname == case.classnames[item.label]


@pytest.mark.parametrize("case", WITH_SPLIT + WITH_LISTS[:1], ids=by_stem)
def test_parts_share_no_image(case: Expected, root: Path, load: Load) -> None:
    place(case, root)
    dataset = load(case.name)
    paths = [item.impath for item in [*dataset.train_x, *dataset.val, *dataset.test]]
    assert len(set(paths)) == sum(case.counts)


@pytest.mark.parametrize("subsample", ["all", "base", "new"])
@pytest.mark.parametrize("shots", [1, 2, 4, 16])
@pytest.mark.parametrize("case", REDUCED, ids=by_stem)
def test_few_shot_and_halves(case: Expected, shots: int, subsample: str, root: Path, load: Load) -> None:
    place(case, root)
    dataset = load(case.name, shots=shots, subsample=subsample)
    kept = {"all": case.classnames, "base": case.classnames[:2], "new": case.classnames[2:]}[subsample]
    assert dataset.classnames == kept
    n = len(kept)
    train, val, test = (count // 3 for count in case.counts)
    assert len(dataset.train_x) == n * min(shots, train)
    assert len(dataset.test) == n * test
    if case.name == "ImageNet":
        assert dataset.val is dataset.test
    else:
        assert len(dataset.val) == n * min(shots, 4, val)
    for items in (dataset.train_x, dataset.val, dataset.test):
        assert set(labels(items)) == set(range(n))


@pytest.mark.parametrize("case", REDUCED, ids=by_stem)
def test_base_half_of_full_data(case: Expected, root: Path, load: Load) -> None:
    place(case, root)
    dataset = load(case.name, subsample="base")
    assert (len(dataset.train_x), len(dataset.test)) == case.base


@pytest.mark.parametrize("case", TEST_ONLY, ids=by_stem)
def test_variants_are_whole_test_sets(case: Expected, root: Path, load: Load, capsys: pytest.CaptureFixture) -> None:
    place(case, root)
    dataset = load(case.name, shots=16, subsample="base")
    assert dataset.val is None
    assert [item.impath for item in dataset.train_x] == [item.impath for item in dataset.test]
    assert (len(dataset.train_x), len(dataset.test)) == case.base
    assert dataset.classnames == case.classnames
    assert "does not apply" in capsys.readouterr().out


def test_imagenetv2_folders_are_numbers(root: Path, load: Load) -> None:
    place(TEST_ONLY[0], root)
    items = load("ImageNetV2").test
    assert labels(items) == [i for i in range(12) for _ in range(2)]
    assert Path(items[20].impath).parent.name == "10" and items[20].classname == "name 10"


def test_labels_of_cars_and_flowers_follow_their_lists(root: Path, load: Load) -> None:
    """Few-shot visits classes in order of first appearance, which a split must keep."""
    for case in WITH_SPLIT:
        if case.name in ("StanfordCars", "OxfordFlowers"):
            place(case, root)
            assert list(dict.fromkeys(labels(load(case.name).train_x))) == [2, 0, 1]


def test_ucf101_file_names_keep_the_videos_spelling(root: Path, load: Load) -> None:
    place(next(case for case in WITH_SPLIT if case.name == "UCF101"), root)
    paths = [item.impath for item in load("UCF101").test if item.label == 2]
    assert all("Handstand_Pushups/v_HandStandPushups_g" in path and path.endswith("_c01.jpg") for path in paths)


@pytest.mark.parametrize("case", WITH_SPLIT, ids=by_stem)
def test_split_file_alone_is_enough(case: Expected, root: Path, load: Load) -> None:
    """With the split file, nothing but the images is needed; a few lines written by hand are loaded as they stand."""
    images = "." if case.name == "StanfordCars" else DATASET_REGISTRY.get(case.name).facts.images
    parts = {
        part: [[f"cars_{'test' if part == 'test' else 'train'}/{part}{i}.jpg", i, f"class {i}"] for i in (2, 0, 1)]
        for part in ("train", "val", "test")
    }
    for entries in parts.values():
        write_images(root / case.folder / images, [entry[0] for entry in entries])
    (root / case.folder / f"split_zhou_{case.name}.json").write_text(json.dumps(parts))
    dataset = load(case.name)
    assert labels(dataset.train_x) == [2, 0, 1]
    assert dataset.classnames == ["class 0", "class 1", "class 2"]
    assert Path(dataset.val[0].impath) == root / case.folder / images / "cars_train/val2.jpg"


@pytest.mark.parametrize("case", WITH_SPLIT, ids=by_stem)
def test_missing_split_file(case: Expected, root: Path, load: Load) -> None:
    """A new split is never made silently."""
    case.build(root / case.folder)
    with pytest.raises(FileNotFoundError, match=rf"no split file .*{case.name}.json.*datasets prepare {case.stem}"):
        load(case.name)


@pytest.mark.parametrize("case", ALL, ids=by_stem)
def test_missing_images(case: Expected, root: Path, load: Load) -> None:
    with pytest.raises(
        FileNotFoundError, match=rf"no images folder {root}/{case.folder}.*datasets prepare {case.stem}"
    ):
        load(case.name)


def test_missing_root(tmp_path: Path, load: Load) -> None:
    with pytest.raises(FileNotFoundError, match=rf"no data folder {tmp_path}/nowhere.*DATA or --root"):
        load("EuroSAT", ROOT=str(tmp_path / "nowhere"))


def test_root_comes_from_the_environment(root: Path, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    place(WITH_LISTS[0], root)
    monkeypatch.setenv("DATA", str(root))
    assert load("FGVCAircraft", ROOT="").dataset_dir == str(root / "fgvc_aircraft")


@pytest.mark.parametrize("case", WITH_SPLIT, ids=by_stem)
def test_own_split_is_the_same_everywhere(case: Expected, root: Path, tmp_path: Path) -> None:
    """Made twice, from trees written in another order: the same bytes; the run's random state is left alone."""
    random.seed(5)
    state = random.getstate()
    first = place(case, root) / f"split_zhou_{case.name}.json"
    other = tmp_path / "other" / case.folder
    case.build(other)
    for file in sorted(other.rglob("*.jpg"), reverse=True):
        content = file.read_bytes()
        file.unlink()
        file.write_bytes(content)
    assert main(["split", case.stem, "--root", str(other.parent)]) == 0
    assert (other / first.name).read_bytes() == first.read_bytes()
    assert random.getstate() == state


def test_imagenet_names_that_occur_twice(root: Path, load: Load) -> None:
    """Two classes may share a name: they stay two."""
    imagenet(root / "imagenet")
    classnames(root / "imagenet", {"n01440764": "missile", "n01443537": "goldfish", "n01484850": "missile"})
    dataset = load("ImageNet")
    assert dataset.classnames == ["missile", "goldfish", "missile"]
    assert dataset.num_classes == 3


def test_imagenet_parts_must_have_the_same_classes(root: Path, load: Load) -> None:
    imagenet(root / "imagenet")
    write_images(root / "imagenet" / "images" / "train" / "n01496331", ["a.JPEG"])
    with pytest.raises(ValueError, match=r"'n01496331' is only in train/"):
        load("ImageNet")


def test_stray_entries_do_no_harm(root: Path, load: Load) -> None:
    imagenet_a(root / "imagenet-adversarial")
    images = root / "imagenet-adversarial" / "imagenet-a"
    (images / "imagenet-a.tar").write_bytes(b"")
    (images / ".DS_Store").write_bytes(b"")
    (images / "n01443537" / "notes.txt").write_text("")
    assert load("ImageNetA").num_classes == 2 and len(load("ImageNetA").test) == 8


def test_unknown_class_folder(root: Path, load: Load) -> None:
    imagenet_a(root / "imagenet-adversarial")
    write_images(root / "imagenet-adversarial" / "imagenet-a" / "extra", ["a.jpg"])
    with pytest.raises(ValueError, match=r"folder 'extra' \(1 such\) is not in classnames.txt"):
        load("ImageNetA")


def test_data_root_that_is_not_utf8(tmp_path: Path, load: Load) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9")
    odd.mkdir()
    with pytest.raises(ValueError, match=r"the data root /.*/caf\\xe9 is not in UTF-8: rename it"):
        load("Caltech101", ROOT=str(odd))
