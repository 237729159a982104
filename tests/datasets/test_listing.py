"""Listing is done once: the second start of an ImageNet-size tree reads neither its folders nor its files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from datasets import listing
from datasets.listing import cached_class_folders, classes_from_folders, list_class_folders

from .conftest import Load
from .miniatures import imagenet, write_images


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    write_images(
        tmp_path / "tree", ["b/2.JPG", "b/10.jpg", "a/1.png", "B/x.jpeg", ".hidden/1.jpg", "a/.1.jpg", "stray.jpg"]
    )
    (tmp_path / "tree" / "a" / "list.txt").write_text("")
    (tmp_path / "tree" / "empty").mkdir()
    return tmp_path / "tree"


def test_sorted_and_clean(tree: Path) -> None:
    found = list_class_folders(tree)
    assert list(found.items()) == [("B", ["x.jpeg"]), ("a", ["1.png"]), ("b", ["10.jpg", "2.JPG"]), ("empty", [])]


def test_classes_from_folders(tree: Path) -> None:
    assert classes_from_folders(tree, {"a": "first letter"}, ignore=("B", "empty")) == [
        (0, "first letter", ["a/1.png"]),
        (1, "b", ["b/10.jpg", "b/2.JPG"]),
    ]


def test_listed_once(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = cached_class_folders(tree)
    monkeypatch.setattr(listing, "list_class_folders", lambda folder: pytest.fail("listed again"))
    assert cached_class_folders(tree) == first


@pytest.mark.parametrize("content", ["[]", "edited"])
def test_stored_listing_that_was_changed(tree: Path, cache: Path, content: str, capsys: pytest.CaptureFixture) -> None:
    first = cached_class_folders(tree)
    (file,) = cache.rglob("*.json")
    written = file.read_text()
    file.write_text(written.replace("10.jpg", "11.jpg") if content == "edited" else content)
    assert cached_class_folders(tree) == first
    assert f"Cache file {file} is not used (its checksum is another" in capsys.readouterr().err
    assert file.read_text() == written


@pytest.mark.parametrize("change", ["add", "remove", "rename", "new folder"])
def test_listed_again_after_a_change(tree: Path, change: str) -> None:
    cached_class_folders(tree)
    if change == "add":
        write_images(tree, ["a/7.jpg"])
    elif change == "remove":
        (tree / "b" / "2.JPG").unlink()
    elif change == "rename":
        (tree / "b" / "2.JPG").rename(tree / "b" / "3.jpg")
    else:
        write_images(tree, ["z/1.jpg"])
    assert cached_class_folders(tree) == list_class_folders(tree)


def test_two_trees_do_not_mix(tmp_path: Path) -> None:
    write_images(tmp_path, ["one/train/a/1.jpg", "two/train/a/2.jpg"])
    assert cached_class_folders(tmp_path / "one" / "train") == {"a": ["1.jpg"]}
    assert cached_class_folders(tmp_path / "two" / "train") == {"a": ["2.jpg"]}


def test_no_stat_per_image(root: Path, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the second start no image file is stat'ed, and no class folder is listed."""
    imagenet(root / "imagenet")
    load("ImageNet", shots=2)
    touched: list[str] = []
    stat, scandir = os.stat, os.scandir

    def counting_stat(path: Any, *args: Any, **kwargs: Any) -> Any:
        touched.append(os.fspath(path) if isinstance(path, (str, os.PathLike)) else "")
        return stat(path, *args, **kwargs)

    def counting_scandir(path: Any = ".") -> Any:
        touched.append(os.path.join(os.fspath(path), "scandir"))
        return scandir(path)

    monkeypatch.setattr(os, "stat", counting_stat)
    monkeypatch.setattr(os, "scandir", counting_scandir)
    dataset = load("ImageNet", shots=2)
    assert len(dataset.train_x) == 6 and len(dataset.test) == 12
    assert touched and not [path for path in touched if path.endswith(".JPEG")]
    assert not [
        path for path in touched if path.endswith("scandir") and os.path.basename(os.path.dirname(path))[:2] == "n0"
    ]


def test_stored_sample_spares_the_training_listing(root: Path, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    imagenet(root / "imagenet")
    first = load("ImageNet", shots=2)
    from datasets import imagenet as module

    read: list[str] = []
    original = module.cached_class_folders
    monkeypatch.setattr(module, "cached_class_folders", lambda folder: (read.append(folder.name), original(folder))[1])
    second = load("ImageNet", shots=2)
    assert read == ["val"]
    assert [item.impath for item in second.train_x] == [item.impath for item in first.train_x]
    assert second.fewshot_digest == first.fewshot_digest
    write_images(root / "imagenet" / "images" / "train", ["n01440764/new.JPEG"])
    load("ImageNet", shots=2)
    assert read == ["val", "val", "train"]


def test_read_only_data(root: Path, load: Load) -> None:
    """Nothing is written into the data root."""
    imagenet(root / "imagenet")
    before = sorted(os.fspath(path) for path in root.rglob("*"))
    load("ImageNet", shots=2)
    assert sorted(os.fspath(path) for path in root.rglob("*")) == before
