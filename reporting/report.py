"""What a report is made of, whatever the protocol and the output format: tables of cells, and what is amiss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from reporting.records import Run
from reporting.stats import Cell, Interval

MISSING = "–"
NOT_STATED = "not stated"  # the board of a method without a method.yaml
Pair = tuple[str | int, ...]


class Variant(NamedTuple):
    """What makes a row: runs that differ in one of these are never averaged."""

    method: str
    config_name: str
    backbone: str
    shots: int | None


@dataclass
class Row:
    """One row: the block it stands in (a dataset, or an average), its label (the method), its cells by column.

    A cell is None where the figure is missing; a column that does not apply to the row has no key.
    """

    block: str
    label: str
    cells: dict[str, Cell | None]
    is_average: bool = False


@dataclass
class Table:
    """One table. ``columns`` are the value columns; ``block_name`` heads the column of block names."""

    title: str
    columns: list[str]
    rows: list[Row]
    block_name: str = "Dataset"

    @property
    def blocks(self) -> list[str]:
        """Block names in order of appearance."""
        return list(dict.fromkeys(row.block for row in self.rows))

    @property
    def labels(self) -> list[str]:
        """Row labels in order of appearance."""
        return list(dict.fromkeys(row.label for row in self.rows))

    @property
    def is_wide(self) -> bool:
        """Whether the paper's figures go below ours rather than beside them."""
        return len(self.columns) > 4

    def row(self, block: str, label: str) -> Row | None:
        """The row of a block with this label, None where there is none."""
        return next((row for row in self.rows if row.block == block and row.label == label), None)

    def mark_best(self, boards: Mapping[str, str]) -> None:
        """Mark the highest cell of every block, column and board; equal at two decimals is equally good.

        Fewer than two figures of a board in a block and column have no best one.

        Args:
            boards: the board of each row's label.
        """
        for block, board in {(row.block, boards.get(row.label, "")): None for row in self.rows}:
            rows = [row for row in self.rows if (row.block, boards.get(row.label, "")) == (block, board)]
            for column in self.columns:
                cells = [cell for row in rows if (cell := row.cells.get(column)) is not None]
                if len(cells) > 1:
                    top = max(round(cell.mean, 2) for cell in cells)
                    for cell in cells:
                        cell.best = round(cell.mean, 2) == top


@dataclass
class Comparison:
    """Two rows compared over pairs: one entry per quantity, e.g. ``("HM", "(dataset, seed)", interval)``."""

    first: str
    second: str
    entries: list[tuple[str, str, Interval]]
    notes: list[str] = field(default_factory=list)


@dataclass
class Report:
    """The tables of one protocol with everything that has to be said about them.

    Attributes:
        protocol: base2new, xd, dg, fewshot or ablation.
        metric: what the figures are.
        tables: the tables, in order.
        missing: cells without any run.
        incomplete: cells with fewer seeds than their row has elsewhere.
        problems: run records and folders that cannot be used.
        notes: remarks that do not make the report incomplete.
        explanation: how the figures were computed.
        runs: the runs behind the tables, by row label.
        samples: figures to compare methods by: quantity, then row label, then pair (dataset, ..., seed).
        seedless: labels of zero-shot rows, whose figure holds for every seed.
        boards: what each row's method is allowed to use, by label; "" where its method does not state it.
        comparison: two methods compared, where that was asked for.
        against_paper: whether the paper's figures stand beside ours.
    """

    protocol: str
    metric: str
    tables: list[Table]
    missing: list[str] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    explanation: list[str] = field(default_factory=list)
    runs: dict[str, list[Run]] = field(default_factory=dict)
    samples: dict[str, dict[str, dict[Pair, float]]] = field(default_factory=dict)
    seedless: set[str] = field(default_factory=set)
    boards: dict[str, str] = field(default_factory=dict)
    comparison: Comparison | None = None
    against_paper: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing, incomplete or unusable."""
        return not (self.missing or self.incomplete or self.problems)

    def mark_best(self) -> None:
        """Mark the best figures of all tables, within a board; where there are several boards, say which is whose."""
        for table in self.tables:
            table.mark_best(self.boards)
        shown = dict.fromkeys(label for table in self.tables for label in table.labels)
        by_board: dict[str, list[str]] = {}
        for label in shown:
            by_board.setdefault(self.boards.get(label, ""), []).append(label)
        if len(by_board) > 1:
            told = "; ".join(f"{board or NOT_STATED}: {', '.join(labels)}" for board, labels in by_board.items())
            self.explanation.append(f"boards, the best is marked within each: {told}")
