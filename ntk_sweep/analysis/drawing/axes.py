"""What figures with curves share: limits, ticks, grids and headings of axes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

PAPER = 7.0
"""Inches that a figure with several panels is wide: it fits on A4 at nearly its own size."""

MOST_WIDTHS = 7
"""Labels along an axis of widths; tuned by eye."""

FIRST_EPOCH = 0.9 / np.log(10)
"""`linscale` of an axis of epochs. With it linear and logarithmic part have the same slope where
they meet, so that smooth curves have no kink there."""


def log_limits(
    *values: np.ndarray, floor: float = 0.0, ceiling: float = np.inf
) -> tuple[float, float]:
    """The ends of a logarithmic axis of all positive values from `floor` to `ceiling`."""
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
    """Ticks of a logarithmic axis from `low` to `high`.

    In a narrow range also between powers of ten, as plain numbers.
    """
    from matplotlib.ticker import LogFormatterSciNotation, LogLocator, NullFormatter

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


def width_ticks(axis: Axis, widths: Iterable[int]) -> None:
    """Ticks of a logarithmic axis of widths: the widths themselves, where they are few.

    Those that would touch the next one are left out.
    """
    from matplotlib.ticker import NullLocator

    known = sorted({int(width) for width in widths})
    if len(known) > MOST_WIDTHS:
        log_ticks(axis, known[0], known[-1])
        return
    least, shown = np.log(known[-1] / known[0]) / (MOST_WIDTHS + 1), known[-1:]
    for width in known[-2::-1]:
        if np.log(shown[-1] / width) >= least:
            shown.append(width)
    axis.set_ticks(shown, [str(width) for width in shown])
    axis.set_minor_locator(NullLocator())


def epoch_axis(axes: Axes, epochs: int, label: bool = True) -> None:
    """Epochs along the horizontal axis, and a faint grid.

    The axis is linear from 0 to 1 and logarithmic from there: losses fall most in the first epochs.
    """
    from matplotlib.ticker import NullFormatter

    last = max(epochs, 1)
    axes.set_xlabel("epoch" if label else "")
    axes.set_xscale("symlog", linthresh=1, linscale=FIRST_EPOCH)
    axes.set_xlim(0, last)
    tens = 10 ** np.arange(len(str(last)))
    every = np.outer(tens, np.arange(1, 10)).ravel()
    # More labels would touch in a panel of a third of a page.
    steps = (1, 2, 5) if last <= 50 else (1, 3) if last <= 500 else (1,)
    labelled = np.outer(tens, steps).ravel()
    axes.set_xticks([0, *labelled[labelled <= last]])
    axes.set_xticks(every[every <= last], minor=True)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    grid(axes)


def grid(axes: Axes, axis: Literal["both", "x", "y"] = "both") -> None:
    """A faint grid behind what is drawn."""
    axes.grid(axis=axis, color="#dddddd", linewidth=0.5)
    axes.set_axisbelow(True)


def heading(figure: Figure, text: str) -> None:
    """What the figure shows, above its panels."""
    if text:
        figure.suptitle(text, fontsize=9, x=0.01, horizontalalignment="left")


def spread(values: Sequence[int], most: int) -> list[int]:
    """At most `most` of the values, evenly chosen, the first and the last among them."""
    places = np.unique(np.linspace(0, len(values) - 1, min(len(values), most)).round().astype(int))
    return [values[place] for place in places]
