"""Intervals and corrections for many candidates, from numbers resampled together.

Every resample gives all candidates' numbers at once, so that their largest deviation can be taken:
max-T (Westfall and Young 1993, Resampling-Based Multiple Testing; Romano and Wolf 2005,
Econometrica 73:1237). Deviations are divided by each candidate's own standard error.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ntk_sweep.analysis.statistics.bootstrap import LEVEL

LEAST_DEFINED = 0.5
"""The share of resamples that must define a number for it to have an interval. A choice."""

LEAST_UNITS = 3
"""Networks for an association, and units for an interval; below, NaN."""


@dataclass(frozen=True)
class Estimates:
    """Numbers with their resamples.

    Attributes:
        values: (numbers,), NaN where not defined.
        draws: (resamples, numbers), of the same resample along a line.
        units: Independent units behind them.
        correlations: Whether they lie in [-1, 1]; deviations are then taken of Fisher's
            z = artanh, whose spread hardly depends on the value (Newson 2006, Stata Journal 6:309).
    """

    values: np.ndarray
    draws: np.ndarray
    units: int
    correlations: bool = True


@dataclass(frozen=True)
class Leads:
    """What the best of several correlations is ahead of each.

    Attributes:
        best: The place of the greatest absolute value; -1 if none is defined.
        values: (numbers,), |best| - |each|, 0 for the best itself.
        low, high: Its band.
        may_be_best: (numbers,), which no other leads significantly.
    """

    best: int
    values: np.ndarray
    low: np.ndarray
    high: np.ndarray
    may_be_best: np.ndarray


def intervals(estimates: Estimates) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % interval of each number by itself, (numbers,) each.

    Estimate ± the 95 % point of the absolute deviation of its resamples. Unlike the percentile
    interval, the estimate lies inside. Few units make it too narrow, so it is widened by
    √(n/(n-1)) t/z (Hesterberg 2015, What Teachers Should Know About the Bootstrap, 3.3).
    """
    deviation = np.abs(_deviations(estimates))
    return _around(estimates, _quantiles(deviation))


def bands(estimates: Estimates) -> tuple[np.ndarray, np.ndarray]:
    """95 % intervals that cover all numbers at once, (numbers,) each.

    The same with the 95 % point of the greatest deviation of all.
    """
    greatest = _greatest(np.abs(_deviations(estimates)))
    return _around(estimates, np.full(len(estimates.values), _quantiles(greatest[:, None])[0]))


