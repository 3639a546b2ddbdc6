"""The quantities known before training that may rank networks by the epochs to a given loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ntk_sweep.analysis.rows.over_seeds import history
from ntk_sweep.analysis.rows.quantities import QUANTITIES, trusted
from ntk_sweep.analysis.rows.runs import Runs
from ntk_sweep.analysis.rows.setting import ABSOLUTE

THRESHOLDS = (0.1, 0.05, 0.01)
"""Losses to reach. Targets are 0 and 1, so a constant output of ½ has a loss of 0.25: at 0.1 a
network tells the classes apart, at 0.01 its outputs are off by a tenth."""


@dataclass(frozen=True)
class Candidate:
    """A quantity known before training.

    Attributes:
        name: As in CSV files.
        title: As in tables and figures.
        value: From rows and a threshold a number each, NaN where it is not known.
    """

    name: str
    title: str
    value: Callable[[pd.DataFrame, float], np.ndarray]


def epochs_to_loss(histories: Sequence[object], threshold: float) -> np.ndarray:
    """When each loss first falls to a threshold, in epochs.

    Between two epochs the logarithm of the loss is taken to be linear.

    Args:
        histories: Of each run the losses before training and after every epoch; None if unknown.
        threshold: The loss to reach, above 0.

    Returns:
        0 where it starts there; infinity where it never gets there; NaN for None.
    """
    known = [history(losses) for losses in histories]
    length = max((len(losses) for losses in known if losses is not None), default=0)
    table = np.full((len(known), length + 1), np.inf)
    for row, losses in zip(table, known, strict=True):
        if losses is not None:
            row[: len(losses)] = losses
    reached = table <= threshold
    place = reached.argmax(axis=1)
    lines = np.arange(len(table))
    with np.errstate(divide="ignore", invalid="ignore"):
        before, after = np.log(table[lines, np.maximum(place - 1, 0)]), np.log(table[lines, place])
        between = place - 1 + (before - np.log(threshold)) / (before - after)
    epochs = np.where((place == 0) | ~np.isfinite(before), place, between)
    never = np.where([losses is None for losses in known], np.nan, np.inf)
    return np.where(reached.any(axis=1), epochs, never)


def measured_epochs(rows: pd.DataFrame, threshold: float) -> np.ndarray:
    """The epochs that each run needs to a loss.

    Infinite where it does not get there, or diverges at any time.
    """
    return np.where(
        rows["status"] == "diverged", np.inf, epochs_to_loss(list(rows["losses"]), threshold)
    )


def _quantity(name: str) -> Candidate:
    quantity = QUANTITIES[name]
    # Known before training, so that a diverged run has it too.
    return Candidate(
        name,
        quantity.title,
        lambda rows, _: trusted(rows.assign(status="ok"), quantity).to_numpy(float),
    )


def _coordinate(name: str, title: str) -> Candidate:
    return Candidate(name, title, lambda rows, _: rows[name].to_numpy(float))


def _step_times(name: str) -> Candidate:
    of = _quantity(name).value
    title = f"step size × {QUANTITIES[name].title}"
    return Candidate(
        f"step_size_{name}",
        title,
        lambda rows, loss: rows["step_size"].to_numpy(float) * of(rows, loss),
    )


def _predicted(name: str, title: str) -> Candidate:
    return Candidate(
        f"{name}_epochs",
        title,
        lambda rows, loss: epochs_to_loss(list(rows[f"{name}_losses"]), loss),
    )


_SPECTRAL = (
    "lambda_min",
    "lambda_max",
    "condition_number",
    "trace",
    "effective_rank",
    "limit_lambda_min",
)
_ALIGNED = (
    "alignment",
    "centred_alignment",
    "class_contrast",
    *(f"target_share_{count}" for count in (1, 2, 5, 10)),
)

CANDIDATES = (
    *map(_quantity, (*_SPECTRAL, *_ALIGNED)),
    _step_times("lambda_min"),
    _step_times("lambda_max"),
    _coordinate("initial_loss", "Loss before training"),
    _predicted("linearised", "Predicted epochs: linearised network"),
    _predicted("descent", "Predicted epochs: gradient descent"),
    _predicted("flow", "Predicted epochs: gradient flow"),
    _coordinate("width", "Width"),
    _coordinate("depth", "Depth"),
)

BY_NAME = {candidate.name: candidate for candidate in CANDIDATES}


def candidates(runs: Runs) -> list[Candidate]:
    """The candidates that say something of their own.

    With one step size for all, products with it rank as without it.
    """
    one_step = runs.setting.learning_rate_unit == ABSOLUTE
    return [one for one in CANDIDATES if not (one_step and one.name.startswith("step_size"))]
