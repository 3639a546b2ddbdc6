"""Statistics over seeds: one row a cell, that is, an (activation, width, depth).

Where groups of rows were put together, a cell has the coordinates that they differ in, too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ntk_sweep.analysis.rows.activations import by_activation
from ntk_sweep.analysis.rows.coordinates import ACROSS, numbered, restored
from ntk_sweep.analysis.rows.quantities import LAMBDA_MIN, Quantity, trusted
from ntk_sweep.analysis.statistics.bootstrap import intervals
from ntk_sweep.store.columns import CELL


def cells(
    rows: pd.DataFrame, quantity: Quantity = LAMBDA_MIN, coordinates: Sequence[str] = CELL
) -> pd.DataFrame:
    """A quantity of each cell over its seeds.

    Args:
        rows: One row a network, of one group.
        quantity: λ_min unless given.
        coordinates: What tells cells apart; the rows agree in all of `ACROSS` that is not here.

    Returns:
        By these coordinates: `seeds` (with a result), `unresolved` and `failed` (how many
        of them), `resolved` (all seeds with a result are, and there is one), and, for resolved
        cells only and NaN otherwise:

        - `mean` and `sd` of the quantity (n - 1 in the denominator; NaN for one seed),
          `geometric_mean` (of positive values);
        - `low` and `high`, the 95 % bootstrap interval of `mean`, `geometric_low` and
          `geometric_high` that of `geometric_mean` (`ntk_sweep.analysis.statistics.bootstrap`; NaN
          for one seed);
        - `error`, a bound of the error that rounding leaves in `mean`: the mean of the seeds'
          bounds (NaN where rows hold none), and `geometric_error`, that of `geometric_mean`;
        - `least` and `greatest` value of a seed.
    """
    by = [*coordinates]
    for name in set(ACROSS) - set(by):
        assert rows[name].nunique(dropna=False) <= 1, f"rows of several {name} are never averaged"
    ok = rows["status"] == "ok"
    value = trusted(rows, quantity)
    error = quantity.error(rows) if quantity.error else pd.Series(np.nan, rows.index)
    table = numbered(rows[by], by).assign(
        ok=ok,
        unresolved=ok & value.isna(),
        failed=~ok,
        value=value,
        log=np.log(value.where(value > 0)),
        error=error.where(value.notna()),
        shrinkage=_log_shrinkage(error / value),
    )
    grouped = table.groupby(by, sort=False)
    result = grouped.agg(
        seeds=("ok", "sum"), unresolved=("unresolved", "sum"), failed=("failed", "sum")
    ).astype(int)
    result["resolved"] = (result["seeds"] > 0) & (result["unresolved"] == 0)
    statistics = grouped.agg(
        mean=("value", "mean"),
        sd=("value", "std"),
        log=("log", "mean"),
        error=("error", "mean"),
        geometric_error=("shrinkage", "mean"),
        least=("value", "min"),
        greatest=("value", "max"),
    )
    statistics.insert(
        2, "geometric_mean", np.exp(statistics.pop("log")).where(statistics["least"] > 0)
    )
    # the values that all lie at the lower end of their bounds move it farthest
    statistics["geometric_error"] = (
        -np.expm1(statistics["geometric_error"]) * statistics["geometric_mean"]
    )
    statistics = statistics.join(intervals(table, by, "value"))
    logarithmic = np.exp(intervals(table, by, "log")).rename(
        columns={"low": "geometric_low", "high": "geometric_high"}
    )
    statistics = statistics.join(logarithmic.where(statistics["least"] > 0)).where(
        result["resolved"]
    )
    return restored(by_activation(result.join(statistics).reset_index(), by[1:]))


def not_positive(rows: pd.DataFrame, coordinates: Sequence[str] = CELL) -> pd.Series:
    """How many cells of each activation hold a seed whose λ_min was computed as 0 or below.

    Stored as 0: these are the cells that a map on a logarithmic axis leaves out by itself.
    """
    own = rows[(rows["status"] == "ok") & (rows["lambda_min"].astype(float) <= 0)]
    return own[[*coordinates]].drop_duplicates().groupby("act").size()


def _log_shrinkage(relative: pd.Series) -> pd.Series:
    """By how much the logarithm of a value falls if it is too great by this part of it."""
    with np.errstate(divide="ignore"):
        return np.log1p(-relative.clip(upper=1.0))


def seeds_text(table: pd.DataFrame) -> str:
    """How many seeds the cells with results hold: "1 seed", "5 seeds" or "1 to 5 seeds"."""
    counts = table.loc[table["seeds"] > 0, "seeds"]
    if counts.empty:
        return "no seeds"
    least, most = counts.min(), counts.max()
    return f"{most} seed{'s' if most > 1 else ''}" if least == most else f"{least} to {most} seeds"
