"""Double-double arithmetic on tensors: an unevaluated sum hi + lo, about 106 significant bits.

Elementwise operations are the error-free transformations of Dekker (1971) and Knuth (TAOCP 2,
section 4.2.2). Symmetric matrices are worked on as the vector of their upper triangle. Tensors may
have leading dimensions, which stand for as many matrices side by side.

Everything here assumes round-to-nearest and no overflow (entries below about 1e130). Underflow
costs absolute errors of about 1e-320, nothing beside a kernel, whose diagonal is at least 1 (the
last bias).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

_SPLITTER = 2.0**27 + 1
"""Veltkamp's constant: cuts 53 bits into two halves of at most 26 (Dekker 1971)."""

UNIT = 2.0**-102
"""16u². The error of `add` is at most a quarter of it relative to |x| + |y|, that of `add_plain`
relative to the result, and that of `multiply` half of it relative to |xy| (after Joldes, Muller,
Popescu 2017, sections 3 to 5)."""

ADD_USUAL, MULTIPLY_USUAL = UNIT / 32, UNIT / 16
"""What `add` and `multiply` err by in root mean square, relatively: half as much was measured."""


class DoubleDouble(NamedTuple):
    """The number hi + lo, with |lo| at most half a unit in the last place of hi."""

    hi: Float[Tensor, " ..."]
    lo: Float[Tensor, " ..."]

    # an index selects elements, not the fields
    def __getitem__(self, index: Any) -> DoubleDouble:  # type: ignore[override]
        """The selected elements."""
        return DoubleDouble(self.hi[index], self.lo[index])

    def at(self, index: Int64[Tensor, " p"]) -> DoubleDouble:
        """The elements at these places of the last dimension."""
        return DoubleDouble(self.hi.index_select(-1, index), self.lo.index_select(-1, index))

    def to(self, device: torch.device | str) -> DoubleDouble:
        """The same numbers on another device."""
        return DoubleDouble(self.hi.to(device), self.lo.to(device))


def from_float64(a: Float[Tensor, " ..."]) -> DoubleDouble:
    """A float64 tensor as a double-double."""
    return DoubleDouble(a, torch.zeros_like(a))


def two_sum(a: Float[Tensor, " ..."], b: Float[Tensor, " ..."]) -> DoubleDouble:
    """The sum a + b without error (Knuth): hi = fl(a + b), lo = a + b - hi."""
    hi = a + b
    shadow = hi - a
    return DoubleDouble(hi, (a - (hi - shadow)) + (b - shadow))


def two_prod(a: Float[Tensor, " ..."], b: Float[Tensor, " ..."]) -> DoubleDouble:
    """The product a · b without error.

    Dekker's, with Veltkamp's splitting: torch has no fused multiply-add to call.

    Example:
        >>> from fractions import Fraction
        >>> tenth = torch.tensor(0.1, dtype=torch.float64)
        >>> product = two_prod(tenth, tenth)
        >>> Fraction(product.hi.item()) + Fraction(product.lo.item()) == Fraction(0.1) ** 2
        True
    """
    hi = a * b
    a1, a2 = _halves(a)
    b1, b2 = _halves(b)
    return DoubleDouble(hi, (a1 * b1 - hi).addcmul_(a1, b2).addcmul_(a2, b1).addcmul_(a2, b2))


def add(x: DoubleDouble, y: DoubleDouble) -> DoubleDouble:
    """The sum x + y, off by at most UNIT (|x| + |y|).

    Dekker 1971, add2; Joldes, Muller, Popescu 2017, algorithm 5.
    """
    s = two_sum(x.hi, y.hi)
    return renormalise(s.hi, s.lo + (x.lo + y.lo))


def add_plain(x: DoubleDouble, y: Float[Tensor, " ..."]) -> DoubleDouble:
    """The sum x + y for a float64 tensor y (Joldes, Muller, Popescu 2017, algorithm 4)."""
    s = two_sum(x.hi, y)
    return renormalise(s.hi, x.lo + s.lo)


def multiply(x: DoubleDouble, y: DoubleDouble) -> DoubleDouble:
    """The product x · y, elementwise.

    Joldes, Muller, Popescu 2017, algorithm 11, with Dekker's product.
    """
    product = two_prod(x.hi, y.hi)
    return renormalise(product.hi, product.lo + torch.addcmul(x.hi * y.lo, x.lo, y.hi))


@lru_cache(maxsize=8)
def upper_places(
    size: int, device: torch.device
) -> tuple[Int64[Tensor, " p"], Int64[Tensor, " p"], Int64[Tensor, " p"]]:
    """Row, column and place in the flattened matrix of each entry of the upper triangle, (p,) each.

    The diagonal is included. Symmetric matrices are worked on as the vector of these entries, which
    is half the work.
    """
    rows, columns = torch.triu_indices(size, size, device=device)
    return rows, columns, rows * size + columns


def upper(matrix: Float[Tensor, "*b m m"]) -> Float[Tensor, "*b p"]:
    """The entries of the upper triangle, in the order of `upper_places`."""
    return matrix.flatten(-2).index_select(-1, upper_places(matrix.shape[-1], matrix.device)[2])


def symmetric(entries: Float[Tensor, "*b p"], size: int) -> Float[Tensor, "*b m m"]:
    """The symmetric matrix with this upper triangle."""
    rows, columns, _ = upper_places(size, entries.device)
    matrix = entries.new_empty(*entries.shape[:-1], size, size)
    matrix[..., rows, columns] = entries
    matrix[..., columns, rows] = entries
    return matrix


def _halves(a: Float[Tensor, "*b"]) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b"]]:
    scaled = _SPLITTER * a
    high = scaled - (scaled - a)
    return high, a - high


def renormalise(a: Float[Tensor, "*b"], b: Float[Tensor, "*b"]) -> DoubleDouble:
    """Fast two-sum, exact for |a| ≥ |b| (Dekker)."""
    hi = a + b
    return DoubleDouble(hi, b - (hi - a))
