"""Nothing of one's own images is lost without a word, and `check` says the same as training."""

from __future__ import annotations

import os
import random
import re
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from datasets.manage.cli import main
from datasets.own import formats
from datasets.own.lists import FEWEST_TO_CUT, read_own
from datasets.splits import Item, three_way

from .conftest import Load
from .miniatures import pixel, write_images, write_lines

Say = Callable[..., str]


def several(*folders: str, number: int = 4) -> list[str]:
    """Names of images in each of the folders."""
    return [f"{folder}/{i}.jpg" for folder in folders for i in range(number)]


def paths(source: Path) -> list[str]:
    return sorted(item.path for part in read_own(source).split for item in part)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Where the images lie."""
    folder = tmp_path / "own"
    folder.mkdir()
    return folder


@pytest.fixture
def say(load: Load, capsys: pytest.CaptureFixture) -> Say:
    """What `check` says of images; training must say the same, whether they can be used or not."""

    def both(source: Path, *options: str) -> str:
        capsys.readouterr()
        code = main(["check", "folder", "--path", str(source), *options])
        checked = capsys.readouterr().out
        problems = re.findall(r"^  - (.*(?:\n    (?!fix: ).*)*)\n    fix: (.*)$", checked, re.MULTILINE)
        if "--deep" not in options:
            if problems:
                with pytest.raises(ValueError) as refused:
                    load("Folder", PATH=str(source))
                assert str(refused.value).startswith("; ".join(problems[0]))
                more = f" ({len(problems) - 1} more: python -m datasets check folder --path"
                assert (more in str(refused.value)) == (len(problems) > 1)
            else:
                load("Folder", PATH=str(source))
                trained = capsys.readouterr().out
                notes = re.findall("^  note: (.*)$", checked, re.MULTILINE)
                assert re.findall("^Note: (.*)$", trained, re.MULTILINE) == notes
        assert code == (1 if problems else 0) and checked.split()[1] == ("incomplete" if problems else "ready")
        return checked

    return both


def test_nothing_to_say(own: Path, say: Say) -> None:
    write_images(own, several("a", "b", number=10))
    (own / "a" / "about.txt").write_text("")
    write_lines(own / "classnames.txt", ["a first", "b second"])
    assert say(own) == "folder           ready       2 classes, 10 train, 4 val, 6 test images\n"


# ---- folders


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


# ---- formats


def test_suffixes_are_those_of_real_decoders() -> None:
    """Those of the benchmarks and of phones and browsers; nothing that Pillow only recognises."""
    known = formats.readable_suffixes()
    assert {
        ".jpg",
        ".jpeg",
        ".png",
        ".bmp",
        ".gif",
        ".webp",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".jfif",
        ".avif",
    } <= known
    assert not known & {".mpg", ".mpeg", ".h5", ".hdf", ".grib", ".bufr", ".eps", ".ps", ".wmf", ".emf", ".pdf", ".txt"}


def test_formats_that_are_written_are_read(own: Path, load: Load) -> None:
    image = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
    written = set()
    for suffix in sorted(formats.readable_suffixes()):
        name = Image.registered_extensions()[suffix]
        for number in range(5):
            file = own / name / f"{number}{suffix}"
            file.parent.mkdir(exist_ok=True)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", DeprecationWarning)  # of formats that Pillow will drop
                    image.convert("1" if name in ("MSP", "XBM") else "RGB").save(file)
            except (KeyError, ValueError, OSError):
                file.unlink(missing_ok=True)  # Pillow reads it and does not write it, or needs it larger
                continue
            written.add(file)
    assert {path.parent.name for path in written} >= {"JPEG", "PNG", "WEBP", "TIFF", "JPEG2000", "TGA"}
    assert {str(file.relative_to(own)) for file in written} == set(paths(own))
    assert main(["check", "folder", "--path", str(own), "--deep"]) == 0


def test_pillow_without_a_decoder(own: Path, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.features.check", lambda feature: feature != "webp")
    formats.readable_suffixes.cache_clear()
    try:
        write_images(own, [*several("a", "b"), "a/1.webp"])
        said = say(own)
    finally:
        formats.readable_suffixes.cache_clear()
    assert "note: 1 image left out, of formats that the installed Pillow does not read (.webp): convert" in said


# ---- looking into the images


def test_copies_are_found(own: Path, say: Say) -> None:
    for name, value in (("train/a/1", 1), ("train/b/1", 2), ("test/a/9", 1), ("test/b/1", 3), ("test/a/2", 3)):
        (own / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2), (200, value, 0)).save(own / f"{name}.png")
    said = say(own, "--deep")
    assert "note: 1 image stored in train and in test, byte for byte: train/a/1.png = test/a/9.png\n" in said
    assert "note: 1 image stored under two labels, byte for byte: test/a/2.png = test/b/1.png\n" in said
    assert "byte for byte" not in say(own)


def test_dark_images_are_named(own: Path, say: Say) -> None:
    """12 bits stored as 16 keep their type's range, and are nearly black."""
    write_images(own, several("a", "b"))
    Image.fromarray(np.full((2, 2), 4095, dtype=np.uint16)).save(own / "a" / "12.png")
    Image.fromarray(np.full((2, 2), 4369, dtype=np.uint16)).save(own / "b" / "17.png")
    said = say(own, "--deep")
    assert "note: 1 image almost black, no value above 16 of 255: a/12.png; if these are 12 bits" in said


