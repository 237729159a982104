"""Which datasets there are, by name."""

from __future__ import annotations

import difflib

from dassl.data.datasets import DATASET_REGISTRY

from ..base import Benchmark


def benchmarks() -> dict[str, type[Benchmark]]:
    """Stem → class of every dataset with facts of its own, sorted by stem."""
    classes = (DATASET_REGISTRY.get(name) for name in DATASET_REGISTRY.registered_names())
    known = {cls.facts.stem: cls for cls in classes if isinstance(cls, type) and issubclass(cls, Benchmark)}
    return {stem: known[stem] for stem in sorted(known) if known[stem].facts.folder}


def select(names: list[str]) -> list[type[Benchmark]]:
    """The classes that `names` mean: stems, registry names in any case, or "all".

    Raises:
        KeyError: an unknown name; says the nearest known one.
    """
    known = benchmarks()
    if names == ["all"]:
        return list(known.values())
    aliases = {alias.lower(): cls for stem, cls in known.items() for alias in (stem, cls.__name__)}
    chosen = []
    for name in names:
        if name.lower() not in aliases:
            near = difflib.get_close_matches(name.lower(), aliases, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            raise KeyError(f"There is no dataset {name!r}: {hint}")
        chosen.append(aliases[name.lower()])
    return chosen
