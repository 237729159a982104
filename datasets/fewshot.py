"""K images a class: the few-shot protocol of CoOp (IJCV 2022), which MaPLe and its kin follow."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .cache import read_cached, reject_cached, write_cached
from .splits import Item, Split

MAX_VAL_SHOTS = 4

Sampler = Callable[..., Any]


def sample_fewshot(
    sampler: Sampler, train: Sequence[Item], val: Sequence[Item], shots: int, seed: int
) -> tuple[list[Item], list[Item]]:
    """Draw the few-shot training and validation lists.

    The protocol fixes Python's global `random`, freshly seeded with the run's seed: train is drawn first with
    `shots` a class, then val with min(shots, 4) a class on the same running generator. So for a given seed the sample
    depends on nothing else, and here the generator is seeded for the draw and put back as it was afterwards: the sample
    is the published one wherever the dataset is built, and a run's other random numbers are the same with a cached
    sample as with a fresh one. Without a seed (below 0) the global generator is used as it stands.

    Args:
        sampler: `DatasetBase.generate_fewshot_dataset` of the dataset.
        train: full training list. Classes are visited in order of first appearance.
        val: full validation list; may be empty.
        shots: images per class, at least 1.
        seed: the run's seed; 0 is a seed like any other.

    Returns:
        (train, val) in sampled order.
    """
    with _generator_seeded(seed):
        sampled_train = list(sampler(list(train), num_shots=shots))
        sampled_val = list(sampler(list(val), num_shots=min(shots, MAX_VAL_SHOTS))) if val else []
    return sampled_train, sampled_val


@contextmanager
def _generator_seeded(seed: int) -> Iterator[None]:
    if seed < 0:
        yield
        return
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


def cached_fewshot(
    sampler: Sampler,
    key: str,
    lists: Callable[[], tuple[Sequence[Item], Sequence[Item]]],
    shots: int,
    seed: int,
    known: Split | None = None,
) -> tuple[list[Item], list[Item]]:
    """`sample_fewshot`, kept as JSON in the cache folder for every seed from 0.

    The stored file shows which images a run was given, and spares ImageNet the reading of its 1.3 million names. A
    file that was changed, or that holds what the lists do not, is said to be so and made again.

    Args:
        sampler: as for `sample_fewshot`.
        key: dataset name and digest of its full lists, e.g. "Caltech101-52ce83205ff8".
        lists: called only when there is no stored sample; returns the full (train, val).
        shots: images per class.
        seed: the run's seed; below 0 nothing is stored, since the next run must draw afresh.
        known: the full lists, where they are at hand: stored entries must be among them.

    Returns:
        (train, val) in sampled order.
    """
    name = f"fewshot-2/{key}/shot_{shots}-seed_{seed}.json"
    if seed >= 0:
        stored = read_cached(name)
        if stored is not None:
            try:
                return _sample_of(stored, known)
            except ValueError as error:
                reject_cached(name, str(error))
    train, val = sample_fewshot(sampler, *lists(), shots=shots, seed=seed)
    if seed >= 0:
        write_cached(name, {"train": train, "val": val})
    return train, val


def _sample_of(stored: Any, known: Split | None) -> tuple[list[Item], list[Item]]:
    """The (train, val) of a stored file; ValueError if it holds anything else."""
    parts = ("train", known and known.train), ("val", known and known.val)
    sample = []
    for part, whole in parts:
        try:
            items = [Item(*entry) for entry in stored[part]]
            foreign = set(items).difference(whole) if whole is not None else ()
        except (TypeError, KeyError):
            raise ValueError("it does not hold lists of [path, label, class name]") from None
        if foreign:
            first = next(item for item in items if item in foreign)
            raise ValueError(f"its {part} entry {list(first)} is not in the dataset's lists")
        sample.append(items)
    return sample[0], sample[1]


def paths_digest(items: Sequence[Item]) -> str:
    """First 12 hex digits of the SHA-256 of the paths joined by newlines: names a few-shot sample in run records."""
    return hashlib.sha256("\n".join(item.path for item in items).encode()).hexdigest()[:12]


def split_digest(split: Split) -> str:
    """First 12 hex digits of the SHA-256 of a whole split: paths, labels and names in order."""
    digest = hashlib.sha256()
    for items in split:
        digest.update("\n".join(f"{item.path}\t{item.label}\t{item.classname}" for item in items).encode())
        digest.update(b"\n\n")
    return digest.hexdigest()[:12]
