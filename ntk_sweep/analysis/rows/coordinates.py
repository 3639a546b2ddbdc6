"""The coordinates of networks over which heat maps are drawn: their values and names.

A scale of the biases may be null, without biases; that is a value of its own, before all numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from ntk_sweep.store.columns import CELL

ACROSS = ("weight_std", "bias_std", "n_samples")
"""In these, groups of rows differ: a map over one of them puts groups together."""

AXES = (*CELL[1:], *ACROSS)
"""All of them."""

NO_BIASES = "none"

_NULL = -1.0
"""Stands for a null while rows are grouped, which pandas does not do by nulls; no coordinate is
negative."""


def values(column: pd.Series) -> list[float | int]:
    """The values of a coordinate, ascending; NaN, for a null, first."""
    return [_plain(value) for value in sorted(_numbered(column).unique())]


def places(column: pd.Series, known: Sequence[float | int]) -> np.ndarray:
    """Where each row's value stands in `known`, which `values` gave."""
    ordered = [_NULL if value != value else value for value in known]
    return np.searchsorted(ordered, _numbered(column).to_numpy(float))


def numbered(frame: pd.DataFrame, names: Collection[str]) -> pd.DataFrame:
    """The coordinates without nulls, to group by; `restored` undoes it."""
    return frame.assign(**{name: _numbered(frame[name]) for name in names if name in ACROSS})


def restored(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame grouped by `numbered` coordinates with its nulls."""
    known = [name for name in ACROSS if name in frame and (frame[name] == _NULL).any()]
    return frame.assign(**{name: frame[name].replace(_NULL, np.nan) for name in known})


def text(value: float | int, digits: int | None = None) -> str:
    """A value as a setting, or with some digits as a label."""
    if value != value:
        return "null" if digits is None else NO_BIASES
    if digits is not None:
        return f"{value:.{digits}g}" if isinstance(value, float) else str(value)
    return repr(value).removesuffix(".0")


def span(known: Sequence[float | int], digits: int = 4) -> str:
    """The values in words: "0.7", "0.7 to 2", or "none, 0 to 1"."""
    if known and known[0] != known[0] and len(known) > 1:
        return f"{NO_BIASES}, {span(known[1:], digits)}"
    ends = [text(value, digits) for value in (known[0], known[-1])]
    return ends[0] if len(known) == 1 else " to ".join(ends)


def _numbered(column: pd.Series) -> pd.Series:
    return (
        column.astype(float).fillna(_NULL) if column.name in ("weight_std", "bias_std") else column
    )


def _plain(value: float) -> float | int:
    if value == _NULL:
        return float("nan")
    return float(value) if isinstance(value, float) else int(value)
