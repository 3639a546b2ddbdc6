"""The distance from the limit against width, on logarithmic axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.convergence.numbers import is_pooled
from ntk_sweep.analysis.chapters.convergence.tables import slope_text
from ntk_sweep.analysis.drawing.axes import grid, log_ticks, spread, width_ticks
from ntk_sweep.analysis.drawing.looks import ordered_looks
from ntk_sweep.analysis.drawing.rendering import style
from ntk_sweep.analysis.rows.activations import activation_title
from ntk_sweep.analysis.rows.quantities import LIMIT_DISTANCE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


MOST_LINES = 5
"""Depths drawn: the curves are noisy and close, and more of them hide one another. All stand in the
table."""


BELOW = 0.3
"""Where the reference line runs, in parts of the median curve: below most means, and in sight of
them."""


def convergence_figure(
    points: pd.DataFrame,
    fits: pd.DataFrame,
    act: str,
    subtitle: str = "",
    line: tuple[float, float, float] | None = None,
) -> Figure:
    """The distance against width for an activation, a line a depth.

    Of single seeds, whose lines would cross one another everywhere, points and one line for all
    depths. All activations of `points` get the same axes.

    Args:
        points: From `distances`.
        fits: From `slopes`.
        act: The activation.
        subtitle: A second line of the title, such as the data set.
        line: The one of all depths, from `pooled`; None for a line a depth.
    """
    from matplotlib.figure import Figure

    own = points[points["act"] == act]
    known = fits[fits["act"] == act].set_index("depth")
    depths = shown_depths(points, act)
    every = sorted(points["depth"].unique())
    looks = ordered_looks(every)
    with style():
        figure = Figure(figsize=(6.2, 3.7), layout="constrained")
        axes = figure.add_subplot()
        axes.set(xscale="log", yscale="log", xlabel="width", ylabel=LIMIT_DISTANCE.symbol)
        for depth in depths:
            looks[depth].means(
                axes,
                own[own["depth"] == depth],
                "width",
                linestyle="none" if line else "-",
                linewidth=1.1,
                label=_legend(known.loc[depth]),
            )
        if line:
            _pooled_line(axes, own, line)
        _reference(axes, own)
        limits = _limits(points)
        axes.set_ylim(*limits)
        width_ticks(axes.xaxis, points["width"])
        log_ticks(axes.yaxis, *limits)
        grid(axes)
        axes.set_title(activation_title(act) + (f"\n{subtitle}" if subtitle else ""), fontsize=9.5)
        figure.legend(
            loc="outside right center",
            fontsize=8,
            title="depth: slope, 95 % interval",
            title_fontsize=8,
            alignment="left",
        )
        return figure


def alt_text(points: pd.DataFrame, fits: pd.DataFrame, act: str) -> str:
    """The figure in words, for those who cannot see it."""
    own, known = points[points["act"] == act], fits[fits["act"] == act]
    lines = "one line for all and points" if is_pooled(own) else "a line"
    text = (
        f"Relative distance of the kernel of {activation_title(act)} networks from the "
        f"infinite-width kernel against width, on logarithmic axes, {lines} for each of "
        f"{len(shown_depths(points, act))} depths beside a reference line of slope -1/2. Means run "
        f"from {own['mean'].min():.2g} to {own['mean'].max():.2g}"
    )
    slope = known["slope"].dropna()
    if len(slope):
        text += f"; fitted slopes run from {slope.min():.2f} to {slope.max():.2f}"
    return text + "."


def shown_depths(points: pd.DataFrame, act: str) -> list[int]:
    """The depths of an activation that are drawn: all, or `MOST_LINES` evenly chosen."""
    return spread(sorted(map(int, points.loc[points["act"] == act, "depth"].unique())), MOST_LINES)


def _legend(fit: pd.Series) -> str:
    return f"{fit.name}: {slope_text(fit)}".replace("-", "\N{MINUS SIGN}")


def _pooled_line(axes: Axes, own: pd.DataFrame, line: tuple[float, float, float]) -> None:
    """The line of `pooled` at the mean height of all depths."""
    slope, half, level = line
    if np.isnan(slope):
        return
    ends = np.array([own["width"].min(), own["width"].max()], dtype=float)
    fit = pd.Series({"slope": slope, "half_width": half}, name="all depths")
    axes.plot(ends, level * ends**slope, color="black", linewidth=1.4, label=_legend(fit))


def _reference(axes: Axes, own: pd.DataFrame) -> None:
    """A dashed line of slope -1/2 in `BELOW` of the middle of the curves of an activation."""
    widths = np.array([own["width"].min(), own["width"].max()], dtype=float)
    if widths[0] < widths[1]:
        axes.plot(
            widths,
            _level(own) / np.sqrt(widths),
            "--",
            color="#444444",
            linewidth=1.1,
            label="slope \N{MINUS SIGN}½",
        )


def _level(own: pd.DataFrame) -> float:
    """The reference line at width 1."""
    return BELOW * float((own["mean"] * np.sqrt(own["width"])).median())


def _limits(points: pd.DataFrame) -> tuple[float, float]:
    """Limits of the distance, the same for all activations.

    Every mean and reference line lies within, and every band but for its lower end.
    """
    levels = [
        _level(own) / np.sqrt(own["width"].max()) for _, own in points.groupby("act", sort=False)
    ]
    return 0.8 * min(*levels, points["mean"].min()), 1.25 * float(
        points[["high", "mean"]].to_numpy().max()
    )
