"""Heat maps of λ_min over width and depth, one an activation: Figures 5 to 8 of the thesis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import LogFormatterSciNotation, LogLocator, NullFormatter

from analysis.cells import seeds_text
from analysis.figures import style
from analysis.frame import activation_title

COLOURS = "viridis"
"""Monotone in lightness, so it survives colour blindness and grey print (van der Walt and Smith 2015)."""

MOST_TICKS = 20
"""Labels that fit along an axis at the font size and width of these figures; the thesis's grid has 20 widths."""

MOST_OUTLINED = 2000
"""Cells drawn one by one with a white edge; a larger mesh becomes an image inside SVG and PDF, which keeps them small."""


@dataclass(frozen=True)
class Grid:
    """A heat map in numbers.

    Attributes:
        act: The activation.
        widths: The widths that occur, ascending.
        depths: The depths that occur, ascending.
        value: Geometric mean of λ_min over seeds, (depths, widths); NaN where there is none to show.
        unresolved: Where at least one seed is unresolved, (depths, widths).
        best: Place (depth index, width index) of the greatest arithmetic mean, which Table 1 names; None if nothing is resolved.
        seeds: How many seeds the cells hold, in words.
    """

    act: str
    widths: np.ndarray
    depths: np.ndarray
    value: np.ndarray
    unresolved: np.ndarray
    best: tuple[int, int] | None
    seeds: str

    @property
    def missing(self) -> np.ndarray:
        """Cells without any result: not computed yet, or failed."""
        return np.isnan(self.value) & ~self.unresolved


def grid(cells: pd.DataFrame, act: str) -> Grid:
    """The cells of an activation on the product of all widths and depths of the group, so that its heat maps line up.

    On a logarithmic colour axis the natural mean is the geometric one: the mean of what is drawn.
    """
    widths, depths = np.sort(cells["width"].unique()), np.sort(cells["depth"].unique())
    own = cells[cells["act"] == act]
    shape = (len(depths), len(widths))
    value, unresolved = np.full(shape, np.nan), np.zeros(shape, dtype=bool)
    row, column = np.searchsorted(depths, own["depth"]), np.searchsorted(widths, own["width"])
    value[row, column] = own["geometric_mean"]
    unresolved[row, column] = own["unresolved"] > 0
    best = None
    if own["resolved"].any():
        place = int(np.nanargmax(own["mean"].to_numpy(float)))
        best = (int(row[place]), int(column[place]))
    return Grid(act, widths, depths, value, unresolved, best, seeds_text(own))


def numbers(cells: pd.DataFrame, act: str) -> pd.DataFrame:
    """The numbers behind a heat map, one row a cell, for CSV.

    The column `state` is "resolved", "unresolved", "failed" (all its points did) or "missing" (never computed).
    """
    shape = grid(cells, act)
    product = pd.MultiIndex.from_product([shape.widths, shape.depths], names=["width", "depth"]).to_frame(index=False)
    table = product.merge(cells[cells["act"] == act].drop(columns="act"), on=["width", "depth"], how="left")
    counts = ["seeds", "unresolved", "failed"]
    table[counts] = table[counts].fillna(0).astype(int)
    conditions = [table["unresolved"] > 0, table["seeds"] > 0, table["failed"] > 0]
    state = np.select(conditions, ["unresolved", "resolved", "failed"], "missing")
    table = table.drop(columns="resolved").assign(act=act, state=state)
    return table[["act", "width", "depth", "state", *counts, "geometric_mean", "mean", "sd", "error", "least", "greatest"]]


