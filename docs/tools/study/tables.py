"""The tables of the answer: conditions, candidates, and the flow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from docs.tools.study.conditions import SECONDARY, Condition, Flow
from ntk_sweep.analysis.chapters.flow.numbers import all_seeds, near
from ntk_sweep.analysis.chapters.speed.candidates import LAMBDA_MIN, PRIMARY, TITLES
from ntk_sweep.analysis.chapters.speed.tables import best_of, d_text, share_text
from ntk_sweep.analysis.writing.entries import Entry, number, signed
from ntk_sweep.analysis.writing.tables import Table, markdown


def conditions_table(every: Sequence[Condition]) -> str:
    """D of η λ_min and what is best, in every condition, at two endpoints."""
    lines: list[list[Entry]] = []
    for one in every:
        line: list[Entry] = [one.data, one.task, one.rate, f0(one)]
        for share in (PRIMARY, SECONDARY):
            line += _at(one.at(share))
        lines.append([*line, number(one.looseness, 2), number(one.e_folds, 2)])
    columns = ["Images", "task", "η", "f₀"]
    for share in (PRIMARY, SECONDARY):
        columns += [f"stay below {share_text(share)}", "D of η λ_min", "greatest |D|"]
        columns += ["D of the prediction"]
    columns += ["residual rate / λ_min", "e-folds of λ_min"]
    return markdown(Table("The conditions of the declared study", columns, lines))


def _at(one: Condition) -> list[Entry]:
    best, least = best_of(one.found), one.found.of(LAMBDA_MIN)
    return [
        f"{one.found.reaching} of {one.found.networks}",
        "—" if least is None else d_text(least),
        "—" if best is None else f"{best['title']} {signed(best['d'])}",
        _signed(one.found.ceiling[0]),
    ]


def candidate_numbers(every: Sequence[Condition]) -> pd.DataFrame:
    """Each candidate over the conditions: `f0`, `candidate`, median `d`, `low`, `high`, `best`.

    `low` and `high` are the least and the greatest over the conditions, `best` counts those in
    which nothing is better beyond doubt; `partial` is the median ρ given the covariates.
    """
    lines = []
    for removed in (False, True):
        own = [one for one in every if one.removed == removed and one.known]
        for name, title in TITLES.items():
            d = [one.d(name) for one in own]
            known = [value for value in d if not np.isnan(value)]
            if not known:
                continue
            lines.append(
                {
                    "removed": removed,
                    "candidate": name,
                    "title": title,
                    "conditions": len(known),
                    "d": np.median(known),
                    "size": np.median(np.abs(known)),
                    "low": min(known),
                    "high": max(known),
                    "partial": pd.Series([one.d(name, "partial") for one in own]).median(),
                    "best": sum(one.d(name, "may_be_best") > 0 for one in own),
                }
            )
    return pd.DataFrame(lines)


def candidates_table(numbers: pd.DataFrame, share: float) -> str:
    """The candidates by falling median |D| with f₀ removed, at an endpoint."""
    drawn, removed = (
        numbers[numbers["removed"] == value].set_index("candidate") for value in (False, True)
    )
    order = removed.sort_values("size", ascending=False, kind="stable").index
    lines: list[list[Entry]] = []
    for name in order:
        line: list[Entry] = [TITLES[name]]
        for own in (removed, drawn):
            line += _candidate(own, name)
        lines.append(line)
    columns = ["Known before training"]
    for which in ("f₀ removed", "f₀ as drawn"):
        columns += [f"{which}: D", "partial ρ", "may be best"]
    caption = (
        f"Candidates over the conditions, epochs to stay below {share_text(share)}: median with "
        "the least and the greatest"
    )
    return markdown(Table(caption, columns, lines))


def _candidate(own: pd.DataFrame, name: str) -> list[Entry]:
    if name not in own.index:
        return ["—", "—", "—"]
    line = own.loc[name]
    ends = f"[{signed(line['low'])}, {signed(line['high'])}]"
    return [
        f"{signed(line['d'])} {ends}",
        _signed(line["partial"]),
        f"{int(line['best'])} of {int(line['conditions'])}",
    ]


def flow_table(every: Sequence[Flow]) -> str:
    """Whether the flow comes to the rate of λ_min, and at which loss."""
    lines: list[list[Entry]] = []
    for one in every:
        for kind, values in kinds(one):
            begun = values[values["onset"] > 0]
            lines.append(
                [
                    one.data,
                    one.task,
                    f0(one),
                    kind,
                    of_networks(values, values["onset"] > 0),
                    _spread(begun["onset"]),
                    _spread(begun["onset_loss"]),
                    of_networks(values, near(values["final_rate"])),
                    _spread(values["final_rate"]),
                    _spread(values["kernel_drift"]),
                    f"{100 * values['missed'].median():.0f} %",
                ]
            )
    columns = ["Images", "task", "f₀", "activations", "networks that come to 4λ_min/N"]
    columns += ["below L/L(0)", "below L", "near it at the end", "rate at the end", "drift"]
    columns += ["steps missed"]
    caption = (
        "Gradient flow to a loss of 1e-20: networks whose rate comes within a factor 2 of 4λ_min/N "
        "for both seeds, and stays; medians over runs with the quartiles; rates in units of "
        "4λ_min/N"
    )
    return markdown(Table(caption, columns, lines))


def kinds(one: Flow) -> list[tuple[str, pd.DataFrame]]:
    """The runs with smooth activations, and those with ReLU, whose flow slides along kinks."""
    kinked = one.values["act"] == "relu"
    parts = (("ELU, sigmoid, tanh", one.values[~kinked]), ("ReLU", one.values[kinked]))
    return [(title, values) for title, values in parts if len(values)]


def of_networks(values: pd.DataFrame, holds: pd.Series | np.ndarray) -> str:
    """In how many networks something holds for all seeds."""
    found = all_seeds(values, holds)
    return f"{int(found.sum())} of {len(found)}"


def f0(one: Condition | Flow) -> str:
    """The initial function in a word."""
    return "removed" if one.removed else "as drawn"


def _signed(value: float) -> str:
    return "—" if np.isnan(value) else signed(value)


def _spread(values: pd.Series) -> str:
    known = values.dropna()
    if known.empty:
        return "—"
    low, middle, high = (number(known.quantile(q), 2) for q in (0.25, 0.5, 0.75))
    return f"{middle} [{low}, {high}]"
