"""Formats of a report, and the plots and the page made from it."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import markdown
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reporting import base2new, fewshot, page, plots, transfer
from reporting.compare import compare
from reporting.options import Options
from reporting.paper import Paper
from reporting.records import read_runs
from reporting.render import FORMATS, cell_text, difference_text, latex_escape
from reporting.report import Report, Row, Table
from reporting.stats import Cell
from tests.reporting.trees import base2new_run, fewshot_run, transfer_runs


@pytest.fixture
def report(tmp_path: Path) -> Report:
    """Two methods on two datasets; MaPLe is better, one of CoOp's cells is missing."""
    for dataset, level in (("EuroSAT", 90.0), ("DescribableTextures", 75.0)):
        for seed in (1, 2, 3):
            for method, more in (("CoOp", 0.0), ("MaPLe", 2.0)):
                base2new_run(tmp_path, method, dataset, "train_base", level + more + seed / 10, seed)
                if (method, dataset) != ("CoOp", "EuroSAT"):
                    base2new_run(tmp_path, method, dataset, "test_new", level - 20 + more, seed)
    (tmp_path / "train_base/eurosat/shots_16/MaPLe/cfg/seed1/log.txt").write_text("log")
    return base2new.build(read_runs(tmp_path), Options(paper=Paper()))


def test_cells_as_text() -> None:
    assert cell_text(None) == "–"
    assert cell_text(Cell(82.284, 0.304, 3)) == "82.28 ± 0.30"
    assert cell_text(Cell(82.284, 0.304, 2)) == "82.28 ± 0.30 (n=2)"
    assert cell_text(Cell(82.284, None, 1)) == "82.28 (n=1)"
    assert difference_text(Cell(80.0, 0.5, 3, paper=81.0)) == "-1.00*"
    assert difference_text(Cell(80.0, 1.5, 3, paper=79.0)) == "+1.00"
    assert difference_text(Cell(80.0, 1.5, 3, paper=80.001)) == "+0.00"


def test_text_has_a_block_per_dataset_and_the_remarks_below(report: Report) -> None:
    lines = FORMATS["text"](report).splitlines()
    header = next(line for line in lines if line.startswith("Dataset"))
    assert header.split() == [
        "Dataset",
        "Method",
        *("Base", "paper", "Δ"),
        *("New", "paper", "Δ"),
        *("HM", "paper", "Δ"),
    ]
    starts = [line.split()[0] for line in lines if re.match(r"(EuroSAT|DescribableTextures|Average)", line)]
    assert starts == ["DescribableTextures", "EuroSAT", "Average"]
    eurosat = next(line for line in lines if line.startswith("EuroSAT"))
    assert eurosat.split() == ["EuroSAT", "CoOp", "90.20", "±", "0.08", "92.19", "-1.99*", "–", "–", "–", "–", "–", "–"]
    assert "  CoOp · EuroSAT · New" in lines[lines.index("Missing (–):") :]


def test_markdown_sets_the_best_in_bold(report: Report) -> None:
    text = FORMATS["markdown"](report)
    assert "**92.20 ± 0.08**" in text and "**90.20 ± 0.08**" not in text
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in table}) == 1 and len(table) == 2 + 6


