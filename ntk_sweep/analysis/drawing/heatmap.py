"""Heat maps over two coordinates, width and depth unless others are named, one an activation."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np

from ntk_sweep.analysis.drawing.axes import spread
from ntk_sweep.analysis.drawing.cell_grid import DIGITS, Grid
from ntk_sweep.analysis.drawing.colour_scales import ColourScale, colour_scale, label_ticks
from ntk_sweep.analysis.drawing.rendering import style
from ntk_sweep.analysis.rows.activations import activation_title
from ntk_sweep.analysis.rows.coordinates import text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_TICKS = 20
"""Labels that fit along an axis at the font size and width of these figures; the thesis's grid has
20 widths."""

MOST_OUTLINED = 2000
"""Cells drawn one by one with a white edge; a larger mesh becomes an image inside SVG and PDF,
which keeps them small."""


TICKS = {"weight_std": r"$\sigma_w$", "bias_std": r"$\sigma_b$", "n_samples": "$N$"}
"""Coordinates as on an axis, where the setting's name is not that."""

MOST_LETTERS = 80
"""Of a line of a title: more are wider than a narrow map."""


def heatmap(shown: Grid, subtitle: str = "", scale: ColourScale | None = None) -> Figure:
    """The heat map of a grid.

    Args:
        shown: From `ntk_sweep.analysis.drawing.cell_grid.grid`.
        subtitle: A second line of the title, such as the data set.
        scale: Of the colours; None for one of its own.
    """
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=size(shown), layout="constrained")
        axes = figure.add_subplot()
        scale = scale or colour_scale(shown.quantity, shown.value)
        draw(axes, shown, scale)
        if scale:
            colour_bar(figure, [axes], scale, bar_label(shown))
        title = [activation_title(shown.act), *wrap(subtitle, MOST_LETTERS)]
        axes.set_title("\n".join(title), fontsize=9.5)
        add_legend(figure, [shown])
        return figure


def size(shown: Grid) -> tuple[float, float]:
    """Width and height of the figure of one heat map, in inches."""
    height, width = shown.value.shape
    return 2.2 + float(np.clip(0.23 * width, 3.0, 5.2)), 1.5 + float(
        np.clip(0.24 * height, 1.6, 5.0)
    )


def draw(axes: Axes, shown: Grid, scale: ColourScale | None) -> None:
    """Draws the cells of a grid, their ticks and labels.

    Args:
        axes: Where.
        shown: From `ntk_sweep.analysis.drawing.cell_grid.grid`.
        scale: None where no cell has a value.
    """
    from matplotlib.patches import Rectangle

    height, width = shown.value.shape
    large = shown.value.size > MOST_OUTLINED
    if scale and not np.isnan(shown.value).all():
        axes.pcolormesh(
            np.arange(width + 1) - 0.5,
            np.arange(height + 1) - 0.5,
            np.ma.masked_invalid(shown.value),
            norm=scale.norm,
            cmap=scale.colours,
            edgecolors="none" if large else "white",
            linewidth=0 if large else 0.4,
            rasterized=large,
        )
    _hatch(axes, shown.unresolved)
    for row, column in shown.framed:
        axes.add_patch(
            Rectangle(
                (column - 0.5, row - 0.5),
                1,
                1,
                fill=False,
                edgecolor="#d62728",
                linewidth=1.8,
                zorder=4,
            )
        )
    x, y = (TICKS.get(name, name) for name in shown.axes)
    axes.set(xlim=(-0.5, width - 0.5), ylim=(-0.5, height - 0.5), xlabel=x, ylabel=y)
    _ticks(axes, shown)
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color("#888888")
    axes.tick_params(length=2)


def colour_bar(figure: Figure, axes: Sequence[Axes], scale: ColourScale, label: str) -> None:
    """The colour bar of one heat map, or of several that share a scale."""
    from matplotlib.cm import ScalarMappable

    bar = figure.colorbar(
        ScalarMappable(scale.norm, scale.colours), ax=axes, pad=0.02, fraction=0.08
    )
    bar.set_label(label, fontsize=8.5)
    label_ticks(bar.ax, scale)


def bar_label(shown: Grid) -> str:
    """What the colours of a heat map stand for."""
    if not shown.quantity.seeded:
        return shown.quantity.symbol
    mean = {"geometric": "geometric mean over ", "arithmetic": "mean over "}[shown.quantity.mean]
    # On lines of their own: a low map leaves no room for a long one.
    return f"{shown.quantity.symbol}\n{'' if shown.seeds == '1 seed' else mean}{shown.seeds}"


def _hatch(axes: Axes, unresolved: np.ndarray) -> None:
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    if unresolved.any():
        patches = [
            Rectangle((column - 0.5, row - 0.5), 1, 1) for row, column in np.argwhere(unresolved)
        ]
        axes.add_collection(
            PatchCollection(
                patches, facecolor="#ffffff", edgecolor="#777777", hatch="//////", linewidth=0
            )
        )


def _ticks(axes: Axes, shown: Grid) -> None:
    for axis, labels, most in (
        (axes.xaxis, shown.columns, MOST_TICKS),
        (axes.yaxis, shown.rows, MOST_TICKS),
    ):
        chosen = spread(range(len(labels)), most)
        axis.set_ticks(chosen, [text(labels[place], DIGITS) for place in chosen])
    if len(shown.columns) > 8:
        axes.tick_params(axis="x", rotation=90)


def add_legend(figure: Figure, grids: Sequence[Grid]) -> None:
    """What frames, hatches and empty cells mean, below the figure, as far as they occur.

    In the words of the first grid with them.
    """
    from matplotlib.patches import Patch

    handles = []
    framed = [shown.frame_label for shown in grids if shown.framed]
    hatched = [shown.quantity.gap for shown in grids if shown.unresolved.any()]
    if framed:
        handles.append(Patch(facecolor="none", edgecolor="#d62728", linewidth=1.8, label=framed[0]))
    if hatched:
        handles.append(
            Patch(
                facecolor="#ffffff",
                edgecolor="#777777",
                hatch="//////",
                linewidth=0,
                label=hatched[0],
            )
        )
    if any(shown.missing.any() for shown in grids):
        handles.append(
            Patch(facecolor="white", edgecolor="#bbbbbb", linewidth=0.8, label="no result")
        )
    if handles:
        figure.legend(
            handles=handles,
            loc="outside lower left",
            ncols=len(handles),
            fontsize=8,
            handlelength=1.4,
            columnspacing=1.2,
        )
