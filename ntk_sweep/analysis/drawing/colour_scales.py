"""The colour scales of heat maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ntk_sweep.analysis.rows.quantities import Quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize

SEQUENTIAL = "viridis"
"""Monotone in lightness, so it survives colour blindness and grey print (van der Walt and Smith
2015)."""

DIVERGING = "coolwarm"
"""Of differences of kernels on the page, about 0. Safe for colour blindness (Moreland 2009)."""

WIDE = 100.0
"""From this ratio of the greatest to the smallest value on, a linear scale would show the small
ones as one colour; tuned by eye."""


@dataclass(frozen=True)
class ColourScale:
    """How numbers become colours.

    Attributes:
        norm: From numbers to [0, 1].
        colours: The name of a colour map of matplotlib.
        mark: A number that the colour bar shows by a line; None for none.
    """

    norm: Normalize
    colours: str = SEQUENTIAL
    mark: float | None = None


def colour_scale(quantity: Quantity, *values: np.ndarray) -> ColourScale | None:
    """The scale that the heat maps of `values` share; None where there is nothing to show."""
    from matplotlib.colors import LogNorm, Normalize

    every = np.concatenate([value[np.isfinite(value)] for value in values])
    if not every.size:
        return None
    least, most = float(every.min()), float(every.max())
    wide = quantity.scale == "auto" and least > 0 and most > WIDE * least
    if quantity.scale in ("log", "ratio") or wide:
        # A single value has no range of its own; a factor of two either way gives it the middle
        # colour.
        norm = LogNorm(least, most) if least < most else LogNorm(least / 2, most * 2)
        inside = quantity.scale == "ratio" and least <= 1 <= most
        return ColourScale(norm, mark=1.0 if inside else None)
    half = abs(least) / 2 or 0.5
    return ColourScale(
        Normalize(least, most) if least < most else Normalize(least - half, most + half)
    )


def label_ticks(axes: Axes, scale: ColourScale) -> None:
    """Ticks of a colour bar, and its mark.

    In a narrow logarithmic range also between powers of ten, or there would be no label.
    """
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import LogFormatterSciNotation, LogLocator, NullFormatter

    norm = scale.norm
    if scale.mark is not None:
        # Seen on dark colours and on light ones.
        axes.axhline(scale.mark, color="black", linewidth=2.4)
        axes.axhline(scale.mark, color="white", linewidth=1.0)
    if not isinstance(norm, LogNorm):
        axes.yaxis.get_major_formatter().set_useOffset(False)  # type: ignore[attr-defined]
        return
    least, most = axes.get_ylim()
    decades = np.log10(most / least)
    if decades > 3:
        return
    halves = [step / 2 for step in range(2, 20)]
    units = [1, 1.5, *range(2, 10)]
    fine = [step / 10 for step in range(10, 100)]
    steps = (
        fine
        if decades < 0.12
        else halves
        if decades < 0.25
        else units
        if decades < 0.5
        else [1, 2, 3, 5, 7]
        if decades < 1.5
        else [1, 2, 5]
    )
    axes.yaxis.set_major_locator(LogLocator(subs=steps))
    powers = LogFormatterSciNotation(labelOnlyBase=False, minor_thresholds=(np.inf, np.inf))
    axes.yaxis.set_major_formatter("{x:g}" if least > 1e-3 and most < 1e4 else powers)
    axes.yaxis.set_minor_formatter(NullFormatter())
