"""Mean and spread of an experiment's seeds.

    python parse_test_res.py output/base2new/test_new/caltech101/shots_16/MaPLe/CFG

prints each seed of the folder, then mean and population standard deviation. A seed's figure comes from its
its record where there is one, else from its newest ``log.txt``.

Exit codes: 0 every seed has a result; 1 a seed has none (it is named, the mean is over the others); 2 no seed has one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from reporting.logs import Experiment, is_count, read_experiment, read_experiments
from reporting.output import exit_code, one_line, show


def parser() -> argparse.ArgumentParser:
    """The argument parser."""
    parse = argparse.ArgumentParser(description="Mean and spread over the seeds of an experiment.")
    parse.add_argument("directory", metavar="DIR", type=Path, help="folder with one subfolder per seed")
    parse.add_argument("--ci95", action="store_true", help="half of the 95 %% interval instead of the deviation")
    parse.add_argument("--test-log", action="store_true", help="the logs are of runs that only tested")
    parse.add_argument("--multi-exp", action="store_true", help="DIR holds several experiments, each with its seeds")
    parse.add_argument("--keyword", default="accuracy", help="accuracy, error, macro_f1, total or correct")
    return parse


def describe(experiment: Experiment, keyword: str, ci95: bool) -> list[str]:
    """One experiment in lines: its seeds, then the summary."""
    unit = "" if is_count(keyword) else "%"
    lines = [f"Parsing {experiment.folder}"]
    for seed in experiment.seeds:
        if seed.value is None:
            lines.append(f"{seed.folder.name}: NO RESULT: {seed.reason}")
        else:
            lines.append(f"{seed.folder.name}: {keyword}: {seed.value:.2f}{unit} ({seed.source})")
    if not experiment.values:
        return [*lines, "===", f"{experiment.folder}: no seed has a result", "==="]
    spread = experiment.half_ci95 if ci95 else experiment.spread
    meaning = "half of the 95 % interval" if ci95 else "population standard deviation"
    absent = len(experiment.seeds) - len(experiment.values)
    without = f", {absent} without a result" if absent else ""
    return [
        *lines,
        "===",
        f"Summary of {experiment.folder}",
        f"* {keyword}: {experiment.mean:.2f}{unit} +- {spread:.2f}{unit}",
        f"mean and {meaning} over {len(experiment.values)} seed(s){without}",
        "===",
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; an error becomes one line on stderr and exit code 2."""
    args = parser().parse_args(argv)
    return exit_code("parse_test_res", lambda: run(args))


def run(args: argparse.Namespace) -> int:
    """Carry out a parsed command line and return the exit code."""
    if args.multi_exp:
        experiments = read_experiments(args.directory, args.keyword, args.test_log)
    else:
        experiments = [read_experiment(args.directory, args.keyword, args.test_log)]
    for experiment in experiments:
        show("".join(f"{one_line(line)}\n" for line in describe(experiment, args.keyword, args.ci95)))
    means = [experiment.mean for experiment in experiments if experiment.values]
    if args.multi_exp and means:
        unit = "" if is_count(args.keyword) else "%"
        average = f"* {args.keyword}: {fmean(means):.2f}{unit}"
        show(f"Average over {len(means)} of {len(experiments)} experiments: {average}\n")
    if not means:
        return 2
    return 1 if any(seed.value is None for experiment in experiments for seed in experiment.seeds) else 0


if __name__ == "__main__":
    sys.exit(main())
