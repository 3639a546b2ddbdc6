"""Statistics over seeds: one row a cell, that is, an (activation, width, depth)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.frame import by_activation

CELL = ["act", "width", "depth"]


def cells(rows: pd.DataFrame) -> pd.DataFrame:
    """λ_min of each cell over its seeds.

    Args:
        rows: One row a network, of one group.

    Returns:
        By activation, width and depth: `seeds` (with a result), `unresolved` and `failed` (how many of them), `resolved` (all
        seeds with a result are, and there is one), and, for resolved cells only and NaN otherwise:

        - `mean` and `sd` of λ_min (n - 1 in the denominator; NaN for one seed), `geometric_mean`;
        - `error`, a bound of the error that rounding leaves in `mean`: the mean of the seeds' bounds;
        - `least` and `greatest` λ_min of a seed.
    """
    ok = rows["status"] == "ok"
    value = rows["lambda_min"].astype(float)
    # A store may be read that was written by other code: what has no logarithm is not resolved, whatever its row says.
    resolved = ok & (rows["lambda_min_resolved"] == True) & np.isfinite(value) & (value > 0)  # noqa: E712 (the column may hold None)
    table = rows[CELL].assign(
        ok=ok,
        unresolved=ok & ~resolved,
        failed=~ok,
        value=value.where(resolved),
        log=np.log(value.where(resolved)),
        error=rows["lambda_min_error"].astype(float).where(resolved),
    )
    grouped = table.groupby(CELL, sort=False)
    result = grouped.agg(seeds=("ok", "sum"), unresolved=("unresolved", "sum"), failed=("failed", "sum")).astype(int)
    result["resolved"] = (result["seeds"] > 0) & (result["unresolved"] == 0)
    statistics = grouped.agg(
        mean=("value", "mean"),
        sd=("value", "std"),
        log=("log", "mean"),
        error=("error", "mean"),
        least=("value", "min"),
        greatest=("value", "max"),
    ).where(result["resolved"])
    statistics.insert(2, "geometric_mean", np.exp(statistics.pop("log")))
    return by_activation(result.join(statistics).reset_index(), ["width", "depth"])


def seeds_text(table: pd.DataFrame) -> str:
    """How many seeds the cells with results hold: "1 seed", "5 seeds" or "1 to 5 seeds"."""
    counts = table.loc[table["seeds"] > 0, "seeds"]
    if counts.empty:
        return "no seeds"
    least, most = counts.min(), counts.max()
    return f"{most} seed{'s' if most > 1 else ''}" if least == most else f"{least} to {most} seeds"
