"""How much λ_min differs from seed to seed: its standard deviation over its mean, in every cell."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters import map_axes
from ntk_sweep.analysis.chapters.chapter import Chapter, Command
from ntk_sweep.analysis.chapters.map_axes import THESIS, MapAxes, chosen, places
from ntk_sweep.analysis.chapters.needs import SEEDS, several_seeds
from ntk_sweep.analysis.drawing import cell_grid, heatmap
from ntk_sweep.analysis.drawing.cell_grid import SHOWN, Grid
from ntk_sweep.analysis.drawing.colour_scales import ColourScale, colour_scale
from ntk_sweep.analysis.rows.activations import activations
from ntk_sweep.analysis.rows.quantities import LAMBDA_MIN
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.writing.content import Content, NamedFigure, Section

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
    """The frame of `ntk_sweep.analysis.rows.cells.cells` with the spread as its `mean`.

    Cells of one seed count as unresolved.
    """
    single = cells["resolved"] & (cells["seeds"] < 2)
    return cells.assign(
        mean=cells["sd"] / cells["mean"], unresolved=cells["unresolved"] + single.astype(int)
    )


def spread_grid(cells: pd.DataFrame, act: str, axes: tuple[str, str] = SHOWN) -> Grid:
    """The heat map of an activation."""
    return cell_grid.grid(spread_cells(cells), act, SPREAD, axes)


def scale(cells: pd.DataFrame) -> ColourScale | None:
    """The colours of all activations, which are compared; None where no cell has a spread."""
    return colour_scale(SPREAD, spread_cells(cells)["mean"].to_numpy(float))


def numbers(cells: pd.DataFrame, act: str, axes: tuple[str, str] = SHOWN) -> pd.DataFrame:
    """The numbers behind the heat map, one row a cell.

    The columns `seeds`, `mean`, `sd` and their ratio `spread`; NaN for a single seed.
    """
    table = cell_grid.numbers(cells, act, axes=axes)
    first = table.columns.get_loc("seeds") + 1
    table = table[[*table.columns[:first], "mean", "sd"]]
    return table.assign(spread=table["sd"] / table["mean"])


def typical(cells: pd.DataFrame) -> float:
    """The median spread over the cells that have one."""
    return float(np.nanmedian((cells["sd"] / cells["mean"])[cells["seeds"] > 1]))


def _compose(study: Study, axes: MapAxes = THESIS) -> Content:
    cells = chosen(study.cells(), axes, study)
    colours = scale(cells)
    figures = []
    for act in activations(cells["act"]):
        for place, own in places(cells, axes):
            if (own["act"] == act).any():
                grid = spread_grid(own, act, axes.both)
                draw = partial(heatmap.heatmap, grid, study.group.title + place.words, colours)
                name = f"{CHAPTER.name}{axes.slug}-{act}{place.slug}"
                table = numbers(own, act, axes.both)
                figures.append(NamedFigure(name, cell_grid.alt_text(grid), draw, table))
    lead = (
        "The standard deviation of λ_min over the seeds of a cell, over their mean: how far a "
        "single draw may lie from it. Its median over all cells is "
        f"{typical(cells):.2f}. All activations have the same colours."
    )
    return Content(lead, [Section(figures=figures)])


CHAPTER = Chapter(
    name="spread",
    title="Spread over seeds",
    compose=_compose,
    command=Command(
        "spread",
        "how much λ_min differs from seed to seed, a figure for each activation",
        "Writes spread-ACT-GROUP.png, .svg, .pdf and .csv: the standard deviation of λ_min over "
        "seeds, over their mean. Needs several seeds.",
        ("spread results", "spread results --data digits -o figures"),
        map_axes.add_arguments,
        map_axes.options,
    ),
    need=several_seeds,
    makes=SEEDS,
    across=map_axes.across,
)
