"""Rank correlations with bootstrap intervals that resample whole networks.

A resample is a vector of weights, how often each run was drawn; ranks, their ties included, follow
from sums of weights, so that thousands of resamples are a few passes over one array and no loop.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import kendalltau

from ntk_sweep.analysis.statistics.bootstrap import LEVEL

RESAMPLES = 2000
"""Of the bootstrap: the ends of a 95 % interval then rest on 50 resamples each."""

LEAST_RESAMPLES, MOST_WEIGHTS = 500, 10_000_000
"""Of many runs fewer resamples are drawn, or 20 000 rows would take minutes: an end then rests on a
dozen of them, in an interval that is narrow by itself."""

RNG_SEED = 0
"""Of the bootstrap: the same rows give the same intervals."""

DIGITS = 9
"""Significant digits by which values are told apart: what agrees in these is a tie. Eigenvalues are
computed to a relative error of 1e-9; a learning rate in units of 1/λ_max times λ_max would
otherwise be ranked by its rounding errors."""


def resamples_of(runs: int) -> int:
    """How many resamples of so many runs are drawn."""
    return max(min(RESAMPLES, MOST_WEIGHTS // max(runs, 1)), LEAST_RESAMPLES)


def resample(
    networks: np.ndarray, strata: np.ndarray, resamples: int = RESAMPLES, seed: int = RNG_SEED
) -> np.ndarray:
    """How often each run is drawn.

    Networks are drawn with replacement from each stratum, with all their runs.

    Args:
        networks: An integer for each run, the same for the seeds of a network.
        strata: An integer for each run, the same within a network; as many networks are drawn from
            each as it has.
        resamples: How many.
        seed: Of the random numbers.

    Returns:
        Weights (resamples, runs), small integers.
    """
    rng = np.random.default_rng(seed)
    weights = np.zeros((resamples, len(networks)), dtype=np.uint16)
    for stratum in np.unique(strata):
        own = np.flatnonzero(strata == stratum)
        names, place = np.unique(networks[own], return_inverse=True)
        drawn = rng.integers(len(names), size=(resamples, len(names)))
        counts = np.zeros((resamples, len(names)), dtype=np.uint16)
        np.add.at(counts, (np.arange(resamples)[:, None], drawn), 1)
        weights[:, own] = counts[:, place]
    return weights


def standardised_ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Ranks of the values under each row of weights.

    They are scaled so that the product of two such arrays sums to Spearman's ρ.

    Args:
        values: (runs,); +inf may occur, and equal values share their mean rank.
        weights: (resamples, runs), 0 for a run that was not drawn.

    Returns:
        √w (r - mean r) / norm, (resamples, runs); NaN where all drawn values are equal.
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    first = np.r_[True, ordered[1:] != ordered[:-1]]
    drawn = weights[:, order]
    counts = np.add.reduceat(drawn, np.flatnonzero(first), axis=1)
    middle = np.cumsum(counts, axis=1) - counts / 2
    ranks = middle[:, np.cumsum(first) - 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        ranks -= (drawn * ranks).sum(axis=1, keepdims=True) / drawn.sum(axis=1, keepdims=True)
        ranks *= np.sqrt(drawn)
        norm = np.sqrt((ranks**2).sum(axis=1, keepdims=True))
        # What is left of equal ranks by rounding is no order.
        ranks /= np.where(norm > 1e-9 * len(values), norm, np.nan)
    result = np.empty_like(ranks)
    result[:, order] = ranks
    return result


def spearman(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Spearman's ρ for each resample, from two arrays of `standardised_ranks`."""
    return np.einsum("ij,ij->i", first, second)


def kendall(first: np.ndarray, second: np.ndarray) -> float:
    """Kendall's τ-b; NaN where one of the two has all values equal."""
    if len(first) < 2 or (first == first[0]).all() or (second == second[0]).all():
        return float("nan")
    return float(kendalltau(first, second).statistic)


def interval(values: np.ndarray) -> tuple[float, float]:
    """The ends of the percentile interval.

    Resamples without a value are left out, and NaN comes of none.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return np.nan, np.nan
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def rounded(values: np.ndarray) -> np.ndarray:
    """The values to `DIGITS` significant digits."""
    result = np.array(values, dtype=float)
    known = np.isfinite(result) & (result != 0)
    scale = 10.0 ** (DIGITS - 1 - np.floor(np.log10(np.abs(result[known]))))
    result[known] = np.round(result[known] * scale) / scale
    return result
