"""A broken image stops training and testing, by name and with what to do; it is never skipped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import datasets
from dassl.config import get_cfg_default
from dassl.data import DataManager

from .miniatures import WITH_SPLIT
from .test_layouts import place

DTD = next(case for case in WITH_SPLIT if case.stem == "dtd")


def manager(root: Path, workers: int) -> DataManager:
    cfg = get_cfg_default()
    datasets.add_config(cfg)
    cfg.SEED = 1
    cfg.INPUT.SIZE = (8, 8)
    cfg.INPUT.TRANSFORMS = ("normalize",)
    cfg.DATALOADER.NUM_WORKERS = workers
    cfg.DATALOADER.WORKERS_ABOVE_MB = 0
    cfg.DATALOADER.TRAIN_X.BATCH_SIZE = 5
    cfg.DATASET.NAME = "DescribableTextures"
    cfg.DATASET.ROOT = str(root)
    return DataManager(cfg)


def spoil(items: Any, how: str) -> str:
    path = Path(items[1].impath)
    if how == "missing":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[:-40])
    else:
        path.write_bytes(b"no image")
    return str(path)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("how", ["missing", "truncated", "foreign"])
@pytest.mark.parametrize("part", ["train_x", "val", "test"])
def test_named_with_the_way_out(part: str, how: str, workers: int, root: Path) -> None:
    place(DTD, root)
    data = manager(root, workers)
    path = spoil(getattr(data.dataset, part), how)
    loader = {"train_x": data.train_loader_x, "val": data.val_loader, "test": data.test_loader}[part]
    with pytest.raises(OSError, match=r"; run: python -m datasets check dtd --deep$") as caught:
        for _ in loader:
            pass
    loader.close()
    assert path in str(caught.value) and "\n" not in str(caught.value)
    if how == "missing":
        assert isinstance(caught.value, FileNotFoundError)


def test_other_parts_do_not_suffer(root: Path) -> None:
    place(DTD, root)
    data = manager(root, 0)
    spoil(data.dataset.test, "missing")
    assert sum(len(batch["label"]) for batch in data.train_loader_x) == 15
