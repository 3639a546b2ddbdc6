"""Protects rank correlations and their resamples: against scipy, ties included."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from ntk_sweep.analysis.statistics import rank_correlation as ranking


def test_many_runs_take_fewer_resamples():
    assert [ranking.resamples_of(count) for count in (1, 5000, 10_000, 20_000, 10**9)] == [
        2000,
        2000,
        1000,
        500,
        500,
    ]


@pytest.mark.parametrize("ties", [False, True])
def test_weighted_ranks_are_those_of_repeated_runs(ties):
    rng = np.random.default_rng(0)
    first, second = (np.round(rng.random(12), 1 if ties else 9) for _ in range(2))
    second[3:6] = math.inf
    weights = rng.integers(0, 4, size=(30, 12)).astype(float)
    rho = ranking.spearman(
        ranking.standardised_ranks(first, weights), ranking.standardised_ranks(second, weights)
    )
    for one, row in zip(rho, weights, strict=True):
        times = row.astype(int)
        assert one == pytest.approx(
            spearmanr(np.repeat(first, times), np.repeat(second, times)).statistic
        )


def test_all_equal_has_no_correlation():
    weights = np.ones((1, 4))
    rho = ranking.spearman(
        ranking.standardised_ranks(np.ones(4), weights),
        ranking.standardised_ranks(np.arange(4.0), weights),
    )
    assert math.isnan(rho[0])
    assert math.isnan(ranking.kendall(np.ones(4), np.arange(4.0)))


def test_whole_networks_are_drawn_as_many_as_there_are():
    networks = np.array([0, 0, 1, 2, 2, 2, 3])
    strata = np.array([0, 0, 0, 0, 0, 0, 1])
    weights = ranking.resample(networks, strata, resamples=400)
    assert weights.shape == (400, 7)
    for runs in ([0, 1], [3, 4, 5]):
        assert (weights[:, runs] == weights[:, runs[:1]]).all()
    assert (weights[:, [0, 2, 3]].sum(axis=1) == 3).all()
    assert (weights[:, 6] == 1).all()
    assert weights[:, 0].mean() == pytest.approx(1.0, abs=0.15)
    assert (ranking.resample(networks, strata, resamples=400) == weights).all()


def test_values_are_told_apart_by_nine_digits():
    assert ranking.rounded(
        np.array([1.0, 1 + 1e-12, 1 + 1e-7, -3e-300, 0.0, math.inf])
    ).tolist() == [
        1.0,
        1.0,
        1.0000001,
        -3e-300,
        0.0,
        math.inf,
    ]
    assert np.isnan(ranking.rounded(np.array([math.nan]))).all()
