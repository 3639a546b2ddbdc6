"""The exponent of a power law, with the spread of resampled cells."""

from __future__ import annotations

import numpy as np

from ntk_sweep.analysis.statistics.estimates import LEAST_UNITS, Estimates
from ntk_sweep.analysis.statistics.resampling import Resamples


def log_slopes(
    x: np.ndarray, y: np.ndarray, resamples: Resamples, groups: np.ndarray | None = None
) -> Estimates:
    """Least-squares slopes of log y on log x: k of y ∝ x^k.

    Theil and Sen's median of pairwise slopes would bear outliers, but not the few distinct widths
    of a grid, where most pairs of a resample tie.

    Args:
        x: (rows,), above 0.
        y: (rows, numbers) or (rows,), above 0. Rows where x or y is not, or not finite, are left
            out of that number: an unresolved eigenvalue, say.
        resamples: Of the rows.
        groups: (rows,); each group has an intercept of its own and all share the slope, so that
            depths, say, are not compared.

    Returns:
        Slopes; NaN with fewer than three rows or where x does not vary within a group.
    """
    columns = y[:, None] if y.ndim == 1 else y
    names = (
        np.zeros(len(x), dtype=int)
        if groups is None
        else np.unique(groups, return_inverse=True)[1].ravel()
    )
    weights = np.vstack([np.ones(len(x)), resamples.of_rows()])
    with np.errstate(invalid="ignore", divide="ignore"):
        abscissa, ordinates = np.log(x), np.log(columns)
    slopes = np.column_stack(
        [_slope(abscissa, ordinate, names, weights) for ordinate in ordinates.T]
    )
    return Estimates(slopes[0], slopes[1:], resamples.clusters, correlations=False)


def _slope(x: np.ndarray, y: np.ndarray, names: np.ndarray, weights: np.ndarray) -> np.ndarray:
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() < LEAST_UNITS:
        return np.full(len(weights), np.nan)
    x, y, names, weights = x[known], y[known], names[known], weights[:, known]
    member = (names[:, None] == np.unique(names)).astype(float)
    # About the plain means, so that nothing cancels.
    x, y = (one - (member @ (member.T @ one / member.sum(axis=0))) for one in (x, y))
    count, sum_x, sum_y = (weights @ (member * one[:, None]) for one in (np.ones(len(x)), x, y))
    share = np.divide(1.0, count, out=np.zeros_like(count), where=count > 0)
    spread = weights @ x**2 - (sum_x**2 * share).sum(axis=1)
    common = weights @ (x * y) - (sum_x * sum_y * share).sum(axis=1)
    varies = spread > 1e-12 * (weights @ x**2)
    return np.divide(common, spread, out=np.full(len(weights), np.nan), where=varies & (spread > 0))
