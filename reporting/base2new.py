"""The base-to-new table (table 3 of the paper) and, as its average over datasets, the design ablation (table 1)."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from configs import facts
from configs.method import RowFacts
from reporting.options import Options
from reporting.records import RunTree
from reporting.report import Report, Row, Table, Variant
from reporting.rows import Slot, collect, in_order, labels
from reporting.stats import Cell, by_pair, hm_cell, whole_average

COLUMNS = ["Base", "New", "HM"]
_SIDES = {"base": "Base", "new": "New"}
SPREAD = "mean ± population standard deviation over 3 seeds (n shown where it is not 3), percent"
_HM = "seeds are averaged first, then HM = 2·base·new/(base + new); its ± is the spread of each seed's own HM"


def build(tree: RunTree, options: Options, ablation: bool = False) -> Report:
    """Build the base-to-new report, or the ablation's.

    Args:
        tree: the runs; those on base classes fill Base, those on new classes New.
        options: what to show and how.
        ablation: the average rows alone, one row per design.

    Returns:
        The report.

    Raises:
        ValueError: the tree has no run on base or new classes, or none that was asked for.
    """
    placed = [
        (Slot(Variant(run.method, run.config_name, run.backbone, run.known_shots), run.dataset, side), run)
        for run in tree.runs
        if (side := _SIDES.get(run.subsample)) and options.wants(run)
    ]
    if not placed:
        raise ValueError(
            f"{tree.root}: no run on base or new classes among {len(tree.runs)} run records{options.restriction}; "
            "base-to-new runs record subsample_classes 'base' or 'new' (scripts/*/base2new_train_*.sh)"
        )
    settings = {slot.variant: run.settings for slot, run in placed}
    found = collect(placed, options, (lambda variants: _design_labels(variants, settings)) if ablation else None)
    names = found.names
    shown = in_order((slot.dataset for slot, _ in placed), options.datasets)

    grid: dict[Variant, dict[str, dict[str, Cell | None]]] = {}
    missing = []
    for variant in found.variants:
        grid[variant] = {}
        for dataset in shown:
            slots = {side: Slot(variant, dataset, side) for side in ("Base", "New")}
            base, new = (found.cells.get(slot) for slot in slots.values())
            missing += [found.describe(slot) for slot in slots.values() if slot not in found.cells]
            grid[variant][dataset] = {"Base": base, "New": new, "HM": hm_cell(base, new) if base and new else None}

    rows = []
    if not ablation:
        rows += [Row(dataset, names[v], grid[v][dataset]) for dataset in shown for v in found.variants]
    if ablation or len(shown) > 1:
        block = f"Average over {len(shown)} dataset{'s' if len(shown) > 1 else ''}"
        ranked = (
            sorted(found.variants, key=lambda v: _rank(v, settings[v], options.methods)) if ablation else found.variants
        )
        averages = {v: _average(list(grid[v].values()), options.hm_of) for v in ranked}
        rows += [Row(block, names[v], averages[v], is_average=True) for v in ranked]
    title = "Design ablation, base-to-new averages" if ablation else "Base-to-new generalisation"
    table = Table(title, COLUMNS, rows, block_name="Datasets" if ablation else "Dataset")

    explanation = [SPREAD, _HM]
    if rows[-1].is_average:
        how = "HM of the averaged base and new" if options.hm_of == "averages" else "mean of the datasets' HMs"
        explanation.append(f"HM of the average: {how}; an average needs every dataset")
    report = Report(
        protocol="ablation" if ablation else "base2new",
        metric=options.metric,
        tables=[table],
        missing=missing,
        incomplete=found.incomplete,
        problems=tree.problems + found.problems,
        notes=tree.notes + found.notes,
        explanation=explanation,
        runs=found.runs,
        samples={
            column: {names[v]: by_pair({d: cells[column] for d, cells in grid[v].items()}) for v in found.variants}
            for column in COLUMNS
        },
        seedless=found.seedless,
        boards=found.boards,
    )
    report.mark_best()
    if options.paper is not None:
        variants = {names[variant]: variant for variant in found.variants}
        options.paper.annotate_base_to_new(report, table, variants, shown, options.hm_of)
    return report


def _average(cells: Sequence[dict[str, Cell | None]], hm_of: str) -> dict[str, Cell | None]:
    """The average row: a column needs a figure from every dataset."""
    average = {column: whole_average([row[column] for row in cells]) for column in COLUMNS}
    if hm_of == "averages":
        base, new = average["Base"], average["New"]
        average["HM"] = hm_cell(base, new) if base and new else None
    return average


def _row_of(variant: Variant, settings: dict) -> RowFacts | None:
    """The row that a variant belongs to, as its method's facts have it; None for a method without any."""
    found = facts.methods().get(variant.method)
    return found.row_of(variant.config_name, settings) if found else None


def _rank(variant: Variant, settings: dict, methods: Sequence[str] | None) -> tuple[float, float]:
    """Place of a row in the ablation: by design, after the asked order of methods where there is one."""
    row = _row_of(variant, settings)
    return methods.index(variant.method) if methods else 0, row.place if row else inf


def _design_labels(variants: Sequence[Variant], settings: dict[Variant, dict]) -> dict[Variant, str]:
    """Names of the ablation's rows: the paper's name of the design, with what differs where two rows share one."""
    designs = {}
    for variant in variants:
        row = _row_of(variant, settings[variant])
        designs[variant] = variant._replace(method=(row.design if row else "") or variant.method)
    names = labels(list(designs.values()))
    return {variant: names[design] for variant, design in designs.items()}
