"""Protects intervals and corrections for many: by hand, and by what they cover when simulated."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import false_discovery_control, norm

from ntk_sweep.analysis.statistics.concordance import permuted_d, somers_d
from ntk_sweep.analysis.statistics.estimates import (
    Estimates,
    bands,
    intervals,
    leads,
    permutation_p,
    step_down,
    widening,
)
from ntk_sweep.analysis.statistics.event_times import EventTimes
from ntk_sweep.analysis.statistics.partial_ranks import spearman
from ntk_sweep.analysis.statistics.resampling import permutations, resample_cells

RNG = np.random.default_rng(0)
MANY = 200_000


def normal(values, units=10**6, covariance=None):
    covariance = np.eye(len(values)) if covariance is None else covariance
    draws = RNG.multivariate_normal(values, covariance, size=MANY)
    return Estimates(np.array(values, dtype=float), draws, units, correlations=False)


def test_an_interval_of_normal_draws_is_the_normal_one():
    low, high = intervals(normal([5.0]))
    assert [low[0], high[0]] == pytest.approx([5 - 1.96, 5 + 1.96], abs=0.02)


def test_bands_of_independent_numbers_are_sidaks():
    low, high = bands(normal(np.zeros(10)))
    sidak = norm.ppf((1 + 0.95 ** (1 / 10)) / 2)
    assert high == pytest.approx(np.full(10, sidak), rel=0.02) and low == pytest.approx(-high)


def test_bands_of_equal_numbers_are_intervals():
    one = normal([0.3])
    same = Estimates(np.repeat(one.values, 4), np.repeat(one.draws, 4, axis=1), one.units, False)
    np.testing.assert_allclose(bands(same), intervals(same))


def test_few_units_widen():
    assert widening(10**6) == pytest.approx(1, abs=1e-4)
    assert widening(5) == pytest.approx(2.7764 / 1.9600 * np.sqrt(5 / 4), rel=1e-3)
    few = Estimates(np.zeros(1), RNG.normal(size=(500, 1)), 2, correlations=False)
    assert np.isnan(intervals(few)).all()


def test_correlations_stay_within_their_range_and_hold_the_estimate():
    draws = np.tanh(RNG.normal(2.0, 0.8, size=(3000, 1)))
    (low,), (high,) = intervals(Estimates(np.array([0.97]), draws, 50))
    assert -1 < low < 0.97 < high < 1


def test_the_edge_of_fishers_scale_is_one_over_the_square_of_the_units():
    draws = (np.arange(100) < 10).astype(float)[:, None]
    _, (high,) = intervals(Estimates(np.zeros(1), draws, 10))
    assert high == pytest.approx(np.tanh(widening(10) * np.arctanh(0.99)))


def test_an_interval_needs_half_of_the_resamples():
    draws = np.column_stack([RNG.normal(size=100)] * 2)
    draws[:50, 0] = draws[:51, 1] = np.nan
    low, _ = intervals(Estimates(np.zeros(2), draws, 50, False))
    assert np.isnan(low).tolist() == [False, True]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_few_networks_have_no_numbers(rows):
    x = np.column_stack([np.arange(rows), np.full(rows, np.nan)]).astype(float)
    events = EventTimes(x[:, 0] + 1, np.ones(rows, dtype=bool))
    resamples = resample_cells(np.arange(rows))
    null = permuted_d(x, events, permutations(np.zeros(rows), count=50))
    for found in (somers_d(x, events, resamples), spearman(x, events.last(), resamples)):
        assert np.isnan(found.values).tolist() == [rows < 3, True]
        p = permutation_p(found.values, null)
        for line in (*intervals(found), *bands(found), p):
            assert np.isnan(line[1]) and (rows == 3 or np.isnan(line[0]))
        assert leads(found).best == (0 if rows == 3 else -1)


def test_undefined_numbers_do_not_touch_the_others():
    one = normal([0.4, 1.0])
    draws = np.column_stack(
        [one.draws, np.full(MANY, np.nan), np.where(np.arange(MANY) % 5, np.nan, 1)]
    )
    more = Estimates(np.array([0.4, 1.0, np.nan, 1.0]), draws, one.units, False)
    for of in (intervals, bands):
        for found, expected in zip(of(more), of(one), strict=True):
            np.testing.assert_array_equal(found, [*expected, np.nan, np.nan])
    assert leads(more).best == 1


def test_step_down_by_hand():
    null = np.array([[1.0, 0, 3], [2, 5, 0], [0, 1, 1], [4, 0, 0]])
    # The greatest, 4.5, against 3 5 1 4; then 3 against 3 2 1 4; then 2 against 3 0 1 0, but no
    # less than the one before.
    found = step_down(np.array([3.0, 4.5, 2.0]), null)
    assert found == pytest.approx([3 / 5, 2 / 5, 3 / 5])


def test_one_number_has_its_plain_p():
    null = RNG.normal(size=(999, 1))
    null -= null.mean()
    expected = (1 + (np.abs(null) >= 1.5).sum()) / 1000
    assert permutation_p(np.array([1.5]), null)[0] == pytest.approx(expected)
    assert permutation_p(np.array([8.5]), 7 + 3 * null)[0] == pytest.approx(
        (1 + (np.abs(null) >= 0.5).sum()) / 1000
    )


def test_p_of_independent_numbers_is_holms():
    z = np.array([3.4, 2.9, 2.2, 0.5, 1.0])
    raw = 2 * norm.sf(np.sort(z)[::-1])
    holm = np.maximum.accumulate([1 - (1 - p) ** (5 - place) for place, p in enumerate(raw)])
    found = permutation_p(z, RNG.normal(size=(MANY, 5)))
    assert np.sort(found) == pytest.approx(holm, abs=0.01)
    assert (found >= false_discovery_control(2 * norm.sf(z)) - 0.01).all()


def test_who_leads():
    found = leads(normal([0.5, -9.0, 8.0, 2.0], covariance=0.01 * np.eye(4)))
    assert found.best == 1
    assert found.values == pytest.approx([8.5, 0, 1, 7])
    assert found.low[1] == found.high[1] == 0
    assert (found.low <= found.values).all() and (found.values <= found.high).all()
    assert found.may_be_best.tolist() == [False, True, False, False]
    wide = leads(normal([0.5, -9.0, 8.0, 2.0], covariance=np.eye(4)))
    assert wide.may_be_best.tolist() == [False, True, True, False]


def test_nobody_and_one_alone():
    draws = RNG.uniform(0.2, 0.4, size=(100, 1))
    alone = leads(Estimates(np.array([0.3]), draws, 20))
    assert (alone.best, alone.values.tolist(), alone.may_be_best.tolist()) == (0, [0.0], [True])
    nobody = leads(Estimates(np.full(2, np.nan), np.full((100, 2), np.nan), 20))
    assert nobody.best == -1 and not nobody.may_be_best.any()


def grid(rng, signal, cells=25, acts=3, numbers=6):
    """Activations share half of the variance in each cell; two fifths are censored."""
    cell, act = np.tile(np.arange(cells), acts), np.repeat(np.arange(acts), cells)
    shared = rng.normal(size=(cells, numbers + 1))[cell]
    table = shared + rng.normal(size=(cells * acts, numbers + 1))
    x, y = table[:, :numbers], table[:, numbers] + signal * table[:, 0]
    return cell, act, x, EventTimes(np.minimum(y, 0.5), y <= 0.5)


@pytest.mark.slow
def test_simulated_intervals_and_bands_cover():
    rng = np.random.default_rng(7)
    truth = somers_d(
        *grid(rng, 1.0, cells=1000)[2:], resample_cells(np.zeros(3000), resamples=1)
    ).values
    covered, all_covered, rounds = np.zeros(6), 0, 200
    for turn in range(rounds):
        cell, _, x, events = grid(rng, 1.0)
        found = somers_d(x, events, resample_cells(cell, resamples=400, seed=turn))
        low, high = intervals(found)
        covered += (low <= truth) & (truth <= high)
        low, high = bands(found)
        all_covered += ((low <= truth) & (truth <= high)).all()
    # Two standard errors of 200 rounds are 3 %; the truth itself is known to 0.02.
    assert (covered / rounds > 0.9).all() and covered.mean() / rounds > 0.925
    assert all_covered / rounds > 0.915


@pytest.mark.slow
def test_simulated_permutations_reject_a_true_null_no_more_than_they_say():
    rng = np.random.default_rng(8)
    jointly, alone, rounds = 0, 0, 200
    for turn in range(rounds):
        cell, act, x, events = grid(rng, 0.0)
        d = somers_d(x, events, resample_cells(cell, resamples=1)).values
        p = [
            permutation_p(d, permuted_d(x, events, permutations(act, cells, 200, turn))).min()
            for cells in (cell, None)
        ]
        jointly, alone = jointly + (p[0] <= 0.05), alone + (p[1] <= 0.05)
    assert jointly / rounds < 0.09, "0.05 and two and a half standard errors"
    assert alone > 2 * jointly, "activations share draws: one by one they say too much"


@pytest.mark.slow
def test_simulated_partial_intervals_cover_zero_where_a_covariate_is_the_cause():
    rng = np.random.default_rng(9)
    held, plain, rounds = 0, 0, 200
    for turn in range(rounds):
        z = rng.normal(size=(60, 1))
        x, y = z + rng.normal(size=(60, 1)), z[:, 0] + rng.normal(size=60)
        resamples = resample_cells(np.arange(60), resamples=400, seed=turn)
        low, high = intervals(spearman(x, y, resamples, z))
        held += (low <= 0 <= high).all()
        low, high = intervals(spearman(x, y, resamples))
        plain += (low <= 0 <= high).all()
    assert held / rounds > 0.91 and plain / rounds < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("cells", [4, 6, 12])
def test_simulated_intervals_of_strong_associations_cover_and_tell_something(cells):
    """Resamples of few cells often hold an association of 1, where Fisher's scale is infinite."""

    def drawn(rng, cells):
        cell = np.tile(np.arange(cells), 4)
        rate, noise = (rng.normal(size=cells)[cell] + rng.normal(size=4 * cells) for _ in range(2))
        times, limit = np.exp(-rate), np.quantile(np.exp(-rate), 0.75)
        events = EventTimes(np.minimum(times, limit), times <= limit)
        return (rate + 0.2 * noise)[:, None], events, cell

    rng = np.random.default_rng(1)
    x, events, cell = drawn(rng, 300)
    true = somers_d(x, events, resample_cells(cell, resamples=1)).values[0]
    ends = []
    for turn in range(200):
        x, events, cell = drawn(rng, cells)
        found = somers_d(x, events, resample_cells(cell, resamples=400, seed=turn))
        ends.append(np.concatenate(intervals(found)))
    low, high = np.array(ends)[~np.isnan(ends).any(axis=1)].T
    assert true < -0.85
    assert len(low) > 180, "others are -1 in every resample"
    assert ((low <= true) & (true <= high)).mean() > 0.9
    assert (high - low).mean() < 0.8
