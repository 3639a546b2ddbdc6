"""The phases in a table: how λ_min and the condition number behave in each."""

from __future__ import annotations

import pandas as pd

from ntk_sweep.analysis.chapters.phases.numbers import CONDITION, DRIFT, LAMBDA_MIN
from ntk_sweep.analysis.rows.activations import activation_title, activations
from ntk_sweep.analysis.rows.group import Group
from ntk_sweep.analysis.rows.runs import Runs
from ntk_sweep.analysis.writing.entries import Entry, number
from ntk_sweep.analysis.writing.tables import Table, without_gaps

SCALE_FREE = ("relu", "lrelu")
"""Activations whose critical line is a point without biases."""

PHASES = ("ordered", "critical", "chaotic", "unknown")


def phase_table(
    group: Group, table: pd.DataFrame, factors: pd.DataFrame, runs: Runs | None
) -> Table:
    """A row for each activation, width and phase: medians with the least and the greatest.

    Args:
        group: The rows.
        table: From `ntk_sweep.analysis.chapters.phases.numbers.together`.
        factors: From `ntk_sweep.analysis.chapters.phases.numbers.layers`.
        runs: The training runs whose drift is shown.
    """
    rows: list[list[Entry]] = []
    ends = int(table["depth"].min()), int(table["depth"].max())
    for act in activations(table["act"]):
        for width in sorted(table["width"].unique()):
            for phase in PHASES:
                own = _of(table, act, width, phase)
                if own.empty:
                    continue
                mine = _of(factors, act, width, phase)
                deep = own[own["depth"] == ends[1]]
                entries: list[Entry] = [activation_title(act), int(width), phase]
                entries += [len(own[["weight_std", "bias_std"]].drop_duplicates())]
                entries += [_range(own["chi"])]
                entries += [_range(own[own["depth"] == end][CONDITION.name]) for end in ends]
                entries += [_range(deep[LAMBDA_MIN.name])]
                entries += [_range(mine[name] / mine["chi"]) for name in ("measured", "predicted")]
                drift = own[DRIFT.name] if DRIFT.name in own else pd.Series(dtype=float)
                rows.append([*entries, _range(drift)])
    columns = [
        *("Activation", "width", "phase", "scales", "χ₁"),
        *(f"λ_max/λ_min, depth {end}" for end in ends),
        f"λ_min, depth {ends[1]}",
        *("factor of a layer / χ₁", "the same of Θ̄", "drift"),
    ]
    notes = [
        "Medians over the scales of a phase, with the least and the greatest. Phase: by χ₁ of "
        "mean-field theory, the mean of σ_w² σ'² at the fixed point of the variance, below 1, 1 "
        "or above. Factor: by which one layer more multiplies λ_min, between the two greatest "
        "depths; in the limit of great width and depth it is χ₁ for smooth activations.",
    ]
    edge = table[(table["phase"] == "critical") & (table["bias_std"] > 0)]
    grows = [activation_title(act) for act in activations(edge["act"]) if act in SCALE_FREE]
    if grows:
        notes.append(
            f"With biases the variance of {' and '.join(grows)} grows without bound where χ₁ is 1: "
            "those scales are in no phase of theory, and stand with the critical ones."
        )
    if runs is not None:
        notes.append(f"Drift: ‖Θ_t - Θ_0‖ / ‖Θ_0‖ after training ({runs.setting.title}).")
    made = Table(f"Order and chaos ({group.title})", columns, rows, notes)
    return without_gaps(made, 5)


def _of(table: pd.DataFrame, act: str, width: int, phase: str) -> pd.DataFrame:
    own = (table["act"] == act) & (table["width"] == width) & (table["phase"] == phase)
    return table[own]


def _range(column: pd.Series) -> Entry:
    known = column.dropna()
    if known.empty:
        return "—"
    middle, low, high = (number(float(x), 2) for x in (known.median(), known.min(), known.max()))
    return middle if low == high else f"{middle} [{low}, {high}]"
