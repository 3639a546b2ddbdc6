"""What a chapter of the report is made of: the rows of all tasks on one data set, in one parametrisation and precision."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, replace

import pandas as pd

from analysis.cells import cells
from analysis.frame import TASK, AnalysisError, Group, groups, load, one_row_a_network
from ntk_sweep.config import TASKS
from ntk_sweep.store import Store, load_results

TRAINING = "training"


@dataclass(frozen=True)
class Material:
    """The rows of a group.

    Attributes:
        group: The rows of the task `spectrum`; none of them where only networks were trained.
        store: Where kernels lie.
        statistics: λ_min of every cell (`analysis.cells.cells`).
        training: The rows of the task `training`, one a run: a network trained with several settings has several.
        images: Where the inputs lie (`analysis.inputs.find`); None looks where a sweep would.
    """

    group: Group
    store: Store
    statistics: pd.DataFrame
    training: pd.DataFrame
    images: str | None = None


def materials(
    results: str, data: str | None = None, parametrisation: str | None = None, dtype: str | None = None, images: str | None = None
) -> list[Material]:
    """What lies in a results folder or URI, or the part of it that was chosen (`analysis.frame.groups`).

    Raises:
        AnalysisError: There are no rows, or none of what was chosen.
        StoreError: A part of the store is unreadable.
    """
    training = _training(results)
    try:
        spectra = load(results)
    except AnalysisError:
        if training.empty:
            raise
        spectra = training.iloc[:0]
    # Both tasks together, so that names and titles tell all groups apart; training rows hold the columns of spectra.
    together = spectra if training.empty else pd.concat([spectra, training[spectra.columns]], ignore_index=True)
    store = Store(results, TASK)
    chosen = []
    for group in groups(together, results, data, parametrisation, dtype):
        if len(training):
            group = replace(group, rows=one_row_a_network(_of(spectra, group)))
        trained = _of(training, group) if len(training) else training
        chosen.append(Material(group, store, cells(group.rows), trained, images))
    return chosen


def _of(rows: pd.DataFrame, group: Group) -> pd.DataFrame:
    """The rows on the data, in the parametrisation and precision of a group."""
    own = (rows["data_fingerprint"] == group.fingerprint) & (rows["parametrisation"] == group.parametrisation)
    return rows[own & (rows["dtype"] == group.dtype)].reset_index(drop=True)


def _training(results: str) -> pd.DataFrame:
    """The rows of the task `training`; an empty frame where there are none."""
    if TRAINING not in TASKS:
        return pd.DataFrame()
    try:
        return load_results(posixpath.join(results, TRAINING))
    except FileNotFoundError:
        return pd.DataFrame()
