"""Base-to-new and ablation tables from folders of run records."""

from __future__ import annotations

from pathlib import Path

import pytest

from reporting import base2new
from reporting.options import Options
from reporting.paper import Paper
from reporting.records import read_runs
from reporting.report import Report, Row
from tests.reporting.trees import OURS, base2new_run, paper_base2new, paper_figures

CLOSE = pytest.approx


def build(root: Path, ablation: bool = False, **options) -> Report:
    return base2new.build(read_runs(root), Options(**options), ablation=ablation)


def row(report: Report, block: str, label: str) -> Row:
    found = report.tables[0].row(block, label)
    assert found is not None, (block, label, report.tables[0].blocks, report.tables[0].labels)
    return found


def test_papers_own_numbers_give_the_papers_averages(tmp_path: Path) -> None:
    table = paper_base2new(tmp_path)
    report = build(tmp_path)
    for name, printed in table["Average"].items():
        average = row(report, "Average over 11 datasets", OURS.get(name, name))
        for column, figure in zip(base2new.COLUMNS, printed, strict=True):
            assert average.cells[column].mean == CLOSE(figure, abs=0.01), (name, column)


def test_papers_own_numbers_give_the_papers_harmonic_means(tmp_path: Path) -> None:
    table = paper_base2new(tmp_path)
    report = build(tmp_path)
    checked = 0
    for dataset in (name for name in table if name not in ("columns", "Average")):
        for name, (_, _, hm) in table[dataset].items():
            assert row(report, dataset, OURS.get(name, name)).cells["HM"].mean == CLOSE(hm, abs=0.01), (dataset, name)
            checked += 1
    assert checked == 44


def test_ablation_of_the_papers_own_averages(tmp_path: Path) -> None:
    designs = paper_figures()["design_ablation"]
    made = {
        "Deep vision prompting (VPT)": ("VPT", "vpt", {}),
        "Deep language prompting (IVLP text)": ("IVLP", "language", {"PROMPT_DEPTH_VISION": 0}),
        "Independent V-L prompting (IVLP)": ("IVLP", "both", {"PROMPT_DEPTH_VISION": 12}),
        "MaPLe": ("MaPLe", "maple", {}),
    }
    for label, (method, config, node) in made.items():
        base, new, _ = designs[label]
        settings = {"TRAINER": {method: node}}
        for shift, dataset in ((-4.0, "Digits"), (4.0, "Mnist5k")):
            for side, value in (("train_base", base), ("test_new", new)):
                base2new_run(tmp_path, method, dataset, side, value + shift, config=config, settings=settings)
    report = build(tmp_path, ablation=True)
    assert report.tables[0].labels == list(made)
    for label in made:
        cells = row(report, "Average over 2 datasets", label).cells
        for column, figure in zip(base2new.COLUMNS, designs[label], strict=True):
            assert cells[column].mean == CLOSE(figure, abs=0.01), (label, column)


#: The setting of sweeps.
LANGUAGE_ONLY = "vit_b16_c2_ep5_batch4_4ctx_language_only"


@pytest.mark.parametrize(
    ("depth", "config", "is_text"),
    [
        (0, "vit", True),
        (1, "vit", False),
        (12, LANGUAGE_ONLY, False),  # what was set counts, not what it is called
        (None, LANGUAGE_ONLY, True),  # a record that tells nothing else
        (None, "vit", False),
    ],
)
def test_which_design_a_run_of_independent_prompting_is(
    tmp_path: Path, depth: int | None, config: str, is_text: bool
) -> None:
    settings = {} if depth is None else {"TRAINER": {"IVLP": {"PROMPT_DEPTH_VISION": depth}}}
    base2new_run(tmp_path, "IVLP", "Digits", "train_base", 80.0, config=config, settings=settings)
    label = "Deep language prompting (IVLP text)" if is_text else "Independent V-L prompting (IVLP)"
    assert build(tmp_path, ablation=True).tables[0].labels == [label]


def test_the_ablation_has_the_papers_order_with_other_methods_around_it(tmp_path: Path) -> None:
    before = ["ZeroshotCLIP", "ZeroshotCLIP2", "LinearProbe", "CoOp", "CoCoOp"]
    methods = ["Another", "MaPLe", "IVLP", "VPT", *before[::-1]]
    for method in methods:
        base2new_run(tmp_path, method, "Digits", "train_base", 80.0)
    base2new_run(tmp_path, "IVLP", "Digits", "train_base", 80.0, config=LANGUAGE_ONLY)
    designs = [
        "Deep vision prompting (VPT)",
        "Deep language prompting (IVLP text)",
        "Independent V-L prompting (IVLP)",
    ]
    assert build(tmp_path, ablation=True).tables[0].labels == [*before, *designs, "MaPLe", "Another"]
    asked = build(tmp_path, ablation=True, methods=methods).tables[0].labels
    assert asked == ["Another", "MaPLe", *designs[1:], designs[0], *before[::-1]]