def test_strips_are_named(own: Path, say: Say) -> None:
    write_images(own, several("a", "b"))
    Image.new("RGB", (2, 101), (99, 0, 0)).save(own / "a" / "strip.png")
    Image.new("RGB", (100, 2), (99, 0, 0)).save(own / "a" / "long.png")
    assert "note: 1 image more than 50 times as long as wide: a/strip.png; the middle is" in say(own, "--deep")


def test_images_without_a_range_are_refused(own: Path, say: Say) -> None:
    write_images(own, several("a", "b"))
    Image.fromarray(np.full((2, 2), 7.5, dtype=np.float32)).save(own / "a" / "f.tif")
    said = say(own, "--deep")
    assert f"cannot read image {own}/a/f.tif: its pixels are floats from 7.5 to 7.5, expected 0 to 1" in said
    assert "    fix: put readable copies in their places, or delete them (and their rows in a CSV file)\n" in said


def test_check_reads_as_training_does(own: Path, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """One function, with one and the same orientation."""
    from dassl.data import dataset_wrapper
    from datasets.manage import own as checking

    assert checking.read_image is dataset_wrapper.read_image
    write_images(own, several("a", "b"))
    turned = []
    image = Image.new("L", (1, 1), 9)
    monkeypatch.setattr(checking, "read_image", lambda file, upright: (turned.append(upright), image)[1])
    main(["check", "folder", "--path", str(own), "--deep"])
    assert turned == [load("Folder", PATH=str(own)).upright] * 8


# ---- CSV files


def table(folder: Path, rows: list[str], write: bool = True, head: str = "path,label,split") -> Path:
    """A CSV file, with an image at each of its relative paths if `write`."""
    write_lines(folder / "list.csv", [head, *rows])
    if write:
        write_images(folder, [row.split(",")[0] for row in rows if not row.startswith("/")])
    return folder / "list.csv"


ROWS = ["p/0.jpg,a,train", "p/1.jpg,b,train", "p/2.jpg,a,test", "p/3.jpg,b,test"]


@pytest.mark.parametrize("prefix", ["", "../other/", "p/../"])
def test_absolute_and_parent_paths(own: Path, load: Load, say: Say, prefix: str) -> None:
    """`check` and training read the same files, wherever they lie."""
    write_images(own / "other", [f"{i}.png" for i in range(4)])
    write_images(own / "csv", [*(f"{i}.png" for i in range(4)), "p/x.png"])
    start = prefix or f"{own}/other/"
    rows = [f"{start}{i}.png,{'ab'[i % 2]},{'train' if i < 2 else 'test'}" for i in range(4)]
    file = table(own / "csv", rows, write=False)
    assert "2 classes, 2 train, 0 val, 2 test images" in say(file)
    assert "ready" in say(file, "--deep")
    items = load("Folder", PATH=str(file))
    where = own / ("csv" if prefix == "p/../" else "other")
    found = [Path(item.impath).resolve() for item in (*items.train_x, *items.test)]
    assert found == [where / f"{i}.png" for i in range(4)]


def test_missing_images_are_said_before_the_training(own: Path, say: Say) -> None:
    file = table(own, ROWS)
    (own / "p" / "2.jpg").unlink()
    write_lines(file, ["path,label,split", *ROWS, f"{own}/nowhere/9.jpg,a,test", "/9.jpg,a,test"])
    said = say(file)
    assert f"- 3 of 6 images are missing: p/2.jpg, {own}/nowhere/9.jpg, /9.jpg\n" in said
    write_lines(file, ["path,label,split", *ROWS, "p\0/9.jpg,a,test"])
    assert r"- 2 of 5 images are missing: p/2.jpg, p\x00/9.jpg" in say(file)
    assert f"fix: correct the column path (it starts at {own}, or at / ), or delete the rows\n" in said


def test_image_with_two_labels(own: Path, say: Say) -> None:
    file = table(own, [*ROWS, "./p/0.jpg,b,test"])
    assert "- 1 image with two labels: p/0.jpg (a in line 2, b in line 6)\n    fix: leave each image in one" in say(
        file
    )


@pytest.mark.parametrize(("part", "wrong"), [("test", True), ("val", False)])
def test_image_in_two_parts(own: Path, say: Say, part: str, wrong: bool) -> None:
    file = table(own, [*ROWS, f"p/0.jpg,a,{part}"])
    said = say(file)
    assert ("- 1 image in train and in test: p/0.jpg\n    fix: leave each image in one of the two\n" in said) == wrong
    assert ("note: 1 image in val and in train: p/0.jpg\n" in said) != wrong


def test_repeated_rows_count_once(own: Path, say: Say) -> None:
    file = table(own, [*ROWS, ROWS[0], "p//0.jpg,a,train"])
    said = say(file)
    assert "2 train, 0 val, 2 test images" in said
    assert "note: 2 rows repeated, counted once: p/0.jpg (lines 2 and 6), p//0.jpg (lines 2 and 7)\n" in said


def test_class_without_training_images_in_a_csv(own: Path, say: Say) -> None:
    assert "- 1 class without training images: c (1 in test)\n" in say(table(own, [*ROWS, "p/4.jpg,c,test"]))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["p/0.jpg,x"], "expected the columns path, label and split, found p/0.jpg, x"),
        (["path;label;split"], "found path;label;split; separate them by commas"),
        ([], "found none"),
        (["path,label,split", "a.txt,x,train"], "line 2: expected an image's path and its label, found 'a.txt', 'x'"),
        (["path,label,split", "a.jpg,,train"], "line 2: expected an image's path and its label, found 'a.jpg', ''"),
        (["path,label,split", "", "a.jpg,x,training"], "line 3: split is 'training', expected train, val or test"),
        (["path,label", '"two\nlines.jpg",x', "a,b.jpg,x"], "line 4: expected 2 fields, found more; quote commas"),
        (["path,label", "x" * 200_000 + ",a"], r"after line 1: not CSV (field larger than field limit (131072))"),
    ],
)
def test_mistakes_in_csv(own: Path, say: Say, lines: list[str], message: str) -> None:
    write_lines(own / "list.csv", lines)
    said = say(own / "list.csv")
    assert f"- {own}/list.csv" in said and message in said


