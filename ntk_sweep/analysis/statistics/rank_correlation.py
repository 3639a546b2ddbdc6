"""Ranks under the weights of resamples, and what counts as a tie.

A resample is a vector of weights, how often each row was drawn; ranks, their ties included, follow
from sums of weights, so that thousands of resamples are a few passes over one array and no loop.
"""

from __future__ import annotations

import numpy as np

DIGITS = 9
"""Significant digits by which values are told apart: what agrees in these is a tie. Eigenvalues are
computed to a relative error of 1e-9; a learning rate in units of 1/λ_max times λ_max would
otherwise be ranked by its rounding errors."""


def standardised_ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Ranks of the values under each row of weights.

    They are scaled so that the product of two such arrays sums to Spearman's ρ.

    Args:
        values: (runs,); +inf may occur, and equal values share their mean rank.
        weights: (resamples, runs), how often each was drawn.

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
        # Weights are whole numbers, so that equal ranks leave exactly 0 of each other.
        ranks /= np.sqrt((ranks**2).sum(axis=1, keepdims=True))
    result = np.empty_like(ranks)
    result[:, order] = ranks
    return result


def rounded(values: np.ndarray) -> np.ndarray:
    """The values to `DIGITS` significant digits."""
    result = np.array(values, dtype=float)
    known = np.isfinite(result) & (result != 0)
    scale = 10.0 ** (DIGITS - 1 - np.floor(np.log10(np.abs(result[known]))))
    result[known] = np.round(result[known] * scale) / scale
    return result
