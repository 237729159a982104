"""Few-shot learning: accuracy on all classes by images per class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from reporting.base2new import SPREAD
from reporting.options import Options
from reporting.records import Run, RunTree
from reporting.report import Report, Row, Table, Variant
from reporting.rows import Slot, collect, in_order
from reporting.stats import Cell, by_pair, whole_average
from reporting.transfer import evaluated_elsewhere


class _Key(NamedTuple):
    method: str
    backbone: str


def column(shots: int) -> str:
    """Heading of a column, e.g. "4-shot"."""
    return f"{shots}-shot"


def shots_of(heading: str) -> int:
    """The number of shots in a column's heading."""
    return int(heading.split("-")[0])


def build(tree: RunTree, options: Options) -> Report:
    """Build the few-shot report: a block per dataset, a column per number of shots.

    Zero-shot methods fill the column "0-shot" whatever shots their runs were given. Runs whose model was tested on
    another dataset belong to the cross-dataset protocol and are left out.

    Raises:
        ValueError: there is no such run, or none that was asked for.
    """
    elsewhere = evaluated_elsewhere(tree)
    placed: list[tuple[Slot, Run]] = []
    for run in tree.runs:
        if run.subsample != "all" or not options.wants(run) or run.folder in elsewhere:
            continue
        if run.is_zero_shot:
            shots = 0
        elif run.eval_only or run.known_shots is None:
            continue
        else:
            shots = run.known_shots
        variant = Variant(run.method, run.config_name, run.backbone, None)
        placed.append((Slot(variant, run.dataset, column(shots)), run))
    if not any(slot.column != column(0) for slot, _ in placed):
        raise ValueError(
            f"{tree.root}: no few-shot training on all classes among {len(tree.runs)} run records"
            f"{options.restriction}; such runs are made by scripts/fewshot.sh"
        )
    placed, merged = _share_rows(_latest_zero_shot(placed))
    found = collect(placed, options)
    shown = in_order((slot.dataset for slot, _ in placed), options.datasets)
    columns = [column(n) for n in sorted({shots_of(slot.column) for slot, _ in placed})]

    report = Report(
        protocol="fewshot",
        metric=options.metric,
        tables=[],
        incomplete=found.incomplete,
        problems=tree.problems + found.problems,
        notes=tree.notes + found.notes + merged,
        explanation=[SPREAD, "columns: training images per class; an average needs every dataset"],
        runs=found.runs,
        seedless=found.seedless,
        boards=found.boards,
    )
    grid: dict[Variant, dict[str, dict[str, Cell | None]]] = {}
    for variant in found.variants:
        zero = found.names[variant] in found.seedless
        applicable = [name for name in columns if (shots_of(name) == 0) == zero]
        grid[variant] = {}
        for dataset in shown:
            slots = {name: Slot(variant, dataset, name) for name in applicable}
            grid[variant][dataset] = {name: found.cells.get(slot) for name, slot in slots.items()}
            report.missing += [found.describe(slot) for slot in slots.values() if slot not in found.cells]
    rows = [Row(dataset, found.names[v], grid[v][dataset]) for dataset in shown for v in found.variants]
    if len(shown) > 1:
        block = f"Average over {len(shown)} datasets"
        averages = {
            v: {name: whole_average([cells[name] for cells in grid[v].values()]) for name in grid[v][shown[0]]}
            for v in found.variants
        }
        rows += [Row(block, found.names[v], averages[v], True) for v in found.variants]
    table = Table("Few-shot learning, all classes", columns, rows)
    report.tables.append(table)
    report.mark_best()
    for name in columns:
        report.samples[name] = {
            found.names[v]: by_pair({dataset: cells.get(name) for dataset, cells in grid[v].items()})
            for v in found.variants
        }
    if options.paper is not None:
        raise ValueError("--against paper: the paper prints its few-shot results as curves only; leave the flag out")
    return report


def _latest_zero_shot(placed: Sequence[tuple[Slot, Run]]) -> list[tuple[Slot, Run]]:
    """Zero-shot runs repeated under several numbers of shots are one result: keep the newest of each seed."""
    kept: list[tuple[Slot, Run]] = []
    newest: dict[tuple[Slot, int], tuple[Slot, Run]] = {}
    for slot, run in placed:
        if not run.is_zero_shot:
            kept.append((slot, run))
            continue
        key = (slot, run.seed)
        if key not in newest or newest[key][1].end_utc < run.end_utc:
            newest[key] = (slot, run)
    return kept + list(newest.values())


def _share_rows(placed: Sequence[tuple[Slot, Run]]) -> tuple[list[tuple[Slot, Run]], list[str]]:
    """Let a method's configurations share a row where no cell has two of them (epochs may go by shots).

    Returns:
        The runs with their slots, and a note for each row that holds several configurations.
    """
    configs: dict[_Key, dict[tuple[str, str], set[str]]] = defaultdict(lambda: defaultdict(set))
    for slot, _ in placed:
        key = _Key(slot.variant.method, slot.variant.backbone)
        configs[key][slot.dataset, slot.column].add(slot.variant.config_name)
    shared = {}
    notes = []
    for key, cells in configs.items():
        names = sorted(set.union(*cells.values()))
        if len(names) > 1 and all(len(found) == 1 for found in cells.values()):
            shared[key] = " / ".join(names)
            notes.append(f"{key.method}: one row, each cell with a configuration of its own: {', '.join(names)}")
    result = []
    for slot, run in placed:
        name = shared.get(_Key(slot.variant.method, slot.variant.backbone))
        result.append((slot._replace(variant=slot.variant._replace(config_name=name)) if name else slot, run))
    return result, notes
