"""CSV files of one's own images: rows are used, or told by their lines; `check` says the same as training."""

from __future__ import annotations

from pathlib import Path

import pytest

from datasets.manage.cli import main
from datasets.own.lists import read_own
from datasets.splits import Item

from .conftest import Load, Say
from .miniatures import pixel, several, write_images, write_lines


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
