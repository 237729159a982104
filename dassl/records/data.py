"""The data of a run: its class names, and digests of the lists of images that it used."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

#: A dataset's lists, with the words for them.
LISTS = {"train_x": "training", "train_u": "unlabelled", "val": "validation", "test": "test"}
_COUNTS = {"num_train": "training", "num_val": "validation", "num_test": "test"}

#: A dataset sets this to True when its image files may change: then what is in them is part of the digests.
CONTENTS = "digest_contents"

_SHOWN = 5


def sha256(path: str | os.PathLike) -> str:
    """SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def digests_of(dataset: Any) -> dict[str, str]:
    """A digest of each list of a dataset: paths below the folder that holds all images, labels, domains, in order.

    The images may lie anywhere; for a dataset that says `CONTENTS`, what is in the files counts as well.

    Args:
        dataset: with the lists of `dassl.data.datasets.DatasetBase`, after few-shot sampling and choice of classes.

    Returns:
        list name → first 16 hex digits of a SHA-256; lists that are None are left out.
    """
    lists = {name: items for name in LISTS if (items := getattr(dataset, name, None)) is not None}
    start = len(_folder_above([_path(item) for items in lists.values() for item in items]))
    contents: dict[str, str] | None = {} if getattr(dataset, CONTENTS, False) else None
    return {name: _digest(items, start, contents) for name, items in lists.items()}


def _folder_above(paths: Sequence[str]) -> str:
    """The folder that all paths begin with, with its slash."""
    if not paths:
        return ""
    first, last = min(paths), max(paths)  # what these two have in common, all in between have
    same = next((place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[: first.rfind("/", 0, same) + 1]


def _path(item: Any) -> str:
    return str(getattr(item, "impath", ""))


def _digest(items: Sequence[Any], start: int, contents: dict[str, str] | None) -> str:
    digest = hashlib.sha256()
    for item in items:
        path = _path(item)
        line = f"{path[start:]}\t{item.label}\t{getattr(item, 'domain', 0)}"
        if contents is not None:
            if path not in contents:
                contents[path] = sha256(path) if os.path.isfile(path) else "missing"
            line += f"\t{contents[path]}"
        digest.update(f"{line}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]


def data_of(dataset: Any, digests: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What a record says of the data.

    Args:
        dataset: see `digests_of`.
        digests: from `digests_of`, where they have been taken already; None takes them.
    """
    return {
        "num_classes": dataset.num_classes,
        "classnames": list(dataset.classnames),
        "num_train": len(dataset.train_x or []),
        "num_val": len(dataset.val or []),
        "num_test": len(dataset.test or []),
        "fewshot_digest": getattr(dataset, "fewshot_digest", None),
        "digests": digests_of(dataset) if digests is None else dict(digests),
    }


def changed_data(old: Mapping[str, Any], new: Mapping[str, Any], drawn_anew: bool = False) -> Iterator[str]:
    """Yield what differs between the data of a record and those of now, as far as both tell.

    Args:
        old: from `data_of`, perhaps of a version that told less.
        new: from `data_of`.
        drawn_anew: the run has no fixed seed, so that its few-shot sample differs each time.
    """
    yield from _changed_classes(list(old.get("classnames") or []), list(new["classnames"]))
    said = set()
    for key, name in _COUNTS.items():
        if key in old and old[key] != new[key]:
            said.add(name)
            yield f"{name} images: {old[key]} → {new[key]}"
    before, now = old.get("digests") or {}, new.get("digests") or {}
    for key, name in LISTS.items():
        drawn = drawn_anew and name != "test"
        if key in before and key in now and before[key] != now[key] and name not in said and not drawn:
            said.add(name)
            yield f"other {name} images, or in another order"
    sample = old.get("fewshot_digest")
    if not before and not said and not drawn_anew and sample and sample != new.get("fewshot_digest"):
        yield "another few-shot sample"


def _changed_classes(old: list[str], new: list[str]) -> Iterator[str]:
    if not old or old == new:
        return
    gone, come = [name for name in old if name not in new], [name for name in new if name not in old]
    if not gone and not come:
        yield "the classes are in another order" if sorted(old) == sorted(new) else "a class name is there twice"
    elif len(old) == len(new) and all((a in gone) == (b in come) for a, b in zip(old, new, strict=True)):
        yield f"classes: {_some([f'{a} → {b}' for a, b in zip(old, new, strict=True) if a != b])}"
    else:
        if gone:
            yield f"classes gone: {_some(gone)}"
        if come:
            yield f"new classes: {_some(come)}"


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
