"""Digests of lists of images, and what is said of lists and classes that differ."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dassl.data.datasets import DatasetBase, Datum
from dassl.records import data_of, digests_of
from dassl.records.data import changed_data

names = st.text(st.sampled_from("ab/"), min_size=1, max_size=4).map(lambda text: "x" + text + ".png")
items = st.lists(st.tuples(names, st.integers(0, 2), st.integers(0, 1)), min_size=1, max_size=5)


class Lists(DatasetBase):
    """A dataset of the given lists."""

    def __init__(self, train: list, test: list | None = None, contents: bool = False) -> None:
        self.digest_contents = contents
        super().__init__(train_x=train, test=test)


def datums(root: str, rows: list) -> list[Datum]:
    return [Datum(f"{root}/{path}", label, domain, str(label)) for path, label, domain in rows]


class Loose:
    """A dataset whose labels need not be in order."""

    def __init__(self, root: str, train: list, test: list) -> None:
        self.train_x, self.val, self.test = datums(root, train), None, datums(root, test)


@given(items, items)
def test_digests_do_not_depend_on_where_the_images_lie(train: list, test: list) -> None:
    here, there = (digests_of(Loose(root, train, test)) for root in ("/a", "/some/where else/x"))
    assert here == there and set(here) == {"train_x", "test"}


@given(items, items)
def test_lists_that_differ_have_other_digests(first: list, second: list) -> None:
    last = [("y.png", 0, 0)]  # so that all images have just the root in common
    digests = [digests_of(Loose("/r", rows, last))["train_x"] for rows in (first, second)]
    assert (digests[0] == digests[1]) == (first == second)


def test_the_digest_by_hand() -> None:
    dataset = Lists(datums("/r", [("a/1.png", 0, 0), ("b/2.png", 1, 1)]), datums("/r", [("a/3.png", 0, 0)]))
    text = "a/1.png\t0\t0\nb/2.png\t1\t1\n"
    assert digests_of(dataset)["train_x"] == hashlib.sha256(text.encode()).hexdigest()[:16]
    assert set(digests_of(dataset)) == {"train_x", "test"}


@pytest.mark.parametrize("contents", [True, False])
def test_an_edited_image_counts_where_the_dataset_says_so(tmp_path: Path, contents: bool) -> None:
    for name in ("1.png", "2.png", "3.png"):
        (tmp_path / name).write_bytes(b"abc")
    train = datums(str(tmp_path), [("1.png", 0, 0), ("2.png", 1, 0)])
    test = datums(str(tmp_path), [("3.png", 0, 0), ("gone.png", 0, 0)])
    before = digests_of(Lists(train, test, contents))
    (tmp_path / "2.png").write_bytes(b"abd")  # of the same size
    after = digests_of(Lists(train, test, contents))
    assert (before["train_x"] != after["train_x"]) == contents and before["test"] == after["test"]


def data(classes: list[str], n_train: int = 4, n_test: int = 2, **digests: str) -> dict[str, Any]:
    counts = {"num_train": n_train, "num_val": 0, "num_test": n_test}
    return {"num_classes": len(classes), "classnames": classes, **counts, "fewshot_digest": "f", "digests": digests}


OTHER = "other test images, or in another order"
CASES = {
    "the same": (data(["a", "b"]), data(["a", "b"]), []),
    "order": (data(["a", "b"]), data(["b", "a"]), ["the classes are in another order"]),
    "twice": (data(["a", "b", "a"]), data(["a", "b", "b"]), ["a class name is there twice"]),
    "renamed": (data(["a", "b"]), data(["a", "c"]), ["classes: b → c"]),
    "one more": (data(["a", "b"]), data(["a", "b", "c"]), ["new classes: c"]),
    "one less": (data(["a", "b", "c"]), data(["a", "c"]), ["classes gone: b"]),
    "others": (data(["a", "b"]), data(["b", "c"]), ["classes gone: a", "new classes: c"]),
    "many": (data([*"abcdefgh"]), data(["a"]), ["classes gone: b, c, d, e, f and 2 more"]),
    "counts": (data(["a"], 384, 2), data(["a"], 344, 3), ["training images: 384 → 344", "test images: 2 → 3"]),
    "lists": (data(["a"], train_x="1", test="2"), data(["a"], train_x="1", test="3"), [OTHER]),
    "counted once": (data(["a"], 3, train_x="1"), data(["a"], 4, train_x="2"), ["training images: 3 → 4"]),
    "older": ({"classnames": ["a"], "num_train": 3}, data(["a"], 4, test="2"), ["training images: 3 → 4"]),
    "older sample": ({"fewshot_digest": "e"}, data(["a"], test="2"), ["another few-shot sample"]),
    "nothing told": ({}, data(["a"], test="2"), []),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "told"), CASES.values(), ids=CASES)
def test_what_is_said_of_other_data(old: dict, new: dict, told: list[str]) -> None:
    assert list(changed_data(old, new)) == told


def test_a_sample_without_a_seed_is_another_each_time() -> None:
    old, new = data(["a"], train_x="1", val="1", test="1"), data(["a"], train_x="2", val="2", test="1")
    assert not list(changed_data(old, new, drawn_anew=True))
    new["digests"]["test"] = "2"
    assert list(changed_data(old, new, drawn_anew=True)) == [OTHER]
    assert not list(changed_data({"fewshot_digest": "e"}, data(["a"]), drawn_anew=True))


def test_data_of_a_dataset() -> None:
    dataset = Lists(datums("/r", [("1.png", 0, 0), ("2.png", 1, 0), ("3.png", 1, 0)]), datums("/r", [("4.png", 0, 0)]))
    told = data_of(dataset)
    assert (told["num_classes"], told["classnames"]) == (2, ["0", "1"])
    assert (told["num_train"], told["num_val"], told["num_test"]) == (3, 0, 1)
    assert told["digests"] == digests_of(dataset) and told["fewshot_digest"] is None
    assert data_of(dataset, {"test": "x"})["digests"] == {"test": "x"}
