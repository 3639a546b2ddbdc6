"""The paragraph and the figure at the head of the answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from docs.tools.study.conditions import SECONDARY, Condition, Flow
from docs.tools.study.tables import f0
from ntk_sweep.analysis.chapters.flow.numbers import all_seeds
from ntk_sweep.analysis.chapters.speed.candidates import LAMBDA_MIN, PRIMARY
from ntk_sweep.analysis.chapters.speed.figures import curve_panel
from ntk_sweep.analysis.chapters.speed.tables import share_text
from ntk_sweep.analysis.drawing.rendering import style
from ntk_sweep.analysis.writing.entries import number, signed

FIRST = 3
"""Candidates that the paragraph names."""


def answer(every: Sequence[Condition], flows: Sequence[Flow], candidates: pd.DataFrame) -> str:
    """The paragraph, every number of which is counted here."""
    drawn = [one for one in every if not one.removed]
    removed = [one for one in every if one.removed]
    runs = sum(len(one.found.runs.rows) for one in every)
    known = [one for one in removed if one.known]
    better = sum(one.bulk >= abs(one.d()) for one in known)
    folds = [one.e_folds for one in every]
    loose = [one.looseness for one in every]
    return (
        f"Of {runs:,} runs under {len(every)} conditions: with the initial function f₀ as drawn, "
        f"η λ_min has a D {_said(drawn)} with the epochs to stay below {share_text(PRIMARY)}; with "
        f"f₀ removed {_said(removed)}. At {share_text(SECONDARY)} it is "
        f"{_said([one.at(SECONDARY) for one in drawn])} as drawn, and "
        f"{_said([one.at(SECONDARY) for one in removed])} removed. One of η λ_50, η λ_100, η λ_150 "
        f"has at least the |D| of η λ_min in {better} of {len(known)} conditions with f₀ removed. "
        f"The residual decays at first {number(min(loose), 2)} to {number(max(loose), 2)} times as "
        "fast as the mode of λ_min (medians over networks), which is why a bound by λ_min is "
        f"loose; the longest run of a condition lasts {number(min(folds), 2)} to "
        f"{number(max(folds), 2)} e-folds of that mode. {_single(candidates)}{_flow(flows)}"
    )


def _said(some: Sequence[Condition]) -> str:
    """From where to where D goes, and how often it is below 0."""
    known = [one for one in some if one.known]
    if not known:
        return "unknown"
    values = [one.d() for one in known]
    below = sum(one.d(LAMBDA_MIN, "high") < 0 for one in known)
    text = (
        f"from {signed(np.nanmin(values))} to {signed(np.nanmax(values))} (below 0 by its "
        f"simultaneous interval in {below} of {len(known)} conditions"
    )
    few = len(some) - len(known)
    return text + (f"; in {few} others too few networks get there)" if few else ")")


def _single(candidates: pd.DataFrame) -> str:
    """The numbers that tell most."""
    texts = []
    for removed, words in ((True, "with f₀ removed"), (False, "with f₀ as drawn")):
        own = candidates[candidates["removed"] == removed]
        best = own.sort_values("size", ascending=False, kind="stable").head(FIRST)
        if len(best):
            named = ", ".join(f"{line['title']} {signed(line['d'])}" for _, line in best.iterrows())
            texts.append(f"{words} {named}")
    return f"What tells most, by median D over conditions: {'; '.join(texts)}."


def _flow(flows: Sequence[Flow]) -> str:
    """Whether the flow ends at the rate of λ_min, by images and initial function."""
    texts = []
    for data, removed in dict.fromkeys((one.data, one.removed) for one in flows):
        own = [one for one in flows if (one.data, one.removed) == (data, removed)]
        holds = pd.concat([all_seeds(one.values, one.values["onset"] > 0) for one in own])
        drift = pd.concat([one.values["kernel_drift"] for one in own]).median()
        texts.append(
            f"{int(holds.sum())} of {len(holds)} ({data}, f₀ {f0(own[0])}; there the kernel moves "
            f"by {number(drift, 2)} in the median)"
        )
    if not texts:
        return ""
    return (
        " The gradient flow, followed to a loss of 1e-20, comes to the rate of λ_min, 4λ_min/N "
        f"within a factor of 2, for both seeds in {', '.join(texts)} networks, each task counted."
    )


def figure(every: Sequence[Condition]) -> Figure:
    """D of η λ_k against k: tasks in rows, endpoints and step sizes in columns."""
    rates = list(dict.fromkeys(one.rate for one in every))
    columns = [(share, rate) for share in (PRIMARY, SECONDARY) for rate in rates]
    rows = list(dict.fromkeys((one.data, one.task) for one in every))
    with style():
        made = Figure(figsize=(10.0, 1.2 + 1.45 * len(rows)), layout="constrained")
        panels = made.subplots(len(rows), len(columns), squeeze=False, sharex=True, sharey=True)
        for line, row in zip(panels, rows, strict=True):
            for axes, (share, rate) in zip(line, columns, strict=True):
                own = [
                    one.at(share) for one in every if (one.data, one.task, one.rate) == (*row, rate)
                ]
                curve_panel(axes, [one.found for one in own])
                _say_unknown(axes, own)
            line[0].set_ylabel(f"{row[0]}\n{row[1]}", fontsize=8)
        for axes, (share, rate) in zip(panels[0], columns, strict=True):
            axes.set_title(f"to {share_text(share)}, η = {rate}", fontsize=8)
        handles, labels = panels[0][0].get_legend_handles_labels()
        made.legend(handles, labels, loc="outside upper left", ncols=4, fontsize=8)
        made.supylabel(r"Somers' D of $\eta\,\lambda_k$ with the epochs", fontsize=9)
        made.supxlabel("k, from the greatest eigenvalue to the smallest", fontsize=9)
        return made


def _say_unknown(axes: Axes, some: Sequence[Condition]) -> None:
    """Where a curve is missing, since too few networks come to stay below the share."""
    texts = [
        f"f₀ {f0(one)}: {one.found.reaching} of {one.found.networks} get there"
        for one in some
        if not one.known
    ]
    axes.text(
        0.98, 0.95, "\n".join(texts), transform=axes.transAxes, fontsize=7, ha="right", va="top"
    )
