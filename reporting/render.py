"""A report as text, Markdown, LaTeX, CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from tabulate import SEPARATING_LINE, tabulate

from reporting.output import one_line
from reporting.report import MISSING, Report, Table
from reporting.stats import Cell

USUAL_SEEDS = 3
JSON_SCHEMA_VERSION = 1


def cell_text(cell: Cell | None, plus_minus: str = "±") -> str:
    """``82.28 ± 0.30``; the number of seeds follows where it is not 3, the spread is left out for one seed."""
    if cell is None:
        return MISSING
    text = f"{cell.mean:.2f}"
    if cell.std is not None:
        text += f" {plus_minus} {cell.std:.2f}"
    return text if cell.n == USUAL_SEEDS else f"{text} (n={cell.n})"


def difference_text(cell: Cell | None) -> str:
    """Ours minus the paper's with its sign, followed by * where it exceeds the spread."""
    if cell is None or cell.difference is None:
        return MISSING
    rounded = round(cell.difference, 2) + 0.0  # adding zero turns -0.0 into 0.0
    return f"{rounded:+.2f}{'*' if cell.outside_spread else ''}"


def paper_text(cell: Cell | None) -> str:
    """The paper's figure."""
    return MISSING if cell is None or cell.paper is None else f"{cell.paper:.2f}"


def columns_with_paper(table: Table) -> list[str]:
    """Value columns in which the paper has a figure."""
    return [
        c for c in table.columns if any((cell := row.cells.get(c)) and cell.paper is not None for row in table.rows)
    ]


def grid(
    table: Table, escape: Callable[[str], str] = str, bold: Callable[[str], str] = str
) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a table as strings, each through `escape`, the best of each block through `bold` as well.

    A block's name stands in its first row only. The paper's figure and the difference stand in columns beside ours,
    in a wide table in rows below.
    """
    with_paper = columns_with_paper(table)
    beside = [] if table.is_wide else with_paper
    header = [table.block_name, "Method"]
    for column in table.columns:
        header += [column, "paper", "Δ"] if column in beside else [column]
    header = [escape(name) for name in header]
    lines = []
    previous = None
    for row in table.rows:
        line = ["" if row.block == previous else escape(row.block), escape(row.label)]
        previous = row.block
        for column in table.columns:
            if column not in row.cells:
                line.append("")
                continue
            cell = row.cells[column]
            text = escape(cell_text(cell))
            line.append(bold(text) if cell is not None and cell.best else text)
            if column in beside:
                line += [escape(paper_text(cell)), escape(difference_text(cell))]
        lines.append(line)
        if table.is_wide and any(cell and cell.paper is not None for cell in row.cells.values()):
            cells = [row.cells.get(column) for column in table.columns]
            lines.append([escape(text) for text in ("", "· paper", *map(paper_text, cells))])
            lines.append([escape(text) for text in ("", "· Δ", *map(difference_text, cells))])
    return header, lines


def remarks(report: Report) -> list[tuple[str, list[str]]]:
    """Everything to be said below the tables, under its heading, a line each."""
    groups = [
        ("Missing (–)", report.missing),
        ("Incomplete", report.incomplete),
        ("Unusable", report.problems),
        ("Notes", report.notes),
    ]
    return [(heading, [one_line(line) for line in lines]) for heading, lines in groups if lines]


def comparison_lines(report: Report) -> list[str]:
    """The comparison of two methods, one line per quantity."""
    if report.comparison is None:
        return []
    lines = []
    for quantity, pairs, interval in report.comparison.entries:
        if interval.low is None or interval.high is None:
            lines.append(f"{quantity}: {interval.mean:+.2f}, no interval from {interval.n} pair over {pairs}")
            continue
        verdict = "differs from 0" if interval.decided else "does not differ from 0"
        lines.append(
            f"{quantity}: {interval.mean:+.2f}, 95 % interval {interval.low:+.2f} to {interval.high:+.2f} "
            f"({interval.n} pairs over {pairs}): {verdict}"
        )
    return lines + report.comparison.notes


def _comparison_title(report: Report) -> str:
    return f"{report.comparison.first} minus {report.comparison.second}" if report.comparison else ""


def text(report: Report) -> str:
    """Plain text for a terminal."""
    parts = []
    for table in report.tables:
        header, lines = grid(table)
        body: list[Any] = []
        for line in lines:
            if line[0] and body:
                body.append(SEPARATING_LINE)
            body.append(line)
        align = ("left", "left", *["right"] * (len(header) - 2))
        parts.append(
            f"{table.title}\n\n" + tabulate(body, header, tablefmt="simple", disable_numparse=True, colalign=align)
        )
    parts.append("\n".join(report.explanation))
    if report.comparison:
        parts.append("\n".join([_comparison_title(report), *("  " + line for line in comparison_lines(report))]))
    parts += ["\n".join([f"{heading}:", *("  " + line for line in lines)]) for heading, lines in remarks(report)]
    return "\n\n".join(parts) + "\n"


_MARKDOWN = re.compile(r"[&<>~$]|[\\`*\[\]|]|(?<![^\W_])_|_(?![^\W_])")


def markdown_escape(line: str) -> str:
    """Text with every character that GitHub's Markdown would read as markup replaced; a_b is none and stays."""

    def replaced(found: re.Match[str]) -> str:
        character = found.group()
        return f"&#{ord(character)};" if character in "&<>~$" else f"\\{character}"

    return _MARKDOWN.sub(replaced, line)


def _markdown_list(lines: Sequence[str]) -> str:
    """A list; what would begin a heading or another list inside of an entry does not."""
    return "\n".join("- " + re.sub(r"^([-+#]|\d+(?=[.)]))", _as_first, markdown_escape(line.strip())) for line in lines)


