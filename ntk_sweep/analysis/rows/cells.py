"""Statistics over seeds: one row a cell, that is, an (activation, width, depth).

Where groups of rows were put together, a cell has the coordinates that they differ in, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ntk_sweep.analysis.rows.activations import by_activation
from ntk_sweep.analysis.rows.coordinates import ACROSS, numbered, restored
from ntk_sweep.analysis.rows.quantities import LAMBDA_MIN, Quantity, trusted
from ntk_sweep.analysis.statistics.bootstrap import intervals
from ntk_sweep.store.columns import CELL

if TYPE_CHECKING:
    from pandas.core.groupby import DataFrameGroupBy


def cells(
    rows: pd.DataFrame, quantity: Quantity = LAMBDA_MIN, coordinates: Sequence[str] = CELL
) -> pd.DataFrame:
    """A quantity of each cell over its seeds: `Cells.of` for a single one."""
    return Cells(rows, coordinates).of(quantity)


class Cells:
    """Which rows belong to which cell, found once for all quantities.

    Args:
        rows: One row a network, of one group.
        coordinates: What tells cells apart; the rows agree in all of `ACROSS` that is not here.
    """

    def __init__(self, rows: pd.DataFrame, coordinates: Sequence[str] = CELL) -> None:
        by = [*coordinates]
        for name in set(ACROSS) - set(by):
            several = rows[name].nunique(dropna=False) > 1
            assert not several, f"rows of several {name} are never averaged"
        keys = numbered(rows[by], by)
        self._rows = rows
        self._number = keys.groupby(by).ngroup().rename("cell")
        first = keys.assign(cell=self._number).drop_duplicates("cell")
        ordered = by_activation(first, by[1:])
        self._order = ordered.pop("cell")
        self._places = restored(ordered)

    def of(self, quantity: Quantity) -> pd.DataFrame:
        """A quantity of each cell over its seeds.

        Returns:
            By the coordinates: `seeds` (with a result), `unresolved` and `failed` (how many
            of them), `resolved` (all seeds with a result are, and there is one), and, for resolved
            cells only and NaN otherwise:

            - `mean` and `sd` of the quantity (n - 1 in the denominator; NaN for one seed),
              `geometric_mean` (of positive values);
            - `low` and `high`, the 95 % bootstrap interval of `mean`, `geometric_low` and
              `geometric_high` that of `geometric_mean`
              (`ntk_sweep.analysis.statistics.bootstrap`; NaN for one seed);
            - `error`, a bound of the error that rounding leaves in `mean`: the mean of the seeds'
              bounds (NaN where rows hold none), and `geometric_error`, that of `geometric_mean`;
            - `least` and `greatest` value of a seed.
        """
        ok = self._rows["status"] == "ok"
        value = trusted(self._rows, quantity)
        error = (
            quantity.error(self._rows) if quantity.error else pd.Series(np.nan, self._rows.index)
        )
        table = pd.DataFrame(
            {
                "cell": self._number,
                "seeds": ok,
                "unresolved": ok & value.isna(),
                "failed": ~ok,
                "value": value,
                "log": np.log(value.where(value > 0)),
                "error": error.where(value.notna()),
                "shrinkage": _log_shrinkage(error / value),
            }
        )
        grouped = table.groupby("cell")
        result = grouped[["seeds", "unresolved", "failed"]].sum().astype(int)
        result["resolved"] = (result["seeds"] > 0) & (result["unresolved"] == 0)
        statistics = _statistics(table, grouped).where(result["resolved"])
        found = result.join(statistics).loc[self._order].reset_index(drop=True)
        return pd.concat([self._places, found], axis=1)


def _statistics(table: pd.DataFrame, grouped: DataFrameGroupBy) -> pd.DataFrame:
    """The statistics of every cell, resolved or not."""
    means = grouped[["value", "log", "error", "shrinkage"]].mean()
    values = grouped["value"]
    least = values.min()
    geometric = np.exp(means["log"]).where(least > 0)
    logarithmic = np.exp(intervals(table, ["cell"], "log")).rename(
        columns={"low": "geometric_low", "high": "geometric_high"}
    )
    statistics = pd.DataFrame(
        {
            "mean": means["value"],
            "sd": values.std(),
            "geometric_mean": geometric,
            "error": means["error"],
            # the values that all lie at the lower end of their bounds move it farthest
            "geometric_error": -np.expm1(means["shrinkage"]) * geometric,
            "least": least,
            "greatest": values.max(),
        }
    )
    return statistics.join(intervals(table, ["cell"], "value")).join(logarithmic.where(least > 0))


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
