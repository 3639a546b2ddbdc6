"""How well each candidate tells which networks come to stay below a loss, and which later.

Numbers and their sources stand in docs/theory/statistics.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ntk_sweep.analysis.chapters.speed.candidates import (
    CANDIDATES,
    COVARIATES,
    eigenvalues,
    predicted_times,
    stay_times,
)
from ntk_sweep.analysis.rows.runs import Runs
from ntk_sweep.analysis.statistics.concordance import permuted_d, somers_d
from ntk_sweep.analysis.statistics.estimates import bands, intervals, leads, permutation_p
from ntk_sweep.analysis.statistics.event_times import EventTimes, median_times
from ntk_sweep.analysis.statistics.partial_ranks import spearman
from ntk_sweep.analysis.statistics.resampling import permutations, resample_cells
from ntk_sweep.store.columns import CELL

CURVE = ["k", "d", "low", "high"]

LEAST_NETWORKS = 10
"""Of a setting, for an association: intervals from fewer say nothing. A choice."""

LEAST_REACHING = 5
"""Networks that stay below the loss, likewise: of fewer, nearly all pairs cannot be compared."""


@dataclass(frozen=True)
class Association:
    """What a setting says at one share of the loss before training.

    Attributes:
        runs: The runs of the setting.
        share: The share.
        networks: How many networks there are.
        reaching: How many of them stay below, in the median over their seeds.
        diverged: How many runs diverged.
        table: A row a candidate: `candidate`, Somers' `d` with its simultaneous `low` and `high`,
            `lead` (|D| of the best less its own) with `lead_low` and `lead_high`, `may_be_best`;
            within activations `within`, `within_low`, `within_high` and the adjusted `p`;
            Spearman's ρ given the covariates, `partial`, `partial_low`, `partial_high`; and
            `left_out`, the networks of which it is not known. Empty where too few stay below.
        curve: A row for each k: D of η λ_k with its own interval, `k`, `d`, `low`, `high`.
        ceiling: D of the predicted time, which simulates the training, with its interval.
        folds: e-folds of the mode of λ_min that a run lasts, 4 η λ_min k/N after its last step k:
            the median over runs, and the most.
    """

    runs: Runs
    share: float
    networks: int
    reaching: int
    diverged: int
    table: pd.DataFrame
    curve: pd.DataFrame
    ceiling: tuple[float, float, float]
    folds: tuple[float, float]

    def of(self, candidate: str) -> pd.Series | None:
        """The row of a candidate; None where nothing is known of it."""
        own = self.table[self.table["candidate"] == candidate] if len(self.table) else self.table
        return None if own.empty or np.isnan(own["d"].iloc[0]) else own.iloc[0]

    def light(self) -> Association:
        """The same without rows, to be sent to another process."""
        runs = self.runs.light()
        return Association(**(vars(self) | {"runs": Runs(runs.group, runs.setting, runs.rows[:0])}))


def associate(runs: Runs, share: float) -> Association:
    """The association of every candidate with the time to stay below a share of L(0).

    A network is one row, the median over its seeds of time and candidate.
    """
    rows = runs.rows
    network = pd.factorize(pd.MultiIndex.from_frame(rows[CELL]))[0]
    first = np.unique(network, return_index=True)[1]
    times = median_times(stay_times(rows, share), network)
    predicted = median_times(predicted_times(rows, share), network)
    cells = rows[CELL].iloc[first].reset_index(drop=True)
    values = np.column_stack([_medians(one.value(rows), network) for one in CANDIDATES])
    spectra = _medians(_step_times_eigenvalues(rows), network)
    reaching = int(times.observed.sum())
    known: dict[str, Any] = {
        "runs": runs,
        "share": share,
        "networks": len(cells),
        "reaching": reaching,
        "diverged": int((rows["status"] == "diverged").sum()),
        "folds": _e_folds(rows),
    }
    if reaching < LEAST_REACHING:
        nothing = (np.nan, np.nan, np.nan)
        curve = pd.DataFrame(columns=CURVE, dtype=float)
        return Association(**known, table=pd.DataFrame(), curve=curve, ceiling=nothing)
    resamples = resample_cells(cells[["width", "depth"]].to_numpy())
    ceiling = somers_d(predicted.last()[:, None], times, resamples)
    curve = somers_d(spectra, times, resamples)
    low, high = intervals(curve)
    below, above = intervals(ceiling)
    places = np.arange(1, spectra.shape[1] + 1)
    return Association(
        **known,
        table=_table(cells, values, times),
        curve=pd.DataFrame(dict(zip(CURVE, (places, curve.values, low, high), strict=True))),
        ceiling=(float(ceiling.values[0]), float(below[0]), float(above[0])),
    )


def _table(cells: pd.DataFrame, values: np.ndarray, times: EventTimes) -> pd.DataFrame:
    """The associations of all candidates."""
    activation = pd.factorize(cells["act"])[0]
    cell = pd.factorize(pd.MultiIndex.from_frame(cells[["width", "depth"]]))[0]
    resamples = resample_cells(cell)
    every = somers_d(values, times, resamples)
    within = somers_d(values, times, resamples, strata=activation)
    names = [one.name for one in CANDIDATES]
    given = values[:, list(map(names.index, COVARIATES))]
    # Runs of a setting have one budget, so that the censored are the slowest.
    partial = spearman(values, times.last(), resamples, given)
    ahead = leads(every)
    columns: dict[str, Any] = {"candidate": names, "title": [one.title for one in CANDIDATES]}
    for name, own in (("", every), ("within_", within), ("partial_", partial)):
        low, high = bands(own)
        own_name = name.rstrip("_") or "d"
        columns |= {own_name: own.values, f"{name}low": low, f"{name}high": high}
    columns |= {
        "p": _adjusted(values, times, activation, cell, within.values),
        "lead": ahead.values,
        "lead_low": ahead.low,
        "lead_high": ahead.high,
        "may_be_best": ahead.may_be_best,
        "left_out": np.isnan(values).sum(axis=0),
    }
    return pd.DataFrame(columns)


def _adjusted(
    values: np.ndarray,
    times: EventTimes,
    activation: np.ndarray,
    cell: np.ndarray,
    found: np.ndarray,
) -> np.ndarray:
    """The p of each candidate within activations; NaN where these do not hold the same cells."""
    try:
        order = permutations(activation, cell)
    except ValueError:
        return np.full(values.shape[1], np.nan)
    return permutation_p(found, permuted_d(values, times, order, strata=activation))


def _step_times_eigenvalues(rows: pd.DataFrame) -> np.ndarray:
    return rows["step_size"].to_numpy(float)[:, None] * eigenvalues(rows)


def _medians(values: np.ndarray, network: np.ndarray) -> np.ndarray:
    """The median of each network over its seeds, of what is known."""
    frame = pd.DataFrame(values).groupby(network, sort=True).median()
    return frame.to_numpy(float)[:, 0] if values.ndim == 1 else frame.to_numpy(float)


def _e_folds(rows: pd.DataFrame) -> tuple[float, float]:
    """How many e-folds of the mode of λ_min a run lasts: the median over runs, and the most."""
    known = rows["lambda_min"].where(rows["lambda_min_resolved"].eq(True)).to_numpy(float)
    lasts = 4 * rows["step_size"] * known * rows["steps"] / rows["n_samples"]
    return float(lasts.median()), float(lasts.max())
