"""The suite ends with what did not run, and why."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = """
import pytest

@pytest.mark.parametrize("number", range(3))
def test_of_files(number):
    pytest.skip("needs the files")

@pytest.mark.skipif(True, reason="no such machine")
def test_of_a_machine(): ...

@pytest.mark.slow
@pytest.mark.parametrize("number", range(2))
def test_for_minutes(number):
    assert number < 2

def test_that_passes(): ...
"""


@pytest.mark.parametrize(("workers", "slow"), [([], "1"), (["-n", "2"], "")], ids=["whole", "with workers"])
def test_skips_are_counted_by_their_reasons(tmp_path: Path, workers: list[str], slow: str) -> None:
    (tmp_path / "test_suite.py").write_text(SUITE)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = slow: minutes\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", *workers, str(tmp_path)]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, env={**os.environ, "SLOW": slow}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    said = [line for line in done.stdout.splitlines() if line.startswith(("skipped: ", "not run: "))]
    not_run = [] if slow else ["not run: 2 × slow, only with SLOW=1"]
    assert said == ["skipped: 3 × needs the files", "skipped: 1 × no such machine", *not_run]
    assert f"{3 if slow else 1} passed, 4 skipped" in done.stdout.splitlines()[-1]
