"""Protects Spearman's ρ and its partial form: against scipy, and a fit of repeated rows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr, rankdata, spearmanr

from ntk_sweep.analysis.statistics.partial_ranks import spearman
from ntk_sweep.analysis.statistics.resampling import resample_cells

ROWS = 40
RNG = np.random.default_rng(0)
GIVEN = np.round(RNG.normal(size=(ROWS, 3)), 1)
X = GIVEN[:, :1] + RNG.normal(size=(ROWS, 3))
Y = GIVEN.sum(axis=1) + X[:, 0] + RNG.normal(size=ROWS)
RESAMPLES = resample_cells(np.arange(ROWS) // 2, resamples=15)


def partial(x, y, given):
    table = np.column_stack([np.ones(len(x)), *map(rankdata, given.T)])
    ranks = np.column_stack([rankdata(x), rankdata(y)])
    left = ranks - table @ np.linalg.lstsq(table, ranks, rcond=None)[0]
    return pearsonr(*left.T).statistic


def test_plain_is_scipys():
    found = spearman(X, Y, RESAMPLES)
    for place in range(3):
        assert found.values[place] == pytest.approx(spearmanr(X[:, place], Y).statistic)


def test_partial_is_that_of_residuals_of_ranks():
    x = X.copy()
    x[:5, 1] = np.nan
    y = np.where(np.max(Y) == Y, np.inf, Y)
    found = spearman(x, y, RESAMPLES, GIVEN)
    for place, known in ((0, np.arange(ROWS)), (1, np.arange(5, ROWS))):
        expected = partial(x[known, place], y[known], GIVEN[known])
        assert found.values[place] == pytest.approx(expected)
        for line, weights in zip(found.draws, RESAMPLES.of_rows(), strict=True):
            rows = np.repeat(known, weights[known])
            assert line[place] == pytest.approx(partial(x[rows, place], y[rows], GIVEN[rows]))


def test_one_covariate_has_a_closed_form():
    xy, xz, yz = (
        spearmanr(*two).statistic
        for two in ((X[:, 0], Y), (X[:, 0], GIVEN[:, 0]), (Y, GIVEN[:, 0]))
    )
    expected = (xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2))
    assert spearman(X, Y, RESAMPLES, GIVEN[:, :1]).values[0] == pytest.approx(expected)


def test_monotone_maps_change_nothing():
    found = spearman(X, Y, RESAMPLES, GIVEN)
    warped = spearman(np.exp(X), Y**3, RESAMPLES, 1 / (10 + GIVEN))
    np.testing.assert_allclose(warped.draws, found.draws, atol=1e-9)


def test_a_covariate_without_variation_or_given_twice_says_nothing_more():
    found = spearman(X, Y, RESAMPLES, GIVEN)
    more = np.column_stack([GIVEN, np.ones(ROWS), GIVEN[:, 0]])
    np.testing.assert_allclose(spearman(X, Y, RESAMPLES, more).draws, found.draws, atol=1e-9)


def test_what_leaves_nothing_is_nan():
    covariate = spearman(GIVEN, Y, RESAMPLES, GIVEN)
    assert np.isnan(covariate.values).all() and np.isnan(covariate.draws).all()
    constant = spearman(np.ones((ROWS, 1)), Y, RESAMPLES)
    assert np.isnan(constant.values[0])
    few = np.full((ROWS, 1), np.nan)
    few[:2] = [[1], [2]]
    assert np.isnan(spearman(few, Y, RESAMPLES).values[0])


def test_resampled_constants_are_no_covariates():
    # A resample may lack all rows in which a covariate differs.
    given = np.zeros((ROWS, 1))
    given[0] = 1
    found = spearman(X, Y, RESAMPLES, given)
    assert not np.isnan(found.draws).any()
