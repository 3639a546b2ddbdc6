"""Heat maps over two coordinates, width and depth unless others are named, one an activation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ntk_sweep.analysis.drawing.axes import spread
from ntk_sweep.analysis.drawing.colour_scales import ColourScale, colour_scale, label_ticks
from ntk_sweep.analysis.drawing.rendering import style
from ntk_sweep.analysis.rows.activations import activation_title
from ntk_sweep.analysis.rows.cells import seeds_text
from ntk_sweep.analysis.rows.coordinates import AXES, places, span, text, values
from ntk_sweep.analysis.rows.quantities import LAMBDA_MIN, Quantity

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

WORDS = {
    "weight_std": "the scale of weights",
    "bias_std": "the scale of biases",
    "n_samples": "the number of inputs",
}
"""Likewise in a sentence."""

DIGITS = 4
"""Of a scale beside a tick."""

MOST_LETTERS = 80
"""Of a line of a title: more are wider than a narrow map."""

LIKELY = 0.05
"""Cells that are more probable than this to have the greatest mean get a frame: the usual level
below which one speaks of chance."""

SHOWN = ("width", "depth")
"""The coordinates of the thesis's heat maps."""


@dataclass(frozen=True)
class Grid:
    """A heat map in numbers.

    Attributes:
        act: The activation.
        axes: The coordinates along the horizontal and the vertical axis.
        columns: The values of the first that occur, ascending.
        rows: Those of the second.
        value: Mean of the quantity over seeds, (rows, columns); NaN where there is none to show.
        unresolved: Where at least one seed is unresolved, (rows, columns).
        best: Place (row index, column index) of the greatest mean that is shown; None if nothing is
            resolved, or where the greatest means nothing.
        seeds: How many seeds the cells hold, in words.
        quantity: What is shown.
        likely: Places of the cells that have the greatest mean with a probability above `LIKELY`;
            none where the probabilities are not known.
    """

    act: str
    axes: tuple[str, str]
    columns: list[float | int]
    rows: list[float | int]
    value: np.ndarray
    unresolved: np.ndarray
    best: tuple[int, int] | None
    seeds: str
    quantity: Quantity = LAMBDA_MIN
    likely: tuple[tuple[int, int], ...] = ()

    @property
    def framed(self) -> tuple[tuple[int, int], ...]:
        """Places of the cells with a frame."""
        return self.likely or ((self.best,) if self.best else ())

    @property
    def frame_label(self) -> str:
        """What a frame means, in the legend."""
        if self.likely:
            return f"{self.greatest}: probability above {100 * LIKELY:.0f} %"
        return self.greatest

    @property
    def greatest(self) -> str:
        """How the best cell is called: of a single draw there is no mean."""
        return (
            self.quantity.greatest.removesuffix(" mean")
            if self.seeds == "1 seed"
            else self.quantity.greatest
        )

    @property
    def missing(self) -> np.ndarray:
        """Cells without any result: not computed yet, or failed."""
        return np.isnan(self.value) & ~self.unresolved


def grid(
    cells: pd.DataFrame,
    act: str,
    quantity: Quantity = LAMBDA_MIN,
    axes: tuple[str, str] = SHOWN,
) -> Grid:
    """The cells of an activation on the product of all values of the two coordinates.

    So the heat maps of a group line up.

    Args:
        cells: The frame of `ntk_sweep.analysis.rows.cells.cells` for the quantity, with a column
            `probability` if frames shall follow it; those of an activation differ in the two
            coordinates only.
        act: The activation.
        quantity: λ_min unless given.
        axes: The coordinates along the horizontal and the vertical axis.
    """
    x, y = axes
    columns, rows = values(cells[x]), values(cells[y])
    own = cells[cells["act"] == act]
    assert not own.duplicated([x, y]).any(), "what a map does not show, it does not average"
    shape = (len(rows), len(columns))
    value, unresolved = np.full(shape, np.nan), np.zeros(shape, dtype=bool)
    row, column = places(own[y], rows), places(own[x], columns)
    mean = own["geometric_mean" if quantity.mean == "geometric" else "mean"].to_numpy(float)
    value[row, column] = mean
    unresolved[row, column] = own["unresolved"] > 0
    best = None
    likely: tuple[tuple[int, int], ...] = ()
    if quantity.greatest and own["resolved"].any():
        found = [(int(r), int(c)) for r, c in zip(row, column, strict=True)]
        best = found[int(np.nanargmax(mean))]
        if "probability" in own:
            likely = tuple(found[place] for place in np.flatnonzero(own["probability"] > LIKELY))
    return Grid(
        act, axes, columns, rows, value, unresolved, best, seeds_text(own), quantity, likely
    )


def numbers(
    cells: pd.DataFrame,
    act: str,
    quantity: Quantity = LAMBDA_MIN,
    axes: tuple[str, str] = SHOWN,
) -> pd.DataFrame:
    """The numbers behind a heat map, one row a cell, for CSV.

    With the column `probability` if the cells have it. The column `state` is "resolved",
    "unresolved" ("undefined" for quantities without an error bound), "failed" (all its points did)
    or "missing" (never computed).
    """
    shape = grid(cells, act, quantity, axes)
    product = pd.MultiIndex.from_product([shape.columns, shape.rows], names=axes)
    own = cells[cells["act"] == act]
    fixed = [name for name in cells if name in AXES and name not in axes]
    table = product.to_frame(index=False).merge(own.drop(columns="act"), on=[*axes], how="left")
    for name in fixed:  # missing cells, too, are at the value of all others
        table[name] = values(cells[name])[0]
    counts = ["seeds", "unresolved", "failed"]
    table[counts] = table[counts].fillna(0).astype(int)
    conditions = [table["unresolved"] > 0, table["seeds"] > 0, table["failed"] > 0]
    state = np.select(conditions, [quantity.state, "resolved", "failed"], "missing")
    table = table.drop(columns="resolved").assign(act=act, state=state)
    chances = [name for name in ("probability",) if name in table]
    geometric = ["geometric_mean", "geometric_low", "geometric_high", "geometric_error"]
    statistics = [*geometric, "mean", "sd", "low", "high", "error", "least", "greatest"]
    return table[["act", *axes, *fixed, "state", *counts, *statistics, *chances]]


def heatmap(shown: Grid, subtitle: str = "", scale: ColourScale | None = None) -> Figure:
    """The heat map of a grid.

    Args:
        shown: From `grid`.
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
        shown: From `grid`.
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


def alt_text(shown: Grid) -> str:
    """The heat map in words, for those who cannot see it."""
    finite = shown.value[np.isfinite(shown.value)]
    x, y = (WORDS.get(name, name) for name in shown.axes)
    said = (
        f"Heat map of the {shown.quantity.words} of {activation_title(shown.act)} networks over "
        f"{x} ({span(shown.columns)}) and {y} ({span(shown.rows)}). "
    )
    if len(finite):
        said += f"Values run from {finite.min():.3g} to {finite.max():.3g}"
    if shown.best:
        row, column = shown.best
        said += (
            f"; the {shown.greatest} is at {x} {text(shown.columns[column], DIGITS)} and {y} "
            f"{text(shown.rows[row], DIGITS)}"
        )
        if shown.likely:
            said += f", and {len(shown.likely)} cells have it with more than {100 * LIKELY:.0f} %"
    counts = (
        f"{shown.unresolved.sum()} of {shown.value.size} cells are {shown.quantity.state} and "
        f"{shown.missing.sum()} hold no result."
    )
    return said + (". " if len(finite) else "") + counts


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
