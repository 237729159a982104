"""The arithmetic of the tables: mean and spread over seeds, harmonic mean, averages over datasets, paired intervals.

Accuracies are percentages throughout. The spread is the *population* standard deviation (divided by n, not n - 1):
it is what the parser of the public code prints, so published spreads can be set beside ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, pstdev, stdev


@dataclass
class Cell:
    """One figure of a table.

    Attributes:
        mean: the figure, over seeds.
        std: population standard deviation over seeds; None for fewer than two seeds.
        n: number of seeds behind it.
        by_seed: the figure of each seed.
        paper: the paper's figure where it is asked for and there is one.
        best: whether no other row of the same block and column is better.
    """

    mean: float
    std: float | None
    n: int
    by_seed: dict[int, float] = field(default_factory=dict)
    paper: float | None = None
    best: bool = False

    @property
    def difference(self) -> float | None:
        """Ours minus the paper's."""
        return None if self.paper is None else self.mean - self.paper

    @property
    def outside_spread(self) -> bool:
        """Whether the paper's figure is more than one standard deviation over seeds away (never with one seed)."""
        return self.difference is not None and self.std is not None and abs(self.difference) > self.std


def harmonic_mean(base: float, new: float) -> float:
    """HM = 2 · base · new / (base + new); 0 when both are 0."""
    return 2 * base * new / (base + new) if base + new > 0 else 0.0


def _spread(values: Sequence[float]) -> float | None:
    return pstdev(values) if len(values) > 1 else None


def seed_cell(by_seed: Mapping[int, float]) -> Cell:
    """Mean and spread over seeds; ``by_seed`` maps seed to percentage and is not empty."""
    values = list(by_seed.values())
    return Cell(fmean(values), _spread(values), len(values), dict(by_seed))


def _common(cells: Sequence[Cell]) -> list[int]:
    return sorted(set.intersection(*(set(cell.by_seed) for cell in cells)))


def hm_cell(base: Cell, new: Cell) -> Cell:
    """Harmonic mean of two cells: seeds averaged first, then HM; the spread is that of each seed's own HM."""
    seeds = _common([base, new])
    by_seed = {seed: harmonic_mean(base.by_seed[seed], new.by_seed[seed]) for seed in seeds}
    return Cell(harmonic_mean(base.mean, new.mean), _spread(list(by_seed.values())), min(base.n, new.n), by_seed)


def average_cell(cells: Sequence[Cell]) -> Cell:
    """Average of several datasets' cells: mean of the means; the spread is that of each seed's own average."""
    seeds = _common(cells)
    by_seed = {seed: fmean(cell.by_seed[seed] for cell in cells) for seed in seeds}
    return Cell(
        fmean(cell.mean for cell in cells),
        _spread(list(by_seed.values())),
        len(seeds) if seeds else min(cell.n for cell in cells),
        by_seed,
    )


def whole_average(cells: Sequence[Cell | None]) -> Cell | None:
    """Average of several datasets' cells, None as soon as one is missing: averages over other datasets mislead."""
    present = [cell for cell in cells if cell is not None]
    return average_cell(present) if len(present) == len(cells) else None


def by_pair(cells: Mapping[str, Cell | None]) -> dict[tuple[str | int, ...], float]:
    """The figures of a column's cells by (dataset, seed); ``cells`` maps dataset to cell."""
    return {
        (dataset, seed): value
        for dataset, cell in cells.items()
        if cell is not None
        for seed, value in cell.by_seed.items()
    }


@dataclass(frozen=True)
class Interval:
    """Mean of paired differences and its 95 % interval, in percentage points; bounds are None below two pairs."""

    mean: float
    low: float | None
    high: float | None
    n: int

    @property
    def decided(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def paired_interval(differences: Sequence[float], level: float = 0.95) -> Interval:
    """Student's t interval of the mean of paired differences: mean ± t(n − 1) · s / √n, s with n − 1.

    Args:
        differences: one a − b for each pair, percentage points; at least one.
        level: coverage of the interval.

    Returns:
        The interval.

    Raises:
        ValueError: there is no pair.
    """
    if not differences:
        raise ValueError("no pair to compare: the two methods share no dataset and seed")
    n, mean = len(differences), fmean(differences)
    if n < 2:
        return Interval(mean, None, None, n)
    from scipy.special import stdtrit  # imported here: only a comparison needs it

    half = float(stdtrit(n - 1, 0.5 + level / 2)) * stdev(differences) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n)