def test_seeds_are_averaged_before_the_harmonic_mean(tmp_path: Path) -> None:
    for seed, (base, new) in {1: (80.0, 40.0), 2: (90.0, 60.0), 3: (70.0, 80.0)}.items():
        base2new_run(tmp_path, "MaPLe", "Digits", "train_base", base, seed)
        base2new_run(tmp_path, "MaPLe", "Digits", "test_new", new, seed)
    cells = row(build(tmp_path), "Digits", "MaPLe").cells
    assert (cells["Base"].mean, cells["New"].mean, cells["Base"].n) == (80.0, 60.0, 3)
    assert cells["Base"].std == CLOSE((200 / 3) ** 0.5)  # population: divided by 3
    assert cells["HM"].mean == CLOSE(2 * 80 * 60 / 140)
    per_seed = [2 * 80 * 40 / 120, 2 * 90 * 60 / 150, 2 * 70 * 80 / 150]
    assert list(cells["HM"].by_seed.values()) == CLOSE(per_seed)


def test_harmonic_mean_of_the_average_row_both_ways(tmp_path: Path) -> None:
    for dataset, base, new in (("Digits", 90.0, 30.0), ("Mnist5k", 60.0, 80.0)):
        base2new_run(tmp_path, "MaPLe", dataset, "train_base", base)
        base2new_run(tmp_path, "MaPLe", dataset, "test_new", new)
    block = "Average over 2 datasets"
    of_averages = row(build(tmp_path), block, "MaPLe").cells["HM"].mean
    of_datasets = row(build(tmp_path, hm_of="datasets"), block, "MaPLe").cells["HM"].mean
    assert of_averages == CLOSE(2 * 75 * 55 / 130)
    assert of_datasets == CLOSE((2 * 90 * 30 / 120 + 2 * 60 * 80 / 140) / 2)


