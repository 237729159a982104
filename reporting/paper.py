"""Published figures, set beside ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from configs import facts
from configs.method import AVERAGE, Published
from reporting.report import Report, Table, Variant

BACKBONE, SHOTS = "ViT-B/16", 16


class Paper:
    """The published figures of the methods, from their ``method.yaml``, which say where they were printed.

    They hold for ViT-B/16 and 16 shots, so a row made with anything else is not compared, and the report says so.
    """

    def published(self, variant: Variant) -> Published | None:
        """What was published of a row; None for a method without facts, or of which nothing was."""
        method = facts.methods().get(variant.method)
        return method.row_of(variant.config_name, {}).published if method else None

    def design(self, label: str) -> Published | None:
        """What was published of a design of the ablation, by its name there."""
        return next((row.published for row in facts.rows() if label == (row.design or row.method)), None)

    def annotate_base_to_new(
        self, report: Report, table: Table, variants: Mapping[str, Variant], datasets: Sequence[str], hm_of: str
    ) -> None:
        """Write the published figures into the cells of a base-to-new or ablation table.

        Args:
            report: the report, whose notes say what could not be compared.
            table: its table.
            variants: the variant of each row label.
            datasets: the datasets that are averaged; a published average is set beside ours only for its own eleven.
            hm_of: how the HM of the average was made; the published one is the HM of averages.
        """
        ablation = report.protocol == "ablation"
        found = {label: self.published(variant) for label, variant in variants.items()}
        designs = {label: self.design(label) for label in variants} if ablation else {}
        self._begin(report, [*designs.values(), *found.values()])
        comparable = self.comparable(report, variants)
        whole = sorted(datasets) == sorted(dataset.name for dataset in facts.group("benchmark"))
        if not whole and any(row.is_average for row in table.rows):
            report.notes.append("the paper's average is over its eleven datasets, these are others: not compared")
        compared = 0
        for row in table.rows:
            if row.label not in comparable or (row.is_average and not whole):
                continue
            printed = found[row.label]
            figures = printed.base2new.get(AVERAGE if row.is_average else row.block) if printed else None
            design = designs.get(row.label)
            if design and design.ablation:
                figures = design.ablation
            for column, figure in zip(table.columns, figures or (), strict=False):
                cell = row.cells[column]
                if cell is not None and not (row.is_average and column == "HM" and hm_of != "averages"):
                    cell.paper = figure
                    compared += 1
        self.note_if_nothing(report, compared)

    def annotate_transfer(self, report: Report, variants: Mapping[str, Variant], domain: bool) -> None:
        """Write the published figures into the cells of cross-dataset or domain-generalisation tables.

        Args:
            report: the report; its notes say what could not be compared.
            variants: the variant of each row label.
            domain: table 5 (the shifted datasets) rather than table 4.
        """
        found = {label: self.published(variant) for label, variant in variants.items()}
        self._begin(report, found.values())
        comparable = self.comparable(report, variants)
        home = facts.source_dataset().name
        usual = {dataset.name for dataset in facts.group("shift" if domain else "benchmark")} - {home}
        compared = 0
        for table in report.tables:
            # the table's own columns: the source, the targets, the average
            source, *targets = (column.removesuffix(" (source)") for column in table.columns[:-1])
            if source != home:
                report.notes.append(f"the paper trains on {home}: the table of {source} is not compared")
                continue
            whole = set(targets) == usual
            if not domain and not whole:
                report.notes.append("the paper's average is over its ten targets, these are others: not compared")
            for row in table.rows:
                printed = found[row.label]
                if row.label not in comparable or printed is None:
                    continue
                figures = dict(printed.dg if domain else printed.xd)
                if not whole:
                    figures.pop(AVERAGE, None)
                for name, column in zip([source, *targets, AVERAGE], table.columns, strict=True):
                    cell = row.cells[column]
                    if cell is not None and name in figures:
                        cell.paper = figures[name]
                        compared += 1
        self.note_if_nothing(report, compared)

    def _begin(self, report: Report, found: Iterable[Published | None]) -> None:
        sources = dict.fromkeys(each.source for each in found if each is not None)
        sources = sources or dict.fromkeys(row.published.source for row in facts.rows() if row.published)
        report.against_paper = True
        report.explanation.append(
            f"paper: {' | '.join(sources)}; Δ is ours minus the paper's, * where it exceeds our spread"
        )

    def comparable(self, report: Report, variants: Mapping[str, Variant]) -> set[str]:
        """Labels of rows made as the paper's were; the report notes those that were not."""
        fit = set()
        for label, variant in variants.items():
            why = []
            if variant.backbone != BACKBONE:
                why.append(f"backbone {variant.backbone or 'unknown'}")
            if variant.shots not in (SHOTS, None):
                why.append(f"{variant.shots} shots")
            if why:
                report.notes.append(
                    f"{label}: {' and '.join(why)}, the paper has {BACKBONE} and {SHOTS} shots: not compared"
                )
            else:
                fit.add(label)
        return fit

    def note_if_nothing(self, report: Report, compared: int) -> None:
        """Say so when not one of the report's figures is in the paper."""
        if not compared:
            report.notes.append("none of these figures has a counterpart in the paper's tables")
