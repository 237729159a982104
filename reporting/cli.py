"""The command line: ``python -m reporting PROTOCOL OUTPUT_DIR``.

Exit codes: 0 the report was made; 1 with ``--strict``, something in it is missing, incomplete or unusable;
2 there is nothing to report, or the command line is wrong, or a file cannot be written; 141 the reader of a pipe went.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from configs.method import PROTOCOLS
from reporting import base2new, fewshot, transfer
from reporting.compare import compare
from reporting.options import Options
from reporting.output import exit_code, show, write_whole
from reporting.paper import Paper
from reporting.records import RunTree, read_runs
from reporting.render import FORMATS, SUFFIXES, remarks
from reporting.report import Report


def parser() -> argparse.ArgumentParser:
    """The argument parser."""
    parse = argparse.ArgumentParser(
        prog="python -m reporting", description="Tables, plots and a report page from the run records below a folder."
    )
    parse.add_argument("protocol", choices=PROTOCOLS, help="which of the paper's protocols to report")
    parse.add_argument("folder", metavar="OUTPUT_DIR", type=Path, help="the folder with the runs, searched throughout")
    parse.add_argument("--methods", nargs="+", metavar="NAME", help="methods to show, in this order")
    parse.add_argument("--datasets", nargs="+", metavar="NAME", help="datasets to show and average over")
    parse.add_argument("--format", choices=list(FORMATS), help="format of the table (default: text)")
    parse.add_argument(
        "--output",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="also write the table, format by its ending; may be repeated",
    )
    parse.add_argument("--against", choices=["paper"], help="set the paper's figures beside ours")
    parse.add_argument("--strict", action="store_true", help="exit code 1 when anything is missing or unusable")
    parse.add_argument("--hm-of", choices=["averages", "datasets"], default="averages", help="HM of the average row")
    parse.add_argument("--split", default="test", help="the split whose metrics count (default: test)")
    parse.add_argument("--metric", choices=["accuracy", "macro_f1"], default="accuracy", help="default: accuracy")
    parse.add_argument("--source", metavar="NAME", help="xd, dg: dataset a model was trained on, if nothing tells")
    parse.add_argument("--compare", nargs=2, metavar=("A", "B"), help="A minus B, paired, with a 95 %% interval")
    parse.add_argument(
        "--plot",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="draw to .png, .svg or .pdf; may be repeated",
    )
    parse.add_argument("--plot-kind", metavar="KIND", help="bars, radar, curves or history (default: by protocol)")
    parse.add_argument("--html", type=Path, metavar="FILE", help="write one self-contained page with everything")
    return parse


def make_report(args: argparse.Namespace, tree: RunTree) -> Report:
    """Build the report that the arguments ask for."""
    options = Options(
        methods=args.methods,
        datasets=args.datasets,
        split=args.split,
        metric=args.metric,
        hm_of=args.hm_of,
        source=args.source,
        paper=Paper() if args.against == "paper" else None,
    )
    if args.protocol in ("xd", "dg"):
        report = transfer.build(tree, options, domain=args.protocol == "dg")
    elif args.protocol == "fewshot":
        report = fewshot.build(tree, options)
    else:
        report = base2new.build(tree, options, ablation=args.protocol == "ablation")
    if args.compare:
        report.comparison = compare(report, *args.compare)
    return report


def _check(args: argparse.Namespace, tree: RunTree) -> None:
    """Refuse what cannot be answered, before anything is computed."""
    if not tree.runs:
        found = f"; unusable: {'; '.join(tree.problems)}" if tree.problems else ""
        raise ValueError(
            f"{tree.root}: no usable run record below this folder; give the folder that holds the runs, "
            f"e.g. output/base2new{found}"
        )
    for flag, asked, known in (
        ("--methods", args.methods, {run.method for run in tree.runs}),
        ("--datasets", args.datasets, {run.dataset for run in tree.runs}),
    ):
        unknown = sorted(set(asked or []) - known)
        if unknown:
            raise ValueError(
                f"{flag} {' '.join(unknown)}: no such run in {tree.root}; there are: {', '.join(sorted(known))}"
            )
    if args.against and args.metric != "accuracy":
        raise ValueError(f"--against paper with --metric {args.metric}: the paper prints accuracy only")


def run(args: argparse.Namespace) -> int:
    """Carry out a parsed command line and return the exit code."""
    for path in args.output:
        if args.format is None and path.suffix.lower() not in SUFFIXES:
            raise ValueError(f"--output {path}: give --format, or one of the endings {', '.join(SUFFIXES)}")
    tree = read_runs(args.folder)
    _check(args, tree)
    report = make_report(args, tree)
    if args.format and args.output:
        shown = None  # one format into files; without --format the table is printed as well
    else:
        shown = args.format or "text"
        show(FORMATS[shown](report))
    if shown in (None, "csv"):
        for heading, lines in remarks(report):
            print(f"{heading}: " + "; ".join(lines), file=sys.stderr)
    for path in args.output:
        write_whole(path, FORMATS[args.format or SUFFIXES[path.suffix.lower()]](report))
    if args.plot:
        from reporting import plots  # matplotlib is slow to import

        for path in args.plot:
            plots.save(report, path, args.plot_kind)
    if args.html:
        from reporting import page  # draws, so it needs matplotlib as well

        write_whole(args.html, page.build(report, args.html, args.folder, args.split))
    return 1 if args.strict and not report.is_whole else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; errors become one line on stderr and exit code 2."""
    args = parser().parse_args(argv)
    return exit_code("reporting", lambda: run(args))
