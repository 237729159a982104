"""The base-to-new table (table 3 of the paper) and, as its average over datasets, the design ablation (table 1)."""

from __future__ import annotations

from collections.abc import Sequence

from reporting.options import Options
from reporting.records import Run, RunTree
from reporting.report import Report, Row, Table, Variant
from reporting.rows import DATASETS, Slot, collect, labels, order
from reporting.stats import Cell, by_pair, hm_cell, whole_average

COLUMNS = ["Base", "New", "HM"]
_SIDES = {"base": "Base", "new": "New"}
SPREAD = "mean ± population standard deviation over 3 seeds (n shown where it is not 3), percent"
_HM = "seeds are averaged first, then HM = 2·base·new/(base + new); its ± is the spread of each seed's own HM"
_DESIGNS = ["VPT", "IVLP text", "IVLP"]  # the ablation's order; the rest stands as elsewhere


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
    designs = {slot.variant: _design(run) for slot, run in placed}
    found = collect(placed, options, (lambda variants: _design_labels(variants, designs)) if ablation else None)
    names = found.names
    shown = order((slot.dataset for slot, _ in placed), options.datasets or DATASETS)

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
        ranked = sorted(found.variants, key=lambda v: _rank(designs[v])) if ablation else found.variants
        averages = {v: _average(list(grid[v].values()), options.hm_of) for v in ranked}
        rows += [Row(block, names[v], averages[v], is_average=True) for v in ranked]
    title = "Design ablation, base-to-new averages" if ablation else "Base-to-new generalisation"
    table = Table(title, COLUMNS, rows, block_name="Datasets" if ablation else "Dataset")
    table.mark_best()

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
        notes=found.notes,
        explanation=explanation,
        runs=found.runs,
        samples={
            column: {names[v]: by_pair({d: cells[column] for d, cells in grid[v].items()}) for v in found.variants}
            for column in COLUMNS
        },
        seedless=found.seedless,
    )
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


def _design(run: Run) -> str:
    """VPT, IVLP text (no vision prompts), IVLP, or the method's own name."""
    if run.method != "IVLP":
        return run.method
    depth = run.setting("TRAINER", "IVLP", "PROMPT_DEPTH_VISION")
    return "IVLP text" if depth == 0 or (depth is None and "language_only" in run.config_name) else "IVLP"


def _rank(design: str) -> int:
    """Place of a design in the paper's ablation; methods outside of it keep their order around it."""
    if design in _DESIGNS:
        return 1 + _DESIGNS.index(design)
    return 0 if design in ("ZeroshotCLIP", "ZeroshotCLIP2", "LinearProbe", "CoOp", "CoCoOp") else len(_DESIGNS) + 1


def _design_labels(variants: Sequence[Variant], designs: dict[Variant, str]) -> dict[Variant, str]:
    """Names of the ablation's rows: the paper's name of the design, with what differs where two rows share one."""
    full = {
        "VPT": "Deep vision prompting (VPT)",
        "IVLP text": "Deep language prompting (IVLP text)",
        "IVLP": "Independent V-L prompting (IVLP)",
    }
    named = {v: v._replace(method=full.get(designs[v], designs[v])) for v in variants}
    names = labels(list(named.values()))
    return {variant: names[design] for variant, design in named.items()}
