"""The base-to-new table (table 3 of the paper) and, as its average over datasets, the design ablation (table 1)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from reporting.paper import Paper
from reporting.records import Run, RunTree
from reporting.report import Report, Row, Table
from reporting.rows import (
    DATASETS,
    Slot,
    Variant,
    cells_of,
    incomplete_seeds,
    keep_newest,
    labels,
    mixed_settings,
    order,
    order_variants,
)
from reporting.stats import Cell, average_cell, hm_cell

COLUMNS = ["Base", "New", "HM"]
_SIDES = {"base": "Base", "new": "New"}
EXPLANATION = [
    "mean ± population standard deviation over 3 seeds (n shown where it is not 3), percent",
    "seeds are averaged first, then HM = 2·base·new/(base + new); its ± is the spread of each seed's own HM",
]


def build(
    tree: RunTree,
    methods: Sequence[str] | None = None,
    datasets: Sequence[str] | None = None,
    split: str = "test",
    metric: str = "accuracy",
    hm_of: str = "averages",
    paper: Paper | None = None,
    ablation: bool = False,
) -> Report:
    """Build the base-to-new report, or the ablation's.

    Args:
        tree: the runs; those on base classes fill Base, those on new classes New.
        methods: methods to show, in this order; all by default.
        datasets: datasets to show and average over; all by default.
        split: the split whose metrics count.
        metric: accuracy or macro_f1.
        hm_of: "averages" (HM of the averaged base and the averaged new, as the paper) or "datasets" (mean of HMs).
        paper: the paper's figures, to stand beside ours.
        ablation: the average rows alone, one table row per design.

    Returns:
        The report.

    Raises:
        ValueError: the tree has no run on base or new classes, or none that was asked for.
    """
    placed = [
        (Slot(Variant(run.method, run.config_name, run.backbone, run.shots), run.dataset, _SIDES[run.subsample]), run)
        for run in tree.runs
        if run.subsample in _SIDES
        and (not methods or run.method in methods)
        and (not datasets or run.dataset in datasets)
    ]
    if not placed:
        raise ValueError(
            f"{tree.root}: no run on base or new classes among {len(tree.runs)} readable run records"
            f"{' for the asked methods and datasets' if methods or datasets else ''}; base-to-new runs record "
            "subsample_classes 'base' or 'new' (see scripts/*/base2new_train_*.sh)"
        )
    chosen, notes = keep_newest(placed)
    cells, problems = cells_of(chosen, split, metric)
    variants = order_variants({slot.variant for slot in chosen}, methods)
    names = _design_labels(variants, placed) if ablation else labels(variants)
    shown = order({slot.dataset for slot in chosen}, datasets or DATASETS)
    describe = lambda slot: f"{names[slot.variant]} · {slot.dataset} · {slot.column}"  # noqa: E731

    grid: dict[Variant, dict[str, dict[str, Cell | None]]] = {}
    missing = []
    for variant in variants:
        grid[variant] = {}
        for dataset in shown:
            pair = {side: cells.get(Slot(variant, dataset, side)) for side in ("Base", "New")}
            missing += [describe(Slot(variant, dataset, side)) for side, cell in pair.items() if cell is None]
            base, new = pair["Base"], pair["New"]
            grid[variant][dataset] = {**pair, "HM": hm_cell(base, new) if base and new else None}
    averages = {variant: _average(list(grid[variant].values()), hm_of) for variant in variants}

    rows = []
    if not ablation:
        rows += [Row(dataset, names[v], grid[v][dataset]) for dataset in shown for v in variants]
    if ablation or len(shown) > 1:
        block = f"Average over {len(shown)} dataset{'s' if len(shown) > 1 else ''}"
        rows += [Row(block, names[v], averages[v], is_average=True) for v in variants]
    title = "Design ablation, base-to-new averages" if ablation else "Base-to-new generalisation"
    table = Table(title, COLUMNS, rows, block_name="Datasets" if ablation else "Dataset")
    table.mark_best()

    by_row: dict[str, list[Run]] = defaultdict(list)
    for slot, by_seed in chosen.items():
        by_row[names[slot.variant]] += by_seed.values()
    explanation = list(EXPLANATION)
    how = "HM of the averaged base and new" if hm_of == "averages" else "mean of the datasets' HMs"
    if rows[-1].is_average:
        explanation.append(f"HM of the average: {how}; the average needs every dataset")
    report = Report(
        protocol="ablation" if ablation else "base2new",
        metric=metric,
        tables=[table],
        missing=missing,
        incomplete=incomplete_seeds(cells, describe),
        problems=tree.problems + problems,
        notes=notes + mixed_settings(by_row),
        explanation=EXPLANATION
        + ([f"HM of the average: {how}; the average needs every dataset"] if rows[-1].is_average else []),
        runs=[run for by_seed in chosen.values() for run in by_seed.values()],
    )
    if paper is not None:
        paper.annotate_base_to_new(report, table, dict(zip(names.values(), names, strict=True)), shown, hm_of)
    return report


def _average(cells: Sequence[dict[str, Cell | None]], hm_of: str) -> dict[str, Cell | None]:
    """The average row: a column needs a figure from every dataset."""
    average: dict[str, Cell | None] = {}
    for column in COLUMNS:
        found = [cell for row in cells if (cell := row[column]) is not None]
        average[column] = average_cell(found) if len(found) == len(cells) else None
    if hm_of == "averages":
        base, new = average["Base"], average["New"]
        average["HM"] = hm_cell(base, new) if base and new else None
    return average


def _design_labels(variants: Sequence[Variant], placed: Sequence[tuple[Slot, Run]]) -> dict[Variant, str]:
    """Names of the ablation's rows: the paper's name of the design, with what differs where two rows share one."""
    settings = {slot.variant: run.settings for slot, run in placed}
    designs = {variant: _design(variant, settings[variant]) for variant in variants}
    names = labels([variant._replace(method=designs[variant]) for variant in variants])
    return {variant: names[variant._replace(method=designs[variant])] for variant in variants}


def _design(variant: Variant, settings: dict) -> str:
    if variant.method == "VPT":
        return "Deep vision prompting (VPT)"
    if variant.method == "IVLP":
        depth = settings.get("TRAINER", {}).get("IVLP", {}).get("PROMPT_DEPTH_VISION")
        language_only = depth == 0 or (depth is None and "language_only" in variant.config_name)
        return "Deep language prompting (IVLP text)" if language_only else "Independent V-L prompting (IVLP)"
    return variant.method
