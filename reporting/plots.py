"""Figures of a report, drawn by matplotlib without a display. Imported only when a figure is asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reporting.report import Report, Table

SUFFIXES = (".png", ".svg", ".pdf")
INK = "#40444c"
# readable on white and on near-black, and apart from each other for colour-blind readers
COLOURS = ["#8a8f98", "#d97706", "#0d9488", "#7c5cff", "#db4b7d", "#3b82f6", "#65a30d", "#b45309"]
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.titleweight": "bold",
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "reporting",
    "savefig.dpi": 160,
}


def colours(labels: Sequence[str]) -> dict[str, str]:
    """A colour for each row label; grey goes to the first, which is zero-shot CLIP where there is one."""
    start = 0 if labels and labels[0].startswith("Zeroshot") else 1
    return {label: COLOURS[(start + i) % len(COLOURS)] for i, label in enumerate(labels)}


def _bars(ax: Axes, table: Table, blocks: Sequence[str], column: str, colour: dict[str, str]) -> None:
    """Grouped bars: a group per block, a bar per method, the spread as error bar."""
    width = 0.8 / len(table.labels)
    for i, label in enumerate(table.labels):
        for x, block in enumerate(blocks):
            row = table.row(block, label)
            cell = row.cells.get(column) if row else None
            if cell is not None:
                at = x + (i - (len(table.labels) - 1) / 2) * width
                ax.bar(at, cell.mean, width * 0.92, color=colour[label], label=label if x == 0 else None)
                if cell.std:
                    ax.errorbar(at, cell.mean, cell.std, color=INK, elinewidth=0.9, capsize=1.5)
    ax.set_xticks(range(len(blocks)), [_short(block) for block in blocks])
    ax.set_xlim(-0.6, len(blocks) - 0.4)
    ax.set_ylim(0, 100)
    ax.set_ylabel("%")
    ax.grid(axis="y", alpha=0.25, linewidth=0.6)
    ax.tick_params(length=0)


def _short(name: str) -> str:
    return "Average" if name.startswith("Average over") else name


def bars(report: Report) -> Figure:
    """Bars: base, new and HM in a panel each for base-to-new; one panel of target datasets otherwise."""
    table = report.tables[0]
    colour = colours(table.labels)
    groups = len(table.blocks)
    width = min(16.0, max(5.6, 1.6 + groups * max(0.75, 0.22 * len(table.labels))))
    fig, axes = plt.subplots(len(table.columns), 1, figsize=(width, 2.1 * len(table.columns) + 0.6), squeeze=False)
    for ax, column in zip(axes[:, 0], table.columns, strict=True):
        _bars(ax, table, table.blocks, column, colour)
        ax.set_title(column)
        if groups > 4:
            ax.tick_params(axis="x", rotation=20)
    _legend(fig, table.labels, colour, table.title)
    return fig


def _legend(fig: Figure, labels: Sequence[str], colour: dict[str, str], title: str) -> None:
    """Title and legend above the panels."""
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour[label]) for label in labels]
    fig.suptitle(title, x=0.02, ha="left", fontsize=11, fontweight="bold")
    fig.tight_layout(rect=(0, 0.08 if fig.get_figheight() < 5 else 0.05, 1, 1))
    fig.legend(handles, labels, loc="lower center", ncols=min(4, len(labels)), handlelength=1, handleheight=1)


KINDS: dict[str, Callable[[Report], Figure]] = {"bars": bars}
DEFAULT_KIND = {"base2new": "bars", "ablation": "bars"}


def draw(report: Report, kind: str) -> Figure:
    """Draw one kind of figure.

    Args:
        report: what to draw.
        kind: a key of :data:`KINDS`.

    Returns:
        The figure; the caller closes it.

    Raises:
        ValueError: the kind does not exist or does not suit the report.
    """
    if kind not in KINDS:
        raise ValueError(f"plot kind '{kind}' is unknown; choose one of: {', '.join(KINDS)}")
    with plt.rc_context(_STYLE):
        return KINDS[kind](report)


def save(report: Report, path: Path, kind: str | None = None) -> None:
    """Draw and write a figure; the suffix of ``path`` decides the format.

    Raises:
        ValueError: the suffix is none of .png, .svg, .pdf.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: plots are written as {', '.join(SUFFIXES)}; give a file name with such an ending")
    figure = draw(report, kind or DEFAULT_KIND[report.protocol])
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        with plt.rc_context(_STYLE):
            metadata = {"Date": None} if path.suffix.lower() == ".svg" else None
            figure.savefig(temporary, metadata=metadata)
        os.replace(temporary, path)
    finally:
        plt.close(figure)
        temporary.unlink(missing_ok=True)
