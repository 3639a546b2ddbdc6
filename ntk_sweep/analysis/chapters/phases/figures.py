"""The plane of σ_w² and σ_b² as heat maps with the critical line, and λ_min's factor of a layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.phases.mean_field import critical_line, known
from ntk_sweep.analysis.chapters.phases.numbers import (
    LAMBDA_MIN,
    LIMIT_LAMBDA_MIN,
    SCALES,
    SHOWN,
)
from ntk_sweep.analysis.drawing import cell_grid, heatmap
from ntk_sweep.analysis.drawing.axes import PAPER, grid, heading, log_limits, log_ticks, spread
from ntk_sweep.analysis.drawing.cell_grid import Grid
from ntk_sweep.analysis.drawing.colour_scales import colour_scale
from ntk_sweep.analysis.drawing.looks import activation_looks
from ntk_sweep.analysis.drawing.rendering import style
from ntk_sweep.analysis.rows.activations import activation_title, activations

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patheffects import AbstractPathEffect

MOST_DEPTHS = 4
"""Columns of a figure that fits on a page."""

MOST_LETTERS = 100
"""Of a line above the figure, at its width."""

LINE = "critical line $\\chi_1=1$"


def _outline() -> list[AbstractPathEffect]:
    """Seen on dark cells and on light ones."""
    from matplotlib import patheffects

    return [patheffects.Stroke(linewidth=3.2, foreground="black"), patheffects.Normal()]


def plane_grids(
    tables: dict[str, pd.DataFrame], act: str, width: int
) -> tuple[list[int], dict[str, list[Grid]]]:
    """The depths that are shown of an activation and width, and the maps of each quantity.

    Args:
        tables: From `ntk_sweep.analysis.chapters.phases.numbers.measured`.
        act: The activation.
        width: Of the networks.
    """
    first = _own(tables[LAMBDA_MIN.name], act, width)
    depths = spread(sorted(first["depth"].unique()), MOST_DEPTHS)
    found = {}
    for quantity in SHOWN:
        if quantity.name not in tables:
            continue
        own = _own(tables[quantity.name], act, width)
        # The maps of all quantities have the same cells.
        every = first[["act", "width", "depth", *SCALES]].merge(own, how="left")
        every[["seeds", "unresolved"]] = every[["seeds", "unresolved"]].fillna(0).astype(int)
        every["resolved"] = every["resolved"].eq(True)
        if every["seeds"].any():
            found[quantity.name] = [
                # A frame around the greatest would say nothing of the phases.
                replace(
                    cell_grid.grid(every[every["depth"] == depth], act, quantity, SCALES), best=None
                )
                for depth in depths
            ]
    return depths, found


def plane_figure(
    depths: Sequence[int], maps: dict[str, list[Grid]], act: str, subtitle: str = ""
) -> Figure:
    """A row a quantity, a column a depth; λ_min measured and predicted have the same colours.

    Args:
        depths: From `plane_grids`.
        maps: Likewise.
        act: The activation.
        subtitle: Below the activation.
    """
    from matplotlib.figure import Figure

    both = [
        one.value for name in (LAMBDA_MIN.name, LIMIT_LAMBDA_MIN.name) for one in maps.get(name, [])
    ]
    with style():
        figure = Figure(figsize=(PAPER, 0.9 + 1.3 * len(maps)), layout="constrained")
        panels = figure.subplots(len(maps), len(depths), squeeze=False, sharex=True, sharey=True)
        for line, (name, grids) in zip(panels, maps.items(), strict=True):
            pair = name in (LAMBDA_MIN.name, LIMIT_LAMBDA_MIN.name)
            quantity = grids[0].quantity
            scale = colour_scale(quantity, *(both if pair else [one.value for one in grids]))
            for axes, one in zip(line, grids, strict=True):
                heatmap.draw(axes, one, scale)
                _squares(axes, one)
                if one.missing.all():
                    axes.text(0.5, 0.5, "no run", transform=axes.transAxes, ha="center", fontsize=8)
                else:
                    _critical(axes, one)
            if scale:
                heatmap.colour_bar(figure, list(line), scale, quantity.symbol)
        for axes, depth in zip(panels[0], depths, strict=True):
            axes.set_title(f"depth {depth}", fontsize=9)
        for axes in panels.ravel():
            axes.label_outer()
        if known(act):
            figure.legend(handles=[_handle(act)], loc="outside lower left", fontsize=8)
        heading(figure, f"{activation_title(act)}\n{fill(subtitle, MOST_LETTERS)}")
        return figure


def layer_figure(table: pd.DataFrame, subtitle: str = "") -> Figure:
    """The factor by which a layer multiplies λ_min against χ_1, a panel an activation.

    Args:
        table: From `ntk_sweep.analysis.chapters.phases.numbers.layers`, of one width.
        subtitle: Above the panels.
    """
    from matplotlib.figure import Figure

    acts = activations(table["act"])
    looks = activation_looks(acts)
    with style():
        across = min(len(acts), 3)
        down = -(-len(acts) // across)
        figure = Figure(figsize=(PAPER, 1.1 + 2.2 * down), layout="constrained")
        panels = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
        numbers = [table[name].to_numpy(float) for name in ("chi", "measured", "predicted")]
        limits = log_limits(*numbers)
        for axes, act in zip(panels.ravel(), acts, strict=False):
            own = table[table["act"] == act]
            axes.plot(limits, limits, color="#888888", linewidth=0.8, label=r"$\chi_1$")
            axes.axvline(1, color="#888888", linewidth=0.8, linestyle=":")
            shape: dict[str, Any] = {
                "color": looks[act].colour,
                "linestyle": "none",
                "markersize": 4,
            }
            axes.plot(own["chi"], own["measured"], "o", label="measured", **shape)
            hollow: dict[str, Any] = {**shape, "markerfacecolor": "none", "markersize": 6}
            axes.plot(own["chi"], own["predicted"], "s", label="infinite width", **hollow)
            axes.set(xscale="log", yscale="log", xlim=limits, ylim=limits)
            axes.set_title(activation_title(act), fontsize=9)
            log_ticks(axes.xaxis, *limits)
            log_ticks(axes.yaxis, *limits)
            grid(axes)
        for axes in panels.ravel()[len(acts) :]:
            axes.set_axis_off()
        named = panels.ravel()[0].get_legend_handles_labels()
        figure.legend(*named, loc="outside lower left", ncols=3, fontsize=8)
        for axes in panels[-1]:
            axes.set_xlabel(r"$\chi_1$, mean-field theory")
        figure.supylabel(r"factor of $\lambda_{\min}$, a layer", fontsize=9)
        heading(figure, fill(subtitle, MOST_LETTERS))
        return figure


def layer_text(table: pd.DataFrame) -> str:
    """The figure of factors in words."""
    texts = []
    for act in activations(table["act"]):
        own = table[table["act"] == act].dropna(subset=["chi", "measured"])
        if len(own):
            texts.append(
                f"{activation_title(act)} from {own['measured'].min():.2g} to "
                f"{own['measured'].max():.2g} for χ₁ from {own['chi'].min():.2g} to "
                f"{own['chi'].max():.2g}"
            )
    return (
        "The factor by which a layer more multiplies the smallest NTK eigenvalue against the slope "
        f"χ₁ of mean-field theory, on logarithmic axes: {'; '.join(texts)}."
    )


def _own(table: pd.DataFrame, act: str, width: int) -> pd.DataFrame:
    return table[(table["act"] == act) & (table["width"] == width)]


def _squares(axes: Axes, shown: Grid) -> None:
    """Variances beside the ticks, in place of standard deviations."""
    for axis, known_values in ((axes.xaxis, shown.columns), (axes.yaxis, shown.rows)):
        squares = ["none" if one != one else f"{one**2:.2g}" for one in known_values]
        axis.set_ticks(range(len(squares)), squares)
    axes.set(xlabel=r"$\sigma_w^2$", ylabel=r"$\sigma_b^2$")
    axes.tick_params(axis="x", rotation=0, labelsize=7.5)
    axes.tick_params(axis="y", labelsize=7.5)


def _critical(axes: Axes, shown: Grid) -> None:
    """The critical line between the cells, whose centres are at their scales."""
    if not known(shown.act):
        return
    weights, biases = critical_line(shown.act)
    x, y = _position(weights, shown.columns), _position(biases, shown.rows)
    look: dict[str, Any] = {"color": "white", "path_effects": _outline(), "zorder": 5}
    if len(weights) == 1:
        axes.plot(x, y, "o", markersize=4, **look)
    else:
        inside = np.isfinite(x) & np.isfinite(y)
        axes.plot(x[inside], y[inside], linewidth=1.6, **look)


def _position(scales: np.ndarray, known_values: Sequence[float]) -> np.ndarray:
    """Where scales lie among the cells of an axis; NaN beyond the outer cells' centres."""
    centres = [(one, place) for place, one in enumerate(known_values) if one == one]
    if known_values[0] != known_values[0] and 0 not in known_values:
        centres.insert(0, (0.0, 0))  # no biases: as with scale 0
    numbers, places = zip(*centres, strict=True)
    return np.interp(scales, numbers, places, left=np.nan, right=np.nan)


def _handle(act: str) -> Line2D:
    from matplotlib.lines import Line2D

    point = len(critical_line(act)[0]) == 1
    label = "critical point" if point else LINE
    look: dict[str, Any] = {"marker": "o", "linestyle": "none"} if point else {}
    line = Line2D([], [], color="white", linewidth=1.6, markersize=4, label=label, **look)
    line.set_path_effects(_outline())
    return line
