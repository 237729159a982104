"""One self-contained HTML page of a report: tables to sort, figures, costs, a link to each run's record and log."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from statistics import fmean
from urllib.parse import quote

from reporting import curves, plots
from reporting.logs import newest_log
from reporting.records import Run
from reporting.render import USUAL_SEEDS, comparison_lines, difference_text, paper_text
from reporting.report import MISSING, Report, Row, Table
from reporting.rows import in_order
from reporting.stats import Cell
from reporting.style import colours

_HERE = Path(__file__).parent
_CAPTIONS = {
    "bars": "Mean over seeds; error bars are one standard deviation over seeds, – is a missing figure.",
    "radar": "Each spoke is a dataset; the rim is 100 %.",
    "curves": "Mean over seeds, the band is one standard deviation; dashed: zero-shot.",
    "history": "Loss and accuracy on the training images by epoch: mean over seeds, the band from least to most.",
}


def number(value: float | None, unit: str = "") -> str:
    """A cost to three significant digits, with thousands separators above 1000."""
    if value is None:
        return MISSING
    shown = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{shown}{unit}"


def duration(seconds: float | None) -> str:
    """Seconds as 12.5 s, 3 min 05 s or 2 h 10 min."""
    if seconds is None:
        return MISSING
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"


def memory(count: float | None) -> str:
    """Bytes as MiB or GiB."""
    if count is None:
        return MISSING
    return f"{count / 2**30:.2f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def _td(text: str, sort: float | None = None, classes: str = "") -> str:
    attributes = f' class="{classes}"' if classes else ""
    attributes += f' data-sort="{sort!r}"' if sort is not None else ""
    return f"<td{attributes}>{text}</td>"


def _table(headings: Sequence[str], texts: int, rows: Iterable[str], name: str = "", classes: str = "") -> str:
    """A sortable table; its first ``texts`` columns are left-aligned text."""
    head = "".join(
        f'<th scope="col"{" class=t" if i < texts else ""}><button type="button">{escape(heading)}</button></th>'
        for i, heading in enumerate(headings)
    )
    label = f' id="{name}"' if name else ""
    return (
        f'<div class="sheet scroll"><table{label} class="sortable {classes}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return _td(MISSING)
    text = f'<span class="mean">{cell.mean:.2f}</span>'
    small = [] if cell.std is None else [f"± {cell.std:.2f}"]
    small += [] if cell.n == USUAL_SEEDS else [f"n={cell.n}"]
    if small:
        text += f' <span class="spread">{" ".join(small)}</span>'
    if cell.paper is not None:
        difference = difference_text(cell)
        difference = f"<b>{difference}</b>" if cell.outside_spread else difference
        text += f'<span class="paper"><span>paper {paper_text(cell)}</span> <span>Δ {difference}</span></span>'
    return _td(text, cell.mean, "best" if cell.best else "")


def _results(table: Table, colour: dict[str, str]) -> str:
    rows = []
    previous = None
    for row in table.rows:
        again = row.block == previous
        previous = row.block
        average = " average" if row.is_average else ""
        if not again:  # a heading of the block, for narrow screens, where the block's own column is left out
            heading = f'<td class="t" colspan="{len(table.columns) + 2}">{escape(row.block)}</td>'
            rows.append(f'<tr class="group{average}" data-fixed>{heading}</tr>')
        block = f"<span{' class=again' if again else ''}>{escape(row.block)}</span>"
        cells = "".join(_cell(row.cells[c]) if c in row.cells else _td("") for c in table.columns)
        first = "" if again else "first"
        method = _method(row.label, colour, row.block)
        rows.append(f'<tr class="{first}{average}">{_td(block, classes="t block")}{method}{cells}</tr>')
    return _table([table.block_name, "Method", *table.columns], 2, rows, classes="results")


def _method(label: str, colour: dict[str, str], where: str = "") -> str:
    place = f'<span class="where">{escape(where)}</span>' if where else ""
    return _td(f'<span class="dot" style="--colour:{colour[label]}"></span>{escape(label)}{place}', classes="t method")


def _headline(report: Report) -> tuple[str, list[tuple[str, Cell]]]:
    """The one figure per method that sums the report up, and what it is."""
    table = report.tables[0]
    last = [row for row in table.rows if row.block == table.rows[-1].block]

    def closing(row: Row) -> Cell | None:
        """The cell of the last column; of few-shot learning, that of the most shots the row has."""
        columns = [c for c in table.columns if c in row.cells] if report.protocol == "fewshot" else table.columns
        return row.cells.get(columns[-1])

    found = [(row.label, cell) for row in last if (cell := closing(row)) is not None]
    place = table.rows[-1].block
    if report.protocol in ("xd", "dg"):
        return f"average over the targets of {place}", found
    place = place[0].lower() + place[1:] if last[0].is_average else place
    if report.protocol == "fewshot":
        return f"{table.columns[-1]}, zero-shot methods without any, {place}", found
    return f"harmonic mean, {place}", found


def _cards(report: Report, colour: dict[str, str]) -> str:
    what, figures = _headline(report)
    if not figures:
        return ""
    cards = []
    for label, cell in figures:
        spread = f" <small>± {cell.std:.2f}</small>" if cell.std is not None else ""
        rivals = [each.mean for other, each in figures if report.boards.get(other) == report.boards.get(label)]
        best = " top" if round(cell.mean, 2) == round(max(rivals), 2) and len(rivals) > 1 else ""
        cards.append(
            f'<div class="sheet card{best}" style="--colour:{colour[label]}">'
            f'<div class="name"><span class="dot"></span>{escape(label)}</div>'
            f'<div class="figure">{cell.mean:.2f}{spread}</div>'
            f'<div class="bar"><i style="width:{cell.mean:.1f}%"></i></div></div>'
        )
    return f'<h2>At a glance <span class="soft">{escape(what)}</span></h2><div class="cards">{"".join(cards)}</div>'


def _remarks(report: Report) -> str:
    groups = [
        ("bad", "unusable", report.problems),
        ("warn", "missing", report.missing),
        ("warn", "incomplete", report.incomplete),
        ("", "to note", report.notes),
    ]
    out = []
    for kind, name, lines in groups:
        if lines:
            items = "".join(f"<li>{escape(line)}</li>" for line in lines)
            out.append(f'<details class="{kind}"><summary>{len(lines)} {name}</summary><ul>{items}</ul></details>')
    return "".join(out)


def _figures(report: Report) -> str:
    kinds = [plots.default_kind(report)]
    blocks = sum(not row.is_average for row in report.tables[0].rows if row.label == report.tables[0].rows[0].label)
    if report.protocol == "base2new" and blocks >= 3:
        kinds.append("radar")
    if curves.histories(report):
        kinds.append("history")
    return "".join(
        f'<figure class="sheet"><figcaption>{_CAPTIONS[kind]}</figcaption>'
        f'<div class="scroll">{plots.inline_svg(report, kind)}</div></figure>'
        for kind in kinds
    )


def _mean_cost(runs: Sequence[Run], key: str) -> float | None:
    values = [value for run in runs if (value := run.cost.get(key)) is not None]
    return fmean(values) if values else None


_COSTS = [
    ("training", "train_seconds", duration),
    ("evaluation", "eval_seconds", duration),
    ("per step", "seconds_per_step", lambda value: number(value and value * 1000, " ms")),
    ("images/s", "images_per_second", number),
    ("memory (RSS)", "peak_rss_bytes", memory),
    ("memory (CUDA)", "peak_cuda_bytes", memory),
]


def _costs(report: Report, colour: dict[str, str]) -> str:
    rows = []
    for label, runs in report.runs.items():
        parameters = runs[0].trainable_parameters
        cells = [_td(str(len(runs)), len(runs)), _td(number(parameters), parameters)]
        for _, key, show in _COSTS:
            value = _mean_cost([run for run in runs if key != "train_seconds" or not run.eval_only], key)
            cells.append(_td(show(value), value))
        rows.append(f"<tr>{_method(label, colour)}{''.join(cells)}</tr>")
    return _table(["Method", "runs", "trainable", *(name for name, _, _ in _COSTS)], 1, rows)


def _link(target: Path, page: Path, text: str) -> str:
    return f'<a href="{quote(os.fsencode(os.path.relpath(target, page.parent).replace(os.sep, "/")))}">{text}</a>'


def _runs(report: Report, page: Path, colour: dict[str, str], split: str) -> str:
    rows = []
    every = [run for runs in report.runs.values() for run in runs]
    places = in_order(run.dataset for run in every)
    halves = len({run.subsample for run in every}) > 1
    for label, runs in report.runs.items():
        for run in sorted(runs, key=lambda r: (places.index(r.dataset), r.subsample, r.shots or 0, r.seed)):
            value = run.metrics.get(split, {}).get(report.metric)
            log = newest_log(run.folder)
            device = run.environment.get("device_name") or run.environment.get("device") or MISSING
            cells = [
                _method(label, colour),
                _td(escape(run.dataset), classes="t"),
                *([_td(escape(run.subsample), classes="t")] if halves else []),
                _td(str(run.seed), run.seed),
                _td(MISSING if value is None else f"{value:.2f}", value),
                _td(_link(run.record_path, page, "record") + (f" · {_link(log, page, 'log')}" if log else "")),
                _td(str(run.known_shots or MISSING), run.known_shots),
                _td(duration(run.cost.get("train_seconds")), run.cost.get("train_seconds")),
                _td(duration(run.cost.get("eval_seconds")), run.cost.get("eval_seconds")),
                _td(memory(run.cost.get("peak_rss_bytes")), run.cost.get("peak_rss_bytes")),
                _td(escape(str(device))),
            ]
            rows.append(f"<tr>{''.join(cells)}</tr>")
    headings = ["Method", "Dataset", *(["Classes"] if halves else []), "seed", report.metric.replace("_", " "), "files"]
    headings += ["shots", "training", "evaluation", "memory", "device"]
    example = escape(f"{every[-1].method.lower()} {max(run.seed for run in every)}", quote=True)
    return (
        f'<input type="search" data-filters="runs" placeholder="Filter runs, e.g. {example}" aria-label="Filter runs">'
        + _table(headings, 3 if halves else 2, rows, name="runs")
    )


def build(report: Report, page: Path, folder: Path, split: str = "test") -> str:
    """The page as one string.

    Args:
        report: what to show.
        page: where the page will lie; links to runs are relative to it.
        folder: the folder that was reported, for the heading.
        split: the split whose metrics were used.

    Returns:
        The HTML; it loads nothing from elsewhere.
    """
    colour = colours(report)
    every = [run for runs in report.runs.values() for run in runs]
    backbones = ", ".join(sorted({run.backbone for run in every if run.backbone}))
    newest = max((run.end_utc for run in every), default="")[:16].replace("T", " ")
    title = report.tables[0].title if len(report.tables) == 1 else report.tables[0].title.split(" from ")[0]
    facts = [f"{len(every)} runs", f"backbone {backbones}" if backbones else "", f"{report.metric} on {split}, percent"]
    facts.append(f"newest run {newest} UTC" if newest else "")
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="lead"><code>{escape(str(folder))}</code> · {escape(" · ".join(filter(None, facts)))}</p>',
        _remarks(report),
        _cards(report, colour),
    ]
    for table in report.tables:
        parts += [f"<h2>{escape(table.title if len(report.tables) > 1 else 'Results')}</h2>", _results(table, colour)]
    if report.comparison:
        lines = "".join(f"<li>{escape(line)}</li>" for line in comparison_lines(report))
        heading = f"{report.comparison.first} minus {report.comparison.second}"
        parts.append(
            f"<h2>{escape(heading)}</h2><details open><summary>Paired differences</summary><ul>{lines}</ul></details>"
        )
    parts += ["<h2>Figures</h2>", _figures(report)]
    parts += ['<h2>Cost <span class="soft">mean over runs</span></h2>', _costs(report, colour)]
    parts += ["<h2>Runs</h2>", _runs(report, page, colour, split)]
    notes = "".join(f"<p>{escape(line[0].upper() + line[1:])}.</p>" for line in report.explanation)
    parts.append(f"<footer>{notes}<p>Click a heading to sort, a third time for the first order.</p></footer>")
    css, js = ((_HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>\n{css}</style></head>\n<body><main>\n"
        + "\n".join(filter(None, parts))
        + f"\n</main><script>\n{js}</script></body></html>\n"
    )
