"""Datasets of one's own that were given one name: told apart by where their images lie."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reporting.records import Run


def tell_apart(runs: Sequence[Run]) -> tuple[list[Run], list[str]]:
    """Rename datasets of which several have one name, "fruit" → "fruit (a/fruit)" and "fruit (b/fruit)".

    A record of images of one's own has their DATASET.PATH in its settings; older ones are all called Folder.

    Args:
        runs: all runs of a report.

    Returns:
        The runs in their order, and a note for each name that several datasets have.
    """
    places: dict[str, set[str]] = defaultdict(set)
    for run in runs:
        places[run.dataset].add(_place(run))
    ends = {name: _ends(found) for name, found in places.items() if len(found) > 1}
    told = [
        replace(run, dataset=f"{run.dataset} ({ends[run.dataset][_place(run)]})") if run.dataset in ends else run
        for run in runs
    ]
    notes = [
        f"{len(found)} datasets are called {name}, told apart by where they lie ({', '.join(sorted(found))}); "
        "DATASET.TITLE gives each a name of its own"
        for name, found in ends.items()
    ]
    return told, notes


def _place(run: Run) -> str:
    """Where a run's images lie, or the registered name of its dataset, which stands for a place."""
    options = run.settings.get("DATASET") or {}
    path, name = (str(options.get(key) or "") for key in ("PATH", "NAME"))
    return posixpath.normpath(path) if path else name or run.dataset


def _ends(places: set[str]) -> dict[str, str]:
    """Place → the shortest end of its path that no other has."""
    parts = {place: PurePosixPath(place).parts for place in places}
    longest = max(len(found) for found in parts.values())
    for length in range(1, longest + 1):
        ends = {place: str(PurePosixPath(*found[-length:])) for place, found in parts.items()}
        if len(set(ends.values())) == len(places):
            return ends
    return {place: place for place in places}
