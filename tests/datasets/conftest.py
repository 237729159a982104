"""A data root and a cache folder of their own for every test, and configs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import datasets
from dassl.config import get_cfg_default
from dassl.data.datasets import DATASET_REGISTRY
from datasets.cache import VARIABLE

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
