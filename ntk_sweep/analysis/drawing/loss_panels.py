"""Losses over epochs: a panel for each network, a curve of medians with its band."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ntk_sweep.analysis.drawing.axes import PAPER, epoch_axis, heading
from ntk_sweep.analysis.rows.runs import Cell, network_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BAND_ALPHA = 0.16

ABOVE = 30.0
"""A loss this many times the greatest one before training is off the axis: a diverging run would
leave the others no room; tuned."""


def band(
    axes: Axes,
    points: pd.DataFrame,
    name: str,
    colour: str | tuple,
    label: str = "",
    x: np.ndarray | None = None,
    filled: bool = True,
    **look: Any,
) -> None:
    """A curve of medians with its band, if there are several seeds.

    Args:
        axes: Where.
        points: With the columns `epoch`, `seeds`, `NAME`, `NAME_low` and `NAME_high`.
        name: What to draw.
        colour: Of curve and band.
        label: In the legend.
        x: Places along the axis, if not the epochs.
        filled: Whether to draw the band too.
        look: Of the curve, as matplotlib names it.
    """
    place = points["epoch"].to_numpy(float) if x is None else x
    middle, low, high = (_finite(points[f"{name}{suffix}"]) for suffix in ("", "_low", "_high"))
    if filled and points["seeds"].max() > 1:
        axes.fill_between(place, low, high, color=colour, alpha=BAND_ALPHA, linewidth=0)
    # A run that diverges in its first epoch leaves a single point, which no line shows.
    look = {"linewidth": 1.2} | look
    if np.isfinite(middle).sum() == 1:
        look = {"marker": "o", "markersize": 3.5} | look
    axes.plot(place, middle, color=colour, label=label or None, **look)


def remark(axes: Axes, words: str, colour: str | tuple) -> None:
    """Writes into a panel what a curve of this colour that is not there is like.

    At the lower left, where falling losses leave room, a line above another.
    """
    from matplotlib import patheffects

    axes.annotate(
        words,
        (0, 0),
        xycoords="axes fraction",
        xytext=(3, 3 + 8 * len(axes.texts)),
        textcoords="offset points",
        fontsize=6.5,
        color=colour,
        path_effects=[patheffects.withStroke(linewidth=2, foreground="white")],
    )


def remark_divergence(
    axes: Axes, points: pd.DataFrame, name: str, colour: str | tuple, title: str
) -> None:
    """Writes into a panel that a curve of `band` diverges, if its median becomes infinite.

    Args:
        axes: Where.
        points: As for `band`.
        name: As for `band`.
        colour: Of the curve.
        title: What the curve is called.
    """
    if np.isinf(points[name].to_numpy(float)).any():
        remark(axes, f"{title} diverges", colour)


def loss_panels(
    networks: Sequence[Cell], columns: int, epochs: int, limits: tuple[float, float], text: str
) -> tuple[Figure, dict[Cell, Axes]]:
    """An empty figure with a panel for each network, for losses over epochs.

    The axis of losses is logarithmic, that of epochs from 1 on. To be called in our style.

    Args:
        networks: Which.
        columns: At most so many side by side.
        epochs: How many.
        limits: Of the loss.
        text: Above the panels.
    """
    from matplotlib.figure import Figure

    down = -(-len(networks) // columns)
    across = -(-len(networks) // down)
    width = min(max(1.0 + 2.3 * across, 5.4), PAPER)
    figure = Figure(figsize=(width, 1.0 + (2.7 if down == 1 else 2.1 * down)), layout="constrained")
    places = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).ravel()
    for place, axes in enumerate(places):
        if place >= len(networks):
            axes.set_visible(False)
            continue
        axes.set(yscale="log", ylim=limits, ylabel="loss" if place % across == 0 else "")
        axes.set_title(network_title(networks[place]), fontsize=9)
        below = place + across >= len(networks)
        epoch_axis(axes, epochs, below)
        # Where the last row is not full, the panel above a gap has the labels.
        axes.tick_params(labelbottom=below)
    heading(figure, text)
    return figure, dict(zip(networks, places, strict=False))


def ceiling(points: pd.DataFrame) -> float:
    """The greatest loss that an axis shows."""
    return ABOVE * float(points.loc[points["epoch"] == 0, "loss_high"].max())


def _finite(values: pd.Series) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)