def _as_first(found: re.Match[str]) -> str:
    start = found.group()
    return f"{start}\\" if start.isdigit() else f"\\{start}"


def markdown(report: Report) -> str:
    """GitHub's Markdown; the best of each block in bold."""
    parts = []
    for table in report.tables:
        header, lines = grid(table, markdown_escape, bold=lambda t: f"**{t}**")
        align = ("left", "left", *["right"] * (len(header) - 2))
        body = tabulate(lines, header, "github", disable_numparse=True, colalign=align)
        parts.append(f"### {markdown_escape(table.title)}\n\n{body}")
    parts.append(markdown_escape("; ".join(report.explanation)) + ".")
    if report.comparison:
        parts.append(f"**{markdown_escape(_comparison_title(report))}**\n\n{_markdown_list(comparison_lines(report))}")
    parts += [f"**{heading}**\n\n{_markdown_list(lines)}" for heading, lines in remarks(report)]
    return "\n\n".join(parts) + "\n"


_LATEX = {"±": r"$\pm$", "–": "--", "Δ": r"$\Delta$", "·": r"$\cdot$", "→": r"$\rightarrow$", "Σ": r"$\Sigma$"}
_LATEX |= {c: f"\\{c}" for c in "&%$#_{}"} | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_LATEX |= {"\\": r"\textbackslash{}", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
_LATEX |= {'"': r"\textquotedblright{}", "`": r"{}\textquoteleft{}"}  # after ! or ? it would make another sign
_LATEX |= {"[": "{[}", "]": "{]}"}  # after \\ or \midrule, [ would begin an argument
_LATEX_PATTERN = re.compile("|".join(map(re.escape, _LATEX)) + "|-(?=-)|'(?=')|,(?=,)")


def latex_escape(line: str) -> str:
    """Text with every character replaced that LaTeX would read as a command, or join with the next to another one."""
    return _LATEX_PATTERN.sub(lambda found: _LATEX.get(found.group(), found.group() + "{}"), line)


def latex(report: Report) -> str:
    """A ``table`` environment with booktabs rules; the best of each block in bold, the remarks as comments."""
    parts = []
    for table in report.tables:
        header, lines = grid(table, latex_escape, bold=lambda t: f"\\textbf{{{t}}}")
        out = [
            r"\begin{table}[t]",
            r"  \centering",
            f"  \\caption{{{latex_escape(table.title)}: {latex_escape('; '.join(report.explanation))}.}}",
            f"  \\begin{{tabular}}{{ll{'r' * (len(header) - 2)}}}",
            r"    \toprule",
            f"    {' & '.join(header)} \\\\",
        ]
        for line in lines:
            if line[0]:
                out.append(r"    \midrule")
            out.append(f"    {' & '.join(line)} \\\\")
        parts.append("\n".join([*out, r"    \bottomrule", r"  \end{tabular}", r"\end{table}"]))
    said = remarks(report)
    if report.comparison:
        said.insert(0, (_comparison_title(report), comparison_lines(report)))
    parts += ["\n".join([f"% {heading}:", *(f"%   {line}" for line in lines)]) for heading, lines in said]
    return "% needs \\usepackage{booktabs}\n" + "\n\n".join(parts) + "\n"


def as_csv(report: Report) -> str:
    """Comma-separated values at full precision, one line for each figure; a missing figure is an empty field."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["table", "block", "method", "column", "mean", "std", "n", "paper", "difference"])
    for table in report.tables:
        for row in table.rows:
            for column in table.columns:
                if column not in row.cells:
                    continue
                cell = row.cells[column]
                figures = (cell.mean, cell.std, cell.n, cell.paper, cell.difference) if cell else [None] * 5
                writer.writerow([table.title, row.block, row.label, column, *figures])
    return out.getvalue()


def _cell_data(cell: Cell | None) -> dict[str, Any] | None:
    if cell is None:
        return None
    data: dict[str, Any] = {"mean": cell.mean, "std": cell.std, "n": cell.n, "best": cell.best}
    data["by_seed"] = {str(seed): value for seed, value in cell.by_seed.items()}
    if cell.paper is not None:
        data |= {"paper": cell.paper, "difference": cell.difference, "outside_spread": cell.outside_spread}
    return data


def as_json(report: Report) -> str:
    """Everything in the report, at full precision."""
    compared = None
    if report.comparison:
        compared = {
            "first": report.comparison.first,
            "second": report.comparison.second,
            "level": 0.95,
            "entries": [
                {"quantity": q, "paired_over": p, "mean": i.mean, "low": i.low, "high": i.high, "n": i.n}
                for q, p, i in report.comparison.entries
            ],
            "notes": report.comparison.notes,
        }
    data = {
        "schema_version": JSON_SCHEMA_VERSION,
        "protocol": report.protocol,
        "metric": report.metric,
        "std": "population",
        "tables": [
            {
                "title": table.title,
                "columns": table.columns,
                "rows": [
                    {
                        "block": row.block,
                        "method": row.label,
                        "average": row.is_average,
                        "cells": {column: _cell_data(cell) for column, cell in row.cells.items()},
                    }
                    for row in table.rows
                ],
            }
            for table in report.tables
        ],
        "comparison": compared,
        "missing": report.missing,
        "incomplete": report.incomplete,
        "problems": report.problems,
        "notes": report.notes,
        "explanation": report.explanation,
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


FORMATS: dict[str, Callable[[Report], str]] = {
    "text": text,
    "markdown": markdown,
    "latex": latex,
    "csv": as_csv,
    "json": as_json,
}
SUFFIXES = {".txt": "text", ".md": "markdown", ".tex": "latex", ".csv": "csv", ".json": "json"}
