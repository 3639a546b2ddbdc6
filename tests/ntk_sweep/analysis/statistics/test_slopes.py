"""Protects exponents of power laws: against numpy's least squares, with cells resampled."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import linregress

from ntk_sweep.analysis.statistics.estimates import intervals
from ntk_sweep.analysis.statistics.resampling import resample_cells
from ntk_sweep.analysis.statistics.slopes import log_slopes

WIDTH = np.tile(np.repeat([100.0, 200, 400, 800, 1600], 4), 2)
DEPTH = np.repeat([2, 5], 20)
RNG = np.random.default_rng(0)
Y = 3e-7 * DEPTH**5 * WIDTH**0.5 * np.exp(0.1 * RNG.normal(size=40))
RESAMPLES = resample_cells(np.column_stack([WIDTH, DEPTH]), resamples=200)


def test_a_power_law_is_found_exactly():
    y = np.column_stack([5 * WIDTH**-1.5, 1e-300 * WIDTH**2])
    found = log_slopes(WIDTH, y, RESAMPLES)
    assert found.values == pytest.approx([-1.5, 2])
    assert np.nanmax(np.abs(found.draws - [-1.5, 2])) < 1e-9


@pytest.mark.parametrize("groups", [None, DEPTH])
def test_slopes_are_those_of_repeated_rows(groups):
    y = Y.copy()
    y[3], y[7] = np.nan, -1
    found = log_slopes(WIDTH, y, RESAMPLES, groups)
    known = np.flatnonzero(y > 0)
    for slope, weights in zip(found.draws[:30, 0], RESAMPLES.of_rows(), strict=False):
        rows = np.repeat(known, weights[known])
        names = np.zeros(len(rows)) if groups is None else groups[rows]
        table = np.column_stack([np.log(WIDTH[rows]), *(names == one for one in np.unique(names))])
        expected = np.linalg.lstsq(table, np.log(y[rows]), rcond=None)[0][0]
        assert slope == pytest.approx(expected)


def test_one_group_is_scipys_and_the_interval_holds_it():
    found = log_slopes(WIDTH, Y, RESAMPLES, DEPTH)
    (low,), (high,) = intervals(found)
    assert low < 0.5 < high and high - low < 0.3
    only = log_slopes(WIDTH[:20], Y[:20], resample_cells(WIDTH[:20]))
    assert only.values[0] == pytest.approx(linregress(np.log(WIDTH[:20]), np.log(Y[:20])).slope)


def test_units_do_not_matter():
    found, other = log_slopes(WIDTH, Y, RESAMPLES), log_slopes(7 * WIDTH, 1e9 * Y, RESAMPLES)
    np.testing.assert_allclose(other.draws, found.draws)


def test_one_width_has_no_slope():
    assert np.isnan(log_slopes(np.full(40, 100.0), Y, RESAMPLES).values).all()
    assert np.isnan(log_slopes(WIDTH, np.where(WIDTH < 0, Y, np.nan), RESAMPLES).values).all()
