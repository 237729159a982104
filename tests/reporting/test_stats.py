"""Means, spreads, harmonic means and intervals."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reporting.stats import Cell, average_cell, harmonic_mean, hm_cell, paired_interval, seed_cell

PERCENT = st.floats(0, 100)


@given(PERCENT, PERCENT)
def test_harmonic_mean_lies_between_its_two_figures_and_not_above_their_mean(base: float, new: float) -> None:
    hm = harmonic_mean(base, new)
    assert min(base, new) - 1e-9 <= hm <= (base + new) / 2 + 1e-9
    assert hm == harmonic_mean(new, base)


def test_harmonic_mean_of_nothing_is_nothing() -> None:
    assert harmonic_mean(0.0, 0.0) == 0.0


def test_one_seed_has_no_spread() -> None:
    cell = seed_cell({1: 50.0})
    assert (cell.mean, cell.std, cell.n) == (50.0, None, 1)
    cell.paper = 40.0
    assert cell.difference == 10.0 and not cell.outside_spread


def test_spread_is_the_population_deviation() -> None:
    assert seed_cell({1: 1.0, 2: 3.0}).std == 1.0


def test_harmonic_mean_over_different_seeds_keeps_the_means_and_pairs_what_it_can() -> None:
    cell = hm_cell(seed_cell({1: 80.0, 2: 60.0, 3: 70.0}), seed_cell({2: 50.0, 3: 70.0}))
    assert cell.mean == pytest.approx(2 * 70 * 60 / 130)
    assert set(cell.by_seed) == {2, 3} and cell.n == 2


def test_average_spread_is_that_of_each_seeds_average() -> None:
    cell = average_cell([seed_cell({1: 10.0, 2: 30.0}), seed_cell({1: 50.0, 2: 30.0})])
    assert (cell.mean, cell.std, cell.by_seed) == (30.0, 0.0, {1: 30.0, 2: 30.0})


def test_average_without_a_common_seed_has_no_spread() -> None:
    cell = average_cell([seed_cell({1: 10.0}), seed_cell({2: 30.0})])
    assert (cell.mean, cell.std, cell.n) == (20.0, None, 1)


def test_interval_against_a_table_of_t() -> None:
    # t(0.975, 3 degrees of freedom) = 3.182446; the differences 1, 2, 3, 4 have s = 1.290994
    interval = paired_interval([1.0, 2.0, 3.0, 4.0])
    half = 3.182446 * 1.290994 / math.sqrt(4)
    assert (interval.mean, interval.n) == (2.5, 4)
    assert (interval.low, interval.high) == (pytest.approx(2.5 - half, abs=1e-5), pytest.approx(2.5 + half, abs=1e-5))
    assert interval.decided


def test_interval_around_zero_and_of_a_single_pair() -> None:
    assert not paired_interval([-1.0, 1.0, 0.5]).decided
    single = paired_interval([3.0])
    assert (single.mean, single.low, single.high, single.decided) == (3.0, None, None, False)
    with pytest.raises(ValueError, match="share no dataset and seed"):
        paired_interval([])


def test_an_interval_stays_as_it_was_computed() -> None:
    interval = paired_interval([1.0, 2.0])
    with pytest.raises(FrozenInstanceError):
        interval.low = 0.5


def test_outside_the_spread_is_more_than_one_deviation() -> None:
    assert Cell(80.0, 1.0, 3, paper=78.9).outside_spread
    assert not Cell(80.0, 1.0, 3, paper=79.1).outside_spread
