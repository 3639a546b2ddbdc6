"""How much λ_min differs from seed to seed: its standard deviation over its mean, in every cell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.drawing import heatmap as heatmaps
from analysis.drawing.colour_scales import ColourScale, colour_scale
from analysis.drawing.heatmap import Grid
from analysis.rows.quantities import LAMBDA_MIN

SPREAD = replace(
    LAMBDA_MIN,
    name="spread",
    title="Spread of λ_min over seeds",
    symbol=r"sd / mean of $\lambda_{\min}$",
    words="standard deviation over seeds of the smallest NTK eigenvalue, over its mean,",
    definition="the standard deviation of λ_min over the seeds of a cell, over their mean",
    mean="arithmetic",
    scale="linear",
    gap="unresolved, or a single seed",
    greatest="",
)
"""Its rows hold λ_min itself: a spread belongs to a cell."""


def spread_cells(cells: pd.DataFrame) -> pd.DataFrame:
    """The frame of `analysis.rows.cells.cells` with the spread as its `mean`; cells of one seed count as
    unresolved.
    """
    single = cells["resolved"] & (cells["seeds"] < 2)
    return cells.assign(
        mean=cells["sd"] / cells["mean"], unresolved=cells["unresolved"] + single.astype(int)
    )


def spread_grid(cells: pd.DataFrame, act: str) -> Grid:
    """The heat map of an activation."""
    return heatmaps.grid(spread_cells(cells), act, SPREAD)


def scale(cells: pd.DataFrame) -> ColourScale | None:
    """The colours of all activations, which are compared; None where no cell has a spread."""
    return colour_scale(SPREAD, spread_cells(cells)["mean"].to_numpy(float))


def numbers(cells: pd.DataFrame, act: str) -> pd.DataFrame:
    """The numbers behind the heat map, one row a cell: `seeds`, `mean`, `sd` and their ratio
    `spread`; NaN for a single seed.
    """
    table = heatmaps.numbers(cells, act)[["act", "width", "depth", "state", "seeds", "mean", "sd"]]
    return table.assign(spread=table["sd"] / table["mean"])


def missing(cells: pd.DataFrame) -> str:
    """What is not there for a spread, as a sentence; empty if everything is."""
    known = cells[cells["resolved"]]
    if known.empty:
        return "There is no cell with a resolved λ_min."
    if known["seeds"].max() < 2:
        return (
            "Every cell holds one seed: each value is a single random draw, and nothing is known "
            "of how far another draw would lie from it. No interval and no probability on this "
            "page can be better than that."
        )
    return ""


def typical(cells: pd.DataFrame) -> float:
    """The median spread over the cells that have one."""
    return float(np.nanmedian((cells["sd"] / cells["mean"])[cells["seeds"] > 1]))