def test_only_a_training_part(own: Path, say: Say) -> None:
    assert f"- {own}/list.csv: no images for test\n" in say(table(own, ROWS[:2]))


def test_head_in_any_spelling(own: Path, say: Say) -> None:
    file = table(own, ROWS, head="\ufeffPath, Label ,SPLIT")
    assert "2 train" in say(file)


@pytest.mark.parametrize("name", ["list.csv", "classnames.txt"])
def test_encoding_is_named_by_file_and_line(own: Path, say: Say, name: str) -> None:
    file = table(own, ROWS)
    lines = ["path,label,split", *ROWS] if name == "list.csv" else ["a \u00e4pfel"]
    (own / name).write_bytes("\n".join([*lines, "b b\u00f6se"]).encode("latin-1"))
    byte, line = ("f6", 6) if name == "list.csv" else ("e4", 1)
    assert f"{own}/{name}, line {line}: the byte 0x{byte} is not UTF-8; save the file in that" in say(file)


def test_backslashes(own: Path) -> None:
    """A separator on Windows; part of a name if there is such a file."""
    write_images(own, ["p/0.jpg", "p\\1.jpg"])
    file = table(own, ["p\\0.jpg,a,train", "p\\1.jpg,b,test"], write=False)
    split = read_own(file).split
    assert (split.train, split.test) == ([], []) and "no training" not in str(read_own(file).findings)
    write_lines(file, ["path,label,split", "p\\0.jpg,a,train", "p\\1.jpg,b,train", "p\\1.jpg,b,val", *ROWS[2:]])
    write_images(own, ["p/2.jpg", "p/3.jpg"])
    assert read_own(file).split.train == [Item("p/0.jpg", 0, "a"), Item("p\\1.jpg", 1, "b")]


def test_names_without_an_ending(own: Path, say: Say) -> None:
    """In a CSV file the user has said that they are images."""
    file = table(own, [row.replace(".jpg", "") for row in ROWS])
    assert (own / "p" / "0").read_bytes() == pixel()
    assert "ready" in say(file, "--deep")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["folder"], "error: check folder: --path is needed, the folder or CSV file of your images\n"),
        (["dtd", "--path", "x"], "error: --path x goes with the name folder, not with dtd\n"),
    ],
)
def test_where_to_look_is_asked_for(arguments: list[str], said: str, capsys: pytest.CaptureFixture) -> None:
    assert main(["check", *arguments]) == 2
    assert capsys.readouterr().err == said


def test_own_images_beside_a_benchmark(own: Path, root: Path, capsys: pytest.CaptureFixture) -> None:
    write_images(own, several("a", "b"))
    assert main(["check", "Folder", "dtd", "--path", str(own), "--root", str(root)]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0].split()[:2] == ["folder", "ready"] and said[1].split()[:2] == ["dtd", "missing"]


def test_path_under_the_data_root(root: Path, capsys: pytest.CaptureFixture) -> None:
    write_images(root, several("mine/a", "mine/b"))
    assert main(["check", "folder", "--path", "mine", "--root", str(root)]) == 0
