"""λ_min against width and against depth: measured, of the limit kernel, and by the laws."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.scaling.laws import Inputs
from ntk_sweep.analysis.chapters.scaling.numbers import DEPTH, WIDTH, Axis, depth_law
from ntk_sweep.analysis.drawing.axes import (
    grid,
    heading,
    log_limits,
    log_ticks,
    spread,
    width_ticks,
)
from ntk_sweep.analysis.drawing.looks import ordered_looks
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

    Along an axis on which no line has two points there is no panel.

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
        shown = [axis for axis in (WIDTH, DEPTH) if (fits[axis.name]["act"] == act).any()]
        figure = Figure(figsize=(1.0 + 3.0 * len(shown), 4.0), layout="constrained")
        panels = figure.subplots(1, len(shown), squeeze=False, sharey=True)[0]
        limits = log_limits(*(own[name].to_numpy() for name in ("mean", "low", "high", "limit")))
        for axes, axis in zip(panels, shown, strict=True):
            axes.set(yscale="log", ylim=limits, xlabel=axis.name)
            _lines(axes, own, axis)
            _law(axes, own, fits[axis.name], axis, (inputs, parametrisation))
            log_ticks(axes.yaxis, *limits)
            grid(axes)
            if axis is WIDTH:
                axes.set_xscale("log")
                width_ticks(axes.xaxis, own["width"])
            else:
                axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        panels[0].set_ylabel(LAMBDA_MIN.symbol)
        title = f"{activation_title(act)}: measured (points), infinite width (dashed)"
        mine = pd.concat(fits.values())
        title += ", law (dotted)" if mine.loc[mine["act"] == act, "law"].notna().any() else ""
        heading(figure, title + (f"\n{subtitle}" if subtitle else ""))
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
    for other, look in ordered_looks(_shown(own, axis)).items():
        line = own[own[axis.other] == other].sort_values(axis.name)
        look.means(axes, line[line["mean"].notna()], axis.name, label=str(other))
        axes.plot(line[axis.name], line["limit"], "--", color=look.colour, linewidth=0.9)
    axes.legend(
        fontsize=8,
        title=axis.other,
        title_fontsize=8,
        loc="upper left",
        bbox_to_anchor=(-0.02, -0.18),
        ncols=MOST_LINES,
        alignment="left",
    )


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
