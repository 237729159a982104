"""Is one method better than another? Paired differences with a 95 % interval."""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean

from reporting.report import NOT_STATED, Comparison, Pair, Report
from reporting.stats import paired_interval


def compare(report: Report, first: str, second: str) -> Comparison:
    """Compare two rows of a report, paired over (dataset, seed).

    Seeds of one dataset share its images, so those pairs are not independent and their interval is on the narrow
    side; a second interval over datasets alone, seeds averaged, is given beside it where there are several. A
    zero-shot row has one figure per dataset, which is paired with every seed of the other.

    Args:
        report: the report, whose ``samples`` are compared.
        first: row label, or method where it has one row.
        second: the same for the method that is subtracted.

    Returns:
        The comparison, of every quantity that both rows have.

    Raises:
        ValueError: a row does not exist, is ambiguous, or the two share no pair.
    """
    a, b = _label(report, first), _label(report, second)
    if a == b:
        raise ValueError(f"--compare: both names mean the row '{a}'; name two different ones")
    comparison = Comparison(a, b, [])
    boards = [report.boards.get(label) or NOT_STATED for label in (a, b)]
    if boards[0] != boards[1]:
        comparison.notes.append(f"not of one board: '{a}' is {boards[0]}, '{b}' {boards[1]}")
    for quantity, by_label in report.samples.items():
        left, right = by_label.get(a, {}), by_label.get(b, {})
        if not left or not right:
            continue
        pairs, alone = _pair(left, right, a in report.seedless, b in report.seedless)
        if alone:
            comparison.notes.append(f"{quantity}: {alone} figures have no partner with the same dataset and seed")
        if not pairs:
            continue
        comparison.entries.append((quantity, "(dataset, seed)", paired_interval(list(pairs.values()))))
        by_dataset: dict[object, list[float]] = defaultdict(list)
        for (dataset, *_), difference in pairs.items():
            by_dataset[dataset].append(difference)
        if len(by_dataset) > 1:
            means = [fmean(differences) for differences in by_dataset.values()]
            comparison.entries.append((quantity, "datasets, seeds averaged", paired_interval(means)))
    if not comparison.entries:
        raise ValueError(f"--compare: '{a}' and '{b}' have no dataset and seed in common")
    return comparison


def _label(report: Report, name: str) -> str:
    known = list(report.runs)
    if name in known:
        return name
    found = [label for label, runs in report.runs.items() if runs and runs[0].method == name]
    if len(found) == 1:
        return found[0]
    reason = "is the name of several rows" if found else "is no row of this table"
    raise ValueError(f"--compare {name}: {reason}; the rows are: {', '.join(repr(label) for label in known)}")


def _pair(
    left: dict[Pair, float], right: dict[Pair, float], left_seedless: bool, right_seedless: bool
) -> tuple[dict[Pair, float], int]:
    """Differences by pair, and how many figures of either side have no partner."""
    left, right = (
        _spread_out(left, right) if left_seedless and not right_seedless else left,
        _spread_out(right, left) if right_seedless and not left_seedless else right,
    )
    common = [pair for pair in left if pair in right]
    return {pair: left[pair] - right[pair] for pair in common}, len(left) + len(right) - 2 * len(common)


def _spread_out(seedless: dict[Pair, float], other: dict[Pair, float]) -> dict[Pair, float]:
    """One figure per dataset, repeated for every seed the other side has of it."""
    by_dataset: dict[object, list[float]] = defaultdict(list)
    for (dataset, *_), value in seedless.items():
        by_dataset[dataset].append(value)
    return {pair: fmean(by_dataset[pair[0]]) for pair in other if pair[0] in by_dataset}