def test_missing_and_incomplete_cells_are_named_and_leave_the_average_empty(tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        for dataset in ("Digits", "Mnist5k"):
            base2new_run(tmp_path, "MaPLe", dataset, "train_base", 80.0, seed)
    for seed in (1, 3):
        base2new_run(tmp_path, "MaPLe", "Digits", "test_new", 70.0, seed)
    report = build(tmp_path)
    assert report.missing == ["MaPLe · Mnist5k · New"]
    assert report.incomplete == ["MaPLe · Digits · New: no run for seed 2"]
    average = row(report, "Average over 2 datasets", "MaPLe").cells
    assert average["Base"].mean == 80.0 and average["New"] is None and average["HM"] is None
    assert row(report, "Digits", "MaPLe").cells["New"].n == 2
    assert not report.is_whole


def test_one_configuration_is_a_plain_row_two_are_named(tmp_path: Path) -> None:
    base2new_run(tmp_path, "MaPLe", "Digits", "train_base", 80.0, config="short")
    base2new_run(tmp_path, "CoOp", "Digits", "train_base", 70.0, config="any")
    assert build(tmp_path).tables[0].labels == ["CoOp", "MaPLe"]
    base2new_run(tmp_path, "MaPLe", "Digits", "train_base", 90.0, config="long")
    report = build(tmp_path)
    assert report.tables[0].labels == ["CoOp", "MaPLe (long)", "MaPLe (short)"]
    assert row(report, "Digits", "MaPLe (short)").cells["Base"].mean == 80.0


def test_backbone_and_shots_also_set_rows_apart(tmp_path: Path) -> None:
    base2new_run(tmp_path, "MaPLe", "Digits", "train_base", 80.0)
    base2new_run(tmp_path / "b", "MaPLe", "Digits", "train_base", 81.0, backbone="ViT-B/32")
    base2new_run(tmp_path / "c", "MaPLe", "Digits", "train_base", 82.0, shots=4)
    labels = build(tmp_path).tables[0].labels
    assert labels == ["MaPLe (ViT-B/16, 4 shots)", "MaPLe (ViT-B/16, 16 shots)", "MaPLe (ViT-B/32, 16 shots)"]


def test_best_is_marked_per_block_and_column_with_ties(tmp_path: Path) -> None:
    for method, base, new in (("CoOp", 90.0, 50.001), ("MaPLe", 80.0, 50.004)):
        base2new_run(tmp_path, method, "Digits", "train_base", base)
        base2new_run(tmp_path, method, "Digits", "test_new", new)
    report = build(tmp_path)
    best = {
        label: [c for c, cell in row(report, "Digits", label).cells.items() if cell.best] for label in ("CoOp", "MaPLe")
    }
    assert best == {"CoOp": ["Base", "New", "HM"], "MaPLe": ["New"]}


def test_a_method_alone_is_not_the_best(tmp_path: Path) -> None:
    base2new_run(tmp_path, "MaPLe", "Digits", "train_base", 80.0)
    assert not row(build(tmp_path), "Digits", "MaPLe").cells["Base"].best


def test_of_two_runs_of_one_cell_the_later_counts_and_a_note_says_so(tmp_path: Path) -> None:
    base2new_run(tmp_path / "a", "MaPLe", "Digits", "train_base", 80.0, end_utc="2024-01-02T00:00:00+00:00")
    base2new_run(tmp_path / "b", "MaPLe", "Digits", "train_base", 60.0, end_utc="2024-01-01T00:00:00+00:00")
    report = build(tmp_path)
    assert row(report, "Digits", "MaPLe").cells["Base"].mean == 80.0
    assert len(report.notes) == 1 and str(tmp_path / "b") in report.notes[0]


def test_different_settings_in_one_row_are_noted(tmp_path: Path) -> None:
    for seed, depth in ((1, 9), (2, 3)):
        settings = {"TRAINER": {"MAPLE": {"PROMPT_DEPTH": depth}}}
        base2new_run(tmp_path, "MaPLe", "Digits", "train_base", 80.0, seed, settings=settings)
    (note,) = build(tmp_path).notes
    assert "TRAINER.MAPLE.PROMPT_DEPTH (3 and 9)" in note


def test_methods_and_datasets_restrict_and_order(tmp_path: Path) -> None:
    for method in ("CoOp", "MaPLe", "VPT"):
        for dataset in ("Digits", "Mnist5k"):
            base2new_run(tmp_path, method, dataset, "train_base", 80.0)
    report = build(tmp_path, methods=["MaPLe", "CoOp"], datasets=["Mnist5k"])
    assert report.tables[0].labels == ["MaPLe", "CoOp"]
    assert report.tables[0].blocks == ["Mnist5k"]


def test_macro_f1_and_an_unknown_split(tmp_path: Path) -> None:
    base2new_run(tmp_path, "MaPLe", "Digits", "train_base", 80.0)
    assert row(build(tmp_path, metric="macro_f1"), "Digits", "MaPLe").cells["Base"].mean == 79.5
    report = build(tmp_path, split="val")
    assert any("no metrics for split 'val', it has: test" in line for line in report.problems)
    assert "MaPLe · Digits · Base" in report.missing


def test_against_the_paper(tmp_path: Path) -> None:
    for seed, off in ((1, -0.1), (2, 0.0), (3, 0.1)):
        base2new_run(tmp_path, "MaPLe", "EuroSAT", "train_base", 94.07 + off, seed)
        base2new_run(tmp_path, "MaPLe", "EuroSAT", "test_new", 70.0 + off, seed)
    cells = row(build(tmp_path, paper=Paper()), "EuroSAT", "MaPLe").cells
    assert (cells["Base"].paper, cells["New"].paper, cells["HM"].paper) == (94.07, 73.23, 82.35)
    assert cells["Base"].difference == CLOSE(0.0, abs=1e-9) and not cells["Base"].outside_spread
    assert cells["New"].difference == CLOSE(-3.23) and cells["New"].outside_spread


def test_other_backbones_and_other_averages_are_not_compared_with_the_paper(tmp_path: Path) -> None:
    for dataset in ("EuroSAT", "DescribableTextures"):
        base2new_run(tmp_path, "MaPLe", dataset, "train_base", 90.0)
        base2new_run(tmp_path, "CoOp", dataset, "train_base", 90.0, backbone="RN50")
    report = build(tmp_path, paper=Paper())
    assert row(report, "EuroSAT", "MaPLe").cells["Base"].paper == 94.07
    assert row(report, "EuroSAT", "CoOp").cells["Base"].paper is None
    assert row(report, "Average over 2 datasets", "MaPLe").cells["Base"].paper is None
    assert any("CoOp: backbone RN50" in note for note in report.notes)
    assert any("eleven datasets" in note for note in report.notes)


def test_a_tree_without_such_runs_is_a_clear_error(tmp_path: Path) -> None:
    base2new_run(tmp_path, "MaPLe", "Digits", "train_base", 80.0)
    with pytest.raises(ValueError, match="no run on base or new classes among 1 run records for the asked methods"):
        build(tmp_path, methods=["CoOp"])
