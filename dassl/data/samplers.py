"""Which samples form a batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import RandomSampler as _TorchRandomSampler
from torch.utils.data import Sampler, SequentialSampler

from dassl.utils.registry import check_availability
from dassl.utils.rng import seeded_indices

AVAI_SAMPLERS = ["RandomDomainSampler", "SeqDomainSampler", "RandomSampler", "SequentialSampler", "RandomClassSampler"]


class SkippableSampler(Sampler):
    """A sampler of seeded indices that can leave out the start of its next epoch.

    Subclasses give `order`, one epoch's indices. All randomness of an epoch comes from torch's global generator at the
    moment the epoch's first index is asked for.
    """

    _skip_next = 0

    def skip_once(self, count: int) -> None:
        """Leave out the first `count` indices of the next epoch, which is otherwise the same."""
        self._skip_next = count

    def order(self) -> Iterator[int]:
        """The indices of one epoch."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[int]:
        skip, self._skip_next = self._skip_next, 0
        yield from seeded_indices(self.order(), skip)


class RandomSampler(SkippableSampler, _TorchRandomSampler):
    """Every sample once per epoch, in random order.

    Args:
        data_source: the items.
    """

    def __init__(self, data_source: Sequence) -> None:
        _TorchRandomSampler.__init__(self, data_source)

    def order(self) -> Iterator[int]:
        """A fresh permutation."""
        return _TorchRandomSampler.__iter__(self)


class GroupSampler(SkippableSampler):
    """Batches of `n_groups` groups with `n_each` samples from each.

    A pile is made of each group's samples, cut into parts of `n_each`. Every batch takes one part from `n_groups`
    different groups, always from those with most parts left (ties at random), which gives as many batches as can be
    had; the order of the batches is then shuffled. So the number of batches is the same in each epoch.

    Args:
        keys: for each sample the group it is in.
        n_groups: groups per batch.
        n_each: samples per group and batch.
        oversample: fill up groups smaller than `n_each` by drawing again; otherwise such groups are not used.
    """

    def __init__(self, keys: Sequence[Hashable], n_groups: int, n_each: int, oversample: bool) -> None:
        self.groups: dict[Hashable, list[int]] = defaultdict(list)
        for index, key in enumerate(keys):
            self.groups[key].append(index)
        self.n_groups, self.n_each, self.oversample = n_groups, n_each, oversample
        self.length = len(list(self._batches(torch.Generator().manual_seed(0)))) * n_groups * n_each

    def _parts(self, indices: list[int], generator: torch.Generator) -> list[list[int]]:
        if self.oversample and len(indices) < self.n_each:
            extra = torch.randint(len(indices), (self.n_each - len(indices),), generator=generator).tolist()
            indices = indices + [indices[i] for i in extra]
        mixed = [indices[i] for i in torch.randperm(len(indices), generator=generator).tolist()]
        return [mixed[i : i + self.n_each] for i in range(0, len(mixed) - self.n_each + 1, self.n_each)]

    def _batches(self, generator: torch.Generator) -> list[list[int]]:
        piles = [self._parts(indices, generator) for indices in self.groups.values()]
        batches = []
        while True:
            ties = torch.rand(len(piles), generator=generator).tolist()
            ranked = sorted((p for p in range(len(piles)) if piles[p]), key=lambda p: (-len(piles[p]), ties[p]))
            if len(ranked) < self.n_groups:
                break
            chosen = ranked[: self.n_groups]
            batches.append([index for p in chosen for index in piles[p].pop()])
        return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]

    def order(self) -> Iterator[int]:
        """One epoch, batch after batch."""
        generator = torch.Generator().manual_seed(int(torch.randint(2**62, (), dtype=torch.int64).item()))
        for batch in self._batches(generator):
            yield from batch

    def __len__(self) -> int:
        return self.length


