"""The few-shot table, and the comparison of two methods."""

from __future__ import annotations

from pathlib import Path

import pytest

from reporting import base2new, fewshot, transfer
from reporting.compare import compare
from reporting.options import Options
from reporting.paper import Paper
from reporting.records import read_runs
from reporting.report import Report
from tests.reporting.trees import base2new_run, fewshot_run, transfer_runs, write_run


def build(root: Path, **options) -> Report:
    return fewshot.build(read_runs(root), Options(**options))


def zero_shot(root: Path, dataset: str, shots: int, accuracy: float, seed: int = 1, **extra) -> None:
    fewshot_run(root, "ZeroshotCLIP", dataset, shots, accuracy, seed, parameters=0, eval_only=True, **extra)


def test_columns_by_shots_and_an_average(tmp_path: Path) -> None:
    for dataset, start in (("Digits", 50.0), ("Mnist5k", 60.0)):
        for shots in (16, 2, 1):
            for seed in (1, 2, 3):
                fewshot_run(tmp_path, "MaPLe", dataset, shots, start + shots + seed, seed)
    report = build(tmp_path)
    (table,) = report.tables
    assert table.columns == ["1-shot", "2-shot", "16-shot"]
    assert [cell.mean for cell in table.row("Digits", "MaPLe").cells.values()] == [53.0, 54.0, 68.0]
    average = table.row("Average over 2 datasets", "MaPLe").cells["16-shot"]
    assert (average.mean, average.n) == (73.0, 3)
    assert average.std == pytest.approx((2 / 3) ** 0.5)
    assert report.is_whole


def test_zero_shot_is_one_figure_whatever_shots_its_runs_were_given(tmp_path: Path) -> None:
    fewshot_run(tmp_path, "MaPLe", "Digits", 1, 70.0)
    for shots in (1, 16):
        zero_shot(tmp_path, "Digits", shots, 60.0 + shots, end_utc=f"2024-01-{shots:02d}T00:00:00+00:00")
    report = build(tmp_path)
    (table,) = report.tables
    assert table.columns == ["0-shot", "1-shot"]
    assert {k: c.mean for k, c in table.row("Digits", "ZeroshotCLIP").cells.items()} == {"0-shot": 76.0}
    assert "0-shot" not in table.row("Digits", "MaPLe").cells
    assert report.missing == [] and report.notes == []


def test_missing_shots_are_named(tmp_path: Path) -> None:
    for method, counts in (("CoOp", (1, 2)), ("MaPLe", (1,))):
        for shots in counts:
            fewshot_run(tmp_path, method, "Digits", shots, 70.0)
    assert build(tmp_path).missing == ["MaPLe · Digits · 2-shot"]


def test_configurations_by_shots_share_a_row_and_rivals_do_not(tmp_path: Path) -> None:
    for shots, config in ((1, "ep50"), (2, "ep100")):
        fewshot_run(tmp_path, "CoOp", "Digits", shots, 70.0, config=config)
    report = build(tmp_path)
    assert report.tables[0].labels == ["CoOp"] and report.missing == []
    assert "ep100, ep50" in report.notes[0]
    fewshot_run(tmp_path, "CoOp", "Digits", 2, 75.0, config="ep50")
    assert build(tmp_path).tables[0].labels == ["CoOp (ep100)", "CoOp (ep50)"]


def test_cross_dataset_runs_stay_out(tmp_path: Path) -> None:
    transfer_runs(tmp_path, "MaPLe", "Digits", {"Digits": 90.0, "Mnist5k": 60.0})
    fewshot_run(tmp_path / "fewshot", "CoOp", "Digits", 4, 70.0)
    (table,) = build(tmp_path).tables
    assert table.labels == ["CoOp"] and table.columns == ["4-shot"]


def test_nothing_trained_and_the_paper_are_clear_errors(tmp_path: Path) -> None:
    zero_shot(tmp_path, "Digits", 16, 60.0)
    with pytest.raises(ValueError, match="no few-shot training on all classes among 1 run records"):
        build(tmp_path)
    fewshot_run(tmp_path, "MaPLe", "Digits", 1, 70.0)
    with pytest.raises(ValueError, match="curves only"):
        build(tmp_path, paper=Paper())


