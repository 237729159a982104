"""The command line: what it prints and writes, and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from reporting.cli import main
from tests.reporting.trees import base2new_run, fewshot_run, transfer_runs

ROOT = Path(__file__).parents[2]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A whole base-to-new tree of two methods and one dataset."""
    root = tmp_path / "runs"
    for method, more in (("CoOp", 0.0), ("MaPLe", 2.0)):
        for seed in (1, 2, 3):
            base2new_run(root, method, "Digits", "train_base", 80.0 + more + seed, seed)
            base2new_run(root, method, "Digits", "test_new", 60.0 + more + seed, seed)
    return root


def test_prints_text_by_default_and_exits_with_0(runs: Path, capsys) -> None:
    assert main(["base2new", str(runs), "--strict"]) == 0
    out, err = capsys.readouterr()
    assert "84.00 ± 0.82" in out and err == ""


def test_writes_several_files_by_their_endings_and_prints_the_table(runs: Path, tmp_path: Path, capsys) -> None:
    names = ["t.md", "t.json", "t.tex", "t.csv", "t.txt"]
    arguments = [part for name in names for part in ("--output", str(tmp_path / "new" / name))]
    assert main(["base2new", str(runs), *arguments, "--plot", str(tmp_path / "new" / "t.png")]) == 0
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted([*names, "t.png"])
    assert json.loads((tmp_path / "new" / "t.json").read_text())["protocol"] == "base2new"
    assert capsys.readouterr().out == (tmp_path / "new" / "t.txt").read_text()


def test_a_format_with_a_file_writes_the_file_only(runs: Path, tmp_path: Path, capsys) -> None:
    assert main(["base2new", str(runs), "--format", "markdown", "--output", str(tmp_path / "t.out")]) == 0
    assert capsys.readouterr().out == ""
    assert (tmp_path / "t.out").read_text().startswith("### Base-to-new")


@pytest.mark.parametrize("form", ["markdown", "latex", "csv", "json"])
def test_each_format_to_standard_output(runs: Path, capsys, form: str) -> None:
    assert main(["base2new", str(runs), "--format", form]) == 0
    out = capsys.readouterr().out
    assert {"markdown": "| Digits", "latex": r"\toprule", "csv": "table,block", "json": '"schema_version"'}[form] in out


def test_strict_is_1_for_a_missing_cell(runs: Path, capsys) -> None:
    base2new_run(runs, "VPT", "Digits", "train_base", 70.0)
    assert main(["base2new", str(runs)]) == 0
    assert main(["base2new", str(runs), "--strict"]) == 1
    assert "VPT · Digits · New" in capsys.readouterr().out


def test_strict_is_1_for_a_missing_seed_and_for_a_damaged_record(runs: Path, capsys) -> None:
    record = runs / "test_new/digits/shots_16/MaPLe/cfg/seed3/run.json"
    record.write_text("{")
    assert main(["base2new", str(runs)]) == 0
    assert main(["base2new", str(runs), "--strict", "--format", "csv"]) == 1
    err = capsys.readouterr().err
    assert "MaPLe · Digits · New: no run for seed 3" in err and f"{record}: damaged run record" in err


def test_an_empty_folder_is_2_with_one_clear_sentence(tmp_path: Path, capsys) -> None:
    assert main(["base2new", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert "no usable run record below this folder; give the folder that holds the runs" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--methods", "Maple"], "--methods Maple: no such run in"),
        (["--datasets", "EuroSAT"], "there are: Digits"),
        (["--against", "paper", "--metric", "macro_f1"], "the paper prints accuracy only"),
        (["--output", "table.xyz"], "give --format, or one of the endings"),
        (["--plot", "plot.bmp"], "give such an ending"),
        (["--plot", "plot.png", "--plot-kind", "pie"], "no such kind"),
        (["--compare", "MaPLe", "VPT"], "is no row of this table"),
    ],
)
def test_what_cannot_be_answered_is_2(runs: Path, capsys, arguments: list[str], said: str) -> None:
    assert main(["base2new", str(runs), *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not list(Path.cwd().glob("plot.*")) and not Path("table.xyz").exists()


def test_every_protocol_answers(runs: Path, tmp_path: Path, capsys) -> None:
    transfer_runs(tmp_path / "x", "MaPLe", "ImageNet", {"ImageNet": 70.0, "EuroSAT": 50.0, "ImageNetA": 45.0})
    fewshot_run(tmp_path / "f", "MaPLe", "Digits", 4, 80.0)
    for protocol, folder in (
        ("ablation", runs),
        ("xd", tmp_path / "x"),
        ("dg", tmp_path / "x"),
        ("fewshot", tmp_path / "f"),
    ):
        html = tmp_path / f"{protocol}.html"
        assert main([protocol, str(folder), "--strict", "--html", str(html)]) == 0, protocol
        assert html.read_text().startswith("<!doctype html>")
    assert "Design ablation" in capsys.readouterr().out


def test_compare_and_against_paper_appear(runs: Path, capsys) -> None:
    assert main(["base2new", str(runs), "--compare", "MaPLe", "CoOp", "--against", "paper"]) == 0
    out = capsys.readouterr().out
    assert "MaPLe minus CoOp" in out and "Base: +2.00, 95 % interval +2.00 to +2.00 (3 pairs" in out
    assert "none of these figures has a counterpart in the paper's tables" in out


def test_runs_as_a_module_without_loading_matplotlib_or_our_other_packages(runs: Path) -> None:
    code = (
        "import sys, reporting.cli as c; status = c.main(sys.argv[1:]);"
        "heavy = {'matplotlib', 'numpy', 'scipy', 'torch', 'dassl.engine', 'trainers', 'datasets', 'prompted_clip'};"
        "loaded = heavy & set(sys.modules);"
        "sys.exit(f'loaded: {loaded}' if loaded else status)"
    )

    def run(*how: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *how, "base2new", str(runs)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    plain = run("-c", code)
    assert plain.returncode == 0, plain.stderr
    module = run("-m", "reporting")
    assert module.returncode == 0 and module.stdout == plain.stdout


def test_help_prints(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    assert "95 % interval" in capsys.readouterr().out
