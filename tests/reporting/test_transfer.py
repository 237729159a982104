"""Cross-dataset and domain-generalisation tables."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from reporting import transfer
from reporting.options import Options
from reporting.paper import Paper
from reporting.records import read_runs
from reporting.report import Report
from tests.reporting.trees import OURS, paper_figures, transfer_runs, write_run

CLOSE = pytest.approx


def build(root: Path, domain: bool = False, **options) -> Report:
    return transfer.build(read_runs(root), Options(**options), domain=domain)


def paper_tree(root: Path) -> None:
    figures = paper_figures()
    for key in ("cross_dataset", "domain_generalization"):
        columns = figures[key]["columns"]
        for method, values in figures[key].items():
            accuracy = {name: v for name, v in zip(columns, values, strict=True) if name != "Average"}
            if method == "CLIP":
                for name, value in accuracy.items():
                    write_run(root / "zs" / name, OURS[method], name, value, parameters=0, eval_only=True, shots=-1)
            elif method != "columns":
                transfer_runs(root, method, "ImageNet", accuracy)


def test_papers_own_numbers_give_the_papers_averages(tmp_path: Path) -> None:
    paper_tree(tmp_path)
    figures = paper_figures()["cross_dataset"]
    (table,) = build(tmp_path).tables
    assert table.columns == ["ImageNet (source)", *figures["columns"][1:]]
    for method in ("CoOp", "CoCoOp", "MaPLe"):
        row = table.row("ImageNet", method)
        for column, printed in zip(table.columns, figures[method], strict=True):
            assert row.cells[column].mean == CLOSE(printed, abs=0.01), (method, column)


def test_domain_generalisation_keeps_to_the_variants_and_has_zero_shot(tmp_path: Path) -> None:
    paper_tree(tmp_path)
    report = build(tmp_path, domain=True, paper=Paper())
    (table,) = report.tables
    figures = paper_figures()["domain_generalization"]
    assert table.columns == ["ImageNet (source)", *figures["columns"][1:], "Average"]
    assert table.labels == ["ZeroshotCLIP", "CoOp", "CoCoOp", "MaPLe"]
    row = table.row("ImageNet", "ZeroshotCLIP")
    assert [row.cells[c].mean for c in table.columns[:-1]] == figures["CLIP"]
    assert [row.cells[c].paper for c in table.columns] == [*figures["CLIP"], None]
    assert row.cells["Average"].mean == CLOSE(sum(figures["CLIP"][1:]) / 4)


def test_the_papers_average_is_compared_only_over_its_ten_targets(tmp_path: Path) -> None:
    paper_tree(tmp_path)
    whole = build(tmp_path, paper=Paper(), methods=["MaPLe"]).tables[0].row("ImageNet", "MaPLe")
    assert whole.cells["Average"].paper == 66.30
    part = build(tmp_path, paper=Paper(), methods=["MaPLe"], datasets=["EuroSAT", "UCF101"])
    row = part.tables[0].row("ImageNet", "MaPLe")
    assert (row.cells["EuroSAT"].paper, row.cells["Average"].paper) == (48.06, None)
    assert any("ten targets" in note for note in part.notes)


def test_there_and_back_are_two_tables(tmp_path: Path) -> None:
    transfer_runs(tmp_path, "MaPLe", "Digits", {"Digits": 90.0, "Mnist5k": 60.0}, backbone="mini_clip")
    transfer_runs(tmp_path, "MaPLe", "Mnist5k", {"Mnist5k": 95.0, "Digits": 50.0}, backbone="mini_clip")
    report = build(tmp_path, paper=Paper())
    assert [table.title for table in report.tables] == [
        "Cross-dataset transfer from Digits",
        "Cross-dataset transfer from Mnist5k",
    ]
    back = report.tables[1].row("Mnist5k", "MaPLe").cells
    assert (back["Mnist5k (source)"].mean, back["Digits"].mean, back["Average"].mean) == (95.0, 50.0, 50.0)
    assert any("the table of Digits is not compared" in note for note in report.notes)
    assert report.missing == []


def test_zero_shot_stands_in_every_table_and_is_missing_once(tmp_path: Path) -> None:
    for source, target in (("Digits", "Mnist5k"), ("Mnist5k", "Digits")):
        transfer_runs(tmp_path, "MaPLe", source, {source: 90.0, target: 60.0})
    write_run(tmp_path / "zs", "ZeroshotCLIP", "Digits", 55.0, parameters=0)
    report = build(tmp_path)
    there, back = report.tables
    assert there.row("Digits", "ZeroshotCLIP").cells["Digits (source)"].mean == 55.0
    assert back.row("Mnist5k", "ZeroshotCLIP").cells["Digits"].mean == 55.0
    assert report.missing == ["ZeroshotCLIP · Mnist5k"]


def test_a_missing_seed_is_named_with_its_source(tmp_path: Path) -> None:
    transfer_runs(tmp_path, "MaPLe", "Digits", {"Digits": 90.0, "Mnist5k": 60.0})
    transfer_runs(tmp_path, "MaPLe", "Digits", {"EuroSAT": 30.0}, seeds=(1, 2))
    assert build(tmp_path).incomplete == ["MaPLe · trained on Digits · EuroSAT: no run for seed 3"]


def test_a_missing_target_is_named_and_leaves_the_average_empty(tmp_path: Path) -> None:
    transfer_runs(tmp_path, "CoOp", "ImageNet", {"ImageNet": 70.0, "EuroSAT": 40.0, "DescribableTextures": 45.0})
    transfer_runs(tmp_path, "MaPLe", "ImageNet", {"EuroSAT": 40.0})
    report = build(tmp_path)
    assert report.missing == [
        "MaPLe · trained on ImageNet · ImageNet",
        "MaPLe · trained on ImageNet · DescribableTextures",
    ]
    row = report.tables[0].row("ImageNet", "MaPLe")
    assert row.cells["Average"] is None and row.cells["ImageNet (source)"] is None


def test_the_source_is_found_by_record_by_moved_folder_and_by_name(tmp_path: Path) -> None:
    transfer_runs(tmp_path / "first", "MaPLe", "Digits", {"Digits": 90.0, "Mnist5k": 60.0}, seeds=(1,))
    moved = tmp_path / "second"
    shutil.copytree(tmp_path / "first", moved)  # model_dir now points outside of the tree, but ends alike
    assert build(moved).tables[0].row("Digits", "MaPLe").cells["Mnist5k"].mean == 60.0
    shutil.rmtree(moved / "digits")  # ... and to a run outside of the tree
    assert build(moved).tables[0].title.endswith("from Digits")
    shutil.rmtree(tmp_path / "first")  # ... and to nothing: the folder names are left
    assert build(moved).tables[0].title.endswith("from Digits")
    assert build(moved).missing == ["MaPLe · trained on Digits · Digits"]


@pytest.mark.parametrize(("part", "source"), [("oxford_pets", "OxfordPets"), ("dtd", "DescribableTextures")])
def test_dataset_folders_are_known_by_their_names(tmp_path: Path, part: str, source: str) -> None:
    write_run(
        tmp_path / "e", "MaPLe", "EuroSAT", 40.0, eval_only=True, model_dir=f"weights/{part}/MaPLe/x_16shots/seed1"
    )
    assert build(tmp_path).tables[0].title == f"Cross-dataset transfer from {source}"


def test_an_unknown_source_is_an_error_until_it_is_given(tmp_path: Path) -> None:
    write_run(tmp_path / "e", "MaPLe", "EuroSAT", 40.0, eval_only=True, model_dir="weights/seed1")
    with pytest.raises(ValueError, match="name it with --source"):
        build(tmp_path)
    assert build(tmp_path, source="ImageNet").tables[0].title.endswith("from ImageNet")


def test_runs_of_other_protocols_stay_out(tmp_path: Path) -> None:
    transfer_runs(tmp_path, "MaPLe", "Digits", {"Digits": 90.0, "Mnist5k": 60.0})
    write_run(tmp_path / "fewshot", "CoOp", "Digits", 10.0)
    write_run(tmp_path / "base", "CoOp", "Mnist5k", 10.0, subsample="base")
    assert build(tmp_path).tables[0].labels == ["MaPLe"]


def test_no_evaluation_elsewhere_is_a_clear_error(tmp_path: Path) -> None:
    write_run(tmp_path / "a", "MaPLe", "Digits", 90.0)
    with pytest.raises(ValueError, match="no evaluation of a trained model on another dataset among 1 run records"):
        build(tmp_path)
    with pytest.raises(ValueError, match="on ImageNetV2, ImageNetSketch"):
        build(tmp_path, domain=True)
