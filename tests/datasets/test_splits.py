"""Split files and the rules by which splits are made."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.splits import Item, Split, carve_val, read_split, three_way, write_split


def items(*labels: int) -> list[Item]:
    return [Item(f"{i:03d}.jpg", label, f"class {label}") for i, label in enumerate(labels)]


def test_bytes_are_those_of_published_files(tmp_path: Path) -> None:
    """Indent 4, "," and ": ", ASCII, no final newline."""
    file = tmp_path / "split.json"
    write_split(Split([Item("a/1.jpg", 0, "caf\u00e9")], [], [Item("a/2.jpg", 0, "caf\u00e9")]), file)
    assert file.read_bytes() == (
        b'{\n    "train": [\n        [\n            "a/1.jpg",\n            0,\n            "caf\\u00e9"\n        ]\n'
        b"    ],"
        b'\n    "val": [],\n    "test": [\n        [\n            "a/2.jpg",\n            0,\n            "caf\\u00e9"'
        b"\n        ]\n    ]\n}"
    )


@given(st.lists(st.tuples(st.text(min_size=1), st.integers(0, 5)), max_size=20))
def test_written_split_is_read_back(tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[str, int]]) -> None:
    whole = [Item(f"x{name}".replace("\\", "-").replace("..", "-"), label, f"c{label}") for name, label in entries]
    file = tmp_path_factory.mktemp("split") / "split.json"
    write_split(Split(whole[::2], whole[1::2], whole), file)
    assert read_split(file) == Split(whole[::2], whole[1::2], whole)


def test_numbers_as_text_and_backslashes_are_understood(tmp_path: Path) -> None:
    file = tmp_path / "split.json"
    file.write_text(json.dumps({"train": [["a\\b.jpg", "3", "x"]], "val": [], "test": []}))
    assert read_split(file).train == [Item("a/b.jpg", 3, "x")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        ("<!DOCTYPE html><html>", "not valid JSON"),
        ("[]", "expected the keys train, val, test, found list"),
        ('{"train": [], "test": []}', "expected the keys train, val, test, found train, test"),
        ('{"train": [["a.jpg", 0]], "val": [], "test": []}', r"train\[0\]: expected \[path, label, class name\]"),
        ('{"train": [], "val": [["a.jpg", "x", "y"]], "test": []}', r"val\[0\]: expected \[path, label"),
        ('{"train": [["/etc/a.jpg", 0, "y"]], "val": [], "test": []}', "a relative path"),
        ('{"train": [["b/../../a.jpg", 0, "y"]], "val": [], "test": []}', "a relative path"),
        ('{"train": [["a.jpg", -1, "y"]], "val": [], "test": []}', "a label from 0"),
        (r'{"train": [["a.jpg", 0, "caf\udce9"]], "val": [], "test": []}', r"train\[0\]: .*caf.* is not in UTF-8"),
        (
            '{"train": [["a.jpg", 0, "y"]], "val": [], "test": [["b.jpg", 0, "z"]]}',
            r"test\[0\]: label 0 is named 'z' here",
        ),
    ],
)
def test_damaged_files(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "split.json"
    file.write_text(content)
    with pytest.raises(ValueError, match=message):
        read_split(file)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "split.json"
    write_split(Split(items(0), [], []), file)
    before = file.read_bytes()
    bad: Any = Split([Item("a", {1, 2}, "x")], [], [])  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        write_split(bad, file)
    assert file.read_bytes() == before and [entry.name for entry in tmp_path.iterdir()] == ["split.json"]


@pytest.mark.parametrize(("n", "parts"), [(45, (22, 9, 14)), (5, (2, 1, 2)), (4, (2, 1, 1)), (120, (60, 24, 36))])
def test_three_way_rounds_half_to_even(n: int, parts: tuple[int, int, int]) -> None:
    split = three_way([(0, "x", [f"{i}.jpg" for i in range(n)])], random.Random(0))
    assert tuple(len(part) for part in split) == parts
    assert len({item.path for part in split for item in part}) == n


def test_three_way_shuffles_once_per_class_in_order() -> None:
    classes = [(1, "b", ["b0", "b1", "b2", "b3", "b4"]), (0, "a", ["a0", "a1", "a2", "a3", "a4"])]
    rng = random.Random(7)
    expected = []
    for _, _, paths in classes:
        shuffled = list(paths)
        rng.shuffle(shuffled)
        expected.append(shuffled)
    split = three_way(classes, random.Random(7))
    assert [item.path for item in split.train] == expected[0][:2] + expected[1][:2]
    assert [item.path for item in split.val] == [expected[0][2], expected[1][2]]
    assert [item.path for item in split.test] == expected[0][3:] + expected[1][3:]


def test_three_way_needs_images() -> None:
    with pytest.raises(ValueError, match=r"Class 'x' has 2 images: too few .* 1, 0, 1"):
        three_way([(0, "x", ["a", "b"])], random.Random(0))


def test_carve_val_takes_the_first_shuffled_of_each_class() -> None:
    train, val = carve_val(items(1, 0, 1, 0, 1, 0, 1, 0, 1, 0), random.Random(3))
    rng = random.Random(3)
    ones, zeros = [0, 2, 4, 6, 8], [1, 3, 5, 7, 9]
    rng.shuffle(ones)
    rng.shuffle(zeros)
    assert [int(item.path[:3]) for item in val] == [ones[0], zeros[0]]
    assert [int(item.path[:3]) for item in train] == ones[1:] + zeros[1:]


def test_carve_val_needs_images() -> None:
    with pytest.raises(ValueError, match="Class 'class 0' has 2 training images"):
        carve_val(items(0, 0), random.Random(0))
