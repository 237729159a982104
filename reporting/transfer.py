"""Cross-dataset transfer (table 4 of the paper) and domain generalisation (table 5): trained here, tested there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from configs import facts
from dassl.records import RECORD_FILE
from reporting.base2new import SPREAD
from reporting.options import Options
from reporting.records import Run, RunTree, read_record
from reporting.report import Pair, Report, Row, Table, Variant
from reporting.rows import Collected, Slot, collect, in_order
from reporting.stats import Cell, by_pair, whole_average

AVERAGE = "Average"


def _plain(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


class Sources:
    """Finds out what the model behind an evaluation was trained on."""

    def __init__(self, tree: RunTree, given: str | None = None) -> None:
        self.given = given
        self.trained = {
            run.folder.relative_to(tree.root).parts: run
            for run in tree.runs
            if run.subsample == "all" and not run.eval_only and not run.is_zero_shot
        }
        # folders are named by the dataset's config, or by the dataset
        known = {name: each.name for each in facts.datasets().values() for name in (each.stem, each.name)}
        known |= {run.dataset: run.dataset for run in tree.runs}
        self.datasets = {_plain(folder): name for folder, name in known.items()}

    def training_run(self, run: Run) -> Run | None:
        """The run that trained the evaluated model: below the same root, or where model_dir leads."""
        if not run.model_dir:
            return None
        parts = Path(run.model_dir).parts
        ends = [found for found in self.trained if found and parts[-len(found) :] == found]
        if ends:
            return self.trained[max(ends, key=len)]
        try:
            return read_record(Path(run.model_dir) / RECORD_FILE)
        except ValueError:
            return None

    def of(self, run: Run) -> tuple[str | None, int | None]:
        """Dataset and shots that a run's model was trained on; None for what neither record nor folder tells."""
        if not run.eval_only:
            return run.dataset, run.known_shots
        trained = self.training_run(run)
        if trained is not None:
            return trained.dataset, trained.known_shots
        shots = re.search(r"(\d+)shots|shots_(\d+)", run.model_dir)
        count = int(shots.group(1) or shots.group(2)) if shots else None
        for part in reversed(Path(run.model_dir).parts):
            if _plain(part) in self.datasets:
                return self.datasets[_plain(part)], count
        return self.given, count


def evaluated_elsewhere(tree: RunTree) -> set[Path]:
    """Folders of training runs whose model was tested on another dataset: they belong to this protocol."""
    sources = Sources(tree)
    found = set()
    for run in tree.runs:
        if run.eval_only and run.model_dir:
            trained = sources.training_run(run)
            if trained is not None and trained.dataset != run.dataset:
                found.add(trained.folder)
    return found


def build(tree: RunTree, options: Options, domain: bool = False) -> Report:
    """Build the cross-dataset report, or with ``domain`` that of the shifted datasets; a table per source.

    Raises:
        ValueError: there is no evaluation of a model on another dataset, or none that was asked for.
    """
    sources = Sources(tree, options.source)
    shifted = [dataset.name for dataset in facts.group("shift")]
    placed: list[tuple[Slot, Run]] = []
    problems = []
    for run in tree.runs:
        if run.subsample != "all" or not options.wants_method(run):
            continue
        if run.is_zero_shot:
            # trained on nothing, so it stands in the table of every source
            placed.append((Slot(Variant(run.method, run.config_name, run.backbone, None), "", run.dataset), run))
            continue
        source, shots = sources.of(run)
        if source is None:
            problems.append(
                f"{run.record_path}: nothing tells which dataset the model in '{run.model_dir}' was trained on; "
                "name it with --source"
            )
            continue
        placed.append((Slot(Variant(run.method, run.config_name, run.backbone, shots), source, run.dataset), run))

    def is_target(slot: Slot) -> bool:
        fits = (slot.column in shifted) == domain and slot.column != slot.dataset
        return bool(slot.dataset) and fits and (not options.datasets or slot.column in options.datasets)

    targets: dict[str, set[str]] = {}
    for slot, _ in placed:
        if is_target(slot):
            targets.setdefault(slot.dataset, set()).add(slot.column)
    if not targets:
        what = f"on {', '.join(shifted)}" if domain else "on another dataset"
        reason = f" ({'; '.join(problems)})" if problems else ""
        raise ValueError(
            f"{tree.root}: no evaluation of a trained model {what} among {len(tree.runs)} run records"
            f"{options.restriction}{reason}; such runs are made by scripts/*/xd_test_*.sh"
        )
    rows = {(slot.variant, slot.dataset) for slot, _ in placed if is_target(slot)}
    shown = {source: {source, *found} for source, found in targets.items()}
    anywhere = set.union(*shown.values())
    kept = [
        (slot, run)
        for slot, run in placed
        if ((slot.variant, slot.dataset) in rows and slot.column in shown[slot.dataset])
        or (not slot.dataset and slot.column in anywhere)
    ]
    found = collect(kept, options, place="trained on ")
    report = Report(
        protocol="dg" if domain else "xd",
        metric=options.metric,
        tables=[],
        incomplete=found.incomplete,
        problems=tree.problems + problems + found.problems,
        notes=tree.notes + found.notes,
        explanation=[SPREAD, "the average is over the targets, without the source; it needs every target"],
        runs=found.runs,
        seedless=found.seedless,
        boards=found.boards,
    )
    for source in in_order(targets):
        columns = in_order(targets[source], options.datasets)
        report.tables.append(_table(report, found, source, columns, domain))
    report.mark_best()
    if options.paper is not None:
        options.paper.annotate_transfer(report, {found.names[variant]: variant for variant in found.variants}, domain)
    return report


def source_column(source: str) -> str:
    """Heading of the column with the source's own test accuracy."""
    return f"{source} (source)"


def _table(report: Report, found: Collected, source: str, targets: Sequence[str], domain: bool) -> Table:
    """One source's table; adds what is missing in it, and its figures as samples, to the report."""
    rows = []
    samples: dict[str, dict[Pair, float]] = {}
    for variant in found.variants:
        home = source if any(s.variant == variant and s.dataset == source for s in found.cells) else ""
        slots = {name: Slot(variant, home, name) for name in (source, *targets)}
        if not any(slot in found.cells for slot in slots.values()):
            continue  # a row of another source
        cells: dict[str, Cell | None] = {}
        for name, slot in slots.items():
            cells[source_column(name) if name == source else name] = found.cells.get(slot)
            if slot not in found.cells and found.describe(slot) not in report.missing:
                report.missing.append(found.describe(slot))  # a zero-shot cell stands in every source's table
        cells[AVERAGE] = whole_average([cells[name] for name in targets])
        rows.append(Row(source, found.names[variant], cells))
        samples[found.names[variant]] = by_pair({name: cells[name] for name in targets})
    kind = "Domain generalisation" if domain else "Cross-dataset transfer"
    table = Table(f"{kind} from {source}", [source_column(source), *targets, AVERAGE], rows, block_name="Source")
    report.samples[f"Targets of {source}"] = samples
    return table
