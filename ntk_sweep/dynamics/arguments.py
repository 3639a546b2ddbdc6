"""Checks of numbers and arrays that users pass; each error names the argument and its value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from jaxtyping import Float, Integer, Shaped

from ntk_sweep.arrays import real_array, without_column

Vector = Shaped[Any, " N"] | Shaped[Any, "N 1"] | Sequence
"""A number a sample as users pass it: a NumPy array, a list, a tensor on the CPU."""

Matrix = Shaped[Any, "N N"] | Sequence
"""A row and a column a sample, likewise."""

Times = Shaped[Any, " T"] | Sequence
"""Points in time, likewise."""


def check_integer(name: str, value: Any) -> None:
    """Raises a ValueError unless `value` is an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} is {value!r}, but must be an integer of at least 1")


def check_number(name: str, value: Any, positive: bool = False) -> None:
    """Raises a ValueError unless `value` is finite and ≥ 0, or > 0 where `positive`."""
    usable = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if not usable or value < 0 or (positive and value == 0):
        raise ValueError(
            f"{name} is {value!r}, but must be a finite number "
            f"{'above' if positive else 'of at least'} 0"
        )


def finite(name: str, values: Any) -> Float[np.ndarray, "*shape"]:
    """The values in float64; a ValueError if they are no real numbers, or one is not finite."""
    values = real_array(name, values)
    if not np.isfinite(values).all():
        raise ValueError(
            f"{name} holds NaN or infinity, but must be finite: there is nothing to predict from it"
        )
    return values


def non_negative(name: str, values: Any) -> Float[np.ndarray, "*shape"]:
    """Finite values ≥ 0, such as times; a ValueError otherwise."""
    values = finite(name, values)
    if (values < 0).any():
        raise ValueError(
            f"{name} holds {values.min():g}, but must not be negative: training starts at 0"
        )
    return values


def whole_numbers(name: str, values: Any) -> Integer[np.ndarray, "*shape"]:
    """Whole numbers ≥ 0, such as steps; a ValueError otherwise."""
    values = non_negative(name, values)
    broken = values != np.floor(values)
    if broken.any():
        raise ValueError(f"{name} holds {values[broken].flat[0]:g}, but must hold whole numbers")
    return values.astype(np.int64)


def vector(name: str, values: Any) -> Float[np.ndarray, " _"]:
    """A vector of at least one finite value, from (N,) or (N, 1); a ValueError otherwise."""
    values = without_column(finite(name, values))
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(
            f"{name} has shape {values.shape}, but must have one dimension and at least one entry"
        )
    return values


def square_matrix(name: str, values: Any, size: int) -> Float[np.ndarray, "N N"]:
    """A finite matrix of `size` rows and columns; a ValueError otherwise."""
    values = finite(name, values)
    if values.shape != (size, size):
        raise ValueError(
            f"{name} has shape {values.shape}, but must be ({size}, {size}): one row and one "
            "column a sample"
        )
    return values


def permutation(name: str, values: Any, size: int) -> Integer[np.ndarray, " N"]:
    """An array that holds every integer from 0 to size - 1 once; a ValueError otherwise."""
    values = np.asarray(values)
    if (
        values.shape != (size,)
        or values.dtype.kind not in "iu"
        or not np.array_equal(np.sort(values), np.arange(size))
    ):
        raise ValueError(f"{name} is {values!r}, but must be a permutation of 0 to {size - 1}")
    return values
