"""What a dataset says that its lists are read from: a mark of it sees every change of the lists."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dassl.data.datasets import DATASET_REGISTRY
from dassl.records import Asked, Source, take
from datasets.base import Benchmark

from .conftest import Load
from .miniatures import ALL, WITH_SPLIT, Expected, write_images
from .test_layouts import by_stem, place


def measured(dataset: Any, root: Path, work: Path) -> list[Any]:
    """What the sources of a dataset's lists are like now."""
    sources = dataset.list_sources()
    assert sources
    return [mark["found"] for mark in take(Asked({"root": str(root)}, (), work, work), sources)]


def edits(case: Expected, folder: Path) -> list[Callable[[], Any]]:
    """Ways to change the lists of a miniature."""
    if case in WITH_SPLIT:
        (split,) = folder.glob("split_*.json")
        content = json.loads(split.read_text())
        return [lambda: split.write_text(json.dumps({**content, "test": content["test"][1:]}))]
    if (folder / "variants.txt").is_file():
        lists = folder / "images_variant_train.txt"
        lines = lists.read_text().splitlines()
        names = (folder / "variants.txt").read_text()
        return [
            lambda: lists.write_text("\n".join(lines[1:])),
            lambda: (folder / "variants.txt").write_text(names.replace("707-320", "707-321")),
        ]
    image = next(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    names = (folder / "classnames.txt").read_text()
    return [
        lambda: image.rename(image.with_name("other" + image.suffix)),
        lambda: write_images(image.parent, ["more.jpg"]),
        lambda: (folder / "classnames.txt").write_text(names + "n99999999 more\n"),
    ]


@pytest.mark.parametrize("case", ALL, ids=by_stem)
def test_marks_see_every_change_and_no_move(case: Expected, root: Path, tmp_path: Path, load: Load) -> None:
    folder = place(case, root)
    dataset = load(case.name)
    before = measured(dataset, root, tmp_path)
    assert measured(dataset, root, tmp_path) == before
    for edit in edits(case, folder):
        edit()
        now = measured(dataset, root, tmp_path)
        assert now != before
        before = now
    root.rename(tmp_path / "moved")
    assert measured(dataset, tmp_path / "moved", tmp_path) == before


def test_a_dataset_that_reads_its_lists_in_its_own_way_must_say_from_where() -> None:
    parent = DATASET_REGISTRY.get("Caltech101")
    assert issubclass(parent, Benchmark) and object.__new__(parent).list_sources()
    for name in ("read_lists", "full_lists", "chosen_lists"):
        child = type("Child", (parent,), {name: getattr(parent, name)})
        assert object.__new__(child).list_sources() is None


@pytest.fixture
def own(tmp_path: Path) -> Path:
    for name in ("ant", "bee"):
        write_images(tmp_path / "own" / name, [f"{i}.jpg" for i in range(5)])
    return tmp_path / "own"


@pytest.mark.parametrize("relative", [False, True])
def test_ones_own_folder(
    own: Path, tmp_path: Path, load: Load, relative: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    dataset = load("Folder", PATH="own" if relative else str(own))
    (source,) = dataset.list_sources()
    assert source == Source("tree", "work" if relative else "", "own" if relative else str(own))
    before = measured(dataset, tmp_path, tmp_path)
    (own / "ant" / "0.jpg").write_bytes(b"edited")
    assert measured(dataset, tmp_path, tmp_path) != before


@pytest.mark.parametrize("relative", [False, True])
def test_ones_own_csv(own: Path, tmp_path: Path, load: Load, relative: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lists").mkdir()
    csv = tmp_path / "lists" / "own.csv"
    rows = [f"../own/{name}/{i}.jpg,{name}" for name in ("ant", "bee") for i in range(5)]
    csv.write_text("\n".join(["path,label", *rows]))
    dataset = load("Folder", PATH="lists/own.csv" if relative else str(csv))
    marks = [measured(dataset, tmp_path, tmp_path)]
    for edit in (
        lambda: os.utime(own / "ant" / "0.jpg", ns=(5, 5)),
        lambda: csv.write_text("\n".join(["path,label", *rows[1:]])),
        lambda: (csv.parent / "classnames.txt").write_text("a\nb\n"),
        lambda: write_images(own / "bee", ["9.jpg"]),
    ):
        edit()
        marks.append(measured(dataset, tmp_path, tmp_path))
        assert marks[-1] not in marks[:-1]


def test_ones_own_folder_under_the_data_root_is_always_compared(
    own: Path, root: Path, tmp_path: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of that name in the working folder would come first."""
    shutil.move(own, root / "own")
    monkeypatch.chdir(tmp_path)
    assert load("Folder", PATH="own").list_sources() is None
