"""Heat maps one above the other, to be compared.

They have the same cells, and the same colours where the quantity is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ntk_sweep.analysis.drawing import cell_grid, heatmap
from ntk_sweep.analysis.drawing.cell_grid import Grid
from ntk_sweep.analysis.drawing.colour_scales import colour_scale
from ntk_sweep.analysis.drawing.rendering import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
        blocks: Those of a block share a colour scale, and are labelled with the quantity of their
            first.
        title: Above all of them.
    """
    from matplotlib.figure import Figure

    panels = [panel for block in blocks for panel in block]
    width, height = heatmap.size(panels[0].grid)
    with style():
        figure = Figure(figsize=(width, 0.75 + len(panels) * (height - 0.75)), layout="constrained")
        axes = list(figure.subplots(len(panels), 1, squeeze=False)[:, 0])
        figure.suptitle(title, fontsize=9.5, x=0.01, horizontalalignment="left")
        places = iter(axes)
        for block in blocks:
            scale = colour_scale(block[0].grid.quantity, *(panel.grid.value for panel in block))
            drawn = []
            for panel, place in zip(block, places, strict=False):
                heatmap.draw(place, panel.grid, scale)
                place.set_title(panel.title, fontsize=9)
                drawn.append(place)
            if scale:
                # A single panel is too low for more than the symbol beside it.
                label = (
                    heatmap.bar_label(block[0].grid)
                    if len(block) > 1
                    else block[0].grid.quantity.symbol
                )
                heatmap.colour_bar(figure, drawn, scale, label)
        for place in axes[:-1]:
            place.set_xlabel("")
            place.tick_params(labelbottom=False)
        heatmap.add_legend(figure, [panel.grid for panel in panels])
        return figure


def alt_text(blocks: Sequence[Sequence[Panel]]) -> str:
    """The heat maps in words, for those who cannot see them."""
    return " ".join(cell_grid.alt_text(panel.grid) for block in blocks for panel in block)


def unresolved_count(grid: Grid) -> str:
    """How many of the cells with a result are unresolved, in words: "69 of 180"."""
    return (
        f"{int(grid.unresolved.sum())} of {int((grid.unresolved | np.isfinite(grid.value)).sum())}"
    )
