"""Lengths, distances and areas of the inputs, with which the recursion of the limit kernel starts.

Dimension letters in the annotations: N inputs, n_in features of an input; R of them in rows and C
in columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.numerics.double_double import (
    UNIT,
    DoubleDouble,
    symmetric,
    two_prod,
    upper_places,
)
from ntk_sweep.numerics.double_double_functions import selected
from ntk_sweep.numerics.gaussian_pairs import power_of_two
from ntk_sweep.numerics.gram_matrices import (
    RowSizes,
    gram,
    gram_errors,
)
from ntk_sweep.numerics.gram_tiles import gram_tile
from ntk_sweep.numerics.sliced_products import powers
from ntk_sweep.numerics.tensors import all_finite, overflow
from ntk_sweep.numerics.thresholds import LIMITS_KEPT_BELOW

_NEAR = 1e-2
"""Squared distances below this share of the squared norms are summed from differences.

Beyond it the Gram matrix loses two digits at most."""

_PAIRS_AT_ONCE = 4096
"""Differences x_i - x_j held in memory together: 26 MB at 784 features."""

_ENOUGH = 1e-16
"""Error of an angle that Gram matrices to one order may leave: a fortieth of what is granted to the
dual activations."""

_SQUARES_AT_ONCE = 64
"""Inputs whose squares are the diagonal of a Gram matrix."""


@dataclass(frozen=True)
class InputMoments:
    """What the recursion takes of single inputs.

    Attributes:
        scaled: The inputs x_i, divided by `power`.
        second_moment: ‖x_i‖².
        squares: The same of the scaled inputs, in double-double.
        power: A power of two near their greatest length.
        longest: What bounds the errors of all inner products.
    """

    scaled: Float[Tensor, "N n_in"]
    second_moment: Float[Tensor, " N"]
    squares: DoubleDouble
    power: float
    longest: RowSizes

    def at(self, index: slice) -> InputMoments:
        """Those of some of the inputs."""
        if len(self.scaled[index]) == len(self.scaled):
            return self
        squares = selected(self.squares, index)
        return InputMoments(
            self.scaled[index], self.second_moment[index], squares, self.power, self.longest
        )

    @cached_property
    def among_themselves(self) -> PairMoments:
        """The moments of all pairs of these inputs, exactly symmetric."""
        size, entries = len(self.scaled), gram(self.scaled)
        inner = DoubleDouble(symmetric(entries.hi, size), symmetric(entries.lo, size))
        upper = _distances(self, self, inner.hi).triu_(1)
        return _pair_moments(self, self, upper + upper.T, inner, self.inner_error(2))

    def with_others(self, others: InputMoments) -> PairMoments:
        """The moments of all pairs of one of these inputs and one of others of the same power."""
        inner, error = gram_tile(self.scaled, others.scaled, orders=1), self.inner_error(1)
        distance = _distances(self, others, inner.hi)
        found = _pair_moments(self, others, distance, inner, error)
        squares = self.squares.hi, others.squares.hi
        least = float(found.area.masked_fill(distance == 0, torch.inf).min()) / self.power**2
        shortest = math.sqrt(float(squares[0].min()) * float(squares[1].min()))
        if 8 * error * float(max(of.max() for of in squares)) <= _ENOUGH * least * shortest:
            return found
        inner, error = gram_tile(self.scaled, others.scaled), self.inner_error(2)
        return _pair_moments(self, others, distance, inner, error)

    def inner_error(self, orders: int) -> float:
        """A bound of the error of an inner product of scaled inputs, to so many orders."""
        return float(gram_errors(self.longest, orders=orders).norm)


class PairMoments(NamedTuple):
    """What the recursion takes of pairs of inputs.

    Attributes:
        distance: ‖x_i - x_j‖².
        area: √(‖x_i‖² ‖x_j‖² - ⟨x_i, x_j⟩²).
        area_error: A bound of its error.
        gram: ⟨x_i, x_j⟩ in double-double.
        gram_error: A bound of the error of each entry.
    """

    distance: Float[Tensor, "R C"]
    area: Float[Tensor, "R C"]
    area_error: Float[Tensor, "R C"]
    gram: DoubleDouble
    gram_error: float


_LAST: list[tuple[Tensor, InputMoments]] = []
"""The few inputs met last, and their moments: all widths and activations of a sweep share them."""


def input_moments(x: Float[Tensor, "N n_in"]) -> InputMoments:
    """The moments of the inputs.

    Raises:
        ValueError: The squares of the inputs overflow.
    """
    if _LAST and torch.equal(_LAST[0][0], x):
        return _LAST[0][1]
    lengths = torch.linalg.vector_norm(x, dim=1)
    if not all_finite(4 * lengths**2):
        raise overflow("the limit kernel", "the squares of the inputs", torch.float64)
    power = power_of_two(lengths)
    scaled = x / power
    parts = [_squares(part) for part in scaled.split(_SQUARES_AT_ONCE)]
    squares = DoubleDouble(*(torch.cat(kind) for kind in zip(*parts, strict=True)))
    # the longest rows bound what any two of them err by
    longest = (lengths / power).max().reshape(1)
    most = RowSizes(scaled.shape[1], longest, powers(scaled).max().reshape(1, 1))
    found = InputMoments(scaled, squares.hi * power**2, squares, power, most)
    if len(x) <= LIMITS_KEPT_BELOW:
        _LAST[:] = [(x.clone(), found)]
    return found


def _squares(x: Float[Tensor, "N n_in"]) -> DoubleDouble:
    """The diagonal of the Gram matrix."""
    rows, columns, _ = upper_places(len(x), x.device)
    return selected(gram(x), rows == columns)


def _distances(
    rows: InputMoments, columns: InputMoments, inner: Float[Tensor, "R C"]
) -> Float[Tensor, "R C"]:
    """‖x_i - x_j‖² of scaled inputs; of the same inputs those of the upper triangle.

    Small distances are summed from differences, so that they keep their relative accuracy.
    """
    lengths = rows.squares.hi[:, None] + columns.squares.hi
    distance = torch.sub(lengths, inner, alpha=2).clamp_(min=0)
    near = distance < lengths.mul_(_NEAR)
    i, j = (near.triu_(1) if columns is rows else near).nonzero(as_tuple=True)
    for first, second in zip(i.split(_PAIRS_AT_ONCE), j.split(_PAIRS_AT_ONCE), strict=True):
        differences = rows.scaled[first] - columns.scaled[second]
        distance[first, second] = differences.square_().sum(1)
    return distance


def _pair_moments(
    rows: InputMoments,
    columns: InputMoments,
    distance: Float[Tensor, "R C"],
    inner: DoubleDouble,
    error: float,
) -> PairMoments:
    """From distances and inner products of scaled inputs, and a bound of the errors of these.

    The Gram matrix is in double-double: nothing but a bias keeps parallel inputs apart from nearly
    parallel ones.
    """
    square, apart = rows.power**2, distance > 0
    x, y = (selected(of.squares, (slice(None), None)) for of in (rows, columns))
    y = DoubleDouble(y.hi.T, y.lo.T)
    outer, own = two_prod(x.hi, y.hi), two_prod(inner.hi, inner.hi)
    # what the product of two high parts leaves out
    low = (outer.lo - own.lo).addcmul_(x.lo, y.hi).addcmul_(x.hi, y.lo)
    low.addcmul_(inner.hi, inner.lo, value=-2)
    spread = (outer.hi - own.hi).add_(low).clamp_(min=0)
    zeros = spread.new_zeros(())
    area = spread.sqrt().where(apart, zeros)
    # |⟨x, y⟩| is at most the mean of the squares
    uncertain = (x.hi + y.hi).mul_(4 * error).add_(outer.hi, alpha=8 * UNIT)
    uncertain.add_(spread, alpha=torch.finfo(torch.float64).eps)
    bound = torch.minimum(uncertain / area.clamp(min=1e-300), uncertain.sqrt())
    return PairMoments(
        distance * square,
        area * square,
        bound.where(apart, zeros) * square,
        DoubleDouble(inner.hi * square, inner.lo * square),
        error * square,
    )
