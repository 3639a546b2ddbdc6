"""What ranks the networks by training speed, as figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ntk_sweep.analysis.chapters.speed.candidates import BY_NAME, measured_epochs
from ntk_sweep.analysis.chapters.speed.correlations import ACROSS, WITHIN
from ntk_sweep.analysis.chapters.speed.tables import best, correlation_text, counts
from ntk_sweep.analysis.drawing.axes import (
    PAPER,
    grid,
    heading,
    log_ticks,
)
from ntk_sweep.analysis.drawing.looks import Look, activation_looks
from ntk_sweep.analysis.drawing.rendering import style
from ntk_sweep.analysis.rows.activations import activation_title, activations
from ntk_sweep.analysis.rows.quantities import LAMBDA_MIN
from ntk_sweep.analysis.rows.runs import Runs

MOST_POINTS = 2000
"""Points drawn one by one; more become an image inside SVG and PDF."""

Ranking = tuple[Runs, pd.DataFrame]
"""The runs of a setting, and their frame of
`ntk_sweep.analysis.chapters.speed.correlations.correlations`."""


def ranking_figure(every: Sequence[Ranking], threshold: float, subtitle: str = "") -> Figure:
    """ρ with its interval for each candidate, a panel for each setting.

    Over all runs, within activations, and in each of these.

    Args:
        every: The settings.
        threshold: Which loss.
        subtitle: Above the panels.
    """
    order = _order(every, threshold)
    looks = activation_looks(activations(pd.concat([runs.rows["act"] for runs, _ in every])))
    with style():
        panel = max(min(2.9, (PAPER - 2.6) / len(every)), 1.6)
        figure = Figure(
            figsize=(2.6 + panel * len(every), 1.5 + 0.235 * len(order)), layout="constrained"
        )
        panels = figure.subplots(1, len(every), squeeze=False, sharey=True)[0]
        for axes, ranking in zip(panels, every, strict=True):
            _ranking_panel(axes, ranking, threshold, order, looks)
        panels[0].set_yticks(range(len(order)), [_math(BY_NAME[name].title) for name in order])
        panels[0].set_ylim(len(order) - 0.5, -0.5)
        heading(figure, subtitle)
        handles = _ranking_handles(every, threshold, looks)
        figure.legend(handles=handles, loc="outside lower left", ncols=3, fontsize=8)
        return figure


def _ranking_panel(
    axes: Axes, ranking: Ranking, threshold: float, order: Sequence[str], looks: dict[str, Look]
) -> None:
    """The candidates of a setting, in an order that all panels share."""
    runs, frame = ranking
    known = frame[frame["threshold"] == threshold].set_index(["candidate", "scope"])
    for place, name in enumerate(order):
        if (name, ACROSS) not in known.index:
            continue
        for act in activations(runs.rows["act"]):
            axes.plot(
                known.loc[(name, act)]["rho"],
                place,
                marker=looks[act].marker,
                linestyle="none",
                color=looks[act].colour,
                markersize=3.2,
                alpha=0.75,
                linewidth=0,
            )
        _interval(axes, known.loc[(name, ACROSS)], place - 0.16, "#000000", "#000000")
        _interval(axes, known.loc[(name, WITHIN)], place + 0.16, "#777777", "#ffffff")
    reached, _ = counts(runs, threshold)
    rate = _math(runs.setting.rate)
    axes.set_title(
        f"learning rate {rate}\n{reached} of {len(runs.rows)} runs reach it", fontsize=8.5
    )
    axes.axvline(0, color="#444444", linewidth=0.8)
    axes.set(xlim=(-1.05, 1.05), xlabel=r"Spearman's $\rho$ with the epochs")
    grid(axes, "x")
    for place in range(0, len(order), 2):
        axes.axhspan(place - 0.5, place + 0.5, color="#f4f4f4", linewidth=0, zorder=0)


def _ranking_handles(
    every: Sequence[Ranking], threshold: float, looks: dict[str, Look]
) -> list[Line2D]:
    """What the legend names: within activations only where a correlation there is defined."""
    look: dict[str, Any] = {"marker": "o", "markersize": 4.5}
    handles = [Line2D([], [], color="#000000", label="all runs, 95 % interval", **look)]
    frames = [
        frame[(frame["threshold"] == threshold) & (frame["scope"] != ACROSS)] for _, frame in every
    ]
    scopes = pd.concat(frames).dropna(subset="rho")["scope"]
    if len(scopes):
        within = Line2D([], [], color="#777777", markerfacecolor="#ffffff", **look)
        within.set_label("mean within activations")
        known = set(scopes)
        handles += [within, *_legend({act: own for act, own in looks.items() if act in known})]
    return handles


def scatter_figure(every: Sequence[Ranking], threshold: float, subtitle: str = "") -> Figure:
    """The best candidate over all runs, and λ_min, against the epochs to the loss.

    A row for each setting, activations in colours.

    Args:
        every: The settings.
        threshold: Which loss.
        subtitle: Above the panels.
    """
    looks = activation_looks(activations(pd.concat([runs.rows["act"] for runs, _ in every])))
    with style():
        figure = Figure(figsize=(7.0, 0.9 + 2.7 * len(every)), layout="constrained")
        panels = figure.subplots(len(every), 2, squeeze=False, sharey="row")
        for line, (runs, frame) in zip(panels, every, strict=True):
            own = frame[frame["threshold"] == threshold]
            known = own.set_index(["candidate", "scope"])
            # Where λ_min itself is the best, the next one stands beside it.
            name = best(own[own["candidate"] != LAMBDA_MIN.name]) or LAMBDA_MIN.name
            for axes, shown in zip(line, (name, LAMBDA_MIN.name), strict=True):
                _scatter(axes, runs, shown, threshold, looks)
                rho = correlation_text(known.loc[(shown, ACROSS)]).replace("-", "\N{MINUS SIGN}")
                axes.set_title(
                    rf"learning rate {_math(runs.setting.rate)}: $\rho$ = {rho}", fontsize=8.5
                )
            line[0].set_ylabel(f"epochs to a loss of {threshold:g}")
        heading(figure, subtitle)
        slow = Line2D(
            [],
            [],
            color="#777777",
            marker="o",
            markerfacecolor="none",
            linewidth=0,
            label="not reached, or diverged",
        )
        figure.legend(
            handles=[*_legend(looks), slow],
            loc="outside lower left",
            ncols=5,
            fontsize=8,
            columnspacing=1.2,
        )
        return figure


def alt_text(every: Sequence[Ranking], threshold: float) -> str:
    """Both figures in words, for those who cannot see them."""
    texts = []
    for runs, frame in every:
        own = frame[frame["threshold"] == threshold]
        known = own.set_index(["candidate", "scope"])
        name = best(own)
        if name is None:
            texts.append(f"at learning rate {runs.setting.rate} no correlation is defined")
            continue
        found, least = (
            correlation_text(known.loc[(shown, ACROSS)]) for shown in (name, LAMBDA_MIN.name)
        )
        texts.append(
            f"at learning rate {runs.setting.rate} the greatest is that of {BY_NAME[name].title}, "
            f"{found}, and λ_min has {least}"
        )
    return (
        "Rank correlations of quantities known before training with the epochs to a loss of "
        f"{threshold:g}, with 95 % intervals: {'; '.join(texts)}."
    )


def _order(every: Sequence[Ranking], threshold: float) -> list[str]:
    """The candidates by falling mean |ρ| over all runs of each setting.

    Those that have none are left out.
    """
    frames = [
        frame[(frame["threshold"] == threshold) & (frame["scope"] == ACROSS)] for _, frame in every
    ]
    strength = (
        pd.concat(frames)
        .assign(rho=lambda rows: rows["rho"].abs())
        .groupby("candidate", sort=False)["rho"]
        .mean()
    )
    return list(strength.dropna().sort_values(ascending=False, kind="stable").index)


def _interval(axes: Axes, line: pd.Series, place: float, colour: str, face: str) -> None:
    if np.isfinite(line["low"]):
        axes.plot(
            [line["low"], line["high"]], [place, place], color=colour, linewidth=1.3, zorder=3
        )
    axes.plot(line["rho"], place, "o", color=colour, markerfacecolor=face, markersize=4.5, zorder=4)


def _scatter(axes: Axes, runs: Runs, name: str, threshold: float, looks: dict[str, Look]) -> None:
    """A candidate against the epochs.

    What has no time, measured or predicted, stands hollow beyond the end of training.
    """
    value = BY_NAME[name].value(runs.rows, threshold)
    epochs = measured_epochs(runs.rows, threshold)
    reached = np.isfinite(epochs)
    end = runs.setting.epochs
    y, y_scale = _placed(epochs, end)
    x, x_scale = _placed(value, end)
    for act in activations(runs.rows["act"]):
        own = (runs.rows["act"] == act).to_numpy() & ~np.isnan(value)
        look: dict[str, Any] = {
            "color": looks[act].colour,
            "marker": looks[act].marker,
            "linestyle": "none",
            "markersize": 3.6,
            "linewidth": 0,
            "markeredgewidth": 0.7,
            "alpha": 0.7,
            # A point each, they would make files of megabytes.
            "rasterized": len(runs.rows) > MOST_POINTS,
        }
        axes.plot(x[own & reached], y[own & reached], **look)
        axes.plot(
            x[own & ~reached],
            y[own & ~reached],
            markerfacecolor="none",
            **look,
        )
    axes.set(xlabel=_math(BY_NAME[name].title), xscale=x_scale, yscale=y_scale)
    for values, line in ((epochs, axes.axhline), (value, axes.axvline)):
        if np.isposinf(values).any():
            line(end, color="#999999", linewidth=0.7, linestyle=(0, (2, 2)))
    if x_scale == "log":
        log_ticks(axes.xaxis, *axes.get_xlim())
    if y_scale == "log":
        log_ticks(axes.yaxis, *axes.get_ylim())
    grid(axes)


def _placed(values: np.ndarray, end: float) -> tuple[np.ndarray, str]:
    """Values and the scale of their axis.

    Infinite ones stand a little beyond the end of training.
    """
    finite = values[np.isfinite(values)]
    if not len(finite) or finite.min() <= 0:
        return np.where(np.isposinf(values), 1.06 * end, values), "linear"
    return np.where(
        np.isposinf(values), end * max((end / finite.min()) ** 0.06, 1.1), values
    ), "log"


def _legend(looks: dict[str, Look]) -> list[Line2D]:
    return [
        Line2D(
            [],
            [],
            color=look.colour,
            marker=look.marker,
            markersize=4,
            linewidth=0,
            label=activation_title(act),
        )
        for act, look in looks.items()
    ]


def _math(text: str) -> str:
    """Symbols as matplotlib writes them."""
    return text.replace("λ_min", r"$\lambda_{\min}$").replace("λ_max", r"$\lambda_{\max}$")
