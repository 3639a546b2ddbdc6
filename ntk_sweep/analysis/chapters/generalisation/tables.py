"""The table of test losses, and the sentences that are made from it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.generalisation.numbers import (
    ACCURACIES,
    LOSSES,
    Comparison,
    effect_of_removal,
    ratios,
)
from ntk_sweep.analysis.rows.over_seeds import diverged_note, seeds_note
from ntk_sweep.analysis.rows.runs import network_title
from ntk_sweep.analysis.writing.entries import Entry, bracket, number
from ntk_sweep.analysis.writing.tables import Table

COLUMNS = [
    *("Network", "f₀", "seeds", "measured", "gradient flow", "Θ, t → ∞", "Θ̄, t → ∞", "NNGP"),
    *("leave-one-out", "accuracy: measured", "Θ, t → ∞"),
]

F_0 = {False: "as drawn", True: "removed"}

PREDICTED = {
    "flow": "the gradient flow with the kernel before training",
    "ntk": "regression with that kernel (t → ∞)",
    "limit": "regression with the infinite-width kernel",
    "nngp": "the Gaussian process of the NNGP kernel",
    "left_out": "the leave-one-out loss",
}


def losses_table(comparison: Comparison, values: pd.DataFrame) -> Table:
    """Test losses of each network, medians over seeds.

    Args:
        comparison: Where `values` come from.
        values: From `ntk_sweep.analysis.chapters.generalisation.numbers.outcomes`.
    """
    rows: list[list[Entry]] = []
    for line in values.to_dict("records"):
        network = (line["act"], line["width"], line["depth"])
        entries = [bracket(line, name) for name in (*LOSSES, *ACCURACIES)]
        rows.append([network_title(network), F_0[line["centred"]], line["seeds"], *entries])
    notes = [
        *sentences(comparison),
        seeds_note(comparison.rows.drop_duplicates([*_RUN]), "each number"),
        "Mean squared error over the test inputs: measured after training; predicted by the "
        "gradient flow with the kernel before training for as long, by regression with it (t → ∞), "
        "by regression with the infinite-width kernel from the same f₀, and by the Gaussian "
        "process of the NNGP kernel, which knows no f₀. Leave-one-out: regression with the kernel "
        "before training, at each training input from all others. A dash: the smallest eigenvalue "
        "is not resolved, so that a regression is unknown.",
        *diverged_note(comparison.rows),
    ]
    return Table(f"Loss on test inputs ({comparison.title})", COLUMNS, rows, notes)


def sentences(comparison: Comparison) -> list[str]:
    """How near predictions come, and what f₀ does."""
    return [text for text in (_nearness(comparison), _removal(comparison)) if text]


def _nearness(comparison: Comparison) -> str:
    """By which factor each prediction misses the measured loss."""
    parts = []
    for name, words in PREDICTED.items():
        found = ratios(comparison, name, "measured")
        if len(found):
            factor = float(np.exp(np.median(np.abs(np.log(found)))))
            side = "above" if np.median(found) > 1 else "below"
            parts.append(f"{words} by a factor of {number(factor, 2)} ({side} it)")
    if not parts:
        return "No test loss was measured and predicted."
    return f"In the median over runs the measured test loss is missed by {'; '.join(parts)}."


def _removal(comparison: Comparison) -> str:
    """What it does to train f - f₀ in place of f."""
    parts = []
    for name, words in (("measured", "measured"), ("ntk", "predicted for t → ∞")):
        found = effect_of_removal(comparison, name)
        if len(found):
            low, middle, high = np.quantile(found, (0, 0.5, 1))
            runs = f"{len(found)} pairs of runs" if len(found) > 1 else "one pair of runs"
            parts.append(
                f"{words} by {number(middle, 2)} [{number(low, 2)}, {number(high, 2)}] in {runs}"
            )
    if not parts:
        return ""
    return (
        "Removing the function before training divides the test loss by the following factors, "
        f"median, least and greatest: {'; '.join(parts)}."
    )


_RUN = ("act", "width", "depth", "seed")
