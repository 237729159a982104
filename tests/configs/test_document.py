"""docs/methods.md: its table is what the methods' files say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from configs import facts
from configs.document import BEGIN, END, main, refreshed, table

PAGE = facts.ROOT / "docs" / "methods.md"


def test_the_page_has_the_table() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert refreshed(text) == text, "run: python -m configs.document docs/methods.md"


def test_rows_of_the_table() -> None:
    lines = [line.strip("| ").split(" | ") for line in table().splitlines() if line.startswith("| `")]
    rows = {line[0]: line[1:] for line in lines}
    assert len(rows) == len(facts.rows())
    assert rows["`MaPLe`"] == [
        *("CVPR 2023, 2210.03117", "inductive", "deep text prompts and coupling functions", "3,555,072"),
        *("`MaPLe/vit_b16_c2_ep5_batch4_2ctx`", "82.28 / 75.14 / 78.55", "66.30", "60.27"),
    ]
    # averages over the four shifts that others have computed from the same figures
    assert [rows[f"`{name}`"][-1] for name in ("ZeroshotCLIP", "CoOp", "CoCoOp")] == ["57.18", "59.28", "59.91"]
    assert rows["`IVLP`, language only"][3:6] == [
        *("24,576", "`IVLP/vit_b16_c2_ep5_batch4_4ctx_language_only`", "81.72 / 73.81 / 77.56"),
    ]
    assert rows["`LinearProbe`"][-3:] == ["– (knows no new classes)", "–", "–"]


def test_the_table_is_printed_or_written_between_the_marks(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    done = subprocess.run([sys.executable, "-m", "configs.document"], cwd=facts.ROOT, capture_output=True, text=True)
    assert done.stdout == table() + "\n"
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nstale\n{END}\nafter\n", encoding="utf-8")
    assert main([str(page)]) == 0
    assert page.read_text(encoding="utf-8") == f"before\n{BEGIN}\n{table()}\n{END}\nafter\n"
    page.write_text("no marks\n", encoding="utf-8")
    assert main([str(page)]) == 2
    assert "expected the marks" in capsys.readouterr().err and page.read_text() == "no marks\n"
