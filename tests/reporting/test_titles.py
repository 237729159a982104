"""Datasets of one's own stand in rows of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from configs import facts
from reporting.base2new import build
from reporting.cli import main
from reporting.options import Options
from reporting.records import RunTree, read_runs
from reporting.transfer import build as build_transfer

from .trees import SIDES, transfer_runs, write_run


def own_runs(root: Path, title: str, path: str, base: float, method: str = "MaPLe", **extra: Any) -> None:
    """The two runs of base-to-new on images of one's own; `title` is what their records call them."""
    for side, accuracy in (("train_base", base), ("test_new", base - 1)):
        folder = root / side / path.strip("/").replace("/", "-") / method / "seed1"
        settings = {"DATASET": {"NAME": "Folder", "PATH": path}}
        write_run(folder, method, title, accuracy, subsample=SIDES[side], settings=settings, **extra)


def rows(tree: RunTree) -> dict[str, float]:
    """The base column of the table, by dataset."""
    (table,) = build(tree, Options()).tables
    return {row.block: cell.mean for row in table.rows if not row.is_average and (cell := row.cells["Base"])}


def test_two_titles_are_two_rows(tmp_path: Path) -> None:
    own_runs(tmp_path, "shapesA", "/data/a", 90.0)
    own_runs(tmp_path, "shapes B", "/data/b", 70.0)
    tree = read_runs(tmp_path)
    assert rows(tree) == {"shapes B": 70.0, "shapesA": 90.0} and tree.notes == []


def test_records_that_all_say_folder(tmp_path: Path) -> None:
    """Older records know no title: their paths tell them apart, and no run is left out."""
    own_runs(tmp_path, "Folder", "/x/fruit", 90.0, end_utc="2024-01-01T00:00:00+00:00")
    own_runs(tmp_path, "Folder", "/y/fruit/", 70.0, end_utc="2024-01-02T00:00:00+00:00")
    own_runs(tmp_path, "Folder", "/y/fruit", 60.0, method="VPT")
    tree = read_runs(tmp_path)
    assert {run.dataset for run in tree.runs} == {"Folder (x/fruit)", "Folder (y/fruit)"}
    report = build(tree, Options())
    assert report.notes == [
        "2 datasets are called Folder, told apart by where they lie (/x/fruit, /y/fruit); DATASET.TITLE gives each a "
        "name of its own"
    ]
    assert rows(tree) == {"Folder (x/fruit)": 90.0, "Folder (y/fruit)": 70.0}
    assert sorted(run.metrics["test"]["accuracy"] for run in tree.runs) == [59.0, 60.0, 69.0, 70.0, 89.0, 90.0]


def test_one_older_dataset_keeps_its_name(tmp_path: Path) -> None:
    own_runs(tmp_path, "Folder", "/x/fruit", 90.0)
    tree = read_runs(tmp_path)
    assert rows(tree) == {"Folder": 90.0} and tree.notes == []


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (("/a", "/b/a"), ("X (/a)", "X (b/a)")),
        (("list.csv", "other.csv"), ("X (list.csv)", "X (other.csv)")),
        (("/one/deep/fruit", "/two/deep/fruit"), ("X (one/deep/fruit)", "X (two/deep/fruit)")),
    ],
)
def test_shortest_ends_that_differ(tmp_path: Path, paths: tuple[str, ...], names: tuple[str, ...]) -> None:
    for path in paths:
        own_runs(tmp_path, "X", path, 50.0)
    assert {run.dataset for run in read_runs(tmp_path).runs} == set(names)


def test_benchmark_under_the_title_of_own_images(tmp_path: Path) -> None:
    own_runs(tmp_path, "mine", "/x/fruit", 90.0)
    settings = {"DATASET": {"NAME": "Digits", "TITLE": "mine", "PATH": ""}}
    write_run(tmp_path / "digits" / "seed1", "MaPLe", "mine", 40.0, subsample="base", settings=settings)
    assert {run.dataset for run in read_runs(tmp_path).runs} == {"mine (fruit)", "mine (Digits)"}


def test_published_benchmarks_are_never_renamed(tmp_path: Path) -> None:
    """Whatever their settings hold."""
    names = [each.name for each in facts.datasets().values()]
    for number, name in enumerate(names):
        for seed, settings in enumerate([{}, {"DATASET": {"NAME": name, "ROOT": f"/data{number}"}}], start=1):
            write_run(tmp_path / name / f"seed{seed}", "MaPLe", name, 50.0, seed, "base", settings=settings)
    tree = read_runs(tmp_path)
    assert sorted({run.dataset for run in tree.runs}) == sorted(names) and tree.notes == []


def test_transfer_between_own_datasets_of_one_name(tmp_path: Path) -> None:
    """The model's source is found under the name that it was told apart by."""
    trained = {"DATASET": {"NAME": "Folder", "PATH": "/x/fruit"}}
    transfer_runs(tmp_path, "MaPLe", "Folder", {"Folder": 80.0}, seeds=(1,), settings=trained)
    source = tmp_path / "folder" / "MaPLe" / "cfg_16shots" / "seed1"
    tested = {"DATASET": {"NAME": "Folder", "PATH": "/y/fruit"}}
    folder = tmp_path / "evaluation" / "MaPLe" / "cfg_16shots" / "other" / "seed1"
    write_run(folder, "MaPLe", "Folder", 60.0, eval_only=True, model_dir=str(source), settings=tested)
    (table,) = build_transfer(read_runs(tmp_path), Options()).tables
    assert table.columns[:2] == ["Folder (x/fruit) (source)", "Folder (y/fruit)"]
    assert [cell.mean for cell in table.rows[0].cells.values() if cell] == [80.0, 60.0, 60.0]


def test_note_and_rows_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    own_runs(tmp_path, "shapes", "/x/shapes", 90.0)
    own_runs(tmp_path, "shapes", "/y/shapes", 70.0)
    assert main(["base2new", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "shapes (x/shapes)" in shown and "shapes (y/shapes)" in shown
    assert "2 datasets are called shapes, told apart by where they lie" in shown
    assert main(["base2new", str(tmp_path), "--datasets", "shapes (y/shapes)"]) == 0
    assert "90.00" not in capsys.readouterr().out
