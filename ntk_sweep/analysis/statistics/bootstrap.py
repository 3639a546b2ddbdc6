"""How far a mean over seeds can be trusted, and which cell is the best: bootstrap over the seeds.

A bootstrap draws as many seeds as there are, with replacement, and takes the mean again (Efron
1979). Up to `ENUMERATED` seeds all draws are enumerated with their probabilities, so that the
result is exact; above, `DRAWS` of them are made by a fixed generator; above `NORMAL` the mean is
taken as normal. Every way the same rows give the same numbers.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations_with_replacement
from math import factorial

import numpy as np
import pandas as pd

LEVEL = 0.95
"""Of every interval."""

ENUMERATED = 6
"""Seeds up to which all n^n draws are taken: they are 462 different ones for six seeds, and 1716
for seven."""

DRAWS = 2000
"""Above; the ends of a 95 % interval then rest on some dozens of draws."""

NORMAL = 2000
"""Seeds above which a mean is taken as normal: a bootstrap would draw the same distribution, with
as many random numbers as there are seeds in every draw, and not fit into memory."""

CONTESTS = 20_000
"""Draws for the probability to be the greatest: its standard deviation is then below 0.4 %, so that
whole percents can be shown."""

_SEED = 2024


@lru_cache(maxsize=64)
def draws(seeds: int) -> tuple[np.ndarray, np.ndarray]:
    """What a bootstrap draws from n seeds.

    Returns:
        How often each seed occurs, over n, (draws, n), so that a product with the values is their
        mean; and the probability of each draw, (draws,).
    """
    if seeds > ENUMERATED:
        counts = np.random.default_rng(_SEED).multinomial(
            seeds, np.full(seeds, 1 / seeds), size=DRAWS
        )
        return counts / seeds, np.full(DRAWS, 1 / DRAWS)
    chosen = list(combinations_with_replacement(range(seeds), seeds))
    counts = np.array([np.bincount(draw, minlength=seeds) for draw in chosen])
    ways = [
        factorial(seeds) / np.prod([factorial(int(count)) for count in line]) for line in counts
    ]
    return counts / seeds, np.array(ways) / float(seeds) ** seeds


def tail(seeds: int) -> float:
    """The part of the draws below a 95 % interval of a mean of n seeds.

    The plain 2.5 % make the interval of few seeds too narrow. The expanded percentile interval
    takes Φ(-√(n/(n-1)) t), where t is the 97.5 % point of Student's t with n - 1 degrees of freedom
    (Hesterberg 2015, What Teachers Should Know About the Bootstrap, 3.3).
    """
    from scipy.special import ndtr, stdtrit

    return float(ndtr(-np.sqrt(seeds / (seeds - 1)) * stdtrit(seeds - 1, (1 + LEVEL) / 2)))


def mean_intervals(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % interval of the mean of each row of `values`, (cells, seeds).

    NaN for one seed, which says nothing of its spread.
    """
    cells, seeds = values.shape
    if seeds < 2:
        return np.full(cells, np.nan), np.full(cells, np.nan)
    if seeds > NORMAL:
        from scipy.special import stdtrit

        half = stdtrit(seeds - 1, (1 + LEVEL) / 2) * values.std(axis=1, ddof=1) / np.sqrt(seeds)
        return values.mean(axis=1) - half, values.mean(axis=1) + half
    shares, probability = draws(seeds)
    means = np.sort(values @ shares.T, axis=1) if seeds > ENUMERATED else None
    below = tail(seeds)
    if means is not None:
        place = int(below * DRAWS)
        return means[:, place], means[:, -1 - place]
    means = values @ shares.T
    order = np.argsort(means, axis=1, kind="stable")
    means, weight = np.take_along_axis(means, order, axis=1), np.cumsum(probability[order], axis=1)
    rows = np.arange(cells)
    return means[rows, (weight <= below).sum(axis=1)], means[
        rows, (weight < 1 - below - 1e-12).sum(axis=1)
    ]


def intervals(table: pd.DataFrame, cell: list[str], column: str) -> pd.DataFrame:
    """The interval of the mean of a column in each cell.

    Args:
        table: One row a network; rows without a value are left out.
        cell: The columns that tell the cells apart.
        column: What the mean is of.

    Returns:
        `low` and `high`, indexed by `cell`.
    """
    known = table.dropna(subset=column).sort_values(cell, kind="stable")
    if not known.duplicated(cell).any():
        return known[cell].assign(low=np.nan, high=np.nan).set_index(cell)
    sizes = known.groupby(cell)[column].transform("size")
    parts = []
    for size, same in known.groupby(sizes, sort=True):
        low, high = mean_intervals(same[column].to_numpy(float).reshape(-1, int(size)))
        parts.append(same[cell].iloc[:: int(size)].assign(low=low, high=high))
    return pd.concat([*parts, known[cell].iloc[:0].assign(low=0.0, high=0.0)]).set_index(cell)


def probability_greatest(values: list[np.ndarray]) -> np.ndarray:
    """The probability of each cell to have the greatest mean.

    Each draws its seeds anew and independently of the others.

    Weights of different widths and depths are independent also for equal seeds, so the cells are
    drawn one by one. Equal means share a win.

    Args:
        values: The seeds' values of each cell.

    Returns:
        NaN for all where a cell that may win has one seed: nothing is known of its spread, and it
        would draw that one every time.
    """
    means = np.array([value.mean() for value in values])
    # Who cannot exceed the worst draw of the best cell can never win: its draws would be made in
    # vain.
    rivals = np.flatnonzero(
        np.array([value.max() for value in values]) >= values[int(means.argmax())].min()
    )
    if any(len(values[place]) < 2 for place in rivals):
        return np.full(len(values), np.nan)
    generator = np.random.default_rng(_SEED)
    greatest, winner = np.full(CONTESTS, -np.inf), np.zeros(CONTESTS, dtype=np.intp)
    ties = []
    for place in rivals:
        own, n = values[place], len(values[place])
        if n > NORMAL:
            drawn = generator.normal(own.mean(), own.std() / np.sqrt(n), CONTESTS)
        else:
            drawn = own[generator.integers(n, size=(CONTESTS, n))].mean(axis=1)
        equal = np.flatnonzero(drawn == greatest)
        ties.append((place, equal, winner[equal]))
        won = drawn > greatest
        greatest[won], winner[won] = drawn[won], place
    # Those that a later mean exceeds count no more.
    held = [(place, equal[winner[equal] == first]) for place, equal, first in ties]
    sharing = np.ones(CONTESTS)
    for _, equal in held:
        sharing[equal] += 1
    wins = np.bincount(winner, weights=1 / sharing, minlength=len(values))
    for place, equal in held:
        wins[place] += (1 / sharing[equal]).sum()
    return wins / CONTESTS
