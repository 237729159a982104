"""Few-shot sampling is the published protocol, and its cache changes nothing."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
from pathlib import Path
from typing import Any

import pytest

from dassl.data.datasets import DatasetBase
from datasets.fewshot import cached_fewshot, paths_digest, sample_fewshot, split_digest
from datasets.splits import Item, Split

from .conftest import Load

SAMPLER = DatasetBase().generate_fewshot_dataset
STORED = "fewshot-2/X-1/shot_4-seed_0.json"


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
    stored = json.loads((cache / STORED).read_text().splitlines()[1])
    assert stored["train"][0] == list(fresh[0][0])
    for key, shots, seed in (("X-2", 4, 0), ("X-1", 3, 0), ("X-1", 4, 1)):
        with pytest.raises(AssertionError, match="must not be read"):
            cached_fewshot(SAMPLER, key, refuse, shots=shots, seed=seed)


def test_unseeded_sample_is_not_stored(cache: Path) -> None:
    cached_fewshot(SAMPLER, "X-1", lambda: (blocks(3, 9), []), shots=4, seed=-1)
    assert not cache.exists()


def as_stored(content: str) -> str:
    """A cache file whose checksum is right."""
    return f'{{"sha256": "{hashlib.sha256(content.encode()).hexdigest()}"}}\n{content}'


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "its checksum is another: it was damaged or edited"),
        ("[]", "its checksum is another"),
        ("edited", "its checksum is another"),
        (as_stored("{"), "Expecting property name"),
        (as_stored("[" * 100_000), "recursion"),
        (as_stored("[]"), r"it does not hold lists of \[path, label, class name\]"),
        (as_stored('{"train": [], "val": 7}'), "it does not hold lists"),
        (as_stored('{"train": [["1", 0]], "val": []}'), "it does not hold lists"),
        (as_stored('{"train": [["1", [0], "class 0"]], "val": []}'), "it does not hold lists"),
        (
            as_stored('{"train": [["1", 999, "class 0"]], "val": []}'),
            r"its train entry \['1', 999, 'class 0'\] is not in",
        ),
        (as_stored('{"train": [], "val": [["77", 0, "class 0"]]}'), r"its val entry \['77', 0, 'class 0'\] is not in"),
    ],
)
def test_cache_that_does_not_fit_is_made_again(
    content: str, reason: str, cache: Path, capsys: pytest.CaptureFixture
) -> None:
    """Said with the file's name; the sample is the protocol's, and the file is right again."""
    split = Split(blocks(3, 50), blocks(3, 9), [])
    lists = lambda: (split.train, split.val)  # noqa: E731
    fresh = cached_fewshot(SAMPLER, "X-1", lists, 4, 0, known=split)
    written = (cache / STORED).read_bytes()
    if content == "edited":
        content = written.decode().replace(", 1, ", ", 7, ", 1).replace(",1,", ",7,", 1)
        assert content != written.decode()
    (cache / STORED).write_text(content)
    assert cached_fewshot(SAMPLER, "X-1", lists, 4, 0, known=split) == fresh
    said = capsys.readouterr().err
    assert re.match(rf"Cache file {cache / STORED} is not used \(.*{reason}.*\): made again\n$", said)
    assert (cache / STORED).read_bytes() == written
    assert cached_fewshot(SAMPLER, "X-1", refuse, 4, 0, known=split) == fresh


def test_edited_cache_does_not_reach_a_run(load: Load, cache: Path, capsys: pytest.CaptureFixture) -> None:
    """Labels that were edited in the stored sample; with the checksum mended, they still are not in the lists."""
    fresh = load("Digits", shots=2)
    (file,) = cache.rglob("shot_2-seed_1.json")
    text = file.read_text().splitlines()[1].replace(',3,"three"', ',9,"three"')
    for content in (file.read_text().replace(',3,"three"', ',9,"three"'), as_stored(text)):
        assert content != file.read_text()
        file.write_text(content)
        again = load("Digits", shots=2, subsample="base")
        assert str(file) in capsys.readouterr().err
        assert [item.impath for item in again.train_x] == [item.impath for item in fresh.train_x[:10]]


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
