"""scripts/reproduce_paper.sh: which sweep it starts and which tables it makes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sweep.layout import ROOT
from sweep.recipes import PROTOCOLS


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """An interpreter that says what it was called with, and ends with SWEEP_CODE or TABLE_CODE."""
    program = tmp_path / "python"
    program.write_text(
        '#!/bin/sh\nshift\necho "$@"\n[ "$1" = sweep ] && exit ${SWEEP_CODE:-0}\nexit ${TABLE_CODE:-0}\n',
        encoding="utf-8",
    )
    program.chmod(0o755)
    return program


def script(python: Path, *arguments: str, **environment: str) -> tuple[int, list[str]]:
    done = subprocess.run(
        ["bash", str(ROOT / "scripts" / "reproduce_paper.sh"), *arguments],
        env={"PATH": os.environ["PATH"], "PYTHON": str(python), **environment},
        capture_output=True,
        text=True,
    )
    return done.returncode, [line for line in (done.stdout + done.stderr).splitlines() if line]


def test_all_tables(python: Path) -> None:
    code, lines = script(python)
    assert code == 0
    assert lines[0] == "sweep base2new ablation xd dg --output output --check-data"
    tables = [line.split() for line in lines[1:]]
    assert [words[1] for words in tables] == ["base2new", "ablation", "xd", "dg"]
    assert all("--against paper --strict" in " ".join(words) for words in tables)
    for words in tables:  # the same report as the sweep itself names
        expected = [part.format("output") for part in PROTOCOLS[words[1]].report()]
        assert words[1 : 1 + len(expected)] == expected


def test_one_table_with_options(python: Path) -> None:
    code, lines = script(python, "fewshot", "--methods", "MaPLe", OUTPUT="results")
    assert code == 0
    assert lines[0] == "sweep fewshot --output results --check-data --methods MaPLe"
    assert lines[1].startswith("reporting fewshot results/fewshot --strict --output results/tables/fewshot.md")


def test_stops_where_it_should(python: Path) -> None:
    assert script(python, "--dry-run") == (0, ["sweep base2new ablation xd dg --output output --check-data --dry-run"])
    assert len(script(python, "xd", "--slurm", "--no-wait")[1]) == 1
    assert script(python, "xd", SWEEP_CODE="130") == (130, ["sweep xd --output output --check-data"])
    code, lines = script(python, "xd", SWEEP_CODE="1")
    assert code == 1 and lines[1].startswith("reporting xd output")  # some runs failed: the table shows which
    assert script(python, "xd", TABLE_CODE="1")[0] == 1


def test_mistakes(python: Path) -> None:
    assert script(python, "table3") == (
        2,
        ["error: 'table3' is no table: expected base2new, xd, dg, ablation, fewshot or all"],
    )
    code, lines = script(python, "xd", "--output", "x")
    assert code == 2 and lines == ["error: name the folder of the results as OUTPUT=... in the environment"]
