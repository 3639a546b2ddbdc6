"""The rate at which the loss falls, over the loss, a panel for each way of training."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from ntk_sweep.analysis.chapters.flow.numbers import FACTOR, medians
from ntk_sweep.analysis.drawing.axes import PAPER, grid, heading, log_limits, log_ticks
from ntk_sweep.analysis.drawing.looks import Look, activation_looks, network_looks
from ntk_sweep.analysis.drawing.loss_panels import ABOVE, BAND_ALPHA
from ntk_sweep.analysis.drawing.rendering import style
from ntk_sweep.analysis.rows.activations import activation_title, activations
from ntk_sweep.analysis.rows.runs import MOST_NETWORKS, list_cells, network_title
from ntk_sweep.store.columns import CELL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Panel = tuple[str, pd.DataFrame]
"""How networks were trained, and their rates (`numbers.curves`)."""

ACROSS = 2
"""Panels side by side on paper."""


def drawn_by(panels: Sequence[Panel]) -> list[str]:
    """What has a curve: a network, or an activation where there are too many networks."""
    every = pd.concat([points for _, points in panels])
    return CELL if len(list_cells(every)) <= MOST_NETWORKS else ["act"]


def drawn(panels: Sequence[Panel]) -> pd.DataFrame:
    """The curves of the figure: `setting`, then as `medians` gives them."""
    by = drawn_by(panels)
    tables = [medians(points, by).assign(setting=title) for title, points in panels]
    table = pd.concat(tables, ignore_index=True)
    return table[["setting", *(name for name in table if name != "setting")]]


def rate_figure(panels: Sequence[Panel], title: str = "") -> Figure:
    """The rate in units of 4 λ_min/N over L/L(0), both on logarithmic axes.

    Time runs to the right, where the loss falls. Where the rate is near 1, λ_min matters.

    Args:
        panels: With a rate in one of them.
        title: Above the panels.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    table, looks = drawn(panels), _looks(panels)
    across = min(len(panels), ACROSS)
    down = -(-len(panels) // across)
    ends = (table[name].to_numpy() for name in ("rate_low", "rate_high"))
    y = log_limits(*ends, floor=1e-3, ceiling=ABOVE * float(table["rate"].max()))
    y = (min(y[0], 1 / FACTOR), max(y[1], FACTOR))
    x = (1.0, float(table["relative_loss"].min()))
    with style():
        height = 0.6 + 2.5 * down + 0.17 * -(-len(looks) // 4)
        figure = Figure(figsize=(PAPER if across > 1 else 5.4, height), layout="constrained")
        places = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).ravel()
        for place, axes in enumerate(places):
            if place >= len(panels):
                axes.set_visible(False)
                continue
            setting = panels[place][0]
            _panel(axes, table[table["setting"] == setting], looks)
            axes.set(xscale="log", yscale="log", xlim=x, ylim=y)
            axes.set_title(textwrap.fill(setting, 50 if across > 1 else 80), fontsize=8.5)
            if place + across >= len(panels):
                axes.set_xlabel("loss $L/L(0)$")
                axes.tick_params(labelbottom=True)
            if place % across == 0:
                axes.set_ylabel(r"rate$\,/\,(4\lambda_{\min}/N)$")
            axes.xaxis.set_major_locator(LogLocator(numticks=6))
            axes.xaxis.set_minor_formatter(NullFormatter())
        log_ticks(places[0].yaxis, *y)
        for name, look in looks.values():
            places[0].plot([], [], color=look.colour, marker=look.marker, markersize=4, label=name)
        heading(figure, title)
        figure.legend(
            *places[0].get_legend_handles_labels(), loc="outside lower left", ncols=4, fontsize=8
        )
        return figure


def alt_text(panels: Sequence[Panel]) -> str:
    """The figure in words, for those who cannot see it."""
    table = drawn(panels)
    texts = []
    for setting, own in table.groupby("setting", sort=False):
        ends = own.groupby(drawn_by(panels), sort=False).agg(
            first=("rate", "first"), last=("rate", "last")
        )
        texts.append(
            f"{setting}: medians begin between {_range(ends['first'])} and end between "
            f"{_range(ends['last'])}"
        )
    return (
        "Rate at which the loss falls in units of 4 λ_min/N of the kernel before training, against "
        f"the loss relative to its start, on logarithmic axes. {'; '.join(texts)}."
    )


def _range(values: pd.Series) -> str:
    return f"{values.min():.2g} and {values.max():.2g}"


def _looks(panels: Sequence[Panel]) -> dict[tuple, tuple[str, Look]]:
    """Of each curve its name and look, the same in all panels."""
    every = pd.concat([points for _, points in panels])
    networks = list_cells(every)
    if drawn_by(panels) == CELL:
        looks = network_looks(networks)
        return {one: (network_title(one), look) for one, look in zip(networks, looks, strict=True)}
    acts = activations(every["act"])
    return {(act,): (activation_title(act), look) for act, look in activation_looks(acts).items()}


def _panel(axes: Axes, own: pd.DataFrame, looks: dict[tuple, tuple[str, Look]]) -> None:
    axes.axhspan(1 / FACTOR, FACTOR, color="#eeeeee", linewidth=0, zorder=0)
    axes.axhline(1.0, color="#444444", linestyle="--", linewidth=1.0)
    order = list(looks)
    by = CELL if len(order[0]) > 1 else ["act"]
    for values, curve in own.groupby(by, sort=False):
        _, look = looks[tuple(values)]
        x = curve["relative_loss"].to_numpy(float)
        if curve["runs"].max() > 1:
            band = (curve["rate_low"].to_numpy(float), curve["rate_high"].to_numpy(float))
            axes.fill_between(x, *band, color=look.colour, alpha=BAND_ALPHA, linewidth=0)
        shape = look.curve(order.index(tuple(values)), curve["rate"])
        axes.plot(x, curve["rate"], color=look.colour, linewidth=1.2, **shape)
    grid(axes)
