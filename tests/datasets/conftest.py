"""A data root and a cache folder of their own for every test, and configs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import datasets
from dassl.config import get_cfg_default
from dassl.data.datasets import DATASET_REGISTRY
from datasets.cache import VARIABLE
from datasets.manage.cli import main

from .server import Server


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder of this test."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    monkeypatch.delenv("DATA", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty data root."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A web server on this machine."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as running:
        yield running


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that downloading would have made; none is made."""
    made: list[float] = []
    monkeypatch.setattr("datasets.manage.download.sleep", made.append)
    return made


Load = Callable[..., Any]


@pytest.fixture
def load(root: Path) -> Load:
    """Build a dataset by registry name: load("Caltech101", shots=16, seed=1, subsample="base")."""

    def build(name: str, shots: int = -1, seed: int = 1, subsample: str = "all", **options: Any) -> Any:
        cfg = get_cfg_default()
        datasets.add_config(cfg)
        cfg.SEED = seed
        cfg.DATASET.NAME = name
        cfg.DATASET.ROOT = str(root)
        cfg.DATASET.NUM_SHOTS = shots
        cfg.DATASET.SUBSAMPLE_CLASSES = subsample
        for key, value in options.items():
            cfg.DATASET[key] = value
        return DATASET_REGISTRY.get(name)(cfg)

    return build


Say = Callable[..., str]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Where the images lie."""
    folder = tmp_path / "own"
    folder.mkdir()
    return folder


@pytest.fixture
def say(load: Load, capsys: pytest.CaptureFixture) -> Say:
    """What `check` says of images; training must say the same, whether they can be used or not."""

    def both(source: Path, *options: str) -> str:
        capsys.readouterr()
        code = main(["check", "folder", "--path", str(source), *options])
        checked = capsys.readouterr().out
        problems = re.findall(r"^  - (.*(?:\n    (?!fix: ).*)*)\n    fix: (.*)$", checked, re.MULTILINE)
        if "--deep" not in options:
            if problems:
                with pytest.raises(ValueError) as refused:
                    load("Folder", PATH=str(source))
                assert str(refused.value).startswith("; ".join(problems[0]))
                more = f" ({len(problems) - 1} more: python -m datasets check folder --path"
                assert (more in str(refused.value)) == (len(problems) > 1)
            else:
                load("Folder", PATH=str(source))
                trained = capsys.readouterr().out
                notes = re.findall("^  note: (.*)$", checked, re.MULTILINE)
                assert re.findall("^Note: (.*)$", trained, re.MULTILINE) == notes
        assert code == (1 if problems else 0) and checked.split()[1] == ("incomplete" if problems else "ready")
        return checked

    return both
