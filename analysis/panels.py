"""Heat maps one above the other, so that they can be compared: the same cells, and the same colours where the quantity is the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis import heatmaps
from analysis.cells import CELL, cells
from analysis.colours import colour_scale
from analysis.figures import style
from analysis.frame import activation_title
from analysis.heatmaps import Grid
from analysis.quantities import LAMBDA_MIN, LIMIT_LAMBDA_MIN, RATIO

COMPARED = (LAMBDA_MIN, LIMIT_LAMBDA_MIN, RATIO)
"""What a prediction is judged by."""


@dataclass(frozen=True)
class Panel:
    """One of several heat maps.

    Attributes:
        title: What sets it apart from the others.
        grid: Its cells.
    """

    title: str
    grid: Grid


def stacked(blocks: Sequence[Sequence[Panel]], title: str) -> Figure:
    """Heat maps one above the other.

    Args:
        blocks: Those of a block share a colour scale, and are labelled with the quantity of their first.
        title: Above all of them.
    """
    panels = [panel for block in blocks for panel in block]
    width, height = heatmaps.size(panels[0].grid)
    with style():
        figure = Figure(figsize=(width, 0.3 + len(panels) * (height - 0.35)), layout="constrained")
        axes = list(figure.subplots(len(panels), 1, squeeze=False)[:, 0])
        figure.suptitle(title, fontsize=9.5, x=0.01, horizontalalignment="left")
        places = iter(axes)
        for block in blocks:
            scale = colour_scale(block[0].grid.quantity, *(panel.grid.value for panel in block))
            drawn = []
            for panel, place in zip(block, places, strict=False):
                heatmaps.draw(place, panel.grid, scale)
                place.set_title(panel.title, fontsize=9)
                drawn.append(place)
            if scale:
                # A single panel is too low for more than the symbol beside it.
                label = heatmaps.bar_label(block[0].grid) if len(block) > 1 else block[0].grid.quantity.symbol
                heatmaps.colour_bar(figure, drawn, scale, label)
        for place in axes[:-1]:
            place.set_xlabel("")
        heatmaps.add_legend(figure, [panel.grid for panel in panels])
        return figure


def prediction(rows: pd.DataFrame, act: str) -> list[list[Panel]]:
    """λ_min measured and predicted from infinite width, and their ratio, as blocks for `stacked`.

    Args:
        rows: Of one group.
        act: The activation.
    """
    measured, predicted, ratio = (heatmaps.grid(cells(rows, quantity), act, quantity) for quantity in COMPARED)
    above = [Panel("measured", measured), Panel(r"predicted from infinite width, $\bar{\Theta}$", predicted)]
    return [above, [Panel("measured / predicted", ratio)]]


def prediction_numbers(rows: pd.DataFrame, act: str) -> pd.DataFrame:
    """The numbers behind `prediction`, one row a cell.

    `measured` is the geometric mean of λ_min over seeds, `predicted` the λ_min of Θ̄, `ratio` the one over the other, each with its
    error bound and state; only resolved values are given.
    """
    tables = []
    for name, quantity in zip(("measured", "predicted", "ratio"), COMPARED, strict=True):
        table = heatmaps.numbers(cells(rows, quantity), act, quantity)
        chosen = {"geometric_mean": name, "error": f"{name}_error", "state": f"{name}_state"}
        tables.append(table.set_index([*CELL, "seeds"])[list(chosen)].rename(columns=chosen))
    return pd.concat(tables, axis=1).reset_index()


def alt_text(blocks: Sequence[Sequence[Panel]]) -> str:
    """The heat maps in words, for those who cannot see them."""
    return " ".join(heatmaps.alt_text(panel.grid) for block in blocks for panel in block)


def prediction_title(act: str) -> str:
    """The heading of the figure of an activation."""
    return f"{activation_title(act)}: the smallest eigenvalue, measured and predicted"


def unresolved_count(grid: Grid) -> str:
    """How many of the cells with a result are unresolved, in words: "69 of 180"."""
    return f"{int(grid.unresolved.sum())} of {int((grid.unresolved | np.isfinite(grid.value)).sum())}"
