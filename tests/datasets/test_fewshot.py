"""Few-shot sampling is the published protocol, and its cache changes nothing."""

from __future__ import annotations

import hashlib
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from dassl.data.datasets import DatasetBase
from datasets.fewshot import cached_fewshot, paths_digest, sample_fewshot, split_digest
from datasets.splits import Item, Split

SAMPLER = DatasetBase().generate_fewshot_dataset


def blocks(classes: int, each: int) -> list[Item]:
    """A list in class blocks; a path is the position."""
    return [Item(str(i), i // each, f"class {i // each}") for i in range(classes * each)]


def positions(items: list[Item], count: int = 3) -> list[int]:
    return [int(item.path) for item in items[:count]]


@pytest.mark.parametrize(
    ("classes", "train", "val", "expected"),
    [(101, 500, 200, [68, 791, 1433]), (397, 40, 10, [8, 76, 84])],
    ids=["Food101", "SUN397"],
)
def test_published_positions(classes: int, train: int, val: int, expected: list[int]) -> None:
    """Seed 1, one shot: the positions in the public index files of Food101 and SUN397."""
    sampled, _ = sample_fewshot(SAMPLER, blocks(classes, train), blocks(classes, val), shots=1, seed=1)
    assert positions(sampled) == expected


def test_by_hand() -> None:
    """Classes in order of first appearance, train first, then val with at most 4, on one running generator."""
    train = [Item(f"{name}{i}", label, name) for i in range(6) for name, label in (("c", 2), ("a", 0), ("b", 1))]
    val = [Item(f"v{name}{i}", label, name) for i in range(6) for name, label in (("b", 1), ("c", 2), ("a", 0))]
    rng = random.Random(9)
    expected_train = [path for name in "cab" for path in rng.sample([f"{name}{i}" for i in range(6)], 5)]
    expected_val = [path for name in "bca" for path in rng.sample([f"v{name}{i}" for i in range(6)], 4)]
    sampled = sample_fewshot(SAMPLER, train, val, shots=5, seed=9)
    assert [item.path for item in sampled[0]] == expected_train
    assert [item.path for item in sampled[1]] == expected_val


def test_val_depends_on_the_shots_of_train() -> None:
    train, val = blocks(3, 20), blocks(3, 20)
    assert sample_fewshot(SAMPLER, train, val, 8, 1)[1] != sample_fewshot(SAMPLER, train, val, 16, 1)[1]


def test_small_class_is_taken_whole_and_draws_nothing() -> None:
    small = [Item(f"s{i}", 5, "small") for i in range(3)]
    large = [Item(f"l{i}", 0, "large") for i in range(9)]
    sampled, _ = sample_fewshot(SAMPLER, small + large, [], shots=4, seed=2)
    assert sampled == small + random.Random(2).sample(large, 4)


@pytest.mark.parametrize("seed", [0, 1])
def test_global_generator_is_put_back(seed: int) -> None:
    random.seed(77)
    state = random.getstate()
    sample_fewshot(SAMPLER, blocks(3, 9), blocks(3, 9), shots=2, seed=seed)
    assert random.getstate() == state


def test_zero_is_a_seed_and_below_is_none() -> None:
    train = blocks(3, 50)
    random.seed(1)
    first, _ = sample_fewshot(SAMPLER, train, [], 4, 0)
    second, _ = sample_fewshot(SAMPLER, train, [], 4, 0)
    assert first == second
    random.seed(1)
    unseeded, _ = sample_fewshot(SAMPLER, train, [], 4, -1)
    again, _ = sample_fewshot(SAMPLER, train, [], 4, -1)
    assert unseeded != again
    assert unseeded == sample_fewshot(SAMPLER, train, [], 4, 1)[0]


def refuse() -> Any:
    raise AssertionError("the lists must not be read")


def test_cache_gives_the_same_and_reads_nothing(cache: Path) -> None:
    lists = (blocks(3, 50), blocks(3, 9))
    fresh = cached_fewshot(SAMPLER, "X-1", lambda: lists, shots=4, seed=0)
    assert fresh == sample_fewshot(SAMPLER, *lists, shots=4, seed=0)
    assert cached_fewshot(SAMPLER, "X-1", refuse, shots=4, seed=0) == fresh
    stored = json.loads((cache / "fewshot-1/X-1/shot_4-seed_0.json").read_text())
    assert stored["train"][0] == list(fresh[0][0])
    for key, shots, seed in (("X-2", 4, 0), ("X-1", 3, 0), ("X-1", 4, 1)):
        with pytest.raises(AssertionError, match="must not be read"):
            cached_fewshot(SAMPLER, key, refuse, shots=shots, seed=seed)


def test_unseeded_sample_is_not_stored(cache: Path) -> None:
    cached_fewshot(SAMPLER, "X-1", lambda: (blocks(3, 9), []), shots=4, seed=-1)
    assert not cache.exists()


def test_damaged_cache_is_made_again(cache: Path, capsys: pytest.CaptureFixture) -> None:
    lists = (blocks(3, 50), blocks(3, 9))
    fresh = cached_fewshot(SAMPLER, "X-1", lambda: lists, shots=4, seed=0)
    (cache / "fewshot-1/X-1/shot_4-seed_0.json").write_text("{")
    assert cached_fewshot(SAMPLER, "X-1", lambda: lists, shots=4, seed=0) == fresh
    assert "is unreadable" in capsys.readouterr().err
    assert cached_fewshot(SAMPLER, "X-1", refuse, shots=4, seed=0) == fresh


def test_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MAPLE_CACHE", os.fspath(tmp_path / "file" / "cache"))
    sampled = cached_fewshot(SAMPLER, "X-1", lambda: (blocks(3, 9), []), shots=4, seed=0)
    assert len(sampled[0]) == 12
    assert "set MAPLE_CACHE to a writable folder" in capsys.readouterr().err


def test_digests() -> None:
    one = [Item("a/1.jpg", 0, "x"), Item("b/2.jpg", 1, "y")]
    assert paths_digest(one) == hashlib.sha256(b"a/1.jpg\nb/2.jpg").hexdigest()[:12]
    assert split_digest(Split(one, [], one)) != split_digest(Split(one, one, []))
    assert split_digest(Split(one, [], [])) != split_digest(Split([item._replace(label=3) for item in one], [], []))
