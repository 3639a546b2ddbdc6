"""The best cells of a sweep: for each activation the one with the greatest mean λ_min over seeds.

A cell is an activation, a width and a depth; its rows differ in the seed.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ntk_sweep.store.columns import CELL


def resolved(rows: pd.DataFrame) -> pd.Series:
    """Which rows have a λ_min that can be trusted: finite, above 0 and above its error bound.

    A store may be read that was written by other code, so that its word alone does not do.
    """
    value = rows["lambda_min"].astype(float)
    return rows["lambda_min_resolved"].eq(True) & np.isfinite(value) & (value > 0)


def cell_means(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a cell: `act`, `width`, `depth`, the `mean` of λ_min, and whether it is `resolved`.

    Args:
        rows: Rows of finished spectra that may be compared, ordered in any way.
    """
    rows = rows.assign(resolved=resolved(rows))
    cells = rows.groupby(CELL).agg(mean=("lambda_min", "mean"), resolved=("resolved", "all"))
    return cells.reset_index()


def best_cells(cells: pd.DataFrame) -> pd.DataFrame:
    """The cell with the greatest mean of each activation, of those that are resolved.

    A cell with an unresolved seed is never the best. Of equal means the first counts. An activation
    without a resolved cell is missing.

    Args:
        cells: One row a cell, with the columns `act`, `mean` and `resolved`, and any others.

    Returns:
        Rows of `cells`, one an activation, in the order of `cells`.
    """
    resolved = cells[cells["resolved"].astype(bool)]
    return cells.loc[sorted(resolved.groupby("act")["mean"].idxmax())]
