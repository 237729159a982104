"""The table of docs/methods.md, made from the methods' ``method.yaml``.

python -m configs.document                     # print it
python -m configs.document docs/methods.md     # write it between the page's marks
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean

from configs.facts import ROOT, methods, rows, setting_of, source_dataset
from configs.method import AVERAGE, Published, RowFacts

BEGIN, END = "<!-- methods -->", "<!-- end -->"
_HEADINGS = (
    *("method", "paper", "board", "trains", "at ViT-B/16", "setting (configs/trainers/…)"),
    *("base / new / HM", "cross-dataset", "domain shift"),
)


def table(root: Path = ROOT) -> str:
    """The table as Markdown, with the sources of the published averages below it."""
    lines = [_line(_HEADINGS), _line(["---"] * len(_HEADINGS))]
    sources: dict[str, list[str]] = {}
    for row in rows(root):
        facts = methods(root)[row.method]
        name = f"`{row.method}`" + (f", {row.name}" if row.name else "")
        paper = facts.paper
        where = f"{paper.venue} {paper.year}" + (f", {paper.arxiv}" if paper.arxiv else "") if paper else "–"
        new = "– (knows no new classes)" if facts.known_classes_only else "–"
        figures = [(row.published and _base_to_new(row.published)) or new, *_means(row, source_dataset(root).name)]
        lines.append(
            _line([name, where, facts.board, row.trains, row.parameters, f"`{setting_of(row, root)}`", *figures])
        )
        if row.published:
            sources.setdefault(row.published.source, []).append(name)
    told = [f"- {source}: {'; '.join(names)}" for source, names in sources.items()]
    return "\n".join(
        [
            *lines,
            "",
            "The averages (11 data sets; 10 targets; 4 shifted data sets, computed from the printed figures) are from:",
            *told,
        ]
    )


def refreshed(text: str, root: Path = ROOT) -> str:
    """The text of a page with the table between its marks.

    Raises:
        ValueError: it has no marks.
    """
    found, count = re.subn(f"{BEGIN}\n.*?{END}", lambda _: f"{BEGIN}\n{table(root)}\n{END}", text, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"expected the marks {BEGIN} and {END} once, each on a line of its own: found {count}.")
    return found


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _base_to_new(published: Published) -> str:
    return " / ".join(f"{figure:.2f}" for figure in published.base2new.get(AVERAGE) or published.ablation)


def _means(row: RowFacts, source: str) -> list[str]:
    """Averages over the targets of xd and dg, as printed, or made from the printed targets."""
    found = []
    for figures in (row.published.xd, row.published.dg) if row.published else ({}, {}):
        targets = [figure for name, figure in figures.items() if name not in (source, AVERAGE)]
        found.append(f"{figures.get(AVERAGE, fmean(targets)):.2f}" if targets else "–")
    return found


def main(arguments: list[str]) -> int:
    """Print the table, or write it into a page."""
    if not arguments:
        print(table())
        return 0
    page = Path(arguments[0])
    try:
        page.write_text(refreshed(page.read_text(encoding="utf-8")), encoding="utf-8")
    except (ValueError, OSError) as error:
        print(f"error: {page}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
