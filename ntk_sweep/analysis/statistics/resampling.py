"""Resamples of cells, and permutations within strata.

Rows of one cell share what is random: activations of one width and depth start from the same normal
draws, and data pairs train the same networks. So a cell is drawn as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
"""Resamples and permutations: the ends of a 95 % interval then rest on 50 resamples each."""

RNG_SEED = 0
"""The same rows give the same intervals."""


@dataclass(frozen=True)
class Resamples:
    """How often each unit is drawn.

    Attributes:
        unit: (rows,), the number of each row's unit.
        weights: (resamples, units), small integers.
        clusters: How many independent units stand behind an interval: of several factors the
            fewest.
    """

    unit: np.ndarray
    weights: np.ndarray
    clusters: int

    def of_rows(self) -> np.ndarray:
        """The weights of rows, (resamples, rows)."""
        return self.weights[:, self.unit]


def resample_cells(
    *factors: np.ndarray, resamples: int = RESAMPLES, seed: int = RNG_SEED
) -> Resamples:
    """Draws cells with replacement, each with all its rows: activations, seeds, pairs.

    Seeds are not drawn again inside a cell: of nested data, drawing the outer level alone comes
    closest to the variance of a mean (Davison and Hinkley 1997, Bootstrap Methods and their
    Application, 3.8). To let each network count once whatever its seeds, take their median first
    (`ntk_sweep.analysis.statistics.event_times.median_times`).

    With several factors each is drawn by itself, and a row weighs the product of its weights: the
    pigeonhole bootstrap of crossed effects (Owen 2007, Annals of Applied Statistics 1:386), which
    is slightly too wide. Cells and data pairs as two factors say what other images would do.

    Args:
        factors: (rows,) each, or (rows, columns) of numbers; equal values, or lines, belong
            together. One factor alone draws jointly all that shares it.
        resamples: How many.
        seed: Of the random numbers.

    Raises:
        ValueError: There is no factor, or no row.
    """
    if not factors or not len(factors[0]):
        raise ValueError(
            f"{len(factors)} factors of no rows were given: rows that are to be drawn need a cell "
            "each."
        )
    rng = np.random.default_rng(seed)
    places, drawn = [], []
    for factor in factors:
        # Names of a table are objects, which numpy sorts only without an axis.
        axis = 0 if factor.ndim > 1 else None
        names, place = np.unique(factor, return_inverse=True, axis=axis)
        places.append(place.ravel())
        drawn.append(
            rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
        )
    together, unit = np.unique(np.column_stack(places), return_inverse=True, axis=0)
    weights = np.ones((resamples, len(together)), dtype=np.int64)
    for column, counts in enumerate(drawn):
        weights *= counts[:, together[:, column]]
    return Resamples(unit.ravel(), weights, min(counts.shape[1] for counts in drawn))


def permutations(
    strata: np.ndarray,
    cells: np.ndarray | None = None,
    count: int = RESAMPLES,
    seed: int = RNG_SEED,
) -> np.ndarray:
    """Rearrangements of outcomes that keep each within its stratum.

    Rows must be exchangeable within a stratum where candidate and outcome have nothing to do with
    each other, so a row is a network, its seeds taken together, and no single run. With `cells`,
    the same rearrangement of cells serves all strata: rows of a cell share their draws, and
    activations moved one by one would lose what they share.

    Args:
        strata: (rows,), equal values are a stratum: the activation, say.
        cells: (rows,), equal values are a cell. Each stratum must then hold each cell once.
        count: How many.
        seed: Of the random numbers.

    Returns:
        (count, rows): the row from which each row takes its outcome.

    Raises:
        ValueError: Strata do not hold each cell once.
    """
    rng = np.random.default_rng(seed)
    result = np.empty((count, len(strata)), dtype=np.intp)
    groups = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    if cells is None:
        for own in groups:
            result[:, own] = own[rng.random((count, len(own))).argsort(axis=1)]
        return result
    names, place = np.unique(cells, return_inverse=True)
    order = rng.random((count, len(names))).argsort(axis=1)
    for own in groups:
        at = place[own]
        if not np.array_equal(np.sort(at), np.arange(len(names))):
            raise ValueError(
                f"A stratum holds {len(own)} rows in {len(np.unique(at))} of {len(names)} cells: "
                "cells are permuted jointly only if every stratum holds each once. Leave out the "
                "cells that are not everywhere, or give no cells."
            )
        result[:, own] = own[np.argsort(at)][order[:, at]]
    return result
