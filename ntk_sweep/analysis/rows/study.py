"""A study: the rows of all tasks on one data set, in one parametrisation and precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from functools import cached_property

import pandas as pd

from ntk_sweep.analysis.errors import AnalysisError
from ntk_sweep.analysis.rows.best_cells import best_cells, probabilities, with_probabilities
from ntk_sweep.analysis.rows.cells import Cells
from ntk_sweep.analysis.rows.columns import SPECTRUM, TRAINING
from ntk_sweep.analysis.rows.group import Group, together
from ntk_sweep.analysis.rows.grouping import EVERY_GROUP, IDENTITY, GroupChoice, identify, load
from ntk_sweep.analysis.rows.quantities import LAMBDA_MIN, Quantity
from ntk_sweep.analysis.rows.runs import Runs, runs
from ntk_sweep.store.columns import schema
from ntk_sweep.store.store import Store

GRID = "+experiment=thesis_grid"
"""What makes the networks of the thesis's heat maps."""

GOOD = ["ok", "diverged"]
"""The states of training runs that have a history."""


class Study:
    """The rows of a data set, parametrisation and precision, and their statistics.

    Each statistic is computed when it is first asked for, and once.

    Attributes:
        group: The rows of the task `spectrum`; none where only networks were trained.
        store: Where kernels lie.
        training: The rows of the task `training`, one a run: a network trained in several ways has
            several. None where there are none.
        images: Where the inputs lie (`ntk_sweep.analysis.rows.inputs.find`); None looks where a
            sweep would.
    """

    def __init__(
        self,
        group: Group,
        store: Store,
        training: Group | None = None,
        images: str | None = None,
    ) -> None:
        self.group = group
        self.store = store
        self.training = training
        self.images = images
        self._cells: dict[str, pd.DataFrame] = {}
        self._contested: dict[tuple[object, ...], pd.DataFrame] = {}

    def cells(self, quantity: Quantity = LAMBDA_MIN) -> pd.DataFrame:
        """A quantity of every cell (`ntk_sweep.analysis.rows.cells.Cells`)."""
        if quantity.name not in self._cells:
            self._cells[quantity.name] = self._places.of(quantity)
        return self._cells[quantity.name]

    @cached_property
    def _places(self) -> Cells:
        return Cells(self.group.rows, self.group.coordinates)

    def contested(
        self, cells: pd.DataFrame, quantity: Quantity, axes: tuple[str, str]
    ) -> pd.DataFrame:
        """Cells with the `probability` of each to be the greatest of its map, where that is asked.

        As `ntk_sweep.analysis.rows.best_cells.with_probabilities`, of the geometric mean where
        that is drawn.

        Args:
            cells: Some of those of `cells`.
            quantity: What they are of.
            axes: What the maps lie over.
        """
        if not (quantity.greatest and quantity.seeded):
            return cells
        key = (quantity.name, axes, tuple(cells.index))
        if key not in self._contested:
            rows = self.group.rows
            self._contested[key] = with_probabilities(cells, rows, quantity, axes)
        return self._contested[key]

    @cached_property
    def probabilities(self) -> pd.DataFrame:
        """How probable each cell is to have the greatest mean λ_min of its activation."""
        return probabilities(self.group.rows)

    @cached_property
    def best_cells(self) -> pd.DataFrame:
        """The cell of each activation with the greatest mean λ_min."""
        return best_cells(self.cells())

    @cached_property
    def _trained(self) -> list[Runs]:
        known = self.training is not None and self.training.rows["status"].isin(GOOD).any()
        return runs(self.training) if known and self.training is not None else []

    @property
    def runs(self) -> list[Runs]:
        """The runs of stochastic gradient descent by setting; none where none has a result."""
        return [one for one in self._trained if not one.setting.is_flow]

    @property
    def flows(self) -> list[Runs]:
        """The runs along the gradient flow, likewise."""
        return [one for one in self._trained if one.setting.is_flow]

    def has(self, task: str) -> bool:
        """Whether there are rows of a task."""
        return bool(len(self.group.rows)) if task == SPECTRUM else self.training is not None


def studies(
    results: str,
    choice: GroupChoice = EVERY_GROUP,
    images: str | None = None,
    tasks: Sequence[str] = (SPECTRUM, TRAINING),
    makes: str | None = None,
) -> list[Study]:
    """What lies in a results folder or URI, or the part of it that was chosen.

    Args:
        results: The folder or URI.
        choice: Which groups.
        images: Where the inputs lie.
        tasks: Whose rows are read. Of the others only the names of their groups are, so that a
            group is called the same whatever is read of it.
        makes: The words of ``ntk-sweep run`` that make rows of the first task, which there must be;
            None where rows of any task will do.

    Raises:
        AnalysisError: There are no rows, or none of what was chosen.
        StoreError: A part of the store is unreadable.
    """
    frames = {task: _rows(results, task, task in tasks) for task in (SPECTRUM, TRAINING)}
    if frames[tasks[0]].empty and makes:
        load(results, tasks[0], makes)  # says what is missing
    if all(frame.empty for frame in frames.values()):
        load(results)
    every = pd.concat([frame[IDENTITY] for frame in frames.values() if len(frame)])
    spectra = _read(frames, SPECTRUM, tasks)
    training = _read(frames, TRAINING, tasks)
    store = Store(results, SPECTRUM)
    found = []
    for group in identify(every.reset_index(drop=True), results, choice):
        trained = group.of(training)
        known = trained if len(trained.rows) else None
        found.append(Study(group.of(spectra), store, known, images))
    return found


def put_together(found: Sequence[Study], across: Sequence[str]) -> list[Study]:
    """Studies that differ in some coordinates only become one, in the order of their first.

    Args:
        found: From `studies`.
        across: The coordinates of `ntk_sweep.analysis.rows.coordinates.ACROSS`; none leaves the
            studies as they are.

    Raises:
        AnalysisError: Two data sets of one name would share a cell.
    """
    if not across:
        return [*found]
    return [joined(family, across) for family in families(found, across)]


def families(found: Sequence[Study], across: Sequence[str]) -> list[list[Study]]:
    """The studies that differ in some coordinates only, in the order of their first."""
    kin: dict[tuple[object, ...], list[Study]] = {}
    for study in found:
        kin.setdefault(_kin(study.group, across), []).append(study)
    return [*kin.values()]


def _kin(group: Group, across: Sequence[str]) -> tuple[object, ...]:
    """What groups agree in that differ in `across` only."""
    apart = {*across, "rows", "across", "shown"} | (
        {"fingerprint"} if "n_samples" in across else set()
    )
    return tuple(getattr(group, item.name) for item in fields(group) if item.name not in apart)


def joined(family: Sequence[Study], across: Sequence[str]) -> Study:
    """The studies of a family as one; as in `put_together`."""
    first = family[0]
    trained = [study.training for study in family if study.training is not None]
    return Study(
        together([study.group for study in family], across),
        first.store,
        together(trained, across) if trained else None,
        first.images,
    )


def _rows(results: str, task: str, whole: bool) -> pd.DataFrame:
    """The rows of a task, or only what tells their groups; none where there are none."""
    try:
        if whole:
            return load(results, task)
        return Store(results, task).read(IDENTITY).to_pandas()
    except (AnalysisError, FileNotFoundError):
        return pd.DataFrame(columns=IDENTITY)


def _read(frames: dict[str, pd.DataFrame], task: str, tasks: Sequence[str]) -> pd.DataFrame:
    """The rows of a task; none, with all its columns, where they were not read."""
    if task in tasks and len(frames[task]):
        return frames[task]
    return schema(task).empty_table().to_pandas()
