"""What a chapter of the report is made of: the rows of all tasks on one data set, in one
parametrisation and precision."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field, replace

import pandas as pd

from analysis.cells import cells
from analysis.frame import TASK, AnalysisError, Group, groups, load, one_row_a_network
from analysis.quantities import LAMBDA_MIN, Quantity
from analysis.runs import TASK as TRAINING
from ntk_sweep.store.columns import schema
from ntk_sweep.store.reading import load_results
from ntk_sweep.store.store import Store


@dataclass(frozen=True)
class Material:
    """The rows of a group.

    Attributes:
        group: The rows of the task `spectrum`; none of them where only networks were trained.
        store: Where kernels lie.
        training: The rows of the task `training`, one a run: a network trained in several ways has
            several. None where there are none.
        images: Where the inputs lie (`analysis.inputs.find`); None looks where a sweep would.
    """

    group: Group
    store: Store
    training: Group | None = None
    images: str | None = None
    _cells: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False, compare=False)

    def cells(self, quantity: Quantity = LAMBDA_MIN) -> pd.DataFrame:
        """A quantity of every cell (`analysis.cells.cells`), which many parts show and which is
        reckoned once."""
        if quantity.name not in self._cells:
            self._cells[quantity.name] = cells(self.group.rows, quantity)
        return self._cells[quantity.name]

    @property
    def statistics(self) -> pd.DataFrame:
        """λ_min of every cell."""
        return self.cells()


def materials(
    results: str,
    data: str | None = None,
    parametrisation: str | None = None,
    dtype: str | None = None,
    images: str | None = None,
) -> list[Material]:
    """What lies in a results folder or URI, or the part of it that was chosen
    (`analysis.frame.groups`).

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
        spectra = training.iloc[:0][schema(TASK).names]
    # Both tasks together, so that names and titles tell all groups apart; training rows hold the
    # columns of spectra.
    parts = [part[spectra.columns] for part in (spectra, training) if len(part)]
    together = pd.concat(parts, ignore_index=True)
    store = Store(results, TASK)
    chosen = []
    for group in groups(together, results, data, parametrisation, dtype):
        runs = _of(training, group) if len(training) else training
        trained = replace(group, rows=one_row_a_network(runs)) if len(runs) else None
        if len(training):
            group = replace(group, rows=one_row_a_network(_of(spectra, group)))
        chosen.append(Material(group, store, trained, images))
    return chosen


def _of(rows: pd.DataFrame, group: Group) -> pd.DataFrame:
    """The rows on the data, in the parametrisation and precision of a group."""
    own = (rows["data_fingerprint"] == group.fingerprint) & (
        rows["parametrisation"] == group.parametrisation
    )
    return rows[own & (rows["dtype"] == group.dtype)].reset_index(drop=True)


def _training(results: str) -> pd.DataFrame:
    """The rows of the task `training`; an empty frame where there are none."""
    try:
        return load_results(posixpath.join(results, TRAINING))
    except FileNotFoundError:
        return pd.DataFrame()
