"""Figures with lines: accuracy by shots, and training by epoch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dassl.records import is_number
from reporting.fewshot import shots_of
from reporting.records import Run
from reporting.report import Report, Row
from reporting.rows import in_order
from reporting.style import colours, legend, short

_WIDTH, _HEIGHT = 3.1, 2.5  # inches of one panel
_ACROSS = 4


def _panels(count: int, across: int = _ACROSS) -> tuple[Figure, list[Axes]]:
    """A figure with ``count`` panels in rows of ``across``."""
    columns = min(across, count)
    lines = -(-count // columns)
    size = (max(5.6, _WIDTH * columns), _HEIGHT * lines + 0.5)
    fig, axes = plt.subplots(lines, columns, figsize=size, squeeze=False)
    flat = list(axes.flat)
    for ax in flat[count:]:
        ax.remove()
    for ax in flat[:count]:
        ax.grid(axis="y", alpha=0.25, linewidth=0.6)
    return fig, flat[:count]


def by_shots(report: Report) -> Figure:
    """Few-shot curves: a panel per dataset and one for the average, mean ± spread as a band, zero-shot dashed."""
    table = report.tables[0]
    colour = colours(report)
    fig, axes = _panels(len(table.blocks))
    trained = [shots for name in table.columns if (shots := shots_of(name)) > 0]
    for ax, block in zip(axes, table.blocks, strict=True):
        for row in (row for row in table.rows if row.block == block):
            _shots_line(ax, row, colour[row.label])
        ax.set_xscale("log", base=2)
        ax.set_xticks(trained, [str(shots) for shots in trained])
        ax.minorticks_off()
        ax.set_title(short(block))
        ax.set_xlabel("images per class")
        ax.set_ylabel("%")
    legend(fig, table.labels, colour)
    return fig


def _shots_line(ax: Axes, row: Row, colour: str) -> None:
    points = [(shots_of(name), cell) for name, cell in row.cells.items() if cell is not None]
    zero = [cell.mean for shots, cell in points if shots == 0]
    if zero:
        ax.axhline(zero[0], color=colour, linestyle="--", linewidth=1.3)
        return
    shots = [shots for shots, _ in points]
    means = [cell.mean for _, cell in points]
    spreads = [cell.std or 0.0 for _, cell in points]
    ax.plot(shots, means, color=colour, linewidth=1.6, marker="o", ms=3.5)
    low = [mean - spread for mean, spread in zip(means, spreads, strict=True)]
    high = [mean + spread for mean, spread in zip(means, spreads, strict=True)]
    ax.fill_between(shots, low, high, color=colour, alpha=0.16, linewidth=0)


def histories(report: Report) -> dict[str, dict[str, list[Run]]]:
    """Training runs with a history by dataset and row label; of several numbers of shots, the largest."""
    found: dict[str, dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for label, runs in report.runs.items():
        for run in runs:
            if run.history and not run.eval_only:
                found[run.dataset][label].append(run)
    for by_label in found.values():
        for label, runs in by_label.items():
            most = max(run.shots or 0 for run in runs)
            by_label[label] = [run for run in runs if (run.shots or 0) == most]
    return found


def by_epoch(report: Report) -> Figure:
    """Training curves: loss and training accuracy of each dataset by epoch, mean over seeds, band from least to most.

    Raises:
        ValueError: no run of the report has a training history.
    """
    found = histories(report)
    if not found:
        raise ValueError("no run of this report records a training history; nothing to draw for --plot-kind history")
    datasets = in_order(found)
    colour = colours(report)
    fig, axes = _panels(2 * len(datasets), across=2 if len(datasets) == 1 else _ACROSS)
    for i, dataset in enumerate(datasets):
        for ax, key, name in zip(axes[2 * i : 2 * i + 2], ("loss", "acc"), ("loss", "train accuracy"), strict=True):
            for label, runs in found[dataset].items():
                _epoch_line(ax, runs, key, colour[label])
            ax.set_title(f"{dataset}: {name}")
            ax.set_xlabel("epoch")
            ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
            if key == "acc":
                ax.set_ylabel("%")
    legend(fig, [label for label in report.runs if any(label in by for by in found.values())], colour)
    return fig


def _epoch_line(ax: Axes, runs: Sequence[Run], key: str, colour: str) -> None:
    values: dict[int, list[float]] = defaultdict(list)
    for run in runs:
        for entry in run.history:
            if is_number(entry.get(key)):
                values[entry["epoch"]].append(entry[key])
    epochs = sorted(values)
    ax.plot(epochs, [fmean(values[e]) for e in epochs], color=colour, linewidth=1.5, marker="o", ms=2.5)
    low, high = [min(values[e]) for e in epochs], [max(values[e]) for e in epochs]
    ax.fill_between(epochs, low, high, color=colour, alpha=0.16, linewidth=0)
