"""What tells the speed of training, as figures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.speed.associations import Association
from ntk_sweep.analysis.chapters.speed.candidates import TITLES
from ntk_sweep.analysis.chapters.speed.tables import share_text
from ntk_sweep.analysis.drawing.axes import PAPER, grid, heading
from ntk_sweep.analysis.drawing.looks import Look
from ntk_sweep.analysis.drawing.rendering import style

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DRAWN, REMOVED = Look("#b2182b", "o"), Look("#2166ac", "s")
"""Looks of f₀ as drawn and removed: red and blue that the colour-blind tell apart."""

LABEL = "Somers' D with the epochs"


def curve_figure(every: Sequence[Association], subtitle: str = "") -> Figure:
    """D of η λ_k against k, a panel for each step size: f₀ as drawn, and removed.

    Dashed lines are the ceiling: the time that the whole kernel predicts.

    Args:
        every: One association of each setting.
        subtitle: Above the panels.
    """
    from matplotlib.figure import Figure

    rates = list(dict.fromkeys(_kind(one) for one in every))
    with style():
        figure = Figure(figsize=(max(3.4 * len(rates), 4.0), 3.6), layout="constrained")
        panels = figure.subplots(1, len(rates), squeeze=False, sharey=True)[0]
        for axes, rate in zip(panels, rates, strict=True):
            own = [one for one in every if _kind(one) == rate]
            curve_panel(axes, own)
            title = f"learning rate {_math(own[0].runs.setting.rate)}\n{_shares(own)}"
            axes.set_title(title, fontsize=8.5)
            axes.set_xlabel(r"k, from $\lambda_\mathrm{max}$ to $\lambda_\mathrm{min}$")
        panels[0].set_ylabel(rf"{LABEL}" + "\n" + r"of $\eta\,\lambda_k$")
        heading(figure, subtitle)
        _legend(figure)
        return figure


def curve_panel(axes: Axes, every: Sequence[Association]) -> None:
    """D of η λ_k against k of settings that differ in f₀ alone."""
    for one in every:
        _curve(axes, one)
    axes.axhline(0, color="#444444", linewidth=0.8)
    axes.set_ylim(-1.05, 1.05)
    grid(axes)


def _curve(axes: Axes, one: Association) -> None:
    removed = one.runs.setting.centre_outputs
    look = REMOVED if removed else DRAWN
    colour = look.colour
    name = _name(one)
    axes.fill_between(
        one.curve["k"], one.curve["low"], one.curve["high"], color=colour, alpha=0.2, linewidth=0
    )
    axes.plot(
        one.curve["k"],
        one.curve["d"],
        color=colour,
        label=name,
        **look.curve(int(removed), one.curve["d"]),
    )
    if np.isfinite(one.ceiling[0]):
        # The ceiling is an association with time itself, so it stands below like a rate.
        axes.axhline(
            -one.ceiling[0],
            color=colour,
            linewidth=1,
            linestyle="--",
            label=f"{name}: prediction, \N{MINUS SIGN}D",
        )


def ranking_figure(every: Sequence[Association], subtitle: str = "") -> Figure:
    """D of each candidate with its simultaneous interval, a panel for each step size.

    Args:
        every: One association of each setting.
        subtitle: Above the panels.
    """
    from matplotlib.figure import Figure

    order = _order(every)
    rates = list(dict.fromkeys(_kind(one) for one in every))
    with style():
        panel = max(min(2.9, (PAPER - 1.9) / len(rates)), 1.7)
        size = (1.9 + panel * len(rates), 1.3 + 0.26 * len(order))
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(1, len(rates), squeeze=False, sharey=True)[0]
        for axes, rate in zip(panels, rates, strict=True):
            own = [one for one in every if _kind(one) == rate]
            for one in own:
                _intervals(axes, one, order, 0.15 if len(own) > 1 else 0.0)
            axes.set_title(f"learning rate {_math(own[0].runs.setting.rate)}", fontsize=8.5)
            axes.axvline(0, color="#444444", linewidth=0.8)
            axes.set(xlim=(-1.05, 1.05), xlabel=LABEL)
            grid(axes, "x")
            for place in range(0, len(order), 2):
                axes.axhspan(place - 0.5, place + 0.5, color="#f4f4f4", linewidth=0, zorder=0)
        panels[0].set_yticks(range(len(order)), [_math(TITLES[name]) for name in order])
        panels[0].set_ylim(len(order) - 0.5, -0.5)
        heading(figure, subtitle)
        _legend(figure)
        return figure


def _intervals(axes: Axes, one: Association, order: Sequence[str], offset: float) -> None:
    known = one.table.set_index("candidate").reindex(order)
    removed = one.runs.setting.centre_outputs
    look, shift = (REMOVED, offset) if removed else (DRAWN, -offset)
    places = np.arange(len(order)) + shift
    axes.hlines(places, known["low"], known["high"], color=look.colour, linewidth=1.2)
    axes.plot(
        known["d"],
        places,
        linestyle="none",
        marker=look.marker,
        color=look.colour,
        markersize=4,
        label=_name(one),
    )


def _name(one: Association) -> str:
    return f"$f_0$ {'removed' if one.runs.setting.centre_outputs else 'as drawn'}"


def _shares(every: Sequence[Association]) -> str:
    """The share that the epochs of a panel are to; of each curve, where they differ."""
    shares = list(dict.fromkeys(share_text(one.share) for one in every))
    if len(shares) == 1:
        return f"epochs to {shares[0]}"
    return ", ".join(f"{_name(one)}: {share_text(one.share)}" for one in every)


def _legend(figure: Figure) -> None:
    """One legend below all panels, where it covers no curve."""
    named: dict[str, Artist] = {}
    for axes in figure.axes:
        handles, labels = axes.get_legend_handles_labels()
        named |= dict(zip(labels, handles, strict=True))
    order = sorted(named)
    figure.legend([named[label] for label in order], order, loc="outside lower left", ncols=2)


def alt_text(every: Sequence[Association]) -> str:
    """Both figures in words, for those who cannot see them."""
    texts = []
    for one in every:
        known = one.curve.dropna(subset="d")
        place = "removed" if one.runs.setting.centre_outputs else "as drawn"
        if len(known):
            texts.append(
                f"at learning rate {one.runs.setting.rate}, f₀ {place}: from "
                f"{known['d'].iloc[0]:.2f} at k = 1 to {known['d'].iloc[-1]:.2f} at k = "
                f"{int(known['k'].iloc[-1])}, least {known['d'].min():.2f}"
            )
    return (
        f"Somers' D of η λ_k and other quantities with the epochs of training: {'; '.join(texts)}."
    )


def _kind(one: Association) -> tuple:
    """What panels are told apart by: the setting, but for f₀."""
    return tuple((vars(one.runs.setting) | {"centre_outputs": None}).items())


def _order(every: Sequence[Association]) -> list[str]:
    """The candidates by falling mean |D|; those that have none are left out."""
    together = pd.concat([one.table for one in every])
    strength = together.assign(d=together["d"].abs()).groupby("candidate", sort=False)["d"].mean()
    return list(strength.dropna().sort_values(ascending=False, kind="stable").index)


def _math(text: str) -> str:
    """Symbols as matplotlib writes them."""
    text = re.sub(r"λ_(\w+)", r"$\\lambda_{\\mathrm{\1}}$", text)
    return text.replace("Θ_ii", r"$\Theta_{ii}$").replace("Θ̄", r"$\bar\Theta$")
