"""Lengths, distances and areas of the inputs, with which the recursion of the limit kernel starts.

Dimension letters in the annotations: N inputs, n_in features of an input.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.numerics.double_double import (
    UNIT,
    DoubleDouble,
    add,
    gram,
    gram_error,
    multiply,
    symmetric,
)
from ntk_sweep.numerics.gaussian_pairs import power_of_two
from ntk_sweep.numerics.tensors import all_finite, overflow
from ntk_sweep.numerics.thresholds import LIMITS_KEPT_BELOW

_NEAR = 1e-2
"""Squared distances below this share of the squared norms are summed from differences.

Beyond it the Gram matrix loses two digits at most."""

_PAIRS_AT_ONCE = 4096
"""Differences x_i - x_j held in memory together: 26 MB at 784 features."""


class InputMoments(NamedTuple):
    """What the recursion takes of the inputs.

    Attributes:
        second_moment: ‖x_i‖².
        distance: ‖x_i - x_j‖².
        area: √(‖x_i‖² ‖x_j‖² - ⟨x_i, x_j⟩²).
        area_error: A bound of its error.
        gram: ⟨x_i, x_j⟩ in double-double, the upper triangle.
        gram_error: A bound of the error of each entry.
    """

    second_moment: Float[Tensor, " N"]
    distance: Float[Tensor, "N N"]
    area: Float[Tensor, "N N"]
    area_error: Float[Tensor, "N N"]
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
    second_moment, distance = _lengths(x)
    if not (all_finite(second_moment) and all_finite(distance)):
        raise overflow("the limit kernel", "the squares of the inputs", torch.float64)
    found = InputMoments(second_moment, distance, *_area(x, second_moment, distance))
    if len(x) <= LIMITS_KEPT_BELOW:
        _LAST[:] = [(x.clone(), found)]
    return found


def _lengths(
    x: Float[Tensor, "N n_in"],
) -> tuple[Float[Tensor, " N"], Float[Tensor, "N N"]]:
    """‖x_i‖² and ‖x_i - x_j‖².

    Small distances are summed from differences, so that they keep their relative accuracy.
    """
    norms = (x * x).sum(1)
    distance = (norms[:, None] + norms[None, :] - 2 * (x @ x.T)).clamp(min=0)
    rows, columns = torch.triu_indices(len(x), len(x), 1)
    near = distance[rows, columns] < _NEAR * (norms[rows] + norms[columns])
    for i, j in zip(
        rows[near].split(_PAIRS_AT_ONCE), columns[near].split(_PAIRS_AT_ONCE), strict=True
    ):
        distance[i, j] = (x[i] - x[j]).square().sum(1)
    upper = torch.triu(distance, 1)
    return norms, upper + upper.T


def _area(
    x: Float[Tensor, "N n_in"], second_moment: Float[Tensor, " N"], distance: Float[Tensor, "N N"]
) -> tuple[Float[Tensor, "N N"], Float[Tensor, "N N"], DoubleDouble, float]:
    """The area, its error, the Gram matrix and its error.

    The Gram matrix is in double-double: nothing but a bias keeps parallel inputs apart from nearly
    parallel ones.
    """
    size, power = len(x), power_of_two(second_moment.sqrt())
    rows = x / power
    entries, error = gram(rows), float(gram_error(rows))
    whole = DoubleDouble(symmetric(entries.hi, size), symmetric(entries.lo, size))
    squares = DoubleDouble(whole.hi.diagonal(), whole.lo.diagonal())
    columns = DoubleDouble(squares.hi[:, None], squares.lo[:, None])
    outer = multiply(columns, DoubleDouble(columns.hi.T, columns.lo.T))
    inner = multiply(whole, whole)
    spread = add(outer, DoubleDouble(-inner.hi, -inner.lo))
    apart = distance > 0
    zeros = torch.zeros_like(distance)
    area = spread.hi.clamp(min=0).sqrt().where(apart, zeros)
    lengths = squares.hi[:, None] + squares.hi[None, :] + 2 * whole.hi.abs()
    uncertain = 2 * lengths * error + 4 * UNIT * (outer.hi + inner.hi)
    uncertain = uncertain + torch.finfo(torch.float64).eps * spread.hi.abs()
    bound = torch.minimum(uncertain / area.clamp(min=1e-300), uncertain.sqrt())
    square = power**2
    return (
        area * square,
        bound.where(apart, zeros) * square,
        DoubleDouble(entries.hi * square, entries.lo * square),
        error * square,
    )


def gram_of(
    second_moment: Float[Tensor, " N"], distance: Float[Tensor, "N N"]
) -> Float[Tensor, "N N"]:
    """The Gram matrix ⟨x_i, x_j⟩ from lengths and distances."""
    return (second_moment[:, None] + second_moment[None, :] - distance) / 2
