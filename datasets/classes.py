"""The base and new halves of a dataset's classes, and checks on classes."""

from __future__ import annotations

from collections.abc import Sequence

from .splits import Item

SUBSAMPLES = ("all", "base", "new")


def check_subsample(subsample: str) -> None:
    """Raise ValueError unless `subsample` is all, base or new."""
    if subsample not in SUBSAMPLES:
        raise ValueError(f"DATASET.SUBSAMPLE_CLASSES is {subsample!r}: expected one of {', '.join(SUBSAMPLES)}")


def select_classes(subsample: str, train: Sequence[Item], *others: Sequence[Item]) -> list[list[Item]]:
    """Keep the base half or the new half of the classes, with labels counted from 0 again.

    The classes are the sorted labels of the train list; base is the first ceil(n/2) of them, new the rest
    (the base-to-new protocol of CoCoOp, CVPR 2022, which MaPLe follows).

    Args:
        subsample: "all" (lists as they are), "base" or "new".
        train: the list that says which classes there are; cut after few-shot sampling, so that base and new runs of
            one seed share one sample.
        others: further lists (val, test) to cut the same way.

    Returns:
        The lists in the order given; order inside each is kept.

    Raises:
        ValueError: unknown `subsample`, or fewer than two classes to halve.
    """
    check_subsample(subsample)
    lists = (train, *others)
    if subsample == "all":
        return [list(items) for items in lists]
    labels = sorted({item.label for item in train})
    if len(labels) < 2:
        raise ValueError(f"DATASET.SUBSAMPLE_CLASSES {subsample!r} halves the classes, but there are {len(labels)}")
    half = (len(labels) + 1) // 2
    chosen = labels[:half] if subsample == "base" else labels[half:]
    rank = {label: new for new, label in enumerate(chosen)}
    return [[item._replace(label=rank[item.label]) for item in items if item.label in rank] for items in lists]


def check_classes(dataset: str, train: Sequence[Item], *others: Sequence[Item], fix: str) -> None:
    """Every class must have an image in the train list, since that list gives the classes and their names.

    Args:
        dataset: name for the message.
        train: the chosen train list.
        others: lists whose labels must occur in it.
        fix: the sentence's end: what to do.

    Raises:
        ValueError: names the labels (and class names where known) without a training image.
    """
    present = {item.label for item in train}
    names = {item.label: item.classname for items in others for item in items}
    highest = max(present | set(names), default=-1)
    if highest < 0:
        raise ValueError(f"{dataset}: the train list is empty; {fix}")
    absent = [label for label in range(highest + 1) if label not in present]
    if absent:
        shown = ", ".join(f"{label} ({names[label]})" if label in names else str(label) for label in absent[:5])
        more = f" and {len(absent) - 5} more" if len(absent) > 5 else ""
        raise ValueError(f"{dataset}: no training image of class {shown}{more}; {fix}")
