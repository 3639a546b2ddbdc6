"""The cell of each activation with the greatest mean λ_min, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ntk_sweep.analysis.rows.activations import activations
from ntk_sweep.analysis.rows.coordinates import AXES, numbered
from ntk_sweep.analysis.rows.quantities import LAMBDA_MIN, Quantity, trusted
from ntk_sweep.analysis.statistics.bootstrap import probability_greatest
from ntk_sweep.store.best_cells import best_cells as greatest_cells
from ntk_sweep.store.columns import CELL

FOUND = ["sd", "low", "high", "error", "width", "depth", "seeds"]
"""Columns that Table 1 takes from the cell it names."""


def best_cells(cells: pd.DataFrame) -> pd.DataFrame:
    """The cell with the greatest mean λ_min of each activation: the numbers of Table 1.

    Args:
        cells: The frame of `ntk_sweep.analysis.rows.cells.cells`.

    Returns:
        One row an activation: `act`, `lambda_min` (the mean), `sd`, `low` and `high` (its 95 %
        interval), `error`, `width`, `depth`, `seeds`, and of the activation's cells `cells` (that
        hold a result), `unresolved_cells` and `failed_points`. A cell with an unresolved seed is
        never the greatest; where none is left, the numbers are missing.
    """
    rows = []
    greatest = greatest_cells(cells).set_index("act")
    for act in activations(cells["act"]):
        own = cells[cells["act"] == act]
        counts = {
            "cells": int((own["seeds"] > 0).sum()),
            "unresolved_cells": int((own["unresolved"] > 0).sum()),
            "failed_points": int(own["failed"].sum()),
        }
        best = dict.fromkeys(["lambda_min", *FOUND])
        if act in greatest.index:
            cell = greatest.loc[act]
            best = {"lambda_min": cell["mean"], **{name: cell[name] for name in FOUND}}
        rows.append({"act": act, **best, **counts})
    frame = pd.DataFrame(
        rows, columns=["act", "lambda_min", *FOUND, "cells", "unresolved_cells", "failed_points"]
    )
    return frame.astype(
        dict.fromkeys(["lambda_min", "sd", "low", "high", "error"], "float64")
        | dict.fromkeys(["width", "depth", "seeds"], "Int64")
    )


def probabilities(rows: pd.DataFrame) -> pd.DataFrame:
    """The probability of each cell to have the greatest mean λ_min of its activation.

    By `ntk_sweep.analysis.statistics.bootstrap.probability_greatest`.

    Args:
        rows: One row a network, of one group.

    Returns:
        `act`, `width`, `depth`, `probability`, of the cells that may be the greatest: all seeds
        resolved. NaN for an activation of which a cell that may be the greatest has one seed.
    """
    table = rows[CELL].assign(value=trusted(rows, LAMBDA_MIN))[rows["status"] == "ok"]
    parts = []
    for act in activations(table["act"]):
        lists = table[table["act"] == act].groupby(CELL)["value"].apply(np.asarray)
        lists = lists[[bool(np.isfinite(values).all()) for values in lists]]
        if lists.empty:
            continue
        chances = probability_greatest(list(lists))
        parts.append(lists.index.to_frame(index=False).assign(probability=chances))
    return (
        pd.concat(parts, ignore_index=True)
        if parts
        else pd.DataFrame(columns=[*CELL, "probability"]).astype({"probability": float})
    )


def with_probabilities(
    cells: pd.DataFrame, rows: pd.DataFrame, quantity: Quantity, axes: Sequence[str]
) -> pd.DataFrame:
    """Cells with the `probability` of each to have the greatest mean of its map.

    By `ntk_sweep.analysis.statistics.bootstrap.probability_greatest`, of the mean that is drawn: a
    geometric mean is greatest where the mean of logarithms is.

    Args:
        cells: The frame of `ntk_sweep.analysis.rows.cells.cells`, or some of its rows.
        rows: One row a network, of which the cells were made.
        quantity: What the cells are of.
        axes: The coordinates that a map lies over; cells that differ in another, or in the
            activation, are on different maps.

    Returns:
        The cells; NaN where one is not resolved, or where a cell of its map that may be the
        greatest has one seed.
    """
    by = [name for name in cells if name in ("act", *AXES)]
    value = trusted(rows, quantity).where(rows["status"] == "ok")
    value = np.log(value) if quantity.mean == "geometric" else value
    known = numbered(rows[by], by).assign(value=value).dropna(subset="value")
    seeds = {key: own.to_numpy(float) for key, own in known.groupby(by)["value"]}
    keys = numbered(cells[by], by)
    probability = pd.Series(np.nan, cells.index)
    for _, own in keys[cells["resolved"]].groupby([name for name in by if name not in axes]):
        lists = [seeds[key] for key in own.itertuples(index=False, name=None)]
        probability[own.index] = probability_greatest(lists)
    return cells.assign(probability=probability)
