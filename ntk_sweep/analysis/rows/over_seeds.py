"""Training runs over their seeds: medians, ranges, and how many seeds stand behind them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ntk_sweep.store.columns import CELL

ENDS = ("", "_low", "_high")
"""Behind the name of a quantity: its median over seeds, its least and its greatest finite value."""


def seeds_note(rows: pd.DataFrame, what: str) -> str:
    """How many seeds stand behind `what`, and what a single one means, as a sentence."""
    counts = rows.groupby(CELL).size()
    least, most = int(counts.min()), int(counts.max())
    if most == 1:
        return (
            f"One seed: {what} is that of a single draw of the weights and of the order of "
            "samples; another draw would give another one, and how different it would be cannot be "
            "seen here. Add seed=range(0,5) to the command that made the runs."
        )
    seeds = f"{most} seeds" if least == most else f"{least} to {most} seeds"
    return (
        f"{what[0].upper()}{what[1:]} is the median over {seeds}, and the band or bracket runs "
        "from the least to the greatest."
    )


def diverged_note(rows: pd.DataFrame) -> list[str]:
    """How many runs diverged, as a sentence; none if none did."""
    count = int((rows["status"] == "diverged").sum())
    if not count:
        return []
    text = f"{count} of {len(rows)} runs diverged: the loss overflowed and training stopped."
    return [f"{text} In medians their loss is infinite from there on."]


def history(value: object) -> np.ndarray | None:
    """The entry of a list column as an array of floats; None where the row holds none."""
    return np.asarray(value, dtype=float) if isinstance(value, np.ndarray | list) else None
