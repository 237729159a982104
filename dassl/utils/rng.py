"""Random state, seeded, saved and restored in one place."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def check_seed(seed: int) -> None:
    """Raise ValueError unless torch can be seeded with a number."""
    if not -(2**63) <= seed < 2**64:
        raise ValueError(f"SEED is {seed}: expected a whole number of at most 64 bits, below {2**64}")


def set_random_seed(seed: int) -> None:
    """Seed Python, NumPy and torch (CPU and every GPU). Zero is a seed like any other."""
    check_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def get_random_state() -> dict[str, Any]:
    """The state of all global generators, in types that a weights-only load accepts.

    Returns:
        ``python``, ``numpy``, ``torch`` and ``cuda`` (a list of tensors, one per GPU; empty without CUDA).
    """
    version, internal, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    words = torch.from_numpy(np.asarray(keys).astype(np.int64))
    return {
        "python": [version, list(internal), gauss],
        "numpy": [
            str(kind),
            words,
            int(position),
            int(has_gauss),
            float(cached),
        ],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Restore what `get_random_state` returned. GPU states are restored as far as there are GPUs."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    kind, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"].cpu())
    if torch.cuda.is_available():
        for index, cuda_state in enumerate(state["cuda"][: torch.cuda.device_count()]):
            torch.cuda.set_rng_state(cuda_state.cpu(), index)


def seed_cpu(seed: int) -> None:
    """Seed the CPU generators only; a GPU's generator goes on undisturbed."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)


@contextmanager
def kept_cpu_state() -> Iterator[None]:
    """Let a block seed the CPU generators as it likes, and put them back afterwards."""
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(cpu)


def draw_seed() -> int:
    """A 62-bit seed from torch's global generator."""
    return int(torch.randint(2**62, (), dtype=torch.int64).item())


def mix(seed: int, position: int) -> int:
    """Seeds for positions 0, 1, 2, ... that have nothing in common (the finaliser of SplitMix64).

    Args:
        seed: any non-negative integer.
        position: any non-negative integer.

    Returns:
        An integer in [0, 2**63).
    """
    mask = 2**64 - 1
    z = (seed + (position + 1) * 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return (z ^ (z >> 31)) >> 1


class SeededIndex(int):
    """A sample's index that also carries the seed of that sample's augmentation.

    A sampler yields these, so that a sample's random transforms depend on its place in the epoch alone: not on the
    number of worker processes, nor on what was loaded before. It is an int to everything else.
    """

    seed: int


def seeded_indices(indices: Iterable[int], skip: int = 0) -> Iterator[SeededIndex]:
    """Attach a seed to each index of an epoch, optionally leaving out the first `skip` of them.

    One number is drawn from torch's global generator, whatever `skip` is.
    """
    epoch_seed = draw_seed()
    for position, index in enumerate(indices):
        if position < skip:
            continue
        seeded = SeededIndex(index)
        seeded.seed = mix(epoch_seed, position)
        yield seeded
