"""The kernel's change by the end of training, against width."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.drift.numbers import at_the_end, over_seeds
from ntk_sweep.analysis.chapters.drift.tables import slope_text
from ntk_sweep.analysis.drawing.axes import (
    PAPER,
    grid,
    heading,
    log_limits,
    log_ticks,
    width_ticks,
)
from ntk_sweep.analysis.drawing.looks import Look, activation_looks
from ntk_sweep.analysis.drawing.rendering import style
from ntk_sweep.analysis.rows.activations import activation_title, activations

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHANGE = r"$\|\Theta_t-\Theta_0\|_F\,/\,\|\Theta_0\|_F$"
"""The change of a kernel, on an axis."""

APART = 5.0
"""Activations whose changes lie further apart than by this factor have panels of their own: on one
axis the lesser ones would leave the slopes of the others no room; tuned by eye."""


def alike(table: pd.DataFrame) -> list[list[str]]:
    """The activations in sets whose changes are of one size, the greatest first.

    Args:
        table: With the columns `act` and `change`, positive.
    """
    middle = np.log(table["change"]).groupby(table["act"]).mean().sort_values(ascending=False)
    bounds = np.flatnonzero(-np.diff(middle) > np.log(APART)) + 1
    return [activations(pd.Series(own)) for own in np.split(middle.index.to_numpy(str), bounds)]


def width_figure(points: pd.DataFrame, fits: pd.DataFrame, subtitle: str = "") -> Figure:
    """The change at the end of training against width, both on logarithmic axes.

    A line an activation, a column of panels a depth, and a row for activations that change by as
    much.

    Args:
        points: From `ntk_sweep.analysis.chapters.drift.numbers.drift`.
        fits: From `ntk_sweep.analysis.chapters.drift.numbers.slopes`, not empty.
        subtitle: Above the panels.
    """
    from matplotlib.figure import Figure

    final = at_the_end(points)
    final = final[final["change"] > 0]
    table = over_seeds(final)
    depths = sorted(table["depth"].unique())
    sets = alike(table)
    looks = activation_looks(activations(table["act"]))
    columns = 2 if len(depths) == 1 else 1
    heights = [
        (2.8 if len(sets) == 1 else 1.9) + 0.17 * (1 + -(-len(acts) // columns)) for acts in sets
    ]
    with style():
        figure = Figure(
            figsize=(
                max(min(3.4 * len(depths), PAPER), 5.4, 2.4 * len(depths)),
                0.6 + sum(heights),
            ),
            layout="constrained",
        )
        panels = figure.subplots(len(sets), len(depths), squeeze=False, sharex="col", sharey="row")
        for place, (line, acts) in enumerate(zip(panels, sets, strict=True), 1):
            lowest = place == len(sets)
            for axes, depth in zip(line, depths, strict=True):
                own, fit = (one[one["depth"] == depth] for one in (table, fits))
                _width_panel(axes, own, fit, acts, looks)
                axes.set(xscale="log", yscale="log")
                axes.set_xlabel("width" if lowest else "")
                width_ticks(axes.xaxis, table["width"])
                _legend_below(axes, columns, -0.21 if lowest else -0.03)
                grid(axes)
            shown = table[table["act"].isin(acts)]
            limits = log_limits(shown["change_low"].to_numpy(), shown["change_high"].to_numpy())
            line[0].set_ylim(limits)
            log_ticks(line[0].yaxis, *limits)
        if len(depths) > 1:
            for axes, depth in zip(panels[0], depths, strict=True):
                axes.set_title(f"depth {depth}")
        name = CHANGE + " at the end"
        if len(sets) == 1:
            panels[0, 0].set_ylabel(name)
        else:
            figure.supylabel(name, fontsize=9)
        heading(figure, subtitle)
        return figure


def alt_text(points: pd.DataFrame, fits: pd.DataFrame) -> str:
    """The change in words, for those who cannot see the figures."""
    texts = [
        f"{activation_title(fit['act'])} at depth {fit['depth']} from "
        f"{fit['change_narrowest']:.2g} at width {fit['narrowest']} to {fit['change_widest']:.2g} "
        f"at width {fit['widest']}"
        + (f" (slope {fit['slope']:.2f})" if np.isfinite(fit["slope"]) else "")
        for fit in fits.to_dict("records")
    ]
    last = int(points["epoch"].max())
    return (
        f"Relative change of the kernel after {last} epochs of training against width, on "
        f"logarithmic axes: {'; '.join(texts)}."
    )


def _width_panel(
    axes: Axes, table: pd.DataFrame, fits: pd.DataFrame, acts: list[str], looks: dict[str, Look]
) -> None:
    """The lines of some activations at a depth."""
    for place, act in enumerate(acts):
        own = table[table["act"] == act].sort_values("width")
        if own.empty:
            continue
        # Side by side, or the ranges of one width hide one another.
        shift = 1.025 ** (place - (len(acts) - 1) / 2)
        fit = fits[fits["act"] == act].iloc[0].to_dict()
        _width_line(axes, own, fit, act, looks[act], shift)


def _legend_below(axes: Axes, columns: int, top: float) -> None:
    """The slopes below a panel that has any lines, from `top` of its height on."""
    if axes.get_legend_handles_labels()[1]:
        axes.legend(
            fontsize=7.5,
            title="slope, 95 % interval",
            title_fontsize=7.5,
            loc="upper left",
            bbox_to_anchor=(-0.05, top),
            ncols=columns,
            alignment="left",
        )


def _width_line(
    axes: Axes, own: pd.DataFrame, fit: dict, act: str, look: Look, shift: float
) -> None:
    """The medians of an activation with the range over seeds, and the fitted line."""
    colour = look.colour
    middle = own["change"].to_numpy()
    spread = np.stack([middle - own["change_low"], own["change_high"] - middle])
    slope = slope_text(fit)
    label = activation_title(act) + (f": {slope}" if slope else "")
    axes.errorbar(
        own["width"] * shift,
        middle,
        yerr=spread,
        marker=look.marker,
        linestyle="none",
        color=colour,
        markersize=4,
        elinewidth=0.8,
        label=label,
    )
    if slope:
        ends = np.array([fit["narrowest"], fit["widest"]], dtype=float)
        axes.plot(ends, fit["level"] * ends ** fit["slope"], color=colour, linewidth=0.9, alpha=0.8)
