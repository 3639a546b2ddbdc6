"""The recursion of the two infinite-width kernels, with bounds of their errors.

`docs/theory/limit.md` derives it. Dimension letters in the annotations: N and M inputs, n_in
features of an input; R inputs in the rows of a block, C in its columns.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.limit.dual_activations import Duals, gram_duals, own_duals
from ntk_sweep.limit.error_bounds import (
    ErrorPropagation,
    Own,
    OwnErrors,
    first_error,
    next_variance_error,
)
from ntk_sweep.limit.gram_factors import GramFactors, gram_factors
from ntk_sweep.limit.input_moments import InputMoments, input_moments
from ntk_sweep.network.architecture import Architecture
from ntk_sweep.numerics.gaussian_pairs import GaussianPairs
from ntk_sweep.numerics.tensors import all_finite, overflow
from ntk_sweep.numerics.thresholds import LIMIT_TILE_ROWS


@dataclass(frozen=True)
class LimitKernel:
    """One of the two infinite-width kernels of an architecture.

    Attributes:
        kernel: Θ̄ or K, float64; symmetric for one set of inputs.
        error_norm: A bound, to first order in the rounding unit, of ‖computed - exact‖₂.
    """

    kernel: Float[Tensor, "N M"]
    error_norm: float


@dataclass(frozen=True)
class LimitKernels:
    """Both infinite-width kernels of an architecture.

    Attributes:
        ntk: Θ̄ = T^D, the neural tangent kernel.
        nngp: K = K^D, the covariance of the outputs at initialisation.
    """

    ntk: LimitKernel
    nngp: LimitKernel


def kernels_by_depth(
    x: Float[Tensor, "N n_in"],
    x2: Float[Tensor, "M n_in"] | None,
    deepest: Architecture,
    depths: Sequence[int],
) -> Iterator[tuple[int, LimitKernels]]:
    """The kernels of the deepest architecture cut off at each of the depths, in ascending order.

    What belongs to single inputs is computed once, also of two sets together; pairs of many inputs
    go through the recursion in blocks, each of which needs little memory. Overflow of K is not
    looked for: `check_overflow` is for that.

    Args:
        x: N inputs.
        x2: M others; None for x itself.
        deepest: The architecture at the largest depth.
        depths: Ascending.

    Raises:
        ValueError: A number on the way to Θ̄ overflows.
    """
    sums = _summed(x, x2, deepest, depths)
    for depth in depths:
        yield depth, _checked(depth, [total.kernel() for total in sums.pop(depth)])


def _summed(
    x: Float[Tensor, "N n_in"],
    x2: Float[Tensor, "M n_in"] | None,
    deepest: Architecture,
    depths: Sequence[int],
) -> dict[int, list[_Sum]]:
    """Both kernels of each depth, put together from their blocks."""
    inputs = input_moments(x if x2 is None else torch.cat([x, x2]))
    own = _own_layers(inputs, deepest, x.shape[1])
    shape = (len(x), len(x if x2 is None else x2))
    sums = {depth: [_Sum(shape, x2 is None) for _ in range(2)] for depth in depths}
    for rows, columns in _blocks(*shape, symmetric=x2 is None):
        others = columns if x2 is None else slice(columns.start + len(x), columns.stop + len(x))
        both = _Inputs.of(inputs, own, rows), _Inputs.of(inputs, own, others)
        if rows == others:
            both = both[0], both[0]
        for depth, blocks in _recursion(*both, deepest, depths):
            for total, block in zip(sums[depth], blocks, strict=True):
                total.put(rows, columns, block)
    return sums


def _blocks(size: int, other: int, symmetric: bool) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of the blocks of a kernel, of a symmetric one those above the diagonal."""
    of_rows = _parts(size, LIMIT_TILE_ROWS)
    of_columns = of_rows if symmetric else _parts(other, LIMIT_TILE_ROWS**2 // of_rows[0].stop)
    for index, rows in enumerate(of_rows):
        for columns in of_columns[index if symmetric else 0 :]:
            yield rows, columns


def _parts(size: int, most: int) -> list[slice]:
    """As few parts as can be, of nearly equal lengths."""
    ends = [size * k // -(-size // most) for k in range(-(-size // most) + 1)]
    return [slice(*pair) for pair in pairwise(ends)]


class _Block(NamedTuple):
    """Entries of a kernel, and a bound of the error of each."""

    entries: Float[Tensor, "R C"]
    errors: Float[Tensor, "R C"]


class _Sum:
    """A kernel that is put together from blocks, with the sums of its error bounds."""

    def __init__(self, shape: tuple[int, int], symmetric: bool) -> None:
        self._entries = torch.empty(shape, dtype=torch.float64)
        self._symmetric = symmetric
        self._of_rows = torch.zeros(shape[0], dtype=torch.float64)
        self._of_columns = (
            self._of_rows if symmetric else torch.zeros(shape[1], dtype=torch.float64)
        )

    def put(self, rows: slice, columns: slice, block: _Block) -> None:
        """A block, and its mirror image."""
        self._entries[rows, columns] = block.entries
        self._of_rows[rows] += block.errors.sum(1)
        if not self._symmetric or rows != columns:
            self._of_columns[columns] += block.errors.sum(0)
        if self._symmetric and rows != columns:
            self._entries[columns, rows] = block.entries.T

    def kernel(self) -> LimitKernel:
        """The whole kernel."""
        # ‖E‖₂² is at most the largest sum of a row times that of a column
        row, column = (float(sums.max()) for sums in (self._of_rows, self._of_columns))
        norm = row if self._symmetric else math.sqrt(row) * math.sqrt(column)
        return LimitKernel(self._entries, norm)


def _checked(depth: int, kernels: Sequence[LimitKernel]) -> LimitKernels:
    ntk, nngp = kernels
    check_overflow(
        "the limit kernel",
        f"the entries of depth {depth}, or their error bounds",
        ntk.kernel,
        ntk.error_norm,
    )
    return LimitKernels(ntk, nngp)


def _own_layers(inputs: InputMoments, deepest: Architecture, n_in: int) -> list[Own]:
    """The single inputs in the layers 1 to D - 1: what the pairs of all blocks share."""
    layers: list[Own] = []
    second_moment, error = inputs.second_moment, torch.zeros_like(inputs.second_moment)
    for layer in range(1, deepest.depth):
        factors = gram_factors(deepest, layer, n_in)
        variance = factors.covariance * second_moment + factors.bias
        _check_variances(layer, variance, second_moment)
        if layers:
            gain = factors.covariance
            error = next_variance_error(deepest.activation, layers[-1], error, gain, variance)
        else:
            error = first_error(n_in) * variance
        duals = own_duals(deepest.activation, variance)
        layers.append(Own(variance, duals, OwnErrors.of(deepest.activation, variance, error)))
        second_moment = duals.function
    return layers


class _Inputs(NamedTuple):
    """Inputs of the rows or the columns of a block.

    Attributes:
        moments: The inputs themselves.
        layers: What they are in each layer.
    """

    moments: InputMoments
    layers: list[Own]

    @classmethod
    def of(cls, moments: InputMoments, layers: Sequence[Own], index: slice) -> _Inputs:
        """Some of all inputs."""
        return cls(moments.at(index), [layer.at(index) for layer in layers])


def _recursion(
    rows: _Inputs, columns: _Inputs, deepest: Architecture, depths: Sequence[int]
) -> Iterator[tuple[int, tuple[_Block, _Block]]]:
    """Θ̄ and K at each of the depths; symmetric where rows and columns are the same."""
    n_in = rows.moments.scaled.shape[1]
    sides = rows.moments.second_moment, columns.moments.second_moment
    if columns is rows:
        distance, area, area_error, *_ = rows.moments.among_themselves
    else:
        distance, area, area_error, *_ = rows.moments.with_others(columns.moments)
    first = gram_factors(deepest, 1, n_in)
    pairs = _pairs(1, sides, distance, first, area)
    squares = [first.tangent * side + first.bias_tangent for side in sides]
    inner = (sides[0][:, None] + sides[1] - distance) / 2
    tangent = first.tangent * inner + first.bias_tangent
    errors = ErrorPropagation(
        deepest.activation, pairs, (squares[0], squares[1]), n_in, area, area_error, first
    )
    for layer, own in enumerate(zip(rows.layers, columns.layers, strict=True), 2):
        own = (own[0], own[0]) if columns is rows else own
        sides = own[0].duals.function, own[1].duals.function
        duals = gram_duals(deepest.activation, pairs, own[0].duals, own[1].duals)
        errors.pass_activation(pairs, duals, *own)
        if layer in depths:
            last = gram_factors(replace(deepest, depth=layer), layer, n_in)
            ntk = _next_tangent(last, duals, tangent)
            nngp = last.covariance * duals.function + last.bias
            variances = [last.covariance * side + last.bias for side in sides]
            yield (
                layer,
                (
                    _Block(ntk, errors.of_tangent(last, duals, tangent, ntk)),
                    _Block(nngp, errors.of_covariance(last, *variances)),
                ),
            )
        if layer < deepest.depth:
            hidden = gram_factors(deepest, layer, n_in)
            next_tangent = _next_tangent(hidden, duals, tangent)
            pairs = _pairs(layer, sides, duals.distance, hidden, duals.area)
            errors.pass_layer(hidden, duals, tangent, next_tangent, pairs)
            tangent = next_tangent


def _pairs(
    layer: int,
    sides: tuple[Float[Tensor, " R"], Float[Tensor, " C"]],
    distance: Float[Tensor, "R C"],
    factors: GramFactors,
    area: Float[Tensor, "R C"] | None,
) -> GaussianPairs:
    """K^l, from what single inputs have for squares and from distances."""
    rows, columns = sides[0][:, None], sides[1][None, :]
    pairs = GaussianPairs.from_layer(
        rows, columns, distance, factors.covariance, factors.bias, area
    )
    check_overflow("the limit kernel", _place(layer), pairs.distance, pairs.cov, pairs.area)
    return pairs


def _check_variances(layer: int, *values: Float[Tensor, " N"]) -> None:
    """Raises a ValueError if a variance overflows, or the product of two, which angles need.

    Formulas take up to four times such a product; a wrong angle would not show.
    """
    variance, second_moment = values
    # the greatest product is that of one with itself
    check_overflow("the limit kernel", _place(layer), 16 * variance**2, 4 * second_moment)


def _place(layer: int) -> str:
    return f"the variances of the pre-activations of layer {layer}, or their products"


def check_overflow(quantity: str, place: str, *values: Float[Tensor, ...] | float) -> None:
    """Raises a ValueError if a value is not finite.

    Args:
        quantity: What is not finite for it.
        place: What the values are.
        values: The values.
    """
    for value in values:
        if not all_finite(torch.as_tensor(value, dtype=torch.float64)):
            raise overflow(quantity, place, torch.float64)


def _next_tangent(
    factors: GramFactors, duals: Duals, tangent: Float[Tensor, "R C"]
) -> Float[Tensor, "R C"]:
    """T^l from T^{l-1} and the dual activations of layer l - 1."""
    own = factors.tangent * duals.function + factors.bias_tangent
    return own + factors.covariance * duals.derivative * tangent
