"""Colours and markers of activations and networks, told apart however many there are."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ntk_sweep.analysis.rows.runs import Cell
from ntk_sweep.network.activations.registry import ACTIVATIONS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8A6D1B")
"""Told apart by the colour-blind (Okabe and Ito 2008).

Without their yellow, which is too light for a line, and with a brown. More colours than these
differ, but not for every eye.
"""

MARKERS = "os^Dv<>P"

_GOLDEN = 0.6180339887498949
"""Of the circle of hues, between one colour and the next beyond `COLOURS`: none comes twice."""


@dataclass(frozen=True)
class Look:
    """How a curve is drawn; the marker tells it apart where the colour is not seen."""

    colour: str
    marker: Any

    def curve(self, place: int, values: Iterable[float]) -> dict[str, Any]:
        """How a curve of many points is drawn: with few markers, beside those of other places."""
        few = np.isfinite(np.asarray(values, dtype=float)).sum() < 2
        every = None if few else (0.03 * (place % 8), 0.24)
        return {"marker": self.marker, "markersize": 3.5, "markevery": every}

    def means(self, axes: Axes, line: pd.DataFrame, x: str, **curve: Any) -> None:
        """Draws `mean` over the column `x`, within `low` and `high` where these differ."""
        if (line["low"] < line["high"]).any():
            axes.fill_between(
                line[x], line["low"], line["high"], color=self.colour, alpha=0.14, linewidth=0
            )
        axes.plot(
            line[x], line["mean"], color=self.colour, marker=self.marker, markersize=3.2, **curve
        )


def colour(place: int) -> str:
    """The colour of a place in an order; every place has its own."""
    from matplotlib.colors import to_hex

    if place < len(COLOURS):
        return COLOURS[place]
    hue = (place * _GOLDEN) % 1.0
    return to_hex(colorsys.hsv_to_rgb(hue, 0.85, 0.6 + 0.3 * (place % 2)))


def marker(place: int) -> Any:
    """The marker of a place in an order; every place has its own: beyond `MARKERS` a star."""
    return MARKERS[place] if place < len(MARKERS) else (place - len(MARKERS) + 4, 1, 0)


def activation_looks(acts: Iterable[str]) -> dict[str, Look]:
    """The looks of the activations of a figure, all different.

    Those of the library look the same in every figure. Names that it does not know follow in
    their order, so that theirs depends on which others the figure shows.
    """
    known = list(ACTIVATIONS)
    shown = list(dict.fromkeys(acts))
    order = known + [act for act in shown if act not in known]
    return {act: Look(colour(order.index(act)), marker(order.index(act))) for act in shown}


def network_looks(networks: Sequence[Cell]) -> list[Look]:
    """A look for each network: that of its activation where these differ."""
    acts = [act for act, _, _ in networks]
    if len(set(acts)) < len(acts):
        return [Look(colour(place), marker(place)) for place in range(len(acts))]
    return list(activation_looks(acts).values())


def ordered_looks(values: Sequence[int]) -> dict[int, Look]:
    """The looks of values of an ordered quantity, such as widths, from dark to light.

    Their colours are of the map that the heat maps have.
    """
    import matplotlib
    from matplotlib.colors import to_hex

    colours = matplotlib.colormaps["viridis"]
    return {
        value: Look(to_hex(colours(0.82 * place / max(len(values) - 1, 1))), marker(place))
        for place, value in enumerate(values)
    }
