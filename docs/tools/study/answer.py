"""The paragraph and the figure at the head of the answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from docs.tools.study.conditions import Condition, Flow
from docs.tools.study.tables import kinds
from ntk_sweep.analysis.chapters.flow.numbers import all_seeds
from ntk_sweep.analysis.chapters.speed.candidates import LAMBDA_MIN, PRIMARY
from ntk_sweep.analysis.chapters.speed.figures import curve_panel
from ntk_sweep.analysis.chapters.speed.tables import share_text
from ntk_sweep.analysis.drawing.rendering import style
from ntk_sweep.analysis.writing.entries import number, signed


def answer(every: Sequence[Condition], flows: Sequence[Flow], candidates: pd.DataFrame) -> str:
    """The paragraph, every number of which is counted here."""
    drawn = [one for one in every if not one.removed]
    removed = [one for one in every if one.removed]
    runs = sum(len(one.primary.runs.rows) for one in every)
    better = sum(one.bulk >= abs(one.d()) for one in removed)
    folds = max(one.e_folds for one in every)
    loose = [one.looseness for one in every]
    level = share_text(PRIMARY)
    return (
        f"Of {runs:,} runs under {len(every)} conditions: with the initial function f₀ as drawn, "
        f"η λ_min has a D from {_range(drawn)} with the epochs to stay below {level}, below 0 by "
        f"its simultaneous interval in {_below(drawn)} of {len(drawn)} conditions. With f₀ removed "
        f"D goes from {_range(removed)}, below 0 in {_below(removed)} of {len(removed)}. λ_min is "
        f"not special: in {better} of {len(removed)} conditions with f₀ removed one of η λ_50, "
        f"η λ_100, η λ_150 has at least its |D|. No run lasts longer than {number(folds, 2)} "
        f"e-folds of the mode of λ_min; the residual decays at first {number(min(loose), 2)} to "
        f"{number(max(loose), 2)} times as fast as that mode (medians over networks), which is why "
        f"a bound by λ_min is loose. {_single(candidates)}{_flow(flows)}"
    )


def _range(some: Sequence[Condition]) -> str:
    values = [one.d() for one in some]
    return f"{signed(np.nanmin(values))} to {signed(np.nanmax(values))}"


def _below(some: Sequence[Condition]) -> int:
    return sum(one.d(LAMBDA_MIN, "high") < 0 for one in some)


def _single(candidates: pd.DataFrame) -> str:
    """The number that tells most, and how λ_min compares."""
    texts = []
    for removed, words in ((True, "with f₀ removed"), (False, "with f₀ as drawn")):
        own = candidates[candidates["removed"] == removed]
        if own.empty:
            continue
        best = own.loc[own["size"].idxmax()]
        texts.append(
            f"{words} it is {best['title']} (median D {signed(best['d'])}, from "
            f"{signed(best['low'])} to {signed(best['high'])})"
        )
    if not texts:
        return ""
    return f"The single number that tells most over the conditions: {'; '.join(texts)}."


def _flow(flows: Sequence[Flow]) -> str:
    """Whether the flow ends at the rate of λ_min."""
    texts = []
    together: dict[str, list[pd.Series]] = {}
    losses: dict[str, list[pd.Series]] = {}
    for one in flows:
        for kind, values in kinds(one):
            together.setdefault(kind, []).append(all_seeds(values, values["onset"] > 0))
            losses.setdefault(kind, []).append(values.loc[values["onset"] > 0, "onset"])
    for kind, found in together.items():
        holds = pd.concat(found)
        begun = pd.concat(losses[kind])
        where = f", below {number(begun.median(), 2)} L(0) in the median" if len(begun) else ""
        texts.append(f"{int(holds.sum())} of {len(holds)} flows with {kind}{where}")
    if not texts:
        return ""
    return (
        " Followed to a loss of 1e-20, the gradient flow comes to the rate of λ_min, 4λ_min/N "
        f"within a factor of 2, in {', and in '.join(texts)}."
    )


def figure(every: Sequence[Condition]) -> Figure:
    """D of η λ_k against k: tasks in rows, step sizes in columns."""
    rates = list(dict.fromkeys(one.rate for one in every))
    rows = list(dict.fromkeys((one.data, one.task) for one in every))
    with style():
        made = Figure(figsize=(7.0, 1.0 + 1.45 * len(rows)), layout="constrained")
        panels = made.subplots(len(rows), len(rates), squeeze=False, sharex=True, sharey=True)
        for line, row in zip(panels, rows, strict=True):
            for axes, rate in zip(line, rates, strict=True):
                own = [o for o in every if (o.data, o.task) == row and o.rate == rate]
                curve_panel(axes, [one.primary for one in own])
                axes.set_title(f"{row[0]}, {row[1]}; η = {rate}", fontsize=8)
        handles, labels = panels[0][0].get_legend_handles_labels()
        made.legend(handles, labels, loc="outside lower left", ncols=2, fontsize=8)
        made.supylabel(
            rf"Somers' D of $\eta\,\lambda_k$ with the epochs to {share_text(PRIMARY)}", fontsize=9
        )
        made.supxlabel("k, from the greatest eigenvalue to the smallest", fontsize=9)
        return made