def test_latex_is_balanced_escaped_and_bold(report: Report) -> None:
    report.tables[0].rows[0].label = "CoOp (vit_b16_50%)"
    text = FORMATS["latex"](report)
    assert r"CoOp (vit\_b16\_50\%)" in text and r"\textbf{92.20 $\pm$ 0.08}" in text
    for name in ("table", "tabular"):
        assert text.count(f"\\begin{{{name}}}") == text.count(f"\\end{{{name}}}") == 1
    widths = {line.count("&") for line in text.splitlines() if line.endswith(r"\\")}
    assert widths == {10} and text.count(r"\midrule") == 3
    assert "% Missing (--)" in text or "% Missing (–)" in text
    assert latex_escape(r"a\b~c^d{e}") == r"a\textbackslash{}b\textasciitilde{}c\textasciicircum{}d\{e\}"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("<<x>>", r"\textless{}\textless{}x\textgreater{}\textgreater{}"),  # is bold no more
        ("a|b", r"a\textbar{}b"),
        ('"a', r"\textquotedblright{}a"),  # a command of babel's German
        ("?`!`", r"?{}\textquoteleft{}!{}\textquoteleft{}"),  # else Spanish question marks
        ("a--b---c-d", "a-{}-b-{}-{}-c-d"),  # else dashes
        ("''a,,", "'{}'a,{},"),  # else quotation marks
        ("[3pt]", "{[}3pt{]}"),  # else a distance
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("50% $x$ & #1_2^3~", r"50\% \$x\$ \& \#1\_2\textasciicircum{}3\textasciitilde{}"),
    ],
)
def test_names_in_latex(tmp_path: Path, name: str, written: str) -> None:
    """Each name was set by pdflatex in both of its usual encodings and read back from the page."""
    base2new_run(tmp_path, name, "Digits", "train_base", 80.0)
    base2new_run(tmp_path, "Zzz", "Digits", "train_base", 70.0)  # known to no file either, so that the best is marked
    line = next(x for x in FORMATS["latex"](base2new.build(read_runs(tmp_path), Options())).splitlines() if "80.0" in x)
    assert line.partition(" & ")[2] == rf"{written} & \textbf{{80.00 (n=1)}} & -- & -- \\"


NAMES = st.text(st.sampled_from("ab1 _*`~|\\[]()<>&;#$!+-.=^{}'\"/:"), min_size=1, max_size=10).map(str.strip)


@given(first=NAMES.filter(bool), second=NAMES.filter(bool))
@settings(max_examples=60, deadline=None)
@example(first="a_b_c", second="_a_")
@example(first="a\\|b", second="a\\")
@example(first="&lt;b&gt;", second="<b>b</b>")
@example(first="1. a", second="# a")
@example(first="[a](b)", second="![a](b)")
def test_names_in_markdown_are_read_as_they_are(first: str, second: str) -> None:
    """A Markdown program makes a table and a list of the names and nothing else."""
    rows = [Row(first, second, {"Base": Cell(80.0, None, 1)}), Row(first, "z", {"Base": Cell(70.0, None, 1)})]
    table = Table("T", ["Base"], rows)
    table.mark_best({})
    lines = [first, f"{second} x"]
    page = markdown.markdown(
        FORMATS["markdown"](Report("base2new", "accuracy", [table], notes=lines)), extensions=["tables"]
    )
    cells = re.findall(r"<td[^>]*>(.*?)</td>", page)
    entries = re.findall(r"<li>(.*?)</li>", page, flags=re.DOTALL)
    assert [html.unescape(text) for text in cells[:2] + entries] == [first, second, *lines]
    assert cells[2:] == ["<strong>80.00 (n=1)</strong>", "", "z", "70.00 (n=1)"]
    assert not any("<" in text for text in cells[:2] + entries)


def test_names_with_dollars_are_no_formulas_in_figures(tmp_path: Path) -> None:
    for method in ("a$x^$", "$\\frac$"):
        for dataset in ("5$ to 6$", "Digits"):
            base2new_run(tmp_path, method, dataset, "train_base", 80.0)
    plots.save(base2new.build(read_runs(tmp_path), Options()), tmp_path / "plot.svg")
    drawn = (tmp_path / "plot.svg").read_text(encoding="utf-8")
    assert ">5$ to 6$<" in drawn and ">a$x^$<" in drawn and ">$\\frac$<" in drawn


