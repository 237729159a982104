"""Base and new halves."""

from __future__ import annotations

import pytest

from datasets.classes import check_classes, select_classes
from datasets.splits import Item


def items(*labels: int) -> list[Item]:
    return [Item(f"{i}.jpg", label, f"class {label}") for i, label in enumerate(labels)]


def test_odd_number_of_classes() -> None:
    """Three classes: two base, one new; labels count from 0 again, names and order are kept."""
    train, test = items(2, 0, 1, 2), items(1, 2, 0)
    base = select_classes("base", train, test)
    assert [[(item.label, item.classname) for item in part] for part in base] == [
        [(0, "class 0"), (1, "class 1")],
        [(1, "class 1"), (0, "class 0")],
    ]
    new = select_classes("new", train, test)
    assert [[(item.label, item.path) for item in part] for part in new] == [
        [(0, "0.jpg"), (0, "3.jpg")],
        [(0, "1.jpg")],
    ]


def test_all_is_unchanged() -> None:
    assert select_classes("all", items(2, 0), items(1)) == [items(2, 0), items(1)]


@pytest.mark.parametrize(("n", "base"), [(10, 5), (37, 19), (47, 24), (101, 51), (397, 199)])
def test_base_is_the_larger_half(n: int, base: int) -> None:
    assert len(select_classes("base", items(*range(n)))[0]) == base
    assert len(select_classes("new", items(*range(n)))[0]) == n - base


def test_classes_are_those_of_the_train_list() -> None:
    """A class that the train list does not have is dropped from test as well."""
    assert [item.path for item in select_classes("base", items(0, 2, 5), items(0, 1, 2, 5))[1]] == ["0.jpg", "2.jpg"]


def test_refused() -> None:
    with pytest.raises(ValueError, match="'half': expected one of all, base, new"):
        select_classes("half", items(0, 1))
    with pytest.raises(ValueError, match="halves the classes, but there are 1"):
        select_classes("new", items(0, 0))


def test_class_without_training_image() -> None:
    with pytest.raises(ValueError, match=r"X: no training image of class 1 \(class 1\), 3; do this"):
        check_classes("X", items(0, 2, 4), items(1), fix="do this")
    with pytest.raises(ValueError, match="X: the train list is empty"):
        check_classes("X", [], fix="do this")
    check_classes("X", items(1, 0), items(0), fix="")
