"""What figures with curves share: colours, bands over seeds, axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterSciNotation, LogLocator, MaxNLocator, NullFormatter

from analysis.runs import Cell, network_title
from ntk_sweep.network.activations.registry import ACTIVATIONS

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8A6D1B")
"""Told apart by the colour-blind (Okabe and Ito 2008, without their yellow, which is too light for
a line, and with a brown)."""

MARKERS = "os^Dv<>P"

BAND_ALPHA = 0.16

PAPER = 7.0
"""Inches that a figure with several panels is wide: it fits on A4 at nearly its own size."""


def activation_colour(act: str) -> str:
    """The colour of an activation, the same in every figure; names that the library does not know
    share the last one."""
    return COLOURS[_place(act)]


def activation_marker(act: str) -> str:
    """The marker of an activation, so that colour is not all that tells it."""
    return MARKERS[_place(act)]


def network_colours(networks: Sequence[Cell]) -> list[str]:
    """A colour for each network: that of its activation where these differ."""
    acts = [act for act, _, _ in networks]
    return (
        list(map(activation_colour, acts))
        if len(set(acts)) == len(acts)
        else list(COLOURS[: len(acts)])
    )


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
    alone = {"marker": "o", "markersize": 3.5} if np.isfinite(middle).sum() == 1 else {}
    axes.plot(
        place, middle, color=colour, label=label or None, **({"linewidth": 1.2} | look | alone)
    )


def log_limits(
    *values: np.ndarray, floor: float = 0.0, ceiling: float = np.inf
) -> tuple[float, float]:
    """The ends of a logarithmic axis that shows all positive values between `floor` and
    `ceiling`."""
    every = np.concatenate([np.asarray(value, dtype=float).ravel() for value in values])
    shown = every[np.isfinite(every) & (every > 0)]
    if not len(shown):
        return 0.1, 1.0
    low, high = max(shown.min(), floor), min(shown.max(), ceiling)
    # Losses of a run that is about to overflow leave room for a margin.
    low, high = (min(max(float(end), 1e-250), 1e250) for end in sorted((low, high)))
    margin = max((high**0.05) / (low**0.05), 1.1)
    return low / margin, high * margin


def log_ticks(axis: Axis, low: float, high: float) -> None:
    """Ticks of a logarithmic axis from `low` to `high`: in a narrow range also between powers of
    ten, as plain numbers."""
    decades = np.log10(high / low)
    if decades > 2.5:
        axis.set_major_locator(LogLocator(numticks=8))
        return
    fine = [1 + step / 10 for step in range(90)] if decades < 0.15 else [1, 1.5, *range(2, 10)]
    axis.set_major_locator(
        LogLocator(subs=fine if decades < 0.5 else [1, 2, 3, 5, 7] if decades < 1.2 else [1, 2, 5])
    )
    powers = LogFormatterSciNotation(labelOnlyBase=False, minor_thresholds=(np.inf, np.inf))
    axis.set_major_formatter("{x:g}" if low > 1e-3 and high < 1e5 else powers)
    axis.set_minor_formatter(NullFormatter())


def epoch_axis(axes: Axes, epochs: int, label: bool = True) -> None:
    """Epochs along the horizontal axis, and a faint grid."""
    axes.set_xlabel("epoch" if label else "")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_xlim(0, max(epochs, 1))
    grid(axes)


def grid(axes: Axes, axis: Literal["both", "x", "y"] = "both") -> None:
    """A faint grid behind what is drawn."""
    axes.grid(axis=axis, color="#dddddd", linewidth=0.5)
    axes.set_axisbelow(True)


def heading(figure: Figure, text: str) -> None:
    """What the figure shows, above its panels."""
    if text:
        figure.suptitle(text, fontsize=9, x=0.01, horizontalalignment="left")


def loss_panels(
    networks: Sequence[Cell], columns: int, epochs: int, limits: tuple[float, float], text: str
) -> tuple[Figure, dict[Cell, Axes]]:
    """An empty figure with a panel for each network, for losses over epochs on a logarithmic axis;
    to be called in our style.

    Args:
        networks: Which.
        columns: At most so many side by side.
        epochs: How many.
        limits: Of the loss.
        text: Above the panels.
    """
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


def shades(count: int) -> list[tuple[float, float, float, float]]:
    """Colours for an ordered quantity such as width, from dark to light, of the map that the heat
    maps have."""
    return [
        matplotlib.colormaps["viridis"](0.82 * place / max(count - 1, 1)) for place in range(count)
    ]


def spread(values: Sequence[int], most: int) -> list[int]:
    """At most `most` of the values, evenly chosen, the first and the last among them."""
    places = np.unique(np.linspace(0, len(values) - 1, min(len(values), most)).round().astype(int))
    return [values[place] for place in places]


def _finite(values: pd.Series) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)


def _place(act: str) -> int:
    known = list(ACTIVATIONS)
    return min(known.index(act), len(COLOURS) - 1) if act in known else len(COLOURS) - 1
