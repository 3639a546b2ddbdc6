"""Which cell has the greatest mean λ_min, and how sure that is: the uncertainty behind Table 1."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.rows.cells import CELL
from analysis.rows.group import Group, activation_title, activations
from analysis.rows.quantities import LAMBDA_MIN, trusted
from analysis.statistics.bootstrap import probability_greatest
from analysis.writing.tables import Entry, Number, Table, number

SHOWN = 5
"""Cells of an activation in the table, which already cover most of the probability where anything
does."""


def probabilities(rows: pd.DataFrame) -> pd.DataFrame:
    """The probability of each cell to be the one with the greatest mean λ_min of its activation
    (`probability_greatest`).

    Args:
        rows: One row a network, of one group.

    Returns:
        `act`, `width`, `depth`, `probability`, of the cells that may be the greatest: all seeds
        resolved. NaN where no cell of the activation has more than one seed, since then nothing is
        known of the spread.
    """
    table = rows[CELL].assign(value=trusted(rows, LAMBDA_MIN))[rows["status"] == "ok"]
    parts = []
    for act in activations(table["act"]):
        lists = table[table["act"] == act].groupby(CELL)["value"].apply(np.asarray)
        lists = lists[[bool(np.isfinite(values).all()) for values in lists]]
        if lists.empty:
            continue
        single = max(map(len, lists)) == 1
        probability = np.full(len(lists), np.nan) if single else probability_greatest(list(lists))
        parts.append(lists.index.to_frame(index=False).assign(probability=probability))
    return (
        pd.concat(parts, ignore_index=True)
        if parts
        else pd.DataFrame(columns=[*CELL, "probability"]).astype({"probability": float})
    )


def contenders(rows: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """The `SHOWN` most probable cells of each activation, with their means and intervals; none
    where seeds are single.
    """
    known = probabilities(rows).dropna(subset="probability").merge(cells, on=CELL)
    parts = [
        known[(known["act"] == act) & (known["probability"] > 0)]
        .sort_values(["probability", "mean"], ascending=False, kind="stable")
        .head(SHOWN)
        for act in activations(known["act"])
    ]
    columns = [*CELL, "seeds", "mean", "sd", "low", "high", "probability"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def contenders_table(group: Group, likely: pd.DataFrame) -> Table:
    """`contenders` to be read."""
    rows: list[list[Entry]] = [
        [
            activation_title(line["act"]),
            int(line["width"]),
            int(line["depth"]),
            int(line["seeds"]),
            Number(line["mean"], line["sd"]),
            interval_text(line["low"], line["high"]),
            probability_text(line["probability"]),
        ]
        for line in likely.to_dict("records")
    ]
    notes = (
        [
            "The probability to have the greatest mean λ_min among all widths and depths of the "
            "activation: bootstrap over the seeds, independent from cell to cell. Five cells of "
            "each activation at the most."
        ]
        if rows
        else []
    )
    columns = ["Activation", "width", "depth", "seeds", "λ_min", "95 % interval", "probability"]
    return Table(
        f"The cells most likely to have the greatest λ_min ({group.title})", columns, rows, notes
    )


def interval_text(low: float, high: float) -> Entry:
    """An interval as an entry of a table."""
    return "—" if np.isnan(low) else f"{number(low, 3)} to {number(high, 3)}"


def probability_text(value: float) -> Entry:
    """A probability as an entry of a table; `CONTESTS` draws tell no more than whole percents."""
    if np.isnan(value):
        return "—"
    return "< 1 %" if value < 0.01 else "> 99 %" if 0.995 <= value < 1 else f"{100 * value:.0f} %"
