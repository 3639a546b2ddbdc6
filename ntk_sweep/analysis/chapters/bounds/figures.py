"""The loss over epochs beside its bounds, a panel for each network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from ntk_sweep.analysis.chapters.bounds.numbers import TITLES, relative, violations
from ntk_sweep.analysis.chapters.bounds.tables import seeds_text
from ntk_sweep.analysis.drawing.axes import log_limits
from ntk_sweep.analysis.drawing.looks import COLOURS
from ntk_sweep.analysis.drawing.loss_panels import (
    band,
    ceiling,
    loss_panels,
    remark,
    remark_divergence,
)
from ntk_sweep.analysis.drawing.rendering import style
from ntk_sweep.analysis.rows.over_seeds import ENDS
from ntk_sweep.analysis.rows.runs import Runs, list_cells, network_title, rows_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMULAS = {
    "flow": r"$e^{-(4/N)\,\lambda_{\min} t}$",
    "du": r"$(1-\eta\lambda_{\min}/N)^k$",
    "thesis": r"$(1-\eta\lambda_{\min}/2)^k$",
}

_LOOKS: dict[str, dict[str, Any]] = {
    "flow": {"linestyle": (0, (6, 1.5, 1, 1.5)), "linewidth": 1.3},
    "du": {"linestyle": (0, (5, 1.5)), "linewidth": 1.3},
    "thesis": {"linestyle": (0, (1, 1)), "linewidth": 1.6},
}


_COLOURS = {"flow": COLOURS[3], "du": COLOURS[1], "thesis": COLOURS[2]}


def bound_figure(runs: Runs, values: pd.DataFrame, subtitle: str = "") -> Figure:
    """L / L(0) over epochs and its bounds, medians and ranges over seeds, a panel a network.

    Args:
        runs: Whose λ_min is resolved.
        values: From `bound_values`.
        subtitle: Above the panels.
    """
    networks = list_cells(values)
    points = relative(values)
    shown = [points[f"loss{end}"].to_numpy() for end in ("_low", "_high")]
    floor = log_limits(*shown)[0] / 30
    limits = log_limits(
        *shown,
        *(points[name].to_numpy() for name in TITLES),
        floor=floor,
        ceiling=ceiling(points),
    )
    with style():
        figure, panels = loss_panels(networks, 3, runs.setting.epochs, limits, subtitle)
        for place, (network, axes) in enumerate(panels.items()):
            own = rows_of(points, network)
            band(axes, own, "loss", COLOURS[0], "measured" if place == 0 else "", linewidth=1.6)
            remark_divergence(axes, own, "loss", COLOURS[0], "measured")
            for name, title in TITLES.items():
                label = f"{title}: {FORMULAS[name]}" if place == 0 else ""
                # Filled ranges of three bounds would mix to a colour of none.
                band(axes, own, name, _COLOURS[name], label, filled=False, **_LOOKS[name])
                for end in ENDS[1:] if own["seeds"].max() > 1 else ():
                    axes.plot(
                        own["epoch"], own[f"{name}{end}"], color=_COLOURS[name], linewidth=0.5
                    )
                if own[name].isna().all():
                    remark(axes, f"{title.partition(',')[0]}: no bound", _COLOURS[name])
            axes.set_ylabel(axes.get_ylabel() and r"$L\,/\,L(0)$")
        figure.legend(loc="outside lower left", ncols=2, fontsize=8, handlelength=3.2)
        return figure


def alt_text(values: pd.DataFrame) -> str:
    """The figure in words, for those who cannot see it."""
    texts = []
    for line in violations(values).to_dict("records"):
        network = network_title((line["act"], line["width"], line["depth"]))
        texts.append(f"{network} above the bound of {TITLES[line['bound']]}: {seeds_text(line)}")
    return (
        "Loss over that before training, over epochs, beside three bounds from the smallest "
        "eigenvalue, on logarithmic axes: "
        f"{'; '.join(texts)}."
    )
