"""The user's own images, without code."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

import pytest

from datasets.manage.catalogue import benchmarks
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


def test_half_of_one_class_is_said(own: Path, load: Load, capsys: pytest.CaptureFixture) -> None:
    note = "Note: one class alone: every answer is right, and an accuracy says nothing\n"
    for subsample, told in (("all", False), ("base", False), ("new", True)):
        load("Folder", subsample=subsample, PATH=str(own))
        assert (note in capsys.readouterr().out) == told


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
    write_images(tmp_path, [line.partition(",")[0] for line in lines])
    dataset = load("Folder", PATH=str(tmp_path / "list.csv"))
    assert dataset.classnames == ["a", "b"] and summary(dataset) == (2, 2, 2)
    assert dataset.train_x[0].impath == str(tmp_path / "pictures/a0.jpg")


def test_csv_without_split_is_cut(tmp_path: Path, load: Load) -> None:
    names = [f"{name}{i}.jpg" for i in range(10) for name in "xy"]
    write_images(tmp_path, names)
    write_lines(tmp_path / "list.csv", ["label,path", *(f"{name[0]},{name}" for name in names)])
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
        ([], "nowhere", r"there is no .*/nowhere$"),
        (["list.txt"], "list.txt", r"expected a folder or a .csv file"),
        (["own/a.jpg"], "own", r"own: no images of any class found; put the images of each class into a folder"),
        (["own/train/a/1.jpg"], "own", r"has train/, with no images directly in it, and no test/; add test/"),
    ],
)
def test_mistakes(tmp_path: Path, load: Load, files: list[str], path: str, message: str) -> None:
    write_images(tmp_path, files)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load("Folder", PATH=str(tmp_path / path) if path else "")


def test_neither_here_nor_under_the_data_root(root: Path, load: Load) -> None:
    with pytest.raises(FileNotFoundError, match=rf"there is neither {Path.cwd()}/nowhere nor {root}/nowhere$"):
        load("Folder", PATH="nowhere")


def test_name_that_is_not_utf8(tmp_path: Path, load: Load) -> None:
    name = os.fsdecode(b"caf\xe9")
    write_images(tmp_path / name, [f"{part}/{i}.jpg" for part in "ab" for i in range(4)])
    with pytest.raises(ValueError, match=r"DATASET.PATH /.*/caf\\xe9: this name is not in UTF-8; rename it"):
        load("Folder", PATH=str(tmp_path / name))
    with pytest.raises(FileNotFoundError, match=r"DATASET.PATH caf\\xe9: there is neither "):
        load("Folder", PATH=name)


def test_orientation_is_applied(tmp_path: Path, load: Load) -> None:
    """To images of one's own; the engine's tests show what that does."""
    write_images(tmp_path, [f"{name}/{i}.jpg" for name in "ab" for i in range(4)])
    assert load("Folder", PATH=str(tmp_path)).upright
    assert not any(cls.upright for cls in benchmarks().values())


def test_a_broken_image_names_a_command_that_runs(own: Path, load: Load, capsys: pytest.CaptureFixture) -> None:
    odd = own.rename(own.with_name("my own $(images)"))
    (odd / "pear" / "03.png").write_bytes(b"no image")
    hint = load("Folder", PATH=str(odd)).repair_hint
    words = shlex.split(hint.removeprefix("run: "))
    assert words[:3] == ["python", "-m", "datasets"] and main(words[3:]) == 1
    assert f"cannot read image {odd}/pear/03.png: it is no image" in capsys.readouterr().out
