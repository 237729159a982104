"""An ImageNet-size tree is listed once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from .conftest import Load
from .miniatures import classnames


@pytest.mark.slow
def test_second_start_of_200_000_files(root: Path, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second start asks the file system about the folders alone: some thousand questions, not 200,000."""
    wnids = [f"n{i:08d}" for i in range(1000)]
    for part, each in (("train", 190), ("val", 10)):
        for wnid in wnids:
            folder = root / "imagenet" / "images" / part / wnid
            folder.mkdir(parents=True)
            for i in range(each):
                (folder / f"{wnid}_{i}.JPEG").touch()
    classnames(root / "imagenet", {wnid: f"name {wnid}" for wnid in wnids})
    first = load("ImageNet", shots=16)
    asked: list[Any] = []
    for name in ("stat", "lstat", "scandir", "listdir"):
        original = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, _original=original, **k: (asked.append(a), _original(*a, **k))[1])
    second = load("ImageNet", shots=16)
    assert len(asked) < 5000
    assert [item.impath for item in second.train_x] == [item.impath for item in first.train_x]
    assert len(second.train_x) == 16_000 and len(second.test) == 10_000