def permutation_p(values: np.ndarray, null: np.ndarray) -> np.ndarray:
    """The adjusted p of each number against its values under permutations.

    Each is taken from its mean under the null, which is not 0 where rows stay within strata but are
    compared across them, and divided by its standard deviation. The probability that any true null
    among all is rejected is at most the level.

    Args:
        values: (numbers,).
        null: (permutations, numbers), of the same permutation along a line.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        centre, spread = np.nansum(null, axis=0) / (~np.isnan(null)).sum(axis=0), _sd(null)
        return step_down(np.abs(values - centre) / spread, np.abs(null - centre) / spread)


def step_down(statistics: np.ndarray, null: np.ndarray) -> np.ndarray:
    """Westfall and Young's step-down max-T (1993, Algorithm 4.1).

    The greatest statistic is held against the greatest of all under the null, the next against the
    greatest of the others, and so on; no p is below that of a greater statistic. The sample counts
    as one of the draws, so that no p is 0.

    Args:
        statistics: (numbers,), great against the null; NaN gets NaN.
        null: (draws, numbers).
    """
    result = np.full(len(statistics), np.nan)
    known = np.flatnonzero(~np.isnan(statistics))
    order = known[np.argsort(statistics[known], kind="stable")]
    if not len(order):
        return result
    filled = np.where(np.isnan(null[:, order]), -np.inf, null[:, order])
    greatest = np.maximum.accumulate(filled, axis=1)
    # What agrees to rounding is as extreme.
    reached = greatest >= statistics[order] * (1 - 1e-9)
    p = (1 + reached.sum(axis=0)) / (1 + len(null))
    result[order[::-1]] = np.maximum.accumulate(p[::-1])
    return result


def leads(estimates: Estimates) -> Leads:
    """What the best is ahead of the others: |a| - |b|, simultaneous over all pairs.

    Which is the best is itself read off the sample, so the bands must cover every pair that might
    have been chosen (all pairs, as in Tukey's method; Hsu 1996, Multiple Comparisons).
    """
    size, draws = np.abs(estimates.values), np.abs(estimates.draws)
    count = len(size)
    if np.isnan(size).all():
        nothing = np.full(count, np.nan)
        return Leads(-1, nothing, nothing, nothing, np.zeros(count, dtype=bool))
    first, second = (np.array(side, dtype=int) for side in zip(*_pairs(count), strict=True))
    gaps = Estimates(
        size[first] - size[second], draws[:, first] - draws[:, second], estimates.units, False
    )
    low, high = np.zeros((count, count)), np.zeros((count, count))
    low[first, second], high[first, second] = bands(gaps)
    low[second, first], high[second, first] = -high[first, second], -low[first, second]
    best = int(np.nanargmax(size))
    return Leads(
        best, size[best] - size, low[best], high[best], ~(low > 0).any(axis=0) & ~np.isnan(size)
    )


def _pairs(count: int) -> list[tuple[int, int]]:
    return list(combinations(range(count), 2)) or [(0, 0)]


def widening(units: int) -> float:
    """By how much an interval of few units is widened; 1 for many."""
    from scipy.special import ndtri, stdtrit

    if units < 2:
        return np.nan
    tail = (1 + LEVEL) / 2
    return float(np.sqrt(units / (units - 1)) * stdtrit(units - 1, tail) / ndtri(tail))


def _scaled(estimates: Estimates, values: np.ndarray) -> np.ndarray:
    if not estimates.correlations:
        return values
    # Fisher's transform is infinite at 1: few units cannot tell how near to it a correlation is.
    edge = 1 - 1 / max(estimates.units, 2) ** 2
    return np.arctanh(np.clip(values, -edge, edge))


def _sd(draws: np.ndarray) -> np.ndarray:
    """The standard deviation of each column; NaN where too few draws are defined, or all equal."""
    known = ~np.isnan(draws)
    count = np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, draws - np.where(known, draws, 0).sum(axis=0) / count, 0)
    spread = np.sqrt((centred**2).sum(axis=0) / count)
    fit = (known.mean(axis=0) >= LEAST_DEFINED) & (spread > 1e-12)
    return np.where(fit, spread, np.nan)


def _errors(estimates: Estimates) -> np.ndarray:
    if estimates.units < LEAST_UNITS:
        return np.full(len(estimates.values), np.nan)
    return _sd(_scaled(estimates, estimates.draws))


def _deviations(estimates: Estimates) -> np.ndarray:
    """(draw - value) in standard errors, (resamples, numbers)."""
    centre = _scaled(estimates, estimates.values)
    return (_scaled(estimates, estimates.draws) - centre) / _errors(estimates)


def _greatest(deviations: np.ndarray) -> np.ndarray:
    """The greatest of each line; NaN where none is defined."""
    filled = np.where(np.isnan(deviations), -np.inf, deviations).max(axis=1, initial=-np.inf)
    return np.where(np.isfinite(filled), filled, np.nan)


def _quantiles(deviations: np.ndarray) -> np.ndarray:
    """The 95 % point of each column, over what is defined."""
    return np.array(
        [
            np.quantile(known, LEVEL) if len(known := line[~np.isnan(line)]) else np.nan
            for line in deviations.T
        ]
    )


def _around(estimates: Estimates, reach: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    centre = _scaled(estimates, estimates.values)
    half = reach * _errors(estimates) * widening(estimates.units)
    ends = (centre - half, centre + half)
    if not estimates.correlations:
        return ends
    low, high = map(np.tanh, ends)
    return np.minimum(low, estimates.values), np.maximum(high, estimates.values)
