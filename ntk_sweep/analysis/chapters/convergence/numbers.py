"""How fast the kernel comes to its infinite-width limit.

The distance ‖Θ - Θ̄‖_F / ‖Θ̄‖_F is drawn against width, on logarithmic axes.

For one draw the distance is O(1/√n) (Jacot, Gabriel and Hongler 2018; docs/theory/limit.md), a line
of slope -1/2.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ntk_sweep.analysis.rows.activations import by_activation
from ntk_sweep.analysis.rows.columns import LINE
from ntk_sweep.analysis.rows.quantities import LIMIT_DISTANCE, trusted
from ntk_sweep.analysis.statistics.bootstrap import LEVEL

BAND = (0.16, 0.84)
"""Quantiles over seeds between which the band lies: two thirds of the seeds, what ± one standard
deviation is for a Gaussian."""


def distances(rows: pd.DataFrame) -> pd.DataFrame:
    """The distance from the limit over seeds.

    The columns are `act`, `depth`, `width`, `seeds`, `mean`, `sd`, `low` and `high` (see `BAND`).

    Args:
        rows: One row a network, of one group; without a positive distance they are left out.
    """
    table = (
        rows[[*LINE, "width"]].assign(value=trusted(rows, LIMIT_DISTANCE)).dropna(subset="value")
    )
    grouped = table.groupby([*LINE, "width"], sort=False)["value"]
    result = grouped.agg(seeds="size", mean="mean", sd="std")
    for name, level in zip(("low", "high"), BAND, strict=True):
        result[name] = grouped.quantile(level)
    return by_activation(result.reset_index(), ["depth", "width"])


def widths_missing(points: pd.DataFrame) -> str:
    """What is not there for a convergence with width, as a sentence; empty if everything is."""
    widths = points["width"].unique()
    if len(widths) == 0:
        return "No row holds a distance from the infinite-width kernel."
    return (
        f"All rows have the same width ({widths[0]}), and convergence needs at least two."
        if len(widths) == 1
        else ""
    )


def slopes(points: pd.DataFrame) -> pd.DataFrame:
    """Least-squares lines through log(mean distance) over log(width), by activation and depth.

    The seeds' mean is fitted and not the seeds themselves, whose logarithms have a long lower tail:
    where one error dominates, such as that of the largest eigenvalue, it may be near zero. Weights
    of different widths are independent.

    Args:
        points: From `distances`.

    Returns:
        `act`, `depth`, `widths` and `seeds` (how many; the fewest at a width), `slope`,
        `half_width` of its 95 % interval by Student's t (NaN below three widths), `narrowest` and
        `widest` width, and the mean distance at the widest. No slope below two widths.
    """
    lines = []
    for (act, depth), line in points.groupby(LINE, sort=False):
        slope, half = _fit(
            np.log(line["width"].to_numpy(float)), np.log(line["mean"].to_numpy(float))
        )
        last = line.iloc[-1]
        lines.append(
            {
                "act": act,
                "depth": depth,
                "widths": len(line),
                "seeds": line["seeds"].min(),
                "slope": slope,
                "half_width": half,
                "narrowest": line["width"].iloc[0],
                "widest": last["width"],
                "distance_at_widest": last["mean"],
            }
        )
    return pd.DataFrame(lines)


def pooled(points: pd.DataFrame) -> tuple[float, float, float]:
    """One slope for all depths of an activation: parallel lines, each depth at a height of its own.

    Args:
        points: From `distances`, of one activation.

    Returns:
        The slope, half of its 95 % interval by Student's t, and the mean over depths of the lines
        at width 1, by logarithms. NaN where no depth has two widths, or nothing is left to tell the
        scatter by.
    """
    table = points.assign(x=np.log(points["width"]), y=np.log(points["mean"]))
    table = table[table.groupby("depth")["width"].transform("size") > 1]
    means = table.groupby("depth")[["x", "y"]].mean()
    if means.empty:
        return np.nan, np.nan, np.nan
    centred = table[["x", "y"]] - means.loc[table["depth"]].to_numpy()
    slope, half = _line(centred["x"].to_numpy(), centred["y"].to_numpy(), len(means))
    return slope, half, float(np.exp((means["y"] - slope * means["x"]).mean()))


def is_pooled(own: pd.DataFrame) -> bool:
    """Whether an activation has single seeds at several depths."""
    return bool((own["seeds"] == 1).all()) and own["depth"].nunique() > 1


def _fit(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope of the least-squares line, and half of its confidence interval."""
    return _line(x - x.mean(), y - y.mean(), 1) if len(x) > 1 else (np.nan, np.nan)


def _line(dx: np.ndarray, dy: np.ndarray, means: int) -> tuple[float, float]:
    """The same of what is left after taking out some means."""
    from scipy.special import stdtrit

    free = len(dx) - means - 1
    # Sums and not products of BLAS, whose last digit depends on where an array lies in memory.
    square = (dx**2).sum()
    slope = float((dx * dy).sum() / square)
    if free < 1:
        return slope, np.nan
    rest = dy - slope * dx
    return slope, float(stdtrit(free, (1 + LEVEL) / 2) * np.sqrt((rest**2).sum() / free / square))
