"""The networks of the thesis's figures beside its values."""

from __future__ import annotations

import pandas as pd

from ntk_sweep.analysis.chapters.spectra.numbers import comparison
from ntk_sweep.analysis.rows import thesis
from ntk_sweep.analysis.rows.activations import activation_title
from ntk_sweep.analysis.rows.group import Group
from ntk_sweep.analysis.writing.entries import Entry, Number, bounded, number
from ntk_sweep.analysis.writing.tables import Table


def comparison_table(group: Group, cells: pd.DataFrame) -> Table:
    """`comparison` to be read."""
    rows: list[list[Entry]] = []
    known = {
        (network.act, network.width, network.depth): network.lambda_min
        for network in thesis.NETWORKS
    }
    for row in comparison(group, cells).to_dict("records"):
        name = f"{activation_title(row['act'])} {row['width']} × {row['depth']}"
        if row["resolved"]:
            found: list[Entry] = [
                bounded(row["mean"], row["sd"], row["error"]),
                Number(row["error"], digits=2),
            ]
        else:
            found = [_not_found(row["unresolved"], row["seeds"]), "—"]
        reported = " or ".join(map(number, known[row["act"], row["width"], row["depth"]]))
        rows.append(
            [name, *found, int(row["seeds"]), *([reported] if thesis.applies(group) else [])]
        )
    columns = [
        "Network",
        "λ_min",
        "error bound",
        "seeds",
        *(["thesis: λ_min"] if thesis.applies(group) else []),
    ]
    notes = (
        ["λ_min is the mean ± standard deviation over seeds."]
        if any(isinstance(row[1], Number) and row[3] != 1 for row in rows)
        else []
    )
    if thesis.applies(group) and any(
        row[0].startswith("Sigmoid") for row in rows if isinstance(row[0], str)
    ):
        notes.append(
            "Thesis: Berg (2024), one draw each; it gives two values for the sigmoid network."
        )
    return Table(
        f"The networks of Figures 1 to 4 of the thesis ({group.title})", columns, rows, notes
    )


def _not_found(unresolved: int, seeds: int) -> str:
    if not seeds:
        return "failed"
    return "unresolved" if unresolved == seeds else f"unresolved for {unresolved} of {seeds} seeds"
