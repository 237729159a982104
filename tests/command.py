"""train.py called as from a command line, in this process."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest

import train


def call_train(
    argv: Sequence[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of ``train.py`` with these arguments."""
    monkeypatch.setattr(sys, "argv", ["train.py", *argv])
    stdout = sys.stdout
    code = train.main(list(argv))
    if sys.stdout is not stdout:
        sys.stdout.close()  # the run's log
    shown = capsys.readouterr()
    return code, shown.out, shown.err