def heatmap(shown: Grid, subtitle: str = "") -> Figure:
    """The heat map of a grid.

    Args:
        shown: From `grid`.
        subtitle: A second line of the title, such as the data set.
    """
    with style():
        height, width = shown.value.shape
        figure = Figure(
            figsize=(2.2 + np.clip(0.23 * width, 3.0, 5.2), 1.5 + np.clip(0.24 * height, 1.3, 5.0)), layout="constrained"
        )
        axes = figure.add_subplot()
        edges = np.arange(width + 1) - 0.5, np.arange(height + 1) - 0.5
        large = shown.value.size > MOST_OUTLINED
        if not np.isnan(shown.value).all():
            mesh = axes.pcolormesh(
                *edges,
                np.ma.masked_invalid(shown.value),
                norm=_norm(shown.value),
                cmap=COLOURS,
                edgecolors="none" if large else "white",
                linewidth=0 if large else 0.4,
                rasterized=large,
            )
            colours = figure.colorbar(mesh, ax=axes, pad=0.02, fraction=0.08)
            mean = "" if shown.seeds == "1 seed" else "geometric mean over "
            colours.set_label(rf"$\lambda_{{\min}}$, {mean}{shown.seeds}")
            _label_decades(colours.ax, *mesh.get_clim())
        _hatch(axes, shown.unresolved)
        if shown.best:
            depth, column = shown.best
            axes.add_patch(Rectangle((column - 0.5, depth - 0.5), 1, 1, fill=False, edgecolor="#d62728", linewidth=1.8, zorder=4))
        axes.set(xlim=(-0.5, width - 0.5), ylim=(-0.5, height - 0.5), xlabel="width", ylabel="depth")
        _ticks(axes, shown)
        axes.spines[:].set_visible(True)
        axes.spines[:].set_color("#888888")
        axes.tick_params(length=2)
        axes.set_title(activation_title(shown.act) + (f"\n{subtitle}" if subtitle else ""), fontsize=9.5)
        handles = _legend(shown)
        if handles:
            figure.legend(
                handles=handles, loc="outside lower left", ncols=len(handles), fontsize=8, handlelength=1.4, columnspacing=1.2
            )
        return figure


def alt_text(shown: Grid) -> str:
    """The heat map in words, for those who cannot see it."""
    values = shown.value[np.isfinite(shown.value)]
    text = (
        f"Heat map of the smallest NTK eigenvalue of {activation_title(shown.act)} networks over width ({_range(shown.widths)}) "
        f"and depth ({_range(shown.depths)}). "
    )
    if len(values):
        text += f"Values run from {values.min():.3g} to {values.max():.3g}"
    if shown.best:
        depth, width = shown.best
        text += f"; the greatest mean is at width {shown.widths[width]} and depth {shown.depths[depth]}"
    counts = f"{shown.unresolved.sum()} of {shown.value.size} cells are unresolved and {shown.missing.sum()} hold no result."
    return text + (". " if len(values) else "") + counts


def _norm(value: np.ndarray) -> LogNorm:
    least, most = float(np.nanmin(value)), float(np.nanmax(value))
    # A single value has no range of its own; a factor of two either way gives it the middle colour.
    return LogNorm(least, most) if least < most else LogNorm(least / 2, most * 2)


def _label_decades(axes: Axes, least: float, most: float) -> None:
    """Ticks at powers of ten, and between them where there are few, or a narrow range would have no label at all."""
    decades = np.log10(most / least)
    if decades > 3:
        return
    halves = [step / 2 for step in range(2, 20)]
    axes.yaxis.set_major_locator(LogLocator(subs=halves if decades < 0.5 else [1, 2, 3, 5, 7] if decades < 1.5 else [1, 2, 5]))
    powers = LogFormatterSciNotation(labelOnlyBase=False, minor_thresholds=(np.inf, np.inf))
    axes.yaxis.set_major_formatter("{x:g}" if least > 1e-3 and most < 1e4 else powers)
    axes.yaxis.set_minor_formatter(NullFormatter())


def _hatch(axes: Axes, unresolved: np.ndarray) -> None:
    if unresolved.any():
        patches = [Rectangle((column - 0.5, row - 0.5), 1, 1) for row, column in np.argwhere(unresolved)]
        axes.add_collection(PatchCollection(patches, facecolor="#e6e6e6", edgecolor="#8a8a8a", hatch="//////", linewidth=0))


def _ticks(axes: Axes, shown: Grid) -> None:
    for axis, labels, most in ((axes.xaxis, shown.widths, MOST_TICKS), (axes.yaxis, shown.depths, MOST_TICKS)):
        places = np.unique(np.linspace(0, len(labels) - 1, min(len(labels), most)).round().astype(int))
        axis.set_ticks(places, [str(labels[place]) for place in places])
    if len(shown.widths) > 8:
        axes.tick_params(axis="x", rotation=90)


def _legend(shown: Grid) -> list[Patch]:
    handles = []
    if shown.best:
        handles.append(Patch(facecolor="none", edgecolor="#d62728", linewidth=1.8, label="greatest mean"))
    if shown.unresolved.any():
        handles.append(
            Patch(facecolor="#e6e6e6", edgecolor="#8a8a8a", hatch="//////", linewidth=0, label="unresolved (below error bound)")
        )
    if shown.missing.any():
        handles.append(Patch(facecolor="white", edgecolor="#bbbbbb", linewidth=0.8, label="no result"))
    return handles


def _range(values: np.ndarray) -> str:
    return str(values[0]) if len(values) == 1 else f"{values[0]} to {values[-1]}"
