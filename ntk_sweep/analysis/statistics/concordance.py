"""Rank association with a time that may be censored: Somers' D.

It is a ratio of sums over pairs of rows. Under resampled weights w such a sum is a quadratic form
wᵀMw, where M, summed over the rows of each unit, is made once: thousands of resamples are one
product.
"""

from __future__ import annotations

import numpy as np

from ntk_sweep.analysis.statistics.estimates import LEAST_UNITS, Estimates
from ntk_sweep.analysis.statistics.event_times import EventTimes
from ntk_sweep.analysis.statistics.rank_correlation import rounded
from ntk_sweep.analysis.statistics.resampling import Resamples

PAIRS = 4_000_000
"""Pairs of rows held at a time while outcomes are permuted: some 80 MB."""


def later(events: EventTimes) -> np.ndarray:
    """Which of two rows is known to come later, (rows, rows).

    1 where the first does, -1 where the second does, 0 where it cannot be told: where both are
    censored, where one is censored before the other's event, where both have the same time, and
    where one is unknown. A run censored at the time of an event is later.
    """
    times, observed = rounded(events.times), np.asarray(events.observed, dtype=bool)
    after = times[:, None] > times[None, :]
    after |= (times[:, None] == times[None, :]) & ~observed[:, None]
    after &= observed[None, :]
    return after.astype(np.int8) - after.T.astype(np.int8)


def greater(values: np.ndarray) -> np.ndarray:
    """The sign of each difference, (rows, rows); 0 for ties and for NaN."""
    own = rounded(values)
    return (own[:, None] > own[None, :]).astype(np.int8) - (own[:, None] < own[None, :])


def somers_d(
    candidates: np.ndarray,
    events: EventTimes,
    resamples: Resamples,
    strata: np.ndarray | None = None,
) -> Estimates:
    """Somers' D of each candidate given the time: 2C - 1, where C is Harrell's concordance.

    C is the share of comparable pairs in which the greater candidate comes later, ties of the
    candidate counted half (Harrell et al. 1982, JAMA 247:2543; Newson 2006, Stata Journal 6:309).
    Comparable are pairs whose order in time is known (`later`). D > 0: the greater, the slower.
    Without ties and censoring D is Kendall's τ. Values that agree to nine digits are ties.

    Args:
        candidates: (rows, candidates); infinity is the greatest. Pairs in which one is NaN are left
            out of that candidate: to compare candidates, first leave out the rows that one lacks.
        events: Of the rows.
        resamples: Of the rows.
        strata: (rows,); only pairs within a stratum are compared, and all of them pooled. If each
            stratum lies within one unit, a unit drawn twice counts as two strata.

    Returns:
        D of every candidate; NaN without a comparable pair, and with fewer than three known rows.
    """
    order = later(events)
    linear = False
    if strata is not None:
        names = np.unique(strata, return_inverse=True)[1].ravel()
        order = order * (names[:, None] == names[None, :])
        crossed = np.unique(np.column_stack([names, resamples.unit]), axis=0)
        linear = len(crossed) == len(np.unique(names))
    forms = _Forms(resamples, linear)
    comparable: dict[bytes, np.ndarray] = {}
    found = []
    for column in candidates.T:
        known = ~np.isnan(column) & ~np.isnan(events.times)
        if known.tobytes() not in comparable:
            pairs = np.abs(order) * (known[:, None] & known[None, :])
            comparable[known.tobytes()] = forms.sum(pairs)
        ratio = _ratio(forms.sum(order * greater(column)), comparable[known.tobytes()])
        found.append(ratio if known.sum() >= LEAST_UNITS else np.full_like(ratio, np.nan))
    return _estimates(found, resamples)


def permuted_d(
    candidates: np.ndarray,
    events: EventTimes,
    order: np.ndarray,
    strata: np.ndarray | None = None,
) -> np.ndarray:
    """Somers' D of each candidate with rearranged outcomes.

    Args:
        candidates: (rows, candidates); NaN as in `somers_d`.
        events: Of the rows.
        order: (permutations, rows), see `ntk_sweep.analysis.statistics.resampling.permutations`.
        strata: (rows,); only pairs within a stratum are compared, as in `somers_d`.

    Returns:
        (permutations, candidates).
    """
    first, second = np.triu_indices(order.shape[1], 1)
    if strata is not None:
        same = strata[first] == strata[second]
        first, second = first[same], second[same]
    signs = later(events).astype(np.float32)
    known = ~np.isnan(candidates)
    above = np.column_stack([greater(column)[first, second] for column in candidates.T])
    above, both = above.astype(np.float32), (known[first] & known[second]).astype(np.float32)
    result: np.ndarray = np.empty((len(order), candidates.shape[1]))
    block = max(1, PAIRS // max(len(first), 1))
    for start in range(0, len(order), block):
        part = order[start : start + block]
        drawn = signs[part[:, first], part[:, second]]
        pairs = np.abs(drawn)
        below = pairs.sum(axis=1, keepdims=True) if known.all() else pairs @ both
        result[start : start + block] = _ratio(drawn @ above, below)
    return result


def _estimates(found: list[np.ndarray], resamples: Resamples) -> Estimates:
    """Of each candidate the sample's number and those of the resamples, in one array."""
    table = np.column_stack(found)
    return Estimates(table[0], table[1:], resamples.clusters)


class _Forms:
    """Sums over pairs of rows, in the sample and under every resample."""

    def __init__(self, resamples: Resamples, linear: bool = False) -> None:
        """Takes the resamples, and whether all pairs lie within a unit."""
        self._linear, self.count = linear, 1 + len(resamples.weights)
        sizes = np.bincount(resamples.unit, minlength=resamples.weights.shape[1])
        most = float((resamples.weights @ sizes).max(initial=0))
        # All sums are of integers, and exact while below 2^24 or 2^53.
        exact = np.float32 if max(most, len(resamples.unit)) ** 2 < 2**24 else np.float64
        self._weights = resamples.weights.astype(exact)
        self._members = (np.arange(len(sizes))[:, None] == resamples.unit).astype(exact)

    def sum(self, matrix: np.ndarray) -> np.ndarray:
        """The sum over all pairs, first in the sample, then in each resample."""
        units = self._members @ matrix.astype(self._members.dtype) @ self._members.T
        drawn = (
            self._weights @ np.diag(units)
            if self._linear
            else (self._weights @ units * self._weights).sum(axis=1)
        )
        return np.r_[float(units.sum()), drawn.astype(float)]


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return above / np.where(below != 0, below, np.nan)
