"""Heat maps in numbers and in words: the cells of an activation over two coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ntk_sweep.analysis.rows.activations import activation_title
from ntk_sweep.analysis.rows.cells import seeds_text
from ntk_sweep.analysis.rows.coordinates import AXES, places, span, text, values
from ntk_sweep.analysis.rows.quantities import LAMBDA_MIN, Quantity

WORDS = {
    "weight_std": "the scale of weights",
    "bias_std": "the scale of biases",
    "n_samples": "the number of inputs",
}
"""Coordinates in a sentence, where the setting's name is not that."""

DIGITS = 4
"""Of a scale beside a tick."""

LIKELY = 0.05
"""Cells that are more probable than this to have the greatest mean get a frame: the usual level
below which one speaks of chance."""

SHOWN = ("width", "depth")
"""The coordinates of the thesis's heat maps."""


@dataclass(frozen=True)
class Grid:
    """A heat map in numbers.

    Attributes:
        act: The activation.
        axes: The coordinates along the horizontal and the vertical axis.
        columns: The values of the first that occur, ascending.
        rows: Those of the second.
        value: Mean of the quantity over seeds, (rows, columns); NaN where there is none to show.
        unresolved: Where at least one seed is unresolved, (rows, columns).
        best: Place (row index, column index) of the greatest mean that is shown; None if nothing is
            resolved, or where the greatest means nothing.
        seeds: How many seeds the cells hold, in words.
        quantity: What is shown.
        likely: Places of the cells that have the greatest mean with a probability above `LIKELY`;
            none where the probabilities are not known.
    """

    act: str
    axes: tuple[str, str]
    columns: list[float | int]
    rows: list[float | int]
    value: np.ndarray
    unresolved: np.ndarray
    best: tuple[int, int] | None
    seeds: str
    quantity: Quantity = LAMBDA_MIN
    likely: tuple[tuple[int, int], ...] = ()

    @property
    def framed(self) -> tuple[tuple[int, int], ...]:
        """Places of the cells with a frame."""
        return self.likely or ((self.best,) if self.best else ())

    @property
    def frame_label(self) -> str:
        """What a frame means, in the legend."""
        if self.likely:
            return f"{self.greatest}: probability above {100 * LIKELY:.0f} %"
        return self.greatest

    @property
    def greatest(self) -> str:
        """How the best cell is called: of a single draw there is no mean."""
        return (
            self.quantity.greatest.removesuffix(" mean")
            if self.seeds == "1 seed"
            else self.quantity.greatest
        )

    @property
    def missing(self) -> np.ndarray:
        """Cells without any result: not computed yet, or failed."""
        return np.isnan(self.value) & ~self.unresolved


def grid(
    cells: pd.DataFrame,
    act: str,
    quantity: Quantity = LAMBDA_MIN,
    axes: tuple[str, str] = SHOWN,
) -> Grid:
    """The cells of an activation on the product of all values of the two coordinates.

    So the heat maps of a group line up.

    Args:
        cells: The frame of `ntk_sweep.analysis.rows.cells.cells` for the quantity, with a column
            `probability` if frames shall follow it; those of an activation differ in the two
            coordinates only.
        act: The activation.
        quantity: λ_min unless given.
        axes: The coordinates along the horizontal and the vertical axis.
    """
    x, y = axes
    columns, rows = values(cells[x]), values(cells[y])
    own = cells[cells["act"] == act]
    assert not own.duplicated([x, y]).any(), "what a map does not show, it does not average"
    shape = (len(rows), len(columns))
    value, unresolved = np.full(shape, np.nan), np.zeros(shape, dtype=bool)
    row, column = places(own[y], rows), places(own[x], columns)
    mean = own["geometric_mean" if quantity.mean == "geometric" else "mean"].to_numpy(float)
    value[row, column] = mean
    unresolved[row, column] = own["unresolved"] > 0
    best = None
    likely: tuple[tuple[int, int], ...] = ()
    if quantity.greatest and own["resolved"].any():
        found = [(int(r), int(c)) for r, c in zip(row, column, strict=True)]
        best = found[int(np.nanargmax(mean))]
        if "probability" in own:
            likely = tuple(found[place] for place in np.flatnonzero(own["probability"] > LIKELY))
    return Grid(
        act, axes, columns, rows, value, unresolved, best, seeds_text(own), quantity, likely
    )


def numbers(
    cells: pd.DataFrame,
    act: str,
    quantity: Quantity = LAMBDA_MIN,
    axes: tuple[str, str] = SHOWN,
) -> pd.DataFrame:
    """The numbers behind a heat map, one row a cell, for CSV.

    With the column `probability` if the cells have it. The column `state` is "resolved",
    "unresolved" ("undefined" for quantities without an error bound), "failed" (all its points did)
    or "missing" (never computed).
    """
    shape = grid(cells, act, quantity, axes)
    product = pd.MultiIndex.from_product([shape.columns, shape.rows], names=axes)
    own = cells[cells["act"] == act]
    fixed = [name for name in cells if name in AXES and name not in axes]
    table = product.to_frame(index=False).merge(own.drop(columns="act"), on=[*axes], how="left")
    for name in fixed:  # missing cells, too, are at the value of all others
        table[name] = values(cells[name])[0]
    counts = ["seeds", "unresolved", "failed"]
    table[counts] = table[counts].fillna(0).astype(int)
    conditions = [table["unresolved"] > 0, table["seeds"] > 0, table["failed"] > 0]
    state = np.select(conditions, [quantity.state, "resolved", "failed"], "missing")
    table = table.drop(columns="resolved").assign(act=act, state=state)
    chances = [name for name in ("probability",) if name in table]
    geometric = ["geometric_mean", "geometric_low", "geometric_high", "geometric_error"]
    statistics = [*geometric, "mean", "sd", "low", "high", "error", "least", "greatest"]
    return table[["act", *axes, *fixed, "state", *counts, *statistics, *chances]]


def alt_text(shown: Grid) -> str:
    """The heat map in words, for those who cannot see it."""
    finite = shown.value[np.isfinite(shown.value)]
    x, y = (WORDS.get(name, name) for name in shown.axes)
    said = (
        f"Heat map of the {shown.quantity.words} of {activation_title(shown.act)} networks over "
        f"{x} ({span(shown.columns)}) and {y} ({span(shown.rows)}). "
    )
    if len(finite):
        said += f"Values run from {finite.min():.3g} to {finite.max():.3g}"
    if shown.best:
        row, column = shown.best
        said += (
            f"; the {shown.greatest} is at {x} {text(shown.columns[column], DIGITS)} and {y} "
            f"{text(shown.rows[row], DIGITS)}"
        )
        if shown.likely:
            said += f", and {len(shown.likely)} cells have it with more than {100 * LIKELY:.0f} %"
    counts = (
        f"{shown.unresolved.sum()} of {shown.value.size} cells are {shown.quantity.state} and "
        f"{shown.missing.sum()} hold no result."
    )
    return said + (". " if len(finite) else "") + counts
