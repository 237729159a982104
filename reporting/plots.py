"""Figures of a report, drawn by matplotlib without a display. Imported only when a figure is asked for."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reporting import curves
from reporting.output import whole_file
from reporting.report import MISSING, Report
from reporting.stats import Cell
from reporting.style import INK, STYLE, colours, legend, short

SUFFIXES = (".png", ".svg", ".pdf")

Panel = tuple[str, list[tuple[str, dict[str, Cell | None]]]]


def _panels(report: Report) -> list[Panel]:
    """Title and groups of each panel of bars; a group is a name and the cells by row label.

    A wide table is a panel whose groups are its columns, the ablation likewise; otherwise each column is a panel
    whose groups are the blocks.
    """
    panels: list[Panel] = []
    for table in report.tables:
        if len(table.blocks) == 1:
            groups = [(c, {row.label: row.cells.get(c) for row in table.rows}) for c in table.columns]
            panels.append((table.title, groups))
            continue
        for column in table.columns:
            by_block = [
                (
                    block,
                    {row.label: row.cells[column] for row in table.rows if row.block == block and column in row.cells},
                )
                for block in table.blocks
            ]
            panels.append((column, by_block))
    return panels


def bars(report: Report) -> Figure:
    """Grouped bars with the spread over seeds as error bars; base, new and HM in a panel each for base-to-new."""
    panels = _panels(report)
    labels = [label for label in report.runs if any(label in cells for _, groups in panels for _, cells in groups)]
    colour = colours(report)
    groups = max(len(groups) for _, groups in panels)
    crowded = groups > 4
    width = min(15.0, max(5.6, 1.4 + groups * max(0.8, 0.2 * len(labels))))
    fig, axes = plt.subplots(len(panels), 1, figsize=(width, 2.1 * len(panels) + 1.0), squeeze=False)
    for ax, (title, content) in zip(axes[:, 0], panels, strict=True):
        _grouped_bars(ax, content, labels, colour)
        ax.set_title(title)
        if crowded:
            ax.set_xticks(
                ax.get_xticks(), [short(name).replace("\n", " ") for name, _ in content], rotation=22, ha="right"
            )
    legend(fig, labels, colour)
    return fig


def _grouped_bars(
    ax: Axes, groups: Sequence[tuple[str, dict[str, Cell | None]]], labels: Sequence[str], colour: dict[str, str]
) -> None:
    step = 0.82 / len(labels)
    for x, (_, cells) in enumerate(groups):
        for i, label in enumerate(labels):
            if label not in cells:
                continue
            at = x + (i - (len(labels) - 1) / 2) * step
            cell = cells[label]
            if cell is None:
                ax.text(at, 1, MISSING, ha="center", va="bottom", color=colour[label])
                continue
            ax.bar(at, cell.mean, step * 0.9, color=colour[label])
            if cell.std:
                ax.errorbar(at, cell.mean, cell.std, color=INK, elinewidth=0.9, capsize=1.5)
    ax.set_xticks(range(len(groups)), [short(name) for name, _ in groups])
    ax.set_xlim(-0.6, len(groups) - 0.4)
    ax.set_ylim(0, 100)
    ax.set_yticks(range(0, 101, 25))
    ax.set_ylabel("%")
    ax.grid(axis="y", alpha=0.25, linewidth=0.6)
    ax.tick_params(length=0)


def radar(report: Report) -> Figure:
    """One web per column (Base, New, HM), a spoke per dataset, a line per method.

    Raises:
        ValueError: the report has no three datasets to span a web.
    """
    panels = [(title, [g for g in groups if short(g[0]) != "Average"]) for title, groups in _panels(report)]
    if len(panels[0][1]) < 3:
        raise ValueError("a radar plot needs at least three datasets; use --plot-kind bars")
    colour = colours(report)
    labels = [label for label in report.runs if any(label in cells for _, groups in panels for _, cells in groups)]
    figure_size = (4.4 * len(panels) + 0.8, 4.9)
    fig, axes = plt.subplots(1, len(panels), figsize=figure_size, squeeze=False, subplot_kw={"projection": "polar"})
    for ax, (title, groups) in zip(axes[0], panels, strict=True):
        angles = [2 * math.pi * i / len(groups) for i in range(len(groups))]
        means = [cell.mean for _, cells in groups for cell in cells.values() if cell is not None]
        floor = max(0, int(min(means, default=0) // 10) * 10 - 10)
        for label in labels:
            values = [cell.mean if (cell := cells.get(label)) else float("nan") for _, cells in groups]
            ax.plot([*angles, angles[0]], [*values, values[0]], color=colour[label], linewidth=1.5, marker="o", ms=2.5)
        _name_spokes(ax, angles, [name for name, _ in groups])
        ax.set_ylim(floor, 100)
        ax.set_yticks(range(floor, 101, 20 if floor < 60 else 10))
        ax.tick_params(axis="y", labelsize=6.5, labelcolor=INK)
        ax.set_theta_offset(math.pi / 2)
        ax.set_theta_direction(-1)
        ax.grid(alpha=0.3, linewidth=0.6)
        ax.spines["polar"].set_alpha(0.3)
        ax.set_title(title, pad=14)
    legend(fig, labels, colour)
    return fig


def _name_spokes(ax: Axes, angles: Sequence[float], names: Sequence[str]) -> None:
    """Dataset names around the web, each growing away from it so that none lies on a line."""
    ax.set_xticks(angles, [""] * len(names))
    for angle, name in zip(angles, names, strict=True):
        side = math.sin(angle)
        align = "center" if abs(side) < 0.3 else "left" if side > 0 else "right"
        place: dict[str, Any] = {
            "xy": (angle, 1.0),
            "xycoords": ax.get_xaxis_transform(),
            "textcoords": "offset points",
        }
        ax.annotate(name, xytext=(6 * side, 6 * math.cos(angle)), ha=align, va="center", fontsize=7.5, **place)


KINDS: dict[str, Callable[[Report], Figure]] = {
    "bars": bars,
    "radar": radar,
    "curves": curves.by_shots,
    "history": curves.by_epoch,
}


def default_kind(report: Report) -> str:
    """Curves over shots for few-shot learning, bars for the rest."""
    return "curves" if report.protocol == "fewshot" else "bars"


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
        raise ValueError(f"--plot-kind {kind}: no such kind; choose one of: {', '.join(KINDS)}")
    if (kind == "curves") != (report.protocol == "fewshot") and kind != "history":
        fit = "curves or history" if report.protocol == "fewshot" else "bars, radar or history"
        raise ValueError(f"--plot-kind {kind}: does not suit {report.protocol}; choose {fit}")
    with plt.rc_context(STYLE):
        return KINDS[kind](report)


def save(report: Report, path: Path, kind: str | None = None) -> None:
    """Draw and write a figure; the suffix of ``path`` decides the format.

    Raises:
        ValueError: the suffix is none of .png, .svg, .pdf.
        OSError: the file cannot be written; the message names it.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"--plot {path}: figures are written as {', '.join(SUFFIXES)}; give such an ending")
    figure = draw(report, kind or default_kind(report))
    kind_of_file = path.suffix.lower().removeprefix(".")
    try:
        with whole_file(path) as temporary, plt.rc_context(STYLE):
            metadata = {"Date": None} if kind_of_file == "svg" else None
            figure.savefig(temporary, format=kind_of_file, metadata=metadata)
    finally:
        plt.close(figure)


def inline_svg(report: Report, kind: str) -> str:
    """A figure as an SVG element for a page: transparent, ink in the page's text colour, text in the page's font."""
    figure = draw(report, kind)
    out = io.StringIO()
    # ids of clip paths and markers must not meet those of another figure on the same page
    salted: dict[Any, Any] = STYLE | {"svg.hashsalt": kind}
    with plt.rc_context(salted):
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    plt.close(figure)
    svg = out.getvalue()
    width = figure.get_figwidth() * 96  # CSS pixels
    style = f'style="max-width:{width:.0f}px;min-width:{min(width, max(330, 0.62 * width)):.0f}px"'
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'^<svg ([^>]*?) width="[^"]*" height="[^"]*"', rf"<svg {style} \1", svg)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = svg.replace(INK, "currentColor").replace("'DejaVu Sans'", "system-ui")
    # group ids such as axes_1 come from counters, so they would repeat across figures; nothing refers to them
    return re.sub(r'<g id="[^"]*">', "<g>", svg)
