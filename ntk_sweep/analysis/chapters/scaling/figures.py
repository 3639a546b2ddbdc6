"""λ_min against width and against depth: measured, of the limit kernel, and by the laws."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.scaling.laws import Inputs
from ntk_sweep.analysis.chapters.scaling.numbers import DEPTH, WIDTH, Axis, depth_law
from ntk_sweep.analysis.drawing.axes import PAPER, grid, log_limits, log_ticks, spread
from ntk_sweep.analysis.drawing.looks import shades
from ntk_sweep.analysis.drawing.rendering import style
from ntk_sweep.analysis.rows.activations import activation_title
from ntk_sweep.analysis.rows.quantities import LAMBDA_MIN

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LINES = 4
"""Depths or widths in a panel; more of them hide one another. All stand in the tables."""

REACH = 3.0
"""How far a line of the law lies above the points it is drawn for: in sight, and not on them."""


def scaling_figure(
    table: pd.DataFrame,
    fits: dict[str, pd.DataFrame],
    act: str,
    inputs: Inputs,
    parametrisation: str,
    subtitle: str = "",
) -> Figure:
    """λ_min of an activation, against width for some depths and against depth for some widths.

    Args:
        table: From `points`.
        fits: From `slopes`, by the axis's name.
        act: The activation.
        inputs: What the laws need to know of the inputs.
        parametrisation: Of the rows.
        subtitle: A second line of the title, such as the data set.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    own = table[table["act"] == act]
    with style():
        figure = Figure(figsize=(PAPER, 3.6), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        limits = log_limits(own["mean"].to_numpy(), own["limit"].to_numpy())
        for axes, axis in zip(panels, (WIDTH, DEPTH), strict=True):
            axes.set(yscale="log", ylim=limits, xlabel=axis.name)
            _lines(axes, own, axis)
            _law(axes, own, fits[axis.name], axis, (inputs, parametrisation))
            log_ticks(axes.yaxis, *limits)
            grid(axes)
        panels[0].set(xscale="log", ylabel=LAMBDA_MIN.symbol)
        log_ticks(panels[0].xaxis, float(own["width"].min()), float(own["width"].max()) * 1.01)
        panels[1].xaxis.set_major_locator(MaxNLocator(6, integer=True))
        title = f"{activation_title(act)}: measured (points), infinite width (dashed), law (dotted)"
        figure.suptitle(title + (f"\n{subtitle}" if subtitle else ""), fontsize=9)
        return figure


def alt_text(table: pd.DataFrame, fits: dict[str, pd.DataFrame], act: str) -> str:
    """The figure in words, for those who cannot see it."""
    own = table[table["act"] == act]
    known = own["mean"].dropna()
    text = (
        f"Smallest NTK eigenvalue of {activation_title(act)} networks against width and against "
        f"depth, on logarithmic axes: means from {known.min():.2g} to {known.max():.2g}, beside "
        "those of the infinite-width kernel"
    )
    mine = fits[WIDTH.name]
    slopes = mine.loc[mine["act"] == act, "slope"]
    if len(slopes):
        text += f"; slopes over width from {slopes.min():.2f} to {slopes.max():.2f}"
    return text + "."


def _shown(own: pd.DataFrame, axis: Axis) -> list[int]:
    return spread(sorted(own.loc[own["mean"].notna(), axis.other].unique()), MOST_LINES)


def _lines(axes: Axes, own: pd.DataFrame, axis: Axis) -> None:
    others = _shown(own, axis)
    for other, colour in zip(others, shades(len(others)), strict=True):
        line = own[own[axis.other] == other].sort_values(axis.name)
        known = line[line["mean"].notna()]
        if known["low"].notna().any():
            axes.fill_between(
                known[axis.name], known["low"], known["high"], color=colour, alpha=0.15, linewidth=0
            )
        label = f"{axis.other} {other}"
        axes.plot(known[axis.name], known["mean"], "o-", color=colour, markersize=2.6, label=label)
        axes.plot(line[axis.name], line["limit"], "--", color=colour, linewidth=0.9)
    axes.legend(fontsize=7)


def _law(
    axes: Axes,
    own: pd.DataFrame,
    fits: pd.DataFrame,
    axis: Axis,
    case: tuple[Inputs, str],
) -> None:
    """A dotted line of the law's slope above what lies highest; none where there is no law."""
    mine = fits[(fits["act"] == own["act"].iloc[0]) & fits["law"].notna()]
    if mine.empty:
        return
    fit = mine.iloc[len(mine) - 1 if axis is DEPTH else 0]
    line = own[own[axis.other] == fit[axis.other]].sort_values(axis.name)
    places = line[axis.name].to_numpy()
    if axis is WIDTH:
        values = fit["law"] * axis.place(places)
    else:
        values = depth_law(fit["act"], places, *case)
    values = np.exp(values - values[0]) * float(line[["mean", "limit"]].iloc[0].max())
    axes.plot(places, values * REACH, ":", color="#444444", linewidth=1.2)
    axes.set_ylim(top=max(axes.get_ylim()[1], float(values.max()) * REACH * 1.3))
