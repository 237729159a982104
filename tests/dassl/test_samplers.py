"""What each sampler guarantees, for any data."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import SequentialSampler

from dassl.data.samplers import build_sampler
from dassl.utils.rng import SeededIndex

GROUPS = st.lists(st.integers(1, 12), min_size=1, max_size=6)


def items(sizes: list[int]) -> list[Any]:
    """Items of groups of the given sizes, mixed; the group is label and domain."""
    groups = [group for group, size in enumerate(sizes) for _ in range(size)]
    order = torch.randperm(len(groups), generator=torch.Generator().manual_seed(5)).tolist()
    return [SimpleNamespace(label=groups[i], domain=groups[i]) for i in order]


def batches(sampler: Any, size: int) -> list[list[int]]:
    indices = list(sampler)
    assert len(indices) == len(sampler) and len(indices) % size == 0
    return [indices[i : i + size] for i in range(0, len(indices), size)]


@given(count=st.integers(1, 50))
@settings(max_examples=20, deadline=None)
def test_random_sampler_shows_everything_once(count: int) -> None:
    sampler = build_sampler("RandomSampler", data_source=[0] * count)
    torch.manual_seed(count)
    first, second = list(sampler), list(sampler)
    assert sorted(first) == sorted(second) == list(range(count)) and len(sampler) == count
    assert count < 8 or first != second
    torch.manual_seed(count)
    assert list(sampler) == first
    assert all(isinstance(index, SeededIndex) for index in first)


def test_sequential_sampler() -> None:
    sampler = build_sampler("SequentialSampler", data_source=[0] * 5)
    assert isinstance(sampler, SequentialSampler) and list(sampler) == [0, 1, 2, 3, 4]


@given(sizes=GROUPS, n_domain=st.integers(0, 6), each=st.integers(1, 4), seed=st.integers(0, 9))
@settings(max_examples=80, deadline=None)
def test_random_domain_sampler(sizes: list[int], n_domain: int, each: int, seed: int) -> None:
    data = items(sizes)
    domains = min(n_domain, len(sizes)) or len(sizes)
    sampler = build_sampler("RandomDomainSampler", data_source=data, batch_size=domains * each, n_domain=domains)
    torch.manual_seed(seed)
    made = batches(sampler, domains * each)
    for batch in made:
        assert set(Counter(data[i].domain for i in batch).values()) == {each}
        assert len({data[i].domain for i in batch}) == domains
    shown = [i for batch in made for i in batch]
    assert len(set(shown)) == len(shown)  # no image twice
    left = Counter(item.domain for item in data) - Counter(data[i].domain for i in shown)
    assert sum(count >= each for count in left.values()) < domains  # no further batch could be made
    assert len(list(sampler)) == len(shown)  # the same number in each epoch


@given(sizes=GROUPS, each=st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_seq_domain_sampler(sizes: list[int], each: int) -> None:
    data = items(sizes)
    sampler = build_sampler("SeqDomainSampler", data_source=data, batch_size=each * len(sizes))
    made = batches(sampler, each * len(sizes))
    assert len(made) == min(sizes) // each
    for batch in made:
        assert [data[i].domain for i in batch] == [d for d in range(len(sizes)) for _ in range(each)]
    shown = [i for batch in made for i in batch]
    assert len(set(shown)) == len(shown)


@given(sizes=GROUPS, classes=st.integers(1, 6), each=st.integers(1, 5))
@settings(max_examples=80, deadline=None)
def test_random_class_sampler(sizes: list[int], classes: int, each: int) -> None:
    data = items(sizes)
    classes = min(classes, len(sizes))
    sampler = build_sampler("RandomClassSampler", data_source=data, batch_size=classes * each, n_ins=each)
    made = batches(sampler, classes * each)
    assert made  # a class that is too small shows images twice, so there is always a batch
    for batch in made:
        assert set(Counter(data[i].label for i in batch).values()) == {each}
        assert len({data[i].label for i in batch}) == classes
    repeated = {data[i].label for i, count in Counter(i for batch in made for i in batch).items() if count > 1}
    assert all(sizes[label] < each for label in repeated)
    # a class has as many parts as fill up, one that is too small has one; b batches of different classes can be had
    # as long as the classes have parts enough, of which each batch takes one of a class at most
    parts = [max(1, size // each) for size in sizes]
    most = max(b for b in range(sum(parts) + 1) if sum(min(part, b) for part in parts) >= b * classes)
    assert len(made) == most


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("RandomSampling", {}, "did you mean 'RandomSampler'"),
        ("RandomDomainSampler", {"batch_size": 5, "n_domain": 2}, "batch size 5 is not a multiple of N_DOMAIN"),
        (
            "RandomDomainSampler",
            {"batch_size": 8, "n_domain": 4},
            "N_DOMAIN is 4, but the training split has 2",
        ),
        ("SeqDomainSampler", {"batch_size": 5}, "batch size 5 is not a multiple of the number of domains"),
        ("RandomClassSampler", {"batch_size": 5, "n_ins": 2}, "not a multiple of N_INS"),
        ("RandomClassSampler", {"batch_size": 6, "n_ins": 2}, "needs 3 classes, but the training split has 2"),
    ],
)
def test_sizes_that_cannot_be_met(name: str, options: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        build_sampler(name, data_source=items([3, 3]), **options)


@pytest.mark.parametrize("name", ["RandomSampler", "RandomDomainSampler", "SeqDomainSampler", "RandomClassSampler"])
def test_an_epoch_can_be_gone_on_with_in_its_middle(name: str) -> None:
    sampler: Any = build_sampler(name, data_source=items([6, 6]), batch_size=4, n_domain=2, n_ins=2)
    torch.manual_seed(3)
    whole = list(sampler)
    after = torch.rand(1)
    torch.manual_seed(3)
    sampler.skip_once(4)
    rest = list(sampler)
    assert rest == whole[4:] and [i.seed for i in rest] == [i.seed for i in whole[4:]]
    assert torch.equal(torch.rand(1), after)
    assert len(list(sampler)) == len(whole)  # once only