def test_csv_holds_every_figure_at_full_precision(report: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"](report))))
    assert len(rows) == 3 * 2 * 3
    found = {(r["block"], r["method"], r["column"]): r for r in rows}
    base = found["EuroSAT", "MaPLe", "Base"]
    assert float(base["mean"]) == pytest.approx(92.2) and float(base["std"]) == pytest.approx((0.02 / 3) ** 0.5)
    assert (base["n"], base["paper"]) == ("3", "94.07")
    assert found["EuroSAT", "CoOp", "New"]["mean"] == ""


def test_json_holds_everything(report: Report) -> None:
    report.comparison = compare(report, "MaPLe", "CoOp")
    data = json.loads(FORMATS["json"](report))
    assert data["protocol"] == "base2new" and data["std"] == "population" and data["missing"] == report.missing
    rows = {(r["block"], r["method"]): r["cells"] for r in data["tables"][0]["rows"]}
    assert rows["EuroSAT", "CoOp"]["New"] is None
    assert rows["EuroSAT", "MaPLe"]["Base"]["by_seed"] == {"1": 92.1, "2": 92.2, "3": 92.3}
    assert rows["EuroSAT", "MaPLe"]["Base"]["outside_spread"] is True
    assert {entry["quantity"] for entry in data["comparison"]["entries"]} == {"Base", "New", "HM"}


def test_a_wide_table_has_the_papers_figures_below(tmp_path: Path) -> None:
    accuracy = {"ImageNet": 70.0, "Caltech101": 93.0, "OxfordPets": 90.0, "Food101": 86.0, "EuroSAT": 48.06}
    transfer_runs(tmp_path, "MaPLe", "ImageNet", accuracy)
    lines = FORMATS["text"](transfer.build(read_runs(tmp_path), Options(paper=Paper()))).splitlines()
    paper = next(line for line in lines if "· paper" in line)
    assert paper.split() == ["·", "paper", "70.72", "93.53", "90.49", "86.20", "48.06", "–"]


def few_shots(tmp_path: Path) -> Report:
    for shots in (1, 2, 4):
        for seed in (1, 2):
            fewshot_run(tmp_path, "MaPLe", "Digits", shots, 60.0 + shots + seed, seed)
    fewshot_run(tmp_path, "ZeroshotCLIP", "Digits", 1, 55.0, parameters=0, eval_only=True, history=[])
    return fewshot.build(read_runs(tmp_path), Options())


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_plots_in_each_format(report: Report, tmp_path: Path, suffix: str) -> None:
    target = tmp_path / "new" / f"plot{suffix}"
    plots.save(report, target)
    starts = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
    assert target.read_bytes().startswith(starts[suffix])
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_bars_are_as_high_as_the_figures(report: Report) -> None:
    figure = plots.draw(report, "bars")
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["Base", "New", "HM"]
    heights = [round(patch.get_height(), 2) for patch in figure.axes[0].patches]
    assert heights == [75.2, 77.2, 90.2, 92.2, 82.7, 84.7]
    assert len(figure.axes[1].patches) == 4  # CoOp lacks EuroSAT and with it the average
    assert [text.get_text() for text in figure.axes[1].texts] == ["–", "–"]
    plots.plt.close(figure)


def test_few_shot_curves_have_a_line_a_band_and_dashed_zero_shot(tmp_path: Path) -> None:
    figure = plots.draw(few_shots(tmp_path), "curves")
    (ax,) = figure.axes
    by_style = {line.get_linestyle(): list(line.get_ydata()) for line in ax.lines}
    assert by_style == {"--": [55.0, 55.0], "-": [62.5, 63.5, 65.5]}
    assert len(ax.collections) == 1
    plots.plt.close(figure)


def test_training_curves_show_loss_and_accuracy_of_training_runs(report: Report) -> None:
    figure = plots.draw(report, "history")
    assert [ax.get_title(loc="left") for ax in figure.axes] == [
        "DescribableTextures: loss",
        "DescribableTextures: train accuracy",
        "EuroSAT: loss",
        "EuroSAT: train accuracy",
    ]
    assert list(figure.axes[0].lines[0].get_ydata()) == [2.0, 1.0, 2.0 / 3]
    plots.plt.close(figure)


def test_a_radar_needs_three_datasets(report: Report, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least three datasets"):
        plots.draw(report, "radar")
    for method in ("CoOp", "MaPLe"):
        base2new_run(tmp_path, method, "UCF101", "train_base", 80.0)
    figure = plots.draw(base2new.build(read_runs(tmp_path), Options()), "radar")
    assert [ax.name for ax in figure.axes] == ["polar"] * 3
    plots.plt.close(figure)


@pytest.mark.parametrize(("kind", "said"), [("pie", "no such kind"), ("curves", "does not suit base2new")])
def test_plots_that_cannot_be_drawn(report: Report, kind: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        plots.draw(report, kind)


def test_history_and_file_endings_are_checked(report: Report, tmp_path: Path) -> None:
    for runs in report.runs.values():
        for run in runs:
            run.history.clear()
    with pytest.raises(ValueError, match="no run of this report records a training history"):
        plots.draw(report, "history")
    with pytest.raises(ValueError, match=r"\.png, \.svg, \.pdf"):
        plots.save(report, tmp_path / "plot.bmp")


class Reader(HTMLParser):
    """Collects what the page would load or link to, its ids, and checks that its tags are balanced."""

    VOID = {"meta", "input", "br", "link", "img", "path", "use", "rect"}

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        found = dict(attrs)
        self.loads += [found[key] for key in ("src", "xlink:href", "data") if found.get(key)]
        self.links += [found["href"]] if tag == "a" else []
        self.ids += [found["id"]] if "id" in found else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def read_page(report: Report, target: Path, folder: Path) -> tuple[str, Reader]:
    text = page.build(report, target, folder)
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    return text, reader


def test_the_page_is_self_contained_and_links_to_runs(report: Report, tmp_path: Path) -> None:
    target = tmp_path / "pages" / "report.html"
    html, reader = read_page(report, target, tmp_path)
    assert all(load.startswith("#") for load in reader.loads)
    assert not re.search(r"url\((?!#)|@import|<link", html)
    assert len(reader.ids) == len(set(reader.ids))
    runs = [run for group in report.runs.values() for run in group]
    assert len(reader.links) == len(runs) + 1  # one run has a log
    assert all((target.parent / link).resolve().is_file() for link in reader.links)
    assert "12.5 s" in html and "572 MiB" in html and "CoOp · EuroSAT · New" in html


def test_the_page_escapes_what_it_shows(tmp_path: Path) -> None:
    base2new_run(tmp_path, "Ma<b>PLe", "Digits", "train_base", 80.0)
    report = base2new.build(read_runs(tmp_path), Options())
    html, _ = read_page(report, tmp_path / "r.html", tmp_path)
    assert "Ma<b>PLe" not in html and "Ma&lt;b&gt;PLe" in html


def test_pages_of_the_other_protocols(tmp_path: Path) -> None:
    html, _ = read_page(few_shots(tmp_path / "f"), tmp_path / "f.html", tmp_path)
    assert "4-shot" in html and html.count("<figure") == 2
    transfer_runs(tmp_path / "x", "MaPLe", "Digits", {"Digits": 90.0, "Mnist5k": 60.0})
    transfer_runs(tmp_path / "x", "MaPLe", "Mnist5k", {"Digits": 50.0, "Mnist5k": 95.0})
    report = transfer.build(read_runs(tmp_path / "x"), Options())
    html, _ = read_page(report, tmp_path / "x.html", tmp_path)
    assert "Cross-dataset transfer from Digits" in html and "Cross-dataset transfer from Mnist5k" in html


def test_costs_in_words() -> None:
    assert [page.duration(s) for s in (None, 12.52, 185, 7830)] == ["–", "12.5 s", "3 min 05 s", "2 h 10 min"]
    assert [page.memory(b) for b in (None, 600 * 2**20, 3 * 2**29)] == ["–", "600 MiB", "1.50 GiB"]
    assert [page.number(n) for n in (None, 0.01234, 3555072)] == ["–", "0.0123", "3,555,072"]
