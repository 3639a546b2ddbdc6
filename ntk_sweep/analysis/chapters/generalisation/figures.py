"""Test losses over epochs, measured and predicted, a panel for each network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.generalisation.tables import F_0
from ntk_sweep.analysis.drawing.axes import log_limits
from ntk_sweep.analysis.drawing.looks import COLOURS
from ntk_sweep.analysis.drawing.loss_panels import ABOVE, band, loss_panels, remark_divergence
from ntk_sweep.analysis.drawing.rendering import style
from ntk_sweep.analysis.rows.runs import list_cells, network_title, rows_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DASHED = (0, (5, 1.5))

_COLOURS = {False: COLOURS[0], True: COLOURS[1]}


def course_figure(points: pd.DataFrame, title: str = "") -> Figure:
    """Each network's test loss beside its prediction, with f_0 as drawn and removed.

    Args:
        points: From `ntk_sweep.analysis.chapters.generalisation.numbers.courses`.
        title: Above the panels.
    """
    first = points.loc[points["epoch"] == 0, "measured_high"].max()
    shown = [points[f"{name}{end}"] for name in ("measured", "predicted") for end in ("_low", "")]
    limits = log_limits(*(part.to_numpy() for part in shown), ceiling=ABOVE * float(first))
    networks = list_cells(points)
    with style():
        figure, panels = loss_panels(
            networks, 2 if len(networks) <= 4 else 3, int(points["epoch"].max()), limits, title
        )
        known = [bool(centred) for centred in sorted(points["centred"].unique())]
        for place, (network, axes) in enumerate(panels.items()):
            own = rows_of(points, network)
            for centred in known:
                part = own[own["centred"] == centred]
                if part.empty:
                    continue
                colour = _COLOURS[centred]
                band(axes, part, "measured", colour, linewidth=1.5)
                band(axes, part, "predicted", colour, filled=False, linestyle=_DASHED)
                for name in ("measured", "predicted"):
                    title = f"{name}, $f_0$ {F_0[centred]},"
                    remark_divergence(axes, part, name, colour, title)
            if place == 0:
                for centred in known:
                    words, colour = F_0[centred], _COLOURS[centred]
                    axes.plot([], [], color=colour, label=f"measured, $f_0$ {words}")
                    axes.plot([], [], color=colour, linestyle=_DASHED, label="predicted")
        for axes in panels.values():
            axes.set_ylabel(axes.get_ylabel() and "test loss")
        figure.legend(loc="outside lower left", ncols=2, fontsize=8, handlelength=3.2)
        return figure


def alt_text(points: pd.DataFrame) -> str:
    """The figure in words, for those who cannot see it."""
    texts = []
    for network in list_cells(points):
        own = rows_of(points, network)
        for centred, part in own.groupby("centred", sort=True):
            last = part.iloc[-1]
            text = f"{network_title(network)}, f₀ {F_0[bool(centred)]}, ends at "
            text += f"{last['measured']:.3g}"
            if np.isfinite(last["predicted"]):
                text += f" (predicted {last['predicted']:.3g})"
            texts.append(text)
    return (
        "Loss on test inputs over epochs on logarithmic axes, medians over seeds, measured and "
        f"predicted by the gradient flow with the kernel before training: {'; '.join(texts)}."
    )
