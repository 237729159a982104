"""The user's own images, without code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from datasets.manage.cli import main

from .conftest import Load
from .miniatures import write_images, write_lines


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Three classes of ten images."""
    folder = tmp_path / "own"
    for name in ("red_apple", "pear", "Quince"):
        write_images(folder / name, [f"{i:02d}.png" for i in range(10)])
    return folder


def summary(dataset: Any) -> tuple[int, int, int]:
    return len(dataset.train_x), len(dataset.val or ()), len(dataset.test)


def test_class_per_folder(own: Path, load: Load, capsys: pytest.CaptureFixture) -> None:
    dataset = load("Folder", PATH=str(own), TEMPLATE="a drawing of a {}.")
    assert dataset.classnames == ["Quince", "pear", "red_apple"]
    assert summary(dataset) == (15, 6, 9)
    assert dataset.template == "a drawing of a {}." and dataset.dataset_dir == str(own)
    assert all(Path(item.impath).is_file() for item in dataset.train_x)
    shown = capsys.readouterr().out
    assert "3 classes; images: 15 train, 6 val, 9 test" in shown
    assert "Prompts" not in shown  # which a method makes, each its own


@pytest.mark.parametrize(("subsample", "names"), [("base", ["Quince", "pear"]), ("new", ["red_apple"])])
def test_all_protocols(own: Path, load: Load, subsample: str, names: list[str]) -> None:
    dataset = load("Folder", shots=4, subsample=subsample, PATH=str(own))
    assert dataset.classnames == names
    assert summary(dataset) == (4 * len(names), 2 * len(names), 3 * len(names))
    assert dataset.fewshot_digest == load("Folder", shots=4, PATH=str(own)).fewshot_digest


def test_cut_does_not_depend_on_the_seed(own: Path, load: Load) -> None:
    parts = [[item.impath for item in load("Folder", seed=seed, PATH=str(own)).test] for seed in (1, 2, -1)]
    assert parts[0] == parts[1] == parts[2]


@pytest.mark.parametrize("val", [True, False])
def test_train_and_test_folders(tmp_path: Path, load: Load, val: bool) -> None:
    for part, count in (("train", 5), ("test", 2), ("val", 3)):
        if part != "val" or val:
            write_images(tmp_path / "own" / part, [f"{name}/{i}.jpg" for name in ("b", "a") for i in range(count)])
    dataset = load("Folder", PATH=str(tmp_path / "own"))
    assert dataset.classnames == ["a", "b"] and summary(dataset) == (10, 6 if val else 0, 4)
    assert (dataset.val is not None) == val
    assert dataset.test[-1].impath == str(tmp_path / "own/test/b/1.jpg")


def test_csv(tmp_path: Path, load: Load) -> None:
    lines = [
        f"pictures/{name}{i}.jpg,{name},{part}" for name in "ba" for i, part in enumerate(["train", "test", "val"])
    ]
    write_lines(tmp_path / "list.csv", ["path,label,split", *lines])
    dataset = load("Folder", PATH=str(tmp_path / "list.csv"))
    assert dataset.classnames == ["a", "b"] and summary(dataset) == (2, 2, 2)
    assert dataset.train_x[0].impath == str(tmp_path / "pictures/a0.jpg")


def test_csv_without_split_is_cut(tmp_path: Path, load: Load) -> None:
    write_lines(tmp_path / "list.csv", ["label,path", *(f"{name},{name}{i}.jpg" for i in range(10) for name in "xy")])
    assert summary(load("Folder", PATH=str(tmp_path / "list.csv"))) == (10, 4, 6)


@pytest.mark.parametrize(
    "lines",
    [["Quince a quince", "pear\ta ripe pear", "red_apple an apple"], ["a quince", "a ripe pear", "an apple"]],
    ids=["by folder", "by order"],
)
def test_class_names(own: Path, load: Load, lines: list[str]) -> None:
    write_lines(own / "classnames.txt", lines)
    assert load("Folder", PATH=str(own)).classnames == ["a quince", "a ripe pear", "an apple"]


def test_class_names_that_do_not_fit(own: Path, load: Load) -> None:
    write_lines(own / "classnames.txt", ["Quince a quince", "pear a pear"])
    with pytest.raises(ValueError, match=r"each of the 3 classes.*found 2 lines, and none for 'red_apple'"):
        load("Folder", PATH=str(own))


@pytest.mark.parametrize("template", ["a photo", "{} and {}", "{name}", "{} {x}"])
def test_template_without_a_place_for_the_name(own: Path, load: Load, template: str) -> None:
    with pytest.raises(ValueError, match=r"expected one \{\} where the class name goes"):
        load("Folder", PATH=str(own), TEMPLATE=template)


def test_path_under_the_data_root(root: Path, load: Load) -> None:
    write_images(root / "mine", [f"{name}/{i}.jpg" for name in "ab" for i in range(5)])
    assert load("Folder", PATH="mine").dataset_dir == str(root / "mine")


@pytest.mark.parametrize(
    ("files", "path", "message"),
    [
        ([], "", "DATASET.PATH is empty"),
        ([], "nowhere", "there is neither"),
        (["list.txt"], "list.txt", r"expected a folder or a .csv file"),
        (["own/a.jpg"], "own", "no images found; expected one sub-folder per class"),
        (["own/train/a/1.jpg"], "own", "has train/ and no test/"),
        (["own/train/a/1.jpg", "own/test/a/1.jpg", "own/test/b/1.jpg"], "own", r"no training image of class 1 \(b\)"),
        (["own/a/1.jpg", "own/a/2.jpg"], "own", "Class 'a' has 2 images: too few"),
    ],
)
def test_mistakes(tmp_path: Path, load: Load, files: list[str], path: str, message: str) -> None:
    write_images(tmp_path, files)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load("Folder", PATH=str(tmp_path / path) if path else "")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a.jpg,x"], "expected the columns path, label and split, found a.jpg, x"),
        (["path,label,split", "a.txt,x,train"], "line 2: expected an image's path and its label, found 'a.txt', 'x'"),
        (["path,label,split", "a.jpg,x,training"], "line 2: split is 'training', expected train, val or test"),
        (["path,label,split", "a.jpg,x,train"], "names train; train and test are needed"),
    ],
)
def test_mistakes_in_csv(tmp_path: Path, load: Load, lines: list[str], message: str) -> None:
    write_lines(tmp_path / "list.csv", lines)
    with pytest.raises(ValueError, match=message):
        load("Folder", PATH=str(tmp_path / "list.csv"))


def test_check(own: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["check", "folder", "--path", str(own), "--deep"]) == 0
    assert "ready" in capsys.readouterr().out
    (own / "pear" / "03.png").write_bytes(b"no image")
    assert main(["check", "folder", "--path", str(own), "--deep"]) == 1
    assert f"cannot read image {own}/pear/03.png" in capsys.readouterr().out
