"""Protects ranks under weights: against scipy, ties included."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from ntk_sweep.analysis.statistics import rank_correlation as ranking


@pytest.mark.parametrize("ties", [False, True])
def test_weighted_ranks_are_those_of_repeated_runs(ties):
    rng = np.random.default_rng(0)
    first, second = (np.round(rng.random(12), 1 if ties else 9) for _ in range(2))
    second[3:6] = math.inf
    weights = rng.integers(0, 4, size=(30, 12)).astype(float)
    rho = (
        ranking.standardised_ranks(first, weights) * ranking.standardised_ranks(second, weights)
    ).sum(axis=1)
    for one, row in zip(rho, weights, strict=True):
        times = row.astype(int)
        assert one == pytest.approx(
            spearmanr(np.repeat(first, times), np.repeat(second, times)).statistic
        )


def test_all_equal_has_no_correlation():
    weights = np.array([[1.0, 3, 7, 11, 0]])
    assert np.isnan(ranking.standardised_ranks(np.array([1.0, 1, 1, 1, 2]), weights)).all()


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
