"""Spearman's ρ of what is not censored, also given covariates, resampled by cells."""

from __future__ import annotations

import numpy as np

from ntk_sweep.analysis.statistics.estimates import LEAST_UNITS, Estimates
from ntk_sweep.analysis.statistics.rank_correlation import rounded, standardised_ranks
from ntk_sweep.analysis.statistics.resampling import Resamples

LEAST_LEFT = 1e-9
"""Of the variance of ranks, what must remain after the covariates; less is rounding."""


def spearman(
    candidates: np.ndarray,
    outcome: np.ndarray,
    resamples: Resamples,
    covariates: np.ndarray | None = None,
) -> Estimates:
    """Spearman's ρ of each candidate and the outcome; given covariates, the partial ρ.

    The partial ρ is Pearson's correlation of what is left of both ranks after a least-squares fit
    on the ranks of the covariates (Conover 1999, Practical Nonparametric Statistics, 5.4; Kim 2015,
    Communications for Statistical Applications and Methods 22:665). Ranks are taken anew in every
    resample. Values that agree to nine digits are ties; infinity is the greatest.

    Args:
        candidates: (rows, candidates). Rows with NaN are left out of that candidate.
        outcome: (rows,), NaN likewise.
        resamples: Of the rows.
        covariates: (rows, covariates), NaN likewise. One that never varies says nothing.

    Returns:
        NaN where candidate or outcome do not vary, where the covariates leave nothing of them, and
        with fewer than three known rows.
    """
    given = np.empty((len(outcome), 0)) if covariates is None else covariates
    usable = ~np.isnan(outcome) & ~np.isnan(given).any(axis=1)
    weights = np.vstack([np.ones(len(outcome)), resamples.of_rows()])
    found: np.ndarray = np.full((len(weights), candidates.shape[1]), np.nan)
    masks = usable[:, None] & ~np.isnan(candidates)
    for known in np.unique(masks, axis=1).T:
        if known.sum() < LEAST_UNITS:
            continue
        own = weights[:, known]
        fixed = [
            *(np.nan_to_num(_ranks(column[known], own)) for column in given.T),
            _ranks(outcome[known], own),
        ]
        gram = np.empty((len(own), len(fixed) + 1, len(fixed) + 1))
        _fill(gram, fixed)
        for place in np.flatnonzero((masks == known[:, None]).all(axis=0)):
            _fill(gram, [*fixed, _ranks(candidates[known, place], own)], len(fixed))
            found[:, place] = partial_correlation(gram)
    return Estimates(found[0], found[1:], resamples.clusters)


def partial_correlation(gram: np.ndarray) -> np.ndarray:
    """The correlation of the last two variables given the others.

    Args:
        gram: (resamples, variables, variables), of products of the variables.

    Returns:
        (resamples,), NaN where the others leave nothing of one of the two.
    """
    pair, rest = gram[:, -2:, -2:], gram[:, :-2, :-2]
    if rest.shape[1]:
        scale = np.sqrt(np.einsum("ijj->ij", rest))
        scale = np.where(scale > 0, scale, 1)
        between = gram[:, :-2, -2:] / scale[:, :, None]
        inverse = np.linalg.pinv(
            rest / scale[:, :, None] / scale[:, None, :], rcond=LEAST_LEFT, hermitian=True
        )
        left = pair - np.swapaxes(between, 1, 2) @ inverse @ between
    else:
        left = pair
    sizes = np.einsum("ijj->ij", left)
    with np.errstate(invalid="ignore"):
        known = (sizes > LEAST_LEFT * np.einsum("ijj->ij", pair)).all(axis=1)
    norm = np.sqrt(np.where(known[:, None], sizes, np.nan).prod(axis=1))
    return np.clip(left[:, 0, 1] / norm, -1, 1)


def _ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return standardised_ranks(rounded(values), weights)


def _fill(gram: np.ndarray, variables: list[np.ndarray], start: int = 0) -> None:
    for row in range(start, len(variables)):
        for other in range(row + 1):
            gram[:, row, other] = gram[:, other, row] = np.einsum(
                "ij,ij->i", variables[row], variables[other]
            )
