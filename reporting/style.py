"""How all figures look: colours by method, type, legend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from configs import facts
from reporting.report import Report

INK = "#40444c"
# for a method's second configuration and for methods that state no colour; readable on white and on near-black
_OTHERS = ["#0891b2", "#b45309", "#be185d", "#4d7c0f", "#1d4ed8", "#a16207", "#9333ea", "#57534e"]

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "text.parse_math": False,  # a name may have dollars
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


def colours(report: Report) -> dict[str, str]:
    """A colour for each row label of a report: that of its method's facts, else the next of the palette."""
    stated = {name: method.colour for name, method in facts.methods().items()}
    chosen: dict[str, str] = {}
    others = list(_OTHERS)
    for label, runs in report.runs.items():
        colour = stated.get(runs[0].method, "")
        if not colour or colour in chosen.values():
            colour = others[0]
            others.append(others.pop(0))
        chosen[label] = colour
    return chosen


def short(name: str) -> str:
    """A block's or column's name as a tick label."""
    return "Average" if name.startswith("Average over") else name.replace(" (source)", "\n(source)")


def legend(fig: Figure, labels: Sequence[str], colour: dict[str, str]) -> None:
    """Lay the figure out and put the legend below the panels."""
    columns = max(1, min(len(labels), int(fig.get_figwidth() * 14 // (max(map(len, labels)) + 5))))
    lines = -(-len(labels) // columns)
    height = (0.2 + 0.18 * lines) / fig.get_figheight()
    fig.tight_layout(rect=(0, height, 1, 1))
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour[label]) for label in labels]
    fig.legend(handles, labels, loc="lower left", ncols=columns, handlelength=1, handleheight=1, columnspacing=1.4)
