"""From runs to the rows of a table: which runs share a row, what the row is called, which run counts for a cell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from configs import facts
from dassl.records import is_number
from dassl.records.settings import flat
from reporting.options import Options
from reporting.records import Run
from reporting.report import Variant
from reporting.stats import Cell, seed_cell


class Slot(NamedTuple):
    """A cell before its seeds are averaged: ``column`` is the side (Base, New), the target dataset or the shots."""

    variant: Variant
    dataset: str
    column: str


def in_order(names: Iterable[str], asked: Sequence[str] | None = None) -> list[str]:
    """Datasets without repetition: in the asked order, else in their places in tables; others follow by name."""
    return facts.in_place(names, asked or [dataset.name for dataset in facts.datasets().values()])


def order_variants(variants: Iterable[Variant], methods: Sequence[str] | None) -> list[Variant]:
    """Variants by method (the asked order, else their places in tables), then configuration, backbone and shots."""
    variants = set(variants)
    ranked = list(methods or facts.in_place((variant.method for variant in variants), facts.methods()))
    key = lambda v: (ranked.index(v.method), v.config_name, v.backbone, -1 if v.shots is None else v.shots)  # noqa: E731
    return sorted(variants, key=key)


def labels(variants: Sequence[Variant]) -> dict[Variant, str]:
    """Row names: the method alone, followed by what differs where one method has several rows."""
    by_method: dict[str, list[Variant]] = defaultdict(list)
    for variant in variants:
        by_method[variant.method].append(variant)
    names: dict[Variant, str] = {}
    for method, group in by_method.items():
        for variant in group:
            parts = []
            if len({v.config_name for v in group}) > 1:
                parts.append(variant.config_name)
            if len({v.backbone for v in group}) > 1:
                parts.append(variant.backbone)
            if len({v.shots for v in group}) > 1:
                parts.append("shots unknown" if variant.shots is None else f"{variant.shots} shots")
            names[variant] = f"{method} ({', '.join(parts)})" if parts else method
    return names


def keep_newest(placed: Iterable[tuple[Slot, Run]]) -> tuple[dict[Slot, dict[int, Run]], list[str]]:
    """One run for each slot and seed: the one that ended last.

    Args:
        placed: runs with the slot each belongs to.

    Returns:
        The runs by slot and seed, and a note for each place where an older run was left out.
    """
    found: dict[Slot, dict[int, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for slot, run in placed:
        found[slot][run.seed].append(run)
    chosen: dict[Slot, dict[int, Run]] = {}
    notes = []
    for slot, by_seed in found.items():
        chosen[slot] = {}
        for seed, runs in sorted(by_seed.items()):
            ranked = sorted(runs, key=lambda run: (run.end_utc, str(run.folder)))
            chosen[slot][seed] = ranked[-1]
            for old in ranked[:-1]:
                notes.append(
                    f"{old.folder}: an older run of the same cell as {ranked[-1].folder}; the newer one counts"
                )
    return chosen, notes


def figure(run: Run, split: str, metric: str) -> float:
    """One figure of a run, in percent.

    Raises:
        KeyError: the run has no such split or metric; the message names the record and what it has.
    """
    if split not in run.metrics:
        raise KeyError(f"{run.record_path}: no metrics for split '{split}', it has: {', '.join(run.metrics) or 'none'}")
    value = run.metrics[split].get(metric)
    if not is_number(value):
        have = ", ".join(key for key, found in run.metrics[split].items() if is_number(found))
        raise KeyError(f"{run.record_path}: split '{split}' has no figure '{metric}', it has: {have}")
    return float(value)


def cells_of(chosen: Mapping[Slot, Mapping[int, Run]], split: str, metric: str) -> tuple[dict[Slot, Cell], list[str]]:
    """Average each slot over its seeds; a run without the wanted figure becomes a problem.

    Returns:
        The cells, and one sentence for each run that has no such figure.
    """
    cells: dict[Slot, Cell] = {}
    problems = []
    for slot, by_seed in chosen.items():
        values = {}
        for seed, run in by_seed.items():
            try:
                values[seed] = figure(run, split, metric)
            except KeyError as error:
                problems.append(str(error.args[0]))
        if values:
            cells[slot] = seed_cell(values)
    return cells, problems


def incomplete_seeds(cells: Mapping[Slot, Cell], describe: Callable[[Slot], str]) -> list[str]:
    """Cells with fewer seeds than their row has elsewhere: one sentence each."""
    seeds: dict[Variant, set[int]] = defaultdict(set)
    for slot, cell in cells.items():
        seeds[slot.variant] |= set(cell.by_seed)
    found = []
    for slot, cell in cells.items():
        lacking = sorted(seeds[slot.variant] - set(cell.by_seed))
        if lacking:
            found.append(f"{describe(slot)}: no run for seed {', '.join(map(str, lacking))}")
    return found


@dataclass
class Collected:
    """The cells of a report before they are laid out in tables, and what was seen on the way."""

    cells: dict[Slot, Cell]
    variants: list[Variant]
    names: dict[Variant, str]
    runs: dict[str, list[Run]]
    seedless: set[str]
    boards: dict[str, str]
    incomplete: list[str]
    problems: list[str]
    notes: list[str]
    place: str = ""

    def describe(self, slot: Slot) -> str:
        """A cell in words."""
        where = slot.dataset and f"{self.place}{slot.dataset}"
        return " · ".join(part for part in (self.names[slot.variant], where, slot.column) if part)


def collect(
    placed: Sequence[tuple[Slot, Run]],
    options: Options,
    name: Callable[[Sequence[Variant]], dict[Variant, str]] | None = None,
    place: str = "",
) -> Collected:
    """Choose the runs that count, average them over seeds, name the rows.

    Args:
        placed: runs with the slot each belongs to.
        options: what is asked for.
        name: how rows are called; by default the method and what sets its rows apart.
        place: what a slot's dataset is to the cell, where that needs saying, e.g. "trained on ".

    Returns:
        The cells and what was seen on the way.
    """
    chosen, notes = keep_newest(placed)
    cells, problems = cells_of(chosen, options.split, options.metric)
    variants = order_variants({slot.variant for slot in chosen}, options.methods)
    names = (name or labels)(variants)
    runs: dict[str, list[Run]] = {names[variant]: [] for variant in variants}
    for slot, by_seed in chosen.items():
        runs[names[slot.variant]] += by_seed.values()
    seedless = {label for label, group in runs.items() if all(run.is_zero_shot for run in group)}
    boards = {names[variant]: facts.board_of(variant.method) for variant in variants}
    found = Collected(cells, variants, names, runs, seedless, boards, [], problems, notes + mixed_settings(runs), place)
    found.incomplete = incomplete_seeds(cells, found.describe)
    return found


def _flat(run: Run, section: str) -> dict[str, Any]:
    """The settings of a section by dotted names."""
    return dict(flat({section: run.setting(section) or {}}))


def mixed_settings(rows: Mapping[str, Sequence[Run]]) -> list[str]:
    """Rows whose runs differ in a setting of the method (or, where trained, of the optimiser): a note for each.

    Args:
        rows: the runs of each row, by the row's label.
    """
    notes = []
    for label, runs in rows.items():
        seen: dict[str, set[str]] = defaultdict(set)
        for run in runs:
            settings = _flat(run, "TRAINER") | ({} if run.eval_only else _flat(run, "OPTIM"))
            for key, value in settings.items():
                seen[key].add(str(value))
        mixed = [f"{key} ({' and '.join(sorted(values))})" for key, values in sorted(seen.items()) if len(values) > 1]
        if mixed:
            notes.append(f"{label}: this row averages runs with different settings: {', '.join(mixed)}")
    return notes
