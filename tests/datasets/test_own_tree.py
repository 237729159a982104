"""Folders of one's own images: nothing is lost without a word, and `check` says the same as training."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.own.lists import FEWEST_TO_CUT, read_own
from datasets.splits import three_way

from .conftest import Say
from .miniatures import several, write_images, write_lines


def paths(source: Path) -> list[str]:
    return sorted(item.path for part in read_own(source).split for item in part)


def test_nothing_to_say(own: Path, say: Say) -> None:
    write_images(own, several("a", "b", number=10))
    (own / "a" / "about.txt").write_text("")
    write_lines(own / "classnames.txt", ["a first", "b second"])
    assert say(own) == "folder           ready       2 classes, 10 train, 4 val, 6 test images\n"


def test_sub_folders_are_taken_in(own: Path, say: Say) -> None:
    """The class is the top folder; hidden folders, and what systems put beside images, do not count."""
    nested = [*several("two/2020", "two/2021/deep", number=5), *several("one", number=2), *several("one/more")]
    write_images(own, nested)
    write_images(own, ["one/.cache/1.jpg", "two/@eaDir/1.jpg/SYNO.jpg", "__MACOSX/two/1.jpg"])
    said = say(own)
    assert "2 classes, 8 train, 3 val, 5 test images" in said
    assert "note: 14 images in sub-folders, taken in: one/more (4), two/2020 (5), two/2021/deep (5)\n" in said
    assert paths(own) == sorted(nested)
    split = read_own(own).split
    assert {(item.path.partition("/")[0], item.classname) for part in split for item in part} == {
        ("one", "one"),
        ("two", "two"),
    }


def test_sub_folders_of_train_and_test(own: Path, say: Say) -> None:
    write_images(own, several("train/a/x", "train/b", "test/a", "test/b/y/z"))
    assert "2 classes, 8 train, 0 val, 8 test images" in say(own)


def test_flat_folders_are_cut_as_ever(own: Path) -> None:
    """The cut of a folder without sub-folders, worked out from names alone."""
    write_images(own, several("pear", "Apple", number=7))
    files = lambda name: sorted(f"{name}/{i}.jpg" for i in range(7))  # noqa: E731
    expected = three_way([(0, "Apple", files("Apple")), (1, "pear", files("pear"))], random.Random(0))
    assert read_own(own).split == expected


def test_what_is_left_out_is_counted(own: Path, say: Say) -> None:
    write_images(own, [*several("a", "b"), "1.jpg", "2.png", "c/notes.txt", "d/phone.HEIC", "a/phone.heic"])
    (own / "empty").mkdir()
    said = say(own)
    assert "2 classes, 4 train, 2 val, 2 test images" in said
    assert f"note: 2 images left out, in no class folder: in {own}\n" in said
    assert "note: 3 folders without images, no class: c, d, empty\n" in said
    unread = "note: 2 images left out, of formats that the installed Pillow does not read (.heic): convert them to PNG"
    assert unread in said


def test_what_is_left_out_beside_train_and_test(own: Path, say: Say) -> None:
    write_images(own, [*several("train/a", "train/b", "test/a", "test/b"), "train/1.jpg", "cover.jpg"])
    write_images(own, several("extra/a/deep", number=3))
    said = say(own)
    assert f"note: 3 images left out, in none of train, val, test: in {own}/extra\n" in said
    assert f"note: 1 image left out, in no class folder: in {own}/train\n" in said
    assert f"note: 1 image left out, in no class folder: in {own}\n" in said


@pytest.mark.parametrize("part", ["test", "val"])
def test_class_without_training_images(own: Path, say: Say, part: str) -> None:
    write_images(own, [*several("train/a", "train/b", "test/a"), *several(f"{part}/c", number=3)])
    assert f"- 1 class without training images: c (3 in {part})\n    fix: add images of them to train, or" in say(own)


def test_class_without_test_images(own: Path, say: Say) -> None:
    write_images(own, several("train/a", "train/b", "test/a"))
    assert "note: 1 class without test images: b\n" in say(own)


@pytest.mark.parametrize("part", ["train", "test"])
def test_part_without_images(own: Path, say: Say, part: str) -> None:
    write_images(own, several(*({"train/a", "train/b", "test/a", "test/b"} - {f"{part}/a", f"{part}/b"})))
    (own / part).mkdir()
    assert f"- {own}: no images for {part}\n" in say(own)


def test_too_few_to_cut(own: Path, say: Say) -> None:
    write_images(own, [*several("a"), *several("b", number=3), *several("c", number=1)])
    said = say(own)
    assert "- 2 classes with too few images to cut into train, val and test: b (3), c (1)\n" in said
    assert "fix: 4 of a class are the least; or sort the images into train and test yourself\n" in said


def test_fewest_to_cut() -> None:
    for number in range(1, 50):
        classes = [(0, "a", [str(i) for i in range(number)])]
        if number < FEWEST_TO_CUT:
            with pytest.raises(ValueError, match="too few"):
                three_way(classes, random.Random(0))
        else:
            three_way(classes, random.Random(0))


def test_one_folder_too_high(own: Path, say: Say) -> None:
    write_images(own, several("images/a", "images/b"))
    said = say(own)
    assert f"- {own}: all images are of one class, images\n" in said
    assert f"if {own}/images holds the class folders, give that as the path\n" in said
    assert "ready" in say(own / "images")


def test_one_class(own: Path, say: Say) -> None:
    write_images(own, several("a"))
    said = say(own)
    assert (
        "all images are of one class, a\n    fix: put those of each class into a folder of the class's name\n" in said
    )


def test_folder_with_a_csv_file_in_it(own: Path, say: Say) -> None:
    """The images of all classes lie in one folder, and a file beside it tells which is which."""
    for names in (["0.jpg", "1.jpg"], several("images")):
        write_images(own, names)
        write_lines(own / "Labels.CSV", ["path,label"])
        assert f"; or give a CSV file with the classes as the path, such as {own}/Labels.CSV\n" in say(own)


@pytest.mark.parametrize("names", [("Train", "TEST"), ("train", "Test", "Val")])
def test_parts_in_any_case(own: Path, say: Say, names: tuple[str, ...]) -> None:
    write_images(own, several(*(f"{name}/{label}" for name in names for label in "ab")))
    assert f"2 classes, 8 train, {8 if len(names) > 2 else 0} val, 8 test images" in say(own)


def test_parts_by_other_names_are_no_classes(own: Path, say: Say) -> None:
    write_images(own, several("Training/a", "Training/b", "Testing/a", "Testing/b"))
    said = say(own)
    assert f"- {own}: Testing, Training look like parts, not like classes\n    fix: call the folders train" in said


def test_class_called_train(own: Path, say: Say) -> None:
    """With its images directly in the folder it is a class; with folders in it, it is said how."""
    write_images(own, several("train", "bus", "car"))
    assert "3 classes" in say(own)
    assert sorted({item.classname for item in read_own(own).split.train}) == ["bus", "car", "train"]
    (own / "train").rename(own / "moved")
    write_images(own, several("train/2020"))
    said = say(own)
    assert f"- {own} has train/, with no images directly in it, and no test/\n" in said
    assert "fix: add test/; if train is a class, put its images directly into its folder\n" in said


# ---- links and files that are none


def test_circle_of_links_ends(own: Path, say: Say) -> None:
    write_images(own, several("a", "b", "a/inner"))
    (own / "a" / "up").symlink_to("..")
    (own / "a" / "inner" / "self").symlink_to(".")
    (own / "b" / "here").symlink_to(own / "b")
    assert "2 classes" in say(own)
    assert paths(own) == sorted(several("a", "b", "a/inner"))


def test_links_are_followed(own: Path, say: Say) -> None:
    """A class folder may be a link, and so may an image; what two links lead to is there once."""
    store = own.with_name("store")
    write_images(store, several("x", "y/z"))
    (store / "again").symlink_to("x")
    write_images(own, [*several("a"), "c/1.jpg", "c/2.jpg", "c/3.jpg"])
    (own / "b").symlink_to(store)
    (own / "c" / "0.jpg").symlink_to(own / "a" / "0.jpg")
    assert "3 classes" in say(own)
    assert [path for path in paths(own) if path.startswith("b/")] == several("b/again", "b/y/z")
    assert "c/0.jpg" in paths(own)


def test_one_folder_under_two_labels(own: Path, say: Say) -> None:
    write_images(own, several("a", "b"))
    (own / "c").symlink_to("b")
    said = say(own)
    assert "- 1 folder with two labels: b = c\n    fix: leave each image in one class\n" in said


def test_one_folder_in_train_and_test(own: Path, say: Say) -> None:
    write_images(own, several("train/a", "train/b", "test/b"))
    (own / "test" / "a").symlink_to(own / "train" / "a")
    said = say(own)
    assert "- 1 folder in train and in test: train/a = test/a\n    fix: leave each image in one of the two\n" in said


def test_val_may_be_test(own: Path, say: Say) -> None:
    write_images(own, several("train/a", "train/b", "test/a", "test/b"))
    (own / "val").symlink_to("test")
    said = say(own)
    assert "8 train, 8 val, 8 test images" in said
    assert "note: 2 folders in val and in test: val/a = test/a, val/b = test/b\n" in said


def test_no_file_where_an_image_should_be(own: Path, say: Say) -> None:
    """A pipe, which must not be opened, and links that lead nowhere: one of them may have been a class."""
    write_images(own, several("a", "b"))
    os.mkfifo(own / "a" / "pipe.png")
    (own / "b" / "gone.jpg").symlink_to("nowhere.jpg")
    (own / "pears").symlink_to("/nowhere/pears")
    said = say(own)
    assert "- 3 links or pipes where images are expected: a/pipe.png, b/gone.jpg, pears\n" in said
    assert "fix: delete them, or put the files in their places\n" in said


def test_names_that_are_not_utf8(own: Path, say: Say) -> None:
    odd = os.fsdecode(b"caf\xe9")
    write_images(own, [*several("a", "b", f"{odd}/x"), f"a/{odd}.jpg"])
    said = say(own)
    assert "- 2 names not in UTF-8: a/caf\\xe9.jpg, caf\\xe9\n    fix: rename the folders or files\n" in said
    shutil.rmtree(own / "a")
    shutil.rmtree(own / "b")
    assert "all images are of one class, caf\\xe9\n" in say(own)
    write_images(own, several("train/b", "test/b", f"train/{odd}", f"{odd}2"))
    said = say(own)
    assert f"4 images left out, in none of train, val, test: in {own}/caf\\xe92\n" in said
    assert "note: 1 class without test images" not in said


def test_names_that_would_break_a_sentence(own: Path, say: Say) -> None:
    write_images(own, several("a", "two\nlines/x", "\x1b[31m"))
    said = say(own)
    assert "3 classes" in said
    assert r"note: 4 images in sub-folders, taken in: two\nlines/x (4)" in said
    (own / "line\nend").mkdir()
    assert r"note: 1 folder without images, no class: line\nend" in say(own)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from(["a", "b", "c/x", "c", "d/x/y"]), st.integers(0, 6)))
def test_every_image_is_listed_or_told(tmp_path_factory: Any, folders: dict[str, int]) -> None:
    source = tmp_path_factory.mktemp("own")
    names = [f"{folder}/{i}.jpg" for folder, number in folders.items() for i in range(number)]
    write_images(source, names)
    assert read_own(source).findings or paths(source) == sorted(names)
