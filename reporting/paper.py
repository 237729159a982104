"""The paper's own figures, set beside ours."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reporting.report import Report, Table, Variant

PATH = Path(__file__).with_name("paper_tables.json")
BACKBONE, SHOTS = "ViT-B/16", 16
_METHOD = {"ZeroshotCLIP": "CLIP"}  # the paper's name where it is another


class Paper:
    """The figures of ``paper_tables.json``, whose ``source`` says where they were printed.

    They hold for ViT-B/16 and 16 shots, so a row made with anything else is not compared, and the report says so.
    """

    def __init__(self, tables: Mapping[str, Any] | None = None) -> None:
        self.tables = tables or json.loads(PATH.read_text(encoding="utf-8"))
        self.source: str = self.tables["source"]

    def base_to_new(self, dataset: str, method: str) -> Sequence[float] | None:
        """Base, new, HM of a dataset (or "Average") and method; None where the paper gives none."""
        found = self.tables["base_to_new"].get(dataset)
        return found.get(_METHOD.get(method, method)) if found else None

    @property
    def base_to_new_datasets(self) -> list[str]:
        return [name for name in self.tables["base_to_new"] if name not in ("columns", "Average")]

    def annotate_base_to_new(
        self, report: Report, table: Table, variants: Mapping[str, Variant], datasets: Sequence[str], hm_of: str
    ) -> None:
        """Write the paper's figures into the cells of a base-to-new or ablation table.

        Args:
            report: the report, whose notes say what could not be compared.
            table: its table.
            variants: the variant of each row label.
            datasets: the datasets that are averaged; the paper's average is set beside ours only for its own eleven.
            hm_of: how the HM of the average was made; the paper's is the HM of averages.
        """
        self._begin(report)
        comparable = self.comparable(report, variants)
        whole = sorted(datasets) == sorted(self.base_to_new_datasets)
        if not whole and any(row.is_average for row in table.rows):
            report.notes.append("the paper's average is over its eleven datasets, these are others: not compared")
        compared = 0
        for row in table.rows:
            if row.label not in comparable or (row.is_average and not whole):
                continue
            if report.protocol == "ablation":
                figures = self.tables["design_ablation"].get(row.label) or self.base_to_new(
                    "Average", variants[row.label].method
                )
            else:
                figures = self.base_to_new("Average" if row.is_average else row.block, variants[row.label].method)
            for column, figure in zip(table.columns, figures or [], strict=False):
                cell = row.cells[column]
                if cell is not None and not (row.is_average and column == "HM" and hm_of != "averages"):
                    cell.paper = figure
                    compared += 1
        self.note_if_nothing(report, compared)

    def annotate_transfer(self, report: Report, variants: Mapping[str, Variant], domain: bool) -> None:
        """Write the paper's figures into the cells of cross-dataset or domain-generalisation tables.

        Args:
            report: the report; its notes say what could not be compared.
            variants: the variant of each row label.
            domain: table 5 (the ImageNet variants) rather than table 4.
        """
        self._begin(report)
        comparable = self.comparable(report, variants)
        figures = self.tables["domain_generalization" if domain else "cross_dataset"]
        names: list[str] = figures["columns"]
        compared = 0
        for table in report.tables:
            # the table's own columns: the source, the targets, the average
            source, *targets = (column.removesuffix(" (source)") for column in table.columns[:-1])
            if source != names[0]:
                report.notes.append(f"the paper trains on {names[0]}: the table of {source} is not compared")
                continue
            whole = sorted(targets) == sorted(set(names[1:]) - {"Average"})
            if "Average" in names and not whole:
                report.notes.append("the paper's average is over its ten targets, these are others: not compared")
            for row in table.rows:
                if row.label not in comparable:
                    continue
                method = variants[row.label].method
                printed = dict(zip(names, figures.get(_METHOD.get(method, method), []), strict=False))
                if not whole:
                    printed.pop("Average", None)
                for name, column in zip([source, *targets, "Average"], table.columns, strict=True):
                    cell = row.cells[column]
                    if cell is not None and name in printed:
                        cell.paper = printed[name]
                        compared += 1
        self.note_if_nothing(report, compared)

    def _begin(self, report: Report) -> None:
        report.against_paper = True
        report.explanation.append(f"paper: {self.source}; Δ is ours minus the paper's, * where it exceeds our spread")

    def comparable(self, report: Report, variants: Mapping[str, Variant]) -> set[str]:
        """Labels of rows made as the paper's were; the report notes those that were not."""
        fit = set()
        for label, variant in variants.items():
            why = []
            if variant.backbone != BACKBONE:
                why.append(f"backbone {variant.backbone or 'unknown'}")
            if variant.shots not in (SHOTS, None) and not variant.method.startswith("Zeroshot"):
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