class RandomDomainSampler(GroupSampler):
    """Batches of `n_domain` random domains with ``batch_size // n_domain`` images each; no image twice per epoch.

    Args:
        data_source: items with ``domain``.
        batch_size: images per batch, a multiple of `n_domain`.
        n_domain: domains per batch; 0 or less: all.

    Raises:
        ValueError: there are fewer domains, or the batch size is no multiple.
    """

    def __init__(self, data_source: Sequence[Any], batch_size: int, n_domain: int) -> None:
        domains = [item.domain for item in data_source]
        there = len(set(domains))
        n_domain = n_domain if n_domain > 0 else there
        if n_domain > there:
            raise ValueError(f"N_DOMAIN is {n_domain}, but the training split has {there} domains")
        if n_domain == 0 or batch_size % n_domain:
            raise ValueError(f"batch size {batch_size} is not a multiple of N_DOMAIN ({n_domain})")
        super().__init__(domains, n_domain, batch_size // n_domain, oversample=False)


class SeqDomainSampler(GroupSampler):
    """Batches with the same number of random images from every domain, domains in sequence; no image twice per epoch.

    Args:
        data_source: items with ``domain``.
        batch_size: images per batch, a multiple of the number of domains.

    Raises:
        ValueError: it is no multiple.
    """

    def __init__(self, data_source: Sequence[Any], batch_size: int) -> None:
        domains = [item.domain for item in data_source]
        there = len(set(domains))
        if there == 0 or batch_size % there:
            raise ValueError(f"batch size {batch_size} is not a multiple of the number of domains ({there})")
        self._domains = domains
        super().__init__(domains, there, batch_size // there, oversample=False)

    def _batches(self, generator: torch.Generator) -> list[list[int]]:
        # sorted() is stable: inside a domain the order stays random
        return [sorted(batch, key=lambda index: self._domains[index]) for batch in super()._batches(generator)]


class RandomClassSampler(GroupSampler):
    """Batches of ``batch_size // n_ins`` random classes with `n_ins` images each.

    A class with fewer than `n_ins` images shows some of them twice.

    Args:
        data_source: items with ``label``.
        batch_size: images per batch, a multiple of `n_ins`.
        n_ins: images per class and batch.

    Raises:
        ValueError: the batch size is no multiple, or there are too few classes.
    """

    def __init__(self, data_source: Sequence[Any], batch_size: int, n_ins: int) -> None:
        if n_ins < 1 or batch_size < n_ins or batch_size % n_ins:
            raise ValueError(f"batch size {batch_size} is not a multiple of N_INS ({n_ins})")
        labels = [item.label for item in data_source]
        classes = batch_size // n_ins
        if classes > len(set(labels)):
            raise ValueError(f"a batch needs {classes} classes, but the training split has {len(set(labels))}")
        super().__init__(labels, classes, n_ins, oversample=True)


def build_sampler(
    sampler_type: str,
    cfg: Any = None,
    data_source: Sequence[Any] | None = None,
    batch_size: int = 32,
    n_domain: int = 0,
    n_ins: int = 16,
) -> Sampler:
    """The sampler of that name.

    Args:
        sampler_type: RandomSampler, SequentialSampler, RandomDomainSampler, SeqDomainSampler or RandomClassSampler.
        cfg: not used; part of the signature that plugins call.
        data_source: the items.
        batch_size: images per batch.
        n_domain: domains per batch, for RandomDomainSampler.
        n_ins: images per class, for RandomClassSampler.

    Raises:
        ValueError: unknown name, or sizes that cannot be met.
    """
    check_availability(sampler_type, AVAI_SAMPLERS)
    items = data_source if data_source is not None else []
    if sampler_type == "RandomSampler":
        return RandomSampler(items)
    if sampler_type == "SequentialSampler":
        return SequentialSampler(items)
    if sampler_type == "RandomDomainSampler":
        return RandomDomainSampler(items, batch_size, n_domain)
    if sampler_type == "SeqDomainSampler":
        return SeqDomainSampler(items, batch_size)
    return RandomClassSampler(items, batch_size, n_ins)
