"""The course of training: loss, accuracy and predictions over epochs, over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ntk_sweep.analysis.rows.over_seeds import ENDS, history
from ntk_sweep.analysis.rows.runs import Runs
from ntk_sweep.store.columns import CELL

MEASURED = {"loss": "losses", "running_loss": "running_losses", "accuracy": "accuracies"}

PREDICTED = {"linearised": "linearised_losses", "descent": "descent_losses", "flow": "flow_losses"}


def courses(runs: Runs) -> pd.DataFrame:
    """Loss, accuracy and predictions over epochs, over seeds.

    Returns:
        A row for each network and epoch from 0: `act`, `width`, `depth`, `epoch`, `seeds` and
        `diverged` (how many, up to there); then of `loss`, `running_loss` (mean over the epoch that
        ends there), `accuracy`, and the predicted losses `linearised`, `descent` and `flow` the
        median over seeds, and `NAME_low` and `NAME_high`, the least and greatest finite value. In
        medians the loss of a diverged run is infinite from where it stopped; its accuracy is left
        out from there. A run that stopped early, at the loss asked for, keeps its last values.
    """
    tables = []
    for network in runs.networks:
        own = runs.of([network]).rows
        points = over_epochs(own, runs.setting.epochs, MEASURED | PREDICTED)
        tables.append(points.assign(**dict(zip(CELL, network, strict=True))))
    table = pd.concat(tables, ignore_index=True)
    return table[[*CELL, *(name for name in table if name not in CELL)]]


def over_epochs(rows: pd.DataFrame, epochs: int, columns: Mapping[str, str]) -> pd.DataFrame:
    """Histories over the runs of one network, as `courses` gives them.

    Args:
        rows: The runs.
        epochs: How many.
        columns: By the name in the result the column of the rows, which holds lists.
    """
    length = epochs + 1
    diverged = (rows["status"] == "diverged").to_numpy()
    ends = np.array([_finite_length(losses) for losses in rows["losses"]])
    table: dict[str, object] = {"epoch": np.arange(length), "seeds": len(rows)}
    table["diverged"] = ((ends[:, None] <= np.arange(length)) & diverged[:, None]).sum(axis=0)
    for name, column in columns.items():
        late = np.nan if name == "accuracy" else np.inf
        values = np.stack(
            [
                _padded(value, length, name == "running_loss", late, bad)
                for value, bad in zip(rows[column], diverged, strict=True)
            ]
        )
        table |= dict(zip((f"{name}{end}" for end in ENDS), statistics(values), strict=True))
    return pd.DataFrame(table)


def _finite_length(losses: Sequence[float]) -> int:
    """How many epochs, counted from 0, have a finite loss before the first that has none."""
    finite = np.isfinite(np.asarray(losses, dtype=float))
    return int(len(finite) if finite.all() else np.argmin(finite))


def _padded(
    values: object, length: int, after_first: bool, late: float, diverged: bool
) -> np.ndarray:
    """A history of an entry an epoch as one of `length`.

    It is `late` for what is infinite or undefined, and where the run ended by diverging.
    """
    known = history(values)
    if known is None:
        return np.full(length, np.nan)
    known = known[: length - after_first]
    known = np.where(np.isfinite(known), known, late)
    ended = late if diverged or not len(known) else known[-1]
    padded = np.full(length, ended)
    padded[after_first : after_first + len(known)] = known
    if after_first:
        padded[0] = np.nan
    return padded


def statistics(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Median, least and greatest finite value over seeds, the first axis; those of `ENDS`.

    NaN where there is none.
    """
    finite = np.isfinite(values)
    low = np.where(finite, values, np.inf).min(axis=0)
    high = np.where(finite, values, -np.inf).max(axis=0)
    empty = np.isnan(values).all(axis=0)
    middle = np.where(empty, np.nan, np.nanmedian(np.where(empty, 0.0, values), axis=0))
    none = ~finite.any(axis=0)
    return middle, np.where(none, np.nan, low), np.where(none, np.nan, high)
