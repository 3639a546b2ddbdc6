"""What is known of a network before training, and when its loss comes to stay below a level."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ntk_sweep.analysis.rows.over_seeds import history
from ntk_sweep.analysis.rows.quantities import QUANTITIES, trusted
from ntk_sweep.analysis.statistics.event_times import EventTimes, share_of_start, stays_below
from ntk_sweep.settings.schema import LEADING_EIGENVALUES

SHARES = (0.1, 0.01, 0.001)
"""Shares of its own loss before training that a run shall stay below; docs/study.md."""

PRIMARY = 0.01
"""The share that is spoken of."""


@dataclass(frozen=True)
class Candidate:
    """A quantity known before training.

    Attributes:
        name: As in CSV files.
        title: As in tables and figures.
        value: From rows a number each, NaN where it is not known.
    """

    name: str
    title: str
    value: Callable[[pd.DataFrame], np.ndarray]


def stay_times(rows: pd.DataFrame, share: float) -> EventTimes:
    """The epochs after which each run stays below a share of its own loss before training.

    A run that does not is censored at its last epoch; a diverged one never does.
    """
    losses = [history(one) for one in rows["losses"]]
    diverged = (rows["status"] == "diverged").to_numpy()
    return stays_below(losses, share_of_start(losses, share), never=diverged)


def predicted_times(rows: pd.DataFrame, share: float) -> EventTimes:
    """The same as the network linearised at initialisation predicts it, in the same steps."""
    losses = [history(one) for one in rows["linearised_losses"]]
    return stays_below(losses, share_of_start(losses, share))


def eigenvalues(rows: pd.DataFrame) -> np.ndarray:
    """λ_1 ≥ λ_2 ≥ … of each kernel, (rows, N); NaN where unknown or not above their errors."""
    size = int(rows["n_samples"].max()) if len(rows) else 0
    table = np.full((len(rows), size), np.nan)
    known = zip(rows["eigenvalues"], rows["eigenvalue_errors"], strict=True)
    for line, (values, errors) in zip(table, known, strict=True):
        found, bound = history(values), history(errors)
        if found is not None and bound is not None:
            line[: len(found)] = np.where(found > bound, found, np.nan)[::-1]
    return table


def _step(rows: pd.DataFrame) -> np.ndarray:
    return rows["step_size"].to_numpy(float)


def _column(name: str, title: str, times_step: bool = False) -> Candidate:
    def value(rows: pd.DataFrame) -> np.ndarray:
        quantity = QUANTITIES.get(name)
        # Known before training, so that a diverged run has it too.
        own = rows[name] if quantity is None else trusted(rows.assign(status="ok"), quantity)
        return own.to_numpy(float) * (_step(rows) if times_step else 1.0)

    return Candidate(f"eta_{name}" if times_step else name, title, value)


def _eigenvalue(count: int) -> Candidate:
    def value(rows: pd.DataFrame) -> np.ndarray:
        table = eigenvalues(rows)
        missing = np.full(len(rows), np.nan)
        return _step(rows) * (table[:, count - 1] if count <= table.shape[1] else missing)

    return Candidate(f"eta_lambda_{count}", f"η λ_{count}", value)


LAMBDA_MIN = "eta_lambda_min"

CANDIDATES = (
    _column("lambda_min", "η λ_min", times_step=True),
    *map(_eigenvalue, LEADING_EIGENVALUES[::-1]),
    _column("lambda_max", "η λ_max", times_step=True),
    _column("residual_rate", "η · residual rate", times_step=True),
    _column("trace", "η tr Θ", times_step=True),
    _column("linear_stability", "η max Θ_ii"),
    _column("condition_number", QUANTITIES["condition_number"].title),
    _column("effective_rank", QUANTITIES["effective_rank"].title),
    _column("alignment", QUANTITIES["alignment"].title),
    _column("centred_alignment", QUANTITIES["centred_alignment"].title),
    _column("residual_complexity", "r₀ᵀΘ⁻¹r₀ / N"),
    _column("limit_lambda_min", "η λ_min of Θ̄", times_step=True),
    _column("width", "Width"),
    _column("depth", "Depth"),
    _column("initial_loss", "Loss before training"),
)

TITLES = {candidate.name: candidate.title for candidate in CANDIDATES}

COVARIATES = ("width", "depth", "initial_loss", "linear_stability")
"""What a partial association holds fixed."""
