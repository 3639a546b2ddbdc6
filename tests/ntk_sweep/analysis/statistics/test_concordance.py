"""Protects Somers' D: against pairs counted one by one, and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau, somersd

from ntk_sweep.analysis.statistics.concordance import permuted_d, somers_d
from ntk_sweep.analysis.statistics.event_times import EventTimes
from ntk_sweep.analysis.statistics.resampling import Resamples, permutations, resample_cells

ROWS = 24


def sample(seed=0, ties=True, censored=True, rows=ROWS):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    times = np.exp(x[:, 0] + rng.normal(size=rows))
    if ties:
        x, times = np.round(x, 1), np.ceil(4 * times) / 4
    budget = rng.choice([0.75, 1.5, 3.0], size=rows) if censored else np.full(rows, np.inf)
    observed = times <= budget
    times = np.where(observed, times, budget)
    if censored:
        times[0], observed[0] = np.inf, False
        x[3, 1] = times[5] = np.nan
        observed[5] = False
    return x, EventTimes(times, observed)


def harrell(x, events, weights=None, strata=None):
    """C over pairs one by one: the first known to come before the second."""
    weights = np.ones(len(x)) if weights is None else weights
    right = total = 0.0
    for one in range(len(x)):
        for two in range(len(x)):
            if not events.observed[one] or np.isnan(x[[one, two]]).any():
                continue
            if strata is not None and strata[one] != strata[two]:
                continue
            before, after = events.times[one], events.times[two]
            if before < after or (before == after and not events.observed[two]):
                weight = weights[one] * weights[two]
                total += weight
                right += weight * (0.5 if x[one] == x[two] else x[one] < x[two])
    return right / total if total else np.nan


@pytest.mark.parametrize("censored", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_d_is_that_of_pairs_counted_one_by_one(seed, censored):
    x, events = sample(seed, censored=censored)
    resamples = resample_cells(np.arange(ROWS) // 3, resamples=20)
    found = somers_d(x, events, resamples)
    for place in range(3):
        assert (1 + found.values[place]) / 2 == pytest.approx(harrell(x[:, place], events))
        for line, weights in zip(found.draws, resamples.of_rows(), strict=True):
            assert (1 + line[place]) / 2 == pytest.approx(harrell(x[:, place], events, weights))


def test_d_within_strata_across_cells():
    x, events = sample()
    strata = np.arange(ROWS) % 4
    resamples = resample_cells(np.arange(ROWS) // 4, resamples=20)
    found = somers_d(x, events, resamples, strata)
    for line, weights in zip(found.draws, resamples.of_rows(), strict=True):
        assert (1 + line[0]) / 2 == pytest.approx(harrell(x[:, 0], events, weights, strata))


def test_a_stratum_drawn_twice_counts_twice():
    x, events = sample(censored=False)
    strata = np.arange(ROWS) // 4
    resamples = resample_cells(strata, resamples=20)
    found = somers_d(x, events, resamples, strata)
    for line, counts in zip(found.draws, resamples.weights, strict=True):
        drawn = np.concatenate(
            [np.flatnonzero(strata == one) for one in np.repeat(range(6), counts)]
        )
        copies = np.repeat(np.arange(6), 4)
        again = EventTimes(events.times[drawn], events.observed[drawn])
        expected = harrell(x[drawn, 0], again, strata=copies)
        assert (1 + line[0]) / 2 == pytest.approx(expected)


def test_without_censoring_it_is_scipys():
    x, events = sample(censored=False)
    found = somers_d(x, events, resample_cells(np.arange(ROWS)))
    for place in range(3):
        assert found.values[place] == pytest.approx(somersd(events.times, x[:, place]).statistic)
    x, events = sample(ties=False, censored=False)
    found = somers_d(x, events, resample_cells(np.arange(ROWS)))
    assert found.values[0] == pytest.approx(kendalltau(x[:, 0], events.times).statistic)


def test_by_hand():
    # Event at 1, censored at 2, event at 3: the pair of the last two is not comparable.
    events = EventTimes(np.array([1.0, 2.0, 3.0]), np.array([True, False, True]))
    x = np.array([[1.0, 1, 3], [2, 1, 1], [3, 0, 2]])
    found = somers_d(x, events, resample_cells(np.arange(3)))
    assert found.values.tolist() == [1.0, -0.5, -1.0]


def test_monotone_maps_and_the_order_of_rows_change_nothing():
    x, events = sample(2)
    resamples = resample_cells(np.arange(ROWS) // 2, resamples=30)
    found = somers_d(x, events, resamples)
    warped = somers_d(np.exp(3 * x), EventTimes(np.log1p(events.times), events.observed), resamples)
    np.testing.assert_allclose(warped.draws, found.draws)
    np.testing.assert_allclose(somers_d(-x, events, resamples).draws, -found.draws)
    order = np.random.default_rng(1).permutation(ROWS)
    shuffled = somers_d(
        x[order],
        EventTimes(events.times[order], events.observed[order]),
        Resamples(resamples.unit[order], resamples.weights, resamples.clusters),
    )
    np.testing.assert_allclose(shuffled.values, found.values)
    np.testing.assert_allclose(shuffled.draws, found.draws)


def test_what_agrees_to_nine_digits_is_a_tie():
    events = EventTimes(np.arange(1.0, 5), np.ones(4, dtype=bool))
    x = 1 + 1e-13 * np.arange(4.0)[:, None]
    assert somers_d(x, events, resample_cells(np.arange(4))).values[0] == 0


@pytest.mark.parametrize(
    "events",
    [
        EventTimes(np.ones(4), np.zeros(4, dtype=bool)),
        EventTimes(np.ones(4), np.ones(4, dtype=bool)),
        EventTimes(np.array([1, 2, np.nan, np.nan]), np.array([True, True, False, False])),
    ],
)
def test_nothing_to_compare_has_no_d(events):
    x = np.arange(4.0)[:, None]
    resamples = resample_cells(np.arange(4))
    assert np.isnan(somers_d(x, events, resamples).values).all()


def test_a_single_tie_among_many_rows_is_not_lost_in_rounding():
    rows = 1500
    x = np.arange(rows, dtype=float)
    events = EventTimes(x + 1, np.ones(rows, dtype=bool))
    x[0] = 1
    five_times = Resamples(np.zeros(rows, dtype=int), np.array([[5]]), 1)
    found = somers_d(x[:, None], events, five_times)
    expected = 1 - 2 / (rows * (rows - 1))
    assert [found.values[0], found.draws[0, 0]] == pytest.approx([expected] * 2, rel=1e-12)


@pytest.mark.parametrize("censored", [False, True])
@pytest.mark.parametrize("strata", [None, np.arange(ROWS) % 2])
def test_permuted_outcomes_have_their_own_d(censored, strata):
    x, events = sample(censored=censored)
    order = permutations(np.arange(ROWS) % 2, count=12)
    nothing = resample_cells(np.arange(ROWS), resamples=1)
    for line, places in zip(permuted_d(x, events, order, strata), order, strict=True):
        moved = EventTimes(events.times[places], events.observed[places])
        np.testing.assert_allclose(line, somers_d(x, moved, nothing, strata).values)


def test_blocks_of_permutations_change_nothing(monkeypatch):
    x, events = sample()
    order = permutations(np.zeros(ROWS), count=12)
    whole = permuted_d(x, events, order)
    monkeypatch.setattr("ntk_sweep.analysis.statistics.concordance.PAIRS", 1)
    np.testing.assert_array_equal(permuted_d(x, events, order), whole)
