"""The recursion of the two infinite-width kernels, with bounds of their errors.

`docs/theory/limit.md` derives it. Dimension letters in the annotations: N and M inputs, n_in
features of an input.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.limit.dual_activations import Duals, gram_duals
from ntk_sweep.limit.error_bounds import ErrorPropagation
from ntk_sweep.limit.gram_factors import GramFactors, gram_factors
from ntk_sweep.limit.input_moments import gram_of, input_moments
from ntk_sweep.network.architecture import Architecture
from ntk_sweep.numerics.gaussian_pairs import GaussianPairs
from ntk_sweep.numerics.tensors import all_finite, overflow
from ntk_sweep.numerics.thresholds import LIMIT_TILE_ROWS, LIMIT_WHOLE

LEAST_COLUMNS = 256
"""Inputs x' that are taken together with x at least: at N = M fewer would repeat more than half of
the work on x alone, and few are slow whatever their number."""


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

    Those between two sets of inputs are blocks of the kernels of both sets together, so that they
    are as accurate; of a large second set they come from a part of it at a time. Overflow of K is
    not looked for: `check_overflow` is for that.

    Args:
        x: N inputs.
        x2: M others; None for x itself.
        deepest: The architecture at the largest depth.
        depths: Ascending.

    Raises:
        ValueError: A number on the way to Θ̄ overflows.
    """
    if x2 is None and len(x) > LIMIT_WHOLE:
        yield from _tiled(x, deepest, depths)
        return
    if x2 is None:
        for depth, blocks in _recursion(x, deepest, depths):
            # the bounds are symmetric, too, so that row sums bound both norms
            norms = [float(block.errors.sum(1).max()) for block in blocks]
            yield depth, _checked(depth, [block.kernel for block in blocks], norms)
        return
    count, found = len(x), dict[int, list[tuple[_Block, _Block]]]()
    for part in x2.split(max(LEAST_COLUMNS, count)):
        for depth, (ntk, nngp) in _recursion(torch.cat([x, part]), deepest, depths):
            found.setdefault(depth, []).append((ntk.between(count), nngp.between(count)))
    for depth, parts in found.items():
        ntk, nngp = (_side_by_side([both[index] for both in parts]) for index in (0, 1))
        # ‖E‖₂² is at most the largest sum of a row times that of a column
        norms = [
            float((each.errors.sum(0).max() * each.errors.sum(1).max()).sqrt())
            for each in (ntk, nngp)
        ]
        yield depth, _checked(depth, [ntk.kernel, nngp.kernel], norms)


def _tiled(
    x: Float[Tensor, "N n_in"], deepest: Architecture, depths: Sequence[int]
) -> Iterator[tuple[int, LimitKernels]]:
    """The kernels of one set of inputs, from those of each two of its parts.

    Two parts at a time need a small share of the memory that all together would.
    """
    size, parts = len(x), torch.arange(len(x)).split(LIMIT_TILE_ROWS)
    kernels = {depth: [x.new_empty(size, size) for _ in range(2)] for depth in depths}
    sums = {depth: [x.new_zeros(size) for _ in range(2)] for depth in depths}
    for first, rows in enumerate(parts):
        for columns in parts[first:]:
            same = columns is rows
            both = x[rows] if same else torch.cat([x[rows], x[columns]])
            for depth, blocks in _recursion(both, deepest, depths):
                for kernel, total, whole in zip(kernels[depth], sums[depth], blocks, strict=True):
                    block = whole if same else whole.between(len(rows))
                    kernel[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = block.kernel
                    total[rows] += block.errors.sum(1)
                    if not same:
                        kernel[columns[0] : columns[-1] + 1, rows[0] : rows[-1] + 1] = (
                            block.kernel.T
                        )
                        total[columns] += block.errors.sum(0)
    for depth in depths:
        norms = [float(total.max()) for total in sums[depth]]
        yield depth, _checked(depth, kernels.pop(depth), norms)


class _Block(NamedTuple):
    """Entries of a kernel, and a bound of the error of each."""

    kernel: Float[Tensor, "N M"]
    errors: Float[Tensor, "N M"]

    def between(self, count: int) -> _Block:
        """The entries of the first `count` inputs and the others, in memory of their own."""
        return _Block(self.kernel[:count, count:].clone(), self.errors[:count, count:].clone())


def _side_by_side(parts: Sequence[_Block]) -> _Block:
    return _Block(torch.cat([p.kernel for p in parts], 1), torch.cat([p.errors for p in parts], 1))


def _checked(
    depth: int, kernels: Sequence[Float[Tensor, "N M"]], norms: Sequence[float]
) -> LimitKernels:
    ntk, nngp = map(LimitKernel, kernels, norms)
    check_overflow(
        "the limit kernel",
        f"the entries of depth {depth}, or their error bounds",
        ntk.kernel,
        ntk.error_norm,
    )
    return LimitKernels(ntk, nngp)


def _recursion(
    x: Float[Tensor, "N n_in"], deepest: Architecture, depths: Sequence[int]
) -> Iterator[tuple[int, tuple[_Block, _Block]]]:
    """Θ̄ and K at each of the depths."""
    n_in = x.shape[1]
    second_moment, distance, area, area_error = input_moments(x)[:4]
    first = gram_factors(deepest, 1, n_in)
    pairs = GaussianPairs.from_layer(second_moment, distance, first.covariance, first.bias, area)
    _check_pairs(1, pairs)
    tangent = first.tangent * gram_of(second_moment, distance) + first.bias_tangent
    errors = ErrorPropagation(deepest.activation, pairs, tangent, n_in, area, area_error, first)
    for layer in range(2, deepest.depth + 1):
        duals = gram_duals(deepest.activation, pairs)
        errors.pass_activation(pairs, duals)
        if layer in depths:
            last = gram_factors(replace(deepest, depth=layer), layer, n_in)
            ntk = _next_tangent(last, duals, tangent)
            nngp = last.covariance * duals.function + last.bias
            yield (
                layer,
                (
                    _Block(ntk, errors.of_tangent(last, duals, tangent, ntk)),
                    _Block(nngp, errors.of_covariance(last, nngp)),
                ),
            )
        if layer < deepest.depth:
            hidden = gram_factors(deepest, layer, n_in)
            next_tangent = _next_tangent(hidden, duals, tangent)
            pairs = GaussianPairs.from_layer(
                duals.function.diagonal(),
                duals.distance,
                hidden.covariance,
                hidden.bias,
                duals.area,
            )
            _check_pairs(layer, pairs)
            errors.pass_layer(hidden, duals, tangent, next_tangent, pairs)
            tangent = next_tangent


def _check_pairs(layer: int, pairs: GaussianPairs) -> None:
    """Raises a ValueError if a variance overflows, or the product of two, which angles need.

    Formulas take up to four times such a product; a wrong angle would not show.
    """
    place = f"the variances of the pre-activations of layer {layer}, or their products"
    products = 16 * pairs.var_x[:, 0] ** 2  # the greatest product is that of one with itself
    check_overflow("the limit kernel", place, products, pairs.distance, pairs.cov, pairs.area)


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
    factors: GramFactors, duals: Duals, tangent: Float[Tensor, "N N"]
) -> Float[Tensor, "N N"]:
    """T^l from T^{l-1} and the dual activations of layer l - 1."""
    own = factors.tangent * duals.function + factors.bias_tangent
    return own + factors.covariance * duals.derivative * tangent
