"""Whether and when the loss exceeds a bound, to be read."""

from __future__ import annotations

import pandas as pd

from ntk_sweep.analysis.chapters.bounds.numbers import TITLES, violations
from ntk_sweep.analysis.rows.over_seeds import diverged_note, seeds_note
from ntk_sweep.analysis.rows.runs import Runs, network_title
from ntk_sweep.analysis.writing.entries import Entry, bracket
from ntk_sweep.analysis.writing.tables import Table
from ntk_sweep.store.columns import CELL


def violation_table(runs: Runs, values: pd.DataFrame) -> Table:
    """`violations` to be read."""
    rows: list[list[Entry]] = []
    for line in violations(values).to_dict("records"):
        network = (line["act"], line["width"], line["depth"])
        first = f"{line['first_low']:.0f}" if line["exceeding"] else "—"
        if line["exceeding"] and line["first_high"] > line["first_low"]:
            first += f" to {line['first_high']:.0f}"
        rows.append(
            [
                network_title(network),
                TITLES[line["bound"]],
                seeds_text(line),
                first,
                f"{100 * line['epochs']:.0f} %" if line["seeds"] else "—",
                bracket(line, "ratio"),
            ]
        )
    left_out = len(runs.rows) - len(values[[*CELL, "seed"]].drop_duplicates())
    notes = [
        "Gradient flow: L(0) exp(-(4/N) λ_min t). Du et al. (2019), in the loss and step of these "
        "runs: (1 - η λ_min/N)^k L(0) after k steps. As the thesis draws it: (1 - η λ_min/2)^k "
        "L(0) after k epochs. λ_min is that of the kernel at initialisation, less its error bound, "
        "and each run is compared with the bounds of its own λ_min.",
        "None of them is a theorem for these runs: the first is one for gradient flow with a "
        "constant kernel, the second for full-batch descent of a very wide two-layer ReLU network.",
        seeds_note(runs.rows, "the final loss over the bound"),
        *diverged_note(runs.rows),
    ]
    if values[list(TITLES)].isna().any(axis=None):
        notes.append(
            "No bound: the step is so large that the factor of the bound is negative (η λ_min "
            "above N, or above 2)."
        )
    if left_out:
        why = "their λ_min does not exceed its error bound, or their loss overflows before training"
        notes.append(f"{left_out} of {len(runs.rows)} runs are left out: {why}.")
    columns = [
        "Network",
        "bound",
        "loss above it",
        "first at epoch",
        "share of epochs",
        "final loss over bound",
    ]
    return Table(
        f"The measured loss against bounds from λ_min ({runs.title})", columns, rows, notes
    )


def seeds_text(line: dict) -> str:
    """In how many seeds the loss exceeds a bound."""
    if not line["seeds"]:
        return "no bound"
    return f"{line['exceeding']} of {line['seeds']} seeds" if line["exceeding"] else "never"
