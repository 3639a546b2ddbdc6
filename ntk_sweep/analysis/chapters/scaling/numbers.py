"""Slopes of log λ_min over log width and over depth, beside those of the limit and of the laws.

A point of a fit is the mean over seeds of log λ_min in a cell whose seeds are all resolved.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.scaling.laws import Inputs, coefficients, exponent
from ntk_sweep.analysis.rows.activations import by_activation
from ntk_sweep.analysis.rows.quantities import LAMBDA_MIN, LIMIT_LAMBDA_MIN, trusted
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.statistics.bootstrap import LEVEL
from ntk_sweep.analysis.statistics.resampling import RESAMPLES, RNG_SEED
from ntk_sweep.store.columns import CELL


class Axis(NamedTuple):
    """What λ_min is followed along.

    Attributes:
        name: The column, `width` or `depth`.
        other: What stays the same on a line.
    """

    name: str
    other: str

    def place(self, values: np.ndarray) -> np.ndarray:
        """The abscissa: log width, or depth."""
        values = np.asarray(values, dtype=float)
        return np.log(values) if self.name == "width" else values


WIDTH, DEPTH = Axis("width", "depth"), Axis("depth", "width")

_FIT = ("points", "seeds", "first", "last", "slope", "low", "high", "limit_slope", "law")


def points(study: Study) -> pd.DataFrame:
    """λ_min of every cell, measured and of the limit kernel, as far as resolved.

    Returns:
        `act`, `width`, `depth`, `seeds`, `mean` (geometric, over seeds), `low` and `high` (its
        interval), `limit`, and `logs`, the seeds' log λ_min; NaN and no logs where unresolved.
    """
    measured = study.cells(LAMBDA_MIN)
    limit = study.cells(LIMIT_LAMBDA_MIN).set_index(CELL)["geometric_mean"].rename("limit")
    chosen = {"geometric_mean": "mean", "geometric_low": "low", "geometric_high": "high"}
    table = measured[[*CELL, "seeds", *chosen]].rename(columns=chosen).join(limit, on=CELL)
    rows = study.group.rows
    logs = np.log(trusted(rows, LAMBDA_MIN)).dropna()
    seeds = logs.groupby([rows.loc[logs.index, name] for name in CELL]).agg(list)
    known = table["mean"].notna()
    table["logs"] = [
        np.array(seeds[cell]) if good else np.array([])
        for cell, good in zip(table[CELL].itertuples(index=False, name=None), known, strict=True)
    ]
    return table[known | table["limit"].notna()].reset_index(drop=True)


def slopes(table: pd.DataFrame, axis: Axis, inputs: Inputs, parametrisation: str) -> pd.DataFrame:
    """Least-squares lines through log λ_min along an axis; no row for a line of a single point.

    The interval is the bootstrap's: seeds are drawn anew, with replacement, within each cell; cells
    draw their weights independently. It holds the scatter over seeds only, not how far the points
    are from a line.

    Args:
        table: From `points`.
        axis: `WIDTH` or `DEPTH`.
        inputs: What the laws need to know of the inputs.
        parametrisation: Of the rows.

    Returns:
        `act`, the axis's other, `points` (how many), `seeds` (the fewest at a point), `first` and
        `last` place, `slope` with `low` and `high` (NaN with one seed), `limit_slope` (of the limit
        kernel at the same places, where resolved), and `law`.
    """
    rng = np.random.default_rng(RNG_SEED)
    lines = []
    for (act, other), own in table[table["mean"].notna()].groupby(["act", axis.other], sort=False):
        if len(own) < 2:
            continue
        own = own.sort_values(axis.name)
        places = own[axis.name].to_numpy()
        slope, low, high = _fit(axis.place(places), list(own["logs"]), rng)
        both = own[own["limit"].notna()]
        values = (
            len(own),
            int(own["seeds"].min()),
            int(places[0]),
            int(places[-1]),
            slope,
            low,
            high,
            _slope(axis.place(both[axis.name]), np.log(both["limit"].to_numpy(float))),
            law(str(act), axis, places, inputs, parametrisation),
        )
        lines.append({"act": act, axis.other: other, **dict(zip(_FIT, values, strict=True))})
    fits = pd.DataFrame(lines, columns=["act", axis.other, *_FIT])
    return by_activation(fits, [axis.other])


def law(act: str, axis: Axis, places: np.ndarray, inputs: Inputs, parametrisation: str) -> float:
    """The slope that the laws give along an axis; NaN where there is none.

    Against width it does not depend on the places. Against depth, under `thesis`, it is that of log
    c_D, fitted like the points.
    """
    if axis.name == "width":
        return exponent(act, parametrisation, inputs.degree)
    return _slope(axis.place(places), depth_law(act, places, inputs, parametrisation))


def depth_law(act: str, depths: np.ndarray, inputs: Inputs, parametrisation: str) -> np.ndarray:
    """The law's log λ_min at each depth, but for a constant; NaN where no c_D is known."""
    if parametrisation != "thesis":
        return np.full(len(depths), np.nan)
    return np.log(coefficients(act, inputs.degree, int(max(depths))))[depths - 2]


def _fit(
    x: np.ndarray, logs: list[np.ndarray], rng: np.random.Generator
) -> tuple[float, float, float]:
    """Slope through the means of `logs`, and its interval over their seeds."""
    slope = _slope(x, np.array([own.mean() for own in logs]))
    if min(map(len, logs)) < 2:
        return slope, np.nan, np.nan
    drawn = np.array(
        [own[rng.integers(len(own), size=(RESAMPLES, len(own)))].mean(axis=1) for own in logs]
    )
    centred = (x - x.mean())[:, None]
    drawn_slopes = (centred * drawn).sum(axis=0) / (centred**2).sum()
    low, high = np.quantile(drawn_slopes, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return slope, float(low), float(high)


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    """Slope of the least-squares line; NaN below two points."""
    if len(x) < 2:
        return np.nan
    # Sums and not products of BLAS, whose last digit depends on where an array lies in memory.
    centred = x - x.mean()
    return float((centred * y).sum() / (centred**2).sum())
