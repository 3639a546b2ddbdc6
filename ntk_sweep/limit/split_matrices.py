"""Symmetric matrices as a common number and differences from it, with bounds of their errors.

The common number is in double-double. The differences are in float64 or in double-double: all
arithmetic is that of the differences passed.

Dimension letters in the annotations: N inputs, P pairs in the order of
`ntk_sweep.numerics.double_double.upper_places`.
"""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from ntk_sweep.numerics.double_double import (
    UNIT,
    DoubleDouble,
    add,
    from_float64,
    multiply,
)

Differences = DoubleDouble | Float[Tensor, " ..."]
"""Entries of a matrix less its common number, (P,), or numbers that they are combined with."""

FLOAT64_UNIT = 2.0**-51
"""Four roundings: sums of float64 err by at most a quarter of it relative to |x| + |y|, products
with a rounded factor by half of it, as those of double-double do relative to `UNIT`."""


class Split(NamedTuple):
    """A symmetric matrix.

    Attributes:
        common: A number near all entries, of no dimension.
        differences: What the entries of the upper triangle exceed it by, (P,).
        error: A bound of the error of every entry.
    """

    common: DoubleDouble
    differences: Differences
    error: float

    @property
    def largest(self) -> float:
        """A bound of the modulus of every entry."""
        return abs(float(self.common.hi)) + self.spread

    @property
    def spread(self) -> float:
        """The largest difference."""
        return float(leading(self.differences).abs().max())

    @property
    def unit(self) -> float:
        """That of rounding of the differences."""
        return UNIT if isinstance(self.differences, DoubleDouble) else FLOAT64_UNIT

    @property
    def entries(self) -> Float[Tensor, " P"]:
        """All entries, in float64."""
        return leading(self.differences) + self.common.hi

    def whole(self) -> DoubleDouble:
        """All entries."""
        return add(doubled(self.differences), self.common)


def leading(differences: Differences) -> Float[Tensor, " ..."]:
    """The differences, rounded to float64."""
    return differences.hi if isinstance(differences, DoubleDouble) else differences


def doubled(differences: Differences) -> DoubleDouble:
    """The differences in double-double."""
    return differences if isinstance(differences, DoubleDouble) else from_float64(differences)


def plus(x: Differences, y: Differences) -> Differences:
    """The sum x + y in the arithmetic of x."""
    return add(x, doubled(y)) if isinstance(x, DoubleDouble) else x + leading(y)


def times(x: Differences, y: Differences) -> Differences:
    """The product x · y in the arithmetic of x."""
    return multiply(x, doubled(y)) if isinstance(x, DoubleDouble) else x * leading(y)


def scaled_sum(matrix: Split, factor: DoubleDouble, bias: DoubleDouble) -> Split:
    """The matrix times a factor, plus a bias."""
    size = float(factor.hi)
    rounding = matrix.unit * size * matrix.spread
    return Split(
        add(multiply(matrix.common, factor), bias),
        times(matrix.differences, factor),
        size * matrix.error + rounding,
    )


def total(x: Split, y: Split) -> Split:
    """The sum of two matrices."""
    return Split(
        add(x.common, y.common),
        plus(x.differences, y.differences),
        x.error + y.error + x.unit / 2 * (x.spread + y.spread),
    )


def product(x: Split, y: Split) -> Split:
    """The entry-wise product."""
    entries = y.whole() if isinstance(y.differences, DoubleDouble) else y.entries
    x_spread, y_spread, x_common = x.spread, y.spread, abs(float(x.common.hi))
    y_largest = abs(float(y.common.hi)) + y_spread
    rounding = x.unit * (x_spread * y_largest + y_spread * x_common)
    return Split(
        multiply(x.common, y.common),
        plus(times(x.differences, entries), times(y.differences, x.common)),
        (x_common + x_spread) * y.error + y_largest * x.error + rounding,
    )
