"""The kernel's change during training, over epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.drift.numbers import SHOWN, over_seeds, shown_networks
from ntk_sweep.analysis.chapters.drift.width_figure import CHANGE
from ntk_sweep.analysis.drawing.axes import PAPER, grid, heading, log_limits, log_ticks
from ntk_sweep.analysis.drawing.looks import Look, activation_looks, ordered_looks
from ntk_sweep.analysis.drawing.loss_panels import band
from ntk_sweep.analysis.drawing.rendering import style
from ntk_sweep.analysis.rows.activations import activation_title, activations
from ntk_sweep.analysis.rows.over_seeds import ENDS
from ntk_sweep.analysis.rows.runs import rows_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_WIDTHS = 5
"""Curves in a panel over epochs: more hide one another."""

ACROSS = 4
"""Panels side by side, at the width of paper."""

MOST_BANDS = 3
"""Curves that have their bands: more of them mix to one colour."""

EIGENVALUES = ("lambda_min_ratio", "lambda_max_ratio", "alignment")

_AXES = {
    "change": CHANGE,
    "lambda_min_ratio": r"$\lambda_{\min}(t)\,/\,\lambda_{\min}(0)$",
    "lambda_max_ratio": r"$\lambda_{\max}(t)\,/\,\lambda_{\max}(0)$",
    "alignment": "alignment",
}


def epoch_figure(points: pd.DataFrame, subtitle: str = "") -> Figure:
    """The change over epochs, a panel an activation and a curve a width.

    Args:
        points: From `ntk_sweep.analysis.chapters.drift.numbers.drift`, of one depth.
        subtitle: Above the panels.
    """
    from matplotlib.figure import Figure

    table = over_seeds(points[points["epoch"] > 0])
    acts = activations(table["act"])
    chosen = shown_networks(table, MOST_WIDTHS)
    widths = sorted({width for _, width, _ in chosen})
    looks = ordered_looks(widths)
    down = -(-len(acts) // ACROSS)
    across = -(-len(acts) // down)
    with style():
        figure = Figure(
            figsize=(
                min(max(1.0 + 2.3 * across, 5.4), PAPER),
                1.0 + (2.7 if down == 1 else 2.0 * down),
            ),
            layout="constrained",
        )
        panels = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).ravel()
        for act, axes in zip(acts, panels, strict=False):
            for network in (one for one in chosen if one[0] == act):
                look, place = looks[network[1]], widths.index(network[1])
                _curve(axes, rows_of(table, network), "change", look, place)
            axes.set_title(activation_title(act), fontsize=9)
            grid(axes)
        for place, axes in enumerate(panels):
            axes.set_visible(place < len(acts))
            # Where the last row is not full, the panel above a gap has the labels.
            below = place + across >= len(acts)
            axes.set_xlabel("epoch" if below else "")
            axes.tick_params(labelbottom=below)
        for axes in panels[::across]:
            axes.set_ylabel(_AXES["change"])
        panels[0].set_xlim(left=0)
        _vertical(panels[0], table, "change")
        heading(figure, subtitle)
        _legend(
            figure, panels[0], {str(width): look for width, look in looks.items()}, "width", table
        )
        return figure


def eigenvalue_figure(points: pd.DataFrame, subtitle: str = "") -> Figure:
    """λ_min, λ_max and alignment over epochs.

    A column each, a curve an activation, a row for the narrowest and one for the widest networks.

    Args:
        points: From `ntk_sweep.analysis.chapters.drift.numbers.drift`, of one depth.
        subtitle: Above the panels.
    """
    from matplotlib.figure import Figure

    table = _ends(over_seeds(points))
    widths = sorted(table["width"].unique())
    looks = activation_looks(activations(table["act"]))
    filled = len(looks) <= MOST_BANDS
    with style():
        figure = Figure(figsize=(PAPER, 1.2 + 2.0 * len(widths)), layout="constrained")
        panels = figure.subplots(
            len(widths), len(EIGENVALUES), squeeze=False, sharex=True, sharey="col"
        )
        for width, line in zip(widths, panels, strict=True):
            for name, axes in zip(EIGENVALUES, line, strict=True):
                for place, (act, look) in enumerate(looks.items()):
                    own = table[(table["act"] == act) & (table["width"] == width)]
                    if len(own):
                        _curve(axes, own, name, look, place, filled)
                grid(axes)
            line[0].set_ylabel(f"width {width}")
        for name, top, bottom in zip(EIGENVALUES, panels[0], panels[-1], strict=True):
            top.set_title(_AXES[name], fontsize=9)
            bottom.set_xlabel("epoch")
            _vertical(top, table, name, ENDS if filled else ENDS[:1])
        panels[0, 0].set_xlim(left=0)
        heading(figure, subtitle)
        shown = {activation_title(act): look for act, look in looks.items()}
        _legend(figure, panels[0, 0], shown, "activation", table, filled)
        return figure


def eigenvalue_text(points: pd.DataFrame) -> str:
    """The figure of eigenvalues in words, for those who cannot see it."""
    table = _ends(over_seeds(points))
    texts = []
    for width, own in table[table["epoch"] == table["epoch"].max()].groupby("width"):
        ranges = [
            f"{SHOWN[name]}, from {own[name].min():.2g} to {own[name].max():.2g}"
            for name in EIGENVALUES
            if own[name].notna().any()
        ]
        texts.append(f"width {width}: {'; '.join(ranges)}")
    return (
        f"Over {int(table['epoch'].max())} epochs of training at depth {points['depth'].iloc[0]}, "
        f"medians of each activation at the end: {'. '.join(texts)}."
    )


def _ends(table: pd.DataFrame) -> pd.DataFrame:
    """The narrowest and the widest networks."""
    return table[table["width"].isin((table["width"].min(), table["width"].max()))]


def _curve(
    axes: Axes, own: pd.DataFrame, name: str, look: Look, place: int, filled: bool = True
) -> None:
    """A curve over epochs, told apart by its colour and its marker."""
    band(axes, own, name, look.colour, filled=filled, linewidth=1.1, **look.curve(place, own[name]))


def _legend(
    figure: Figure,
    axes: Axes,
    looks: dict[str, Look],
    title: str,
    table: pd.DataFrame,
    filled: bool = True,
) -> None:
    """What the curves are, below the panels, and what stands for the seeds."""
    for name, look in looks.items():
        axes.plot([], [], color=look.colour, marker=look.marker, markersize=4, label=name)
    if table["seeds"].max() > 1:
        title += ": medians over seeds" + (
            ", bands from the least to the greatest" if filled else ""
        )
    figure.legend(
        loc="outside lower left",
        ncols=min(len(looks), 8),
        fontsize=8,
        title=title,
        title_fontsize=8,
        alignment="left",
        columnspacing=1.4,
    )


def _vertical(axes: Axes, table: pd.DataFrame, name: str, ends: Sequence[str] = ENDS) -> None:
    """A logarithmic axis for changes and ratios, as far as there is something to show."""
    if name == "alignment":
        return
    values = [table[f"{name}{end}"].to_numpy() for end in ends]
    if not (np.concatenate(values) > 0).any():
        return
    axes.set(yscale="log", ylim=log_limits(*values))
    log_ticks(axes.yaxis, *axes.get_ylim())
