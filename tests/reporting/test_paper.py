"""Published figures come from the methods' files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from configs import facts
from configs.method import Published
from reporting import base2new
from reporting.options import Options
from reporting.paper import Paper
from reporting.records import read_runs
from reporting.report import Report
from tests.reporting.trees import base2new_run

MAPLE = "MaPLe, CVPR 2023 (arXiv 2210.03117), ViT-B/16, 16 shots, mean of 3 seeds; tables 1, 3, 4, 5"
ENDING = "; Δ is ours minus the paper's, * where it exceeds our spread"


def build(root: Path, **options) -> Report:
    return base2new.build(read_runs(root), Options(paper=Paper(), **options))


def printed(report: Report, label: str) -> float | None:
    row = report.tables[0].row("Digits", label)
    assert row is not None
    cell = row.cells["Base"]
    assert cell is not None
    return cell.paper


@pytest.fixture
def two_papers(monkeypatch: pytest.MonkeyPatch) -> None:
    """VPT has figures from a paper of its own, and a second row with figures from a third."""
    stated = dict(facts.methods())
    vpt = stated["VPT"]
    own = Published("Its own, table 9", {"Digits": (81.0, 82.0, 81.5)}, {}, {})
    third = Published("A third", {"Digits": (71.0, 72.0, 71.5)}, {}, {})
    further = replace(vpt.row, name="wide", settings=("wide",), published=third)
    stated["VPT"] = replace(vpt, row=replace(vpt.row, published=own), rows=(further,))
    monkeypatch.setattr(facts, "methods", lambda root=facts.ROOT: stated)


def test_the_sources_are_those_of_the_rows_shown(tmp_path: Path, two_papers) -> None:
    base2new_run(tmp_path, "VPT", "Digits", "train_base", 80.0)
    report = build(tmp_path)
    assert printed(report, "VPT") == 81.0 and report.explanation[-1] == f"paper: Its own, table 9{ENDING}"
    base2new_run(tmp_path, "MaPLe", "Digits", "train_base", 80.0)
    report = build(tmp_path)
    assert (printed(report, "VPT"), printed(report, "MaPLe")) == (81.0, None)
    assert report.explanation[-1] == f"paper: Its own, table 9 | {MAPLE}{ENDING}"


def test_each_row_of_a_method_has_its_own_figures(tmp_path: Path, two_papers) -> None:
    base2new_run(tmp_path, "VPT", "Digits", "train_base", 80.0, config="any")
    base2new_run(tmp_path, "VPT", "Digits", "train_base", 70.0, config="wide")
    report = build(tmp_path)
    assert (printed(report, "VPT (any)"), printed(report, "VPT (wide)")) == (81.0, 71.0)


def test_where_nothing_was_published_of_the_rows(tmp_path: Path) -> None:
    base2new_run(tmp_path, "Abacus", "Digits", "train_base", 80.0)
    base2new_run(tmp_path, "LinearProbe", "Digits", "train_base", 80.0)
    report = build(tmp_path)
    assert printed(report, "Abacus") is None
    assert report.explanation[-1].startswith(f"paper: {MAPLE}") and report.explanation[-1].endswith(ENDING)
    assert "none of these figures has a counterpart in the paper's tables" in report.notes
