"""Methods that may use different things are not ranked against each other in silence."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from configs import facts
from reporting import base2new, fewshot, page, transfer
from reporting.compare import compare
from reporting.options import Options
from reporting.records import read_record, read_runs
from reporting.render import FORMATS
from reporting.report import Report
from tests.reporting.trees import base2new_run, fewshot_run, transfer_runs, write_run

ACCURACY = {"CoOp": 70.0, "CoCoOp": 60.0, "VPT": 90.0, "MaPLe": 80.0}
NOTE = "boards, the best is marked within each: inductive: CoOp, MaPLe; transductive: CoCoOp, VPT"


def base(root: Path) -> Report:
    for method, accuracy in ACCURACY.items():
        base2new_run(root, method, "Digits", "train_base", accuracy)
        base2new_run(root, method, "Digits", "test_new", accuracy)
    return base2new.build(read_runs(root), Options())


def transferred(root: Path) -> Report:
    for method, accuracy in ACCURACY.items():
        transfer_runs(root, method, "Digits", {"Digits": accuracy, "Mnist5k": accuracy}, seeds=(1,))
    return transfer.build(read_runs(root), Options())


def few(root: Path) -> Report:
    for method, accuracy in ACCURACY.items():
        fewshot_run(root, method, "Digits", 1, accuracy)
    return fewshot.build(read_runs(root), Options())


@pytest.fixture
def two_boards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of the methods say that they use unlabelled target images."""
    stated = dict(facts.methods())
    for name in ("CoCoOp", "VPT"):
        stated[name] = replace(stated[name], board="transductive")
    monkeypatch.setattr(facts, "methods", lambda root=facts.ROOT: stated)


def best(report: Report) -> dict[str, set[str]]:
    """Labels of the best rows by column."""
    found: dict[str, set[str]] = {}
    for row in report.tables[0].rows:
        for column, cell in row.cells.items():
            found.setdefault(column, set()).update({row.label} if cell is not None and cell.best else set())
    return found


@pytest.mark.parametrize("build", [base, transferred, few])
def test_one_board_is_ranked_as_one_and_nothing_is_said(tmp_path: Path, build) -> None:
    report = build(tmp_path)
    assert set(map(frozenset, best(report).values())) == {frozenset({"VPT"})}
    assert not any("board" in line for line in report.explanation + report.notes)


@pytest.mark.parametrize("build", [base, transferred, few])
def test_of_several_boards_each_has_its_best_and_all_formats_say_so(tmp_path: Path, two_boards, build) -> None:
    report = build(tmp_path)
    assert set(map(frozenset, best(report).values())) == {frozenset({"VPT", "MaPLe"})}
    for name in ("text", "markdown", "latex", "json"):
        assert NOTE in FORMATS[name](report), name
    html = page.build(report, tmp_path / "page.html", tmp_path)
    assert NOTE[0].upper() + NOTE[1:] in html
    cards = re.findall(r'<div class="sheet card( top)?".*?</span>(\w+)</div>', html)
    assert [name for top, name in cards if top] == ["VPT", "MaPLe"] and len(cards) == 4


def test_what_is_bold(tmp_path: Path, two_boards) -> None:
    report = base(tmp_path)
    bold = {line.split("|")[2].strip() for line in FORMATS["markdown"](report).splitlines() if "**" in line}
    assert bold == {"VPT", "MaPLe"}
    latex = FORMATS["latex"](report)
    assert [line.split(" & ")[1] for line in latex.splitlines() if r"\textbf" in line] == ["VPT", "MaPLe"]


def test_alone_on_its_board_a_method_is_not_the_best(tmp_path: Path, two_boards) -> None:
    base(tmp_path)
    report = base2new.build(read_runs(tmp_path), Options(methods=["CoOp", "MaPLe", "VPT"]))
    assert best(report)["Base"] == {"MaPLe"}
    html = page.build(report, tmp_path / "page.html", tmp_path)
    assert len(re.findall(r'class="sheet card top"', html)) == 1
    alone = base2new.build(read_runs(tmp_path), Options(methods=["CoCoOp", "VPT"]))
    assert best(alone)["Base"] == {"VPT"} and not any("boards" in line for line in alone.explanation)


def test_a_method_that_states_no_board_is_not_ranked_with_others(tmp_path: Path) -> None:
    base2new_run(tmp_path, "Abacus", "Digits", "train_base", 99.0)
    report = base(tmp_path)
    assert best(report)["Base"] == {"VPT"}
    assert report.explanation[-1] == (
        "boards, the best is marked within each: inductive: CoOp, CoCoOp, VPT, MaPLe; not stated: Abacus"
    )
    assert report.tables[0].labels[-1] == "Abacus"


def test_a_comparison_across_boards_says_so(tmp_path: Path, two_boards) -> None:
    report = base(tmp_path)
    assert compare(report, "VPT", "CoCoOp").notes == []
    assert compare(report, "VPT", "MaPLe").notes == ["not of one board: 'VPT' is transductive, 'MaPLe' inductive"]


def test_the_facts_tell_whether_shots_matter_else_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training-free method may well learn from its shots."""
    stated = dict(facts.methods())
    stated["Cache"] = replace(stated["MaPLe"], name="Cache", board="training-free")
    monkeypatch.setattr(facts, "methods", lambda root=facts.ROOT: stated)
    runs = {
        (name, parameters): read_record(write_run(tmp_path, name, "Digits", 50.0, parameters=parameters))
        for name, parameters in (("Cache", 0), ("Unheard", 0), ("Unheard", 8), ("ZeroshotCLIP", 0))
    }
    assert {key: run.is_zero_shot for key, run in runs.items()} == {
        ("Cache", 0): False,
        ("Unheard", 0): True,
        ("Unheard", 8): False,
        ("ZeroshotCLIP", 0): True,
    }
    assert runs["Cache", 0].known_shots == 16