def entries(report: Report, first: str, second: str) -> dict[tuple[str, str], tuple[float, int]]:
    found = compare(report, first, second).entries
    return {(quantity, pairs): (pytest.approx(interval.mean), interval.n) for quantity, pairs, interval in found}


def test_comparison_is_paired_over_dataset_and_seed(tmp_path: Path) -> None:
    for dataset, level in (("Digits", 50.0), ("Mnist5k", 70.0)):
        for seed in (1, 2, 3):
            for method, more in (("CoOp", 0.0), ("MaPLe", 2.0 + seed)):
                base2new_run(tmp_path, method, dataset, "train_base", level + seed + more, seed)
    report = base2new.build(read_runs(tmp_path), Options())
    assert entries(report, "MaPLe", "CoOp") == {
        ("Base", "(dataset, seed)"): (4.0, 6),
        ("Base", "datasets, seeds averaged"): (4.0, 2),
    }
    interval = compare(report, "MaPLe", "CoOp").entries[0][2]
    # differences 3, 4, 5 twice: s = √0.8, t(0.975, 5) = 2.570582
    assert interval.low == pytest.approx(4.0 - 2.570582 * (0.8 / 6) ** 0.5, abs=1e-5)


def test_zero_shot_is_paired_with_every_seed_and_unpaired_figures_are_counted(tmp_path: Path) -> None:
    zero_shot(tmp_path, "Digits", 1, 60.0)
    for seed in (1, 2, 3):
        base2new_run(tmp_path, "MaPLe", "Digits", "train_base", 70.0 + seed, seed)
    base2new_run(tmp_path, "ZeroshotCLIP", "Digits", "train_base", 60.0, parameters=0)
    base2new_run(tmp_path, "CoOp", "Digits", "train_base", 60.0, seed=1)
    report = base2new.build(read_runs(tmp_path), Options())
    assert entries(report, "MaPLe", "ZeroshotCLIP") == {("Base", "(dataset, seed)"): (12.0, 3)}
    assert entries(report, "ZeroshotCLIP", "MaPLe") == {("Base", "(dataset, seed)"): (-12.0, 3)}
    with_coop = compare(report, "MaPLe", "CoOp")
    assert with_coop.entries[0][2].n == 1 and with_coop.notes == [
        "Base: 2 figures have no partner with the same dataset and seed"
    ]


def test_comparison_of_targets(tmp_path: Path) -> None:
    for method, more in (("CoOp", 0.0), ("MaPLe", 5.0)):
        accuracy = {"Digits": 90.0, "Mnist5k": 60.0 + more, "EuroSAT": 30.0 + more}
        transfer_runs(tmp_path, method, "Digits", accuracy)
    report = transfer.build(read_runs(tmp_path), Options())
    assert entries(report, "MaPLe", "CoOp") == {
        ("Targets of Digits", "(dataset, seed)"): (5.0, 6),
        ("Targets of Digits", "datasets, seeds averaged"): (5.0, 2),
    }


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("MaPLe", "VPT", "--compare VPT: is no row of this table; the rows are: 'CoOp (a)', 'CoOp (b)', 'MaPLe'"),
        ("CoOp", "MaPLe", "--compare CoOp: is the name of several rows"),
        ("MaPLe", "MaPLe", "name two different ones"),
        ("CoOp (a)", "MaPLe", "have no dataset and seed in common"),
    ],
)
def test_comparisons_that_cannot_be_made(tmp_path: Path, first: str, second: str, said: str) -> None:
    write_run(tmp_path / "1", "CoOp", "Digits", 50.0, seed=1, config="a")
    write_run(tmp_path / "2", "CoOp", "Digits", 50.0, seed=2, config="b")
    write_run(tmp_path / "3", "CoOp", "Digits", 50.0, seed=1, config="b")
    write_run(tmp_path / "4", "MaPLe", "Digits", 50.0, seed=2)
    with pytest.raises(ValueError) as error:
        compare(build(tmp_path), first, second)
    assert said in str(error.value)
