"""The kernel of centred passes in double-double, and the same rounded to float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.kernel.centred_passes import CentredPasses
from ntk_sweep.kernel.centred_rows import gram_errors_of, stacked
from ntk_sweep.kernel.float64_kernel import Float64Kernel, underflow_error
from ntk_sweep.kernel.pass_errors import add_common_covariance
from ntk_sweep.kernel.rounding import root_sum, unit_of
from ntk_sweep.kernel.short_rows import Seen, ShortRows, short_rows_errors
from ntk_sweep.network.linear_layer import LayerGrams, summed_layers
from ntk_sweep.numerics.double_double import (
    ADD_USUAL,
    MULTIPLY_USUAL,
    UNIT,
    DoubleDouble,
    symmetric,
)
from ntk_sweep.numerics.gram_matrices import GramError
from ntk_sweep.numerics.gram_tiles import mirrored, upper_tiles
from ntk_sweep.numerics.thresholds import TILE_ROWS

WHOLE = slice(None)


def rounded_kernel(
    passes: CentredPasses, orders: int = 0
) -> tuple[Float64Kernel, tuple[DoubleDouble, GramError]]:
    """Θ in double-double and its error; and before them the same rounded to float64.

    At order 0 that takes two to three times as long as Gram matrices in float64. Rows are short
    beside their centre, so that it errs less.

    Args:
        passes: The passes.
        orders: As in `double_double_kernel`.
    """
    outputs, depth = passes.outputs, len(passes.scales)
    common = outputs.new_zeros(*outputs.shape, outputs.shape[-1], dtype=torch.float64)
    traces = outputs.new_zeros(*outputs.shape[:-1], depth, dtype=torch.float64)

    def seen(index: int, rows: slice, columns: slice, inputs: Tensor, gradients: Tensor) -> None:
        part = common[..., rows, columns]
        a, delta, scale = passes.inputs[index], passes.gradients[index], passes.scales[index]
        add_common_covariance(part, a, delta, scale.factor, inputs, gradients)
        if rows == columns:
            diagonals = [each.diagonal(dim1=-2, dim2=-1) for each in (inputs, gradients)]
            traces[..., index] += (diagonals[0] * diagonals[1]).sum(-1)
        elif index == depth - 1:
            common[..., columns, rows] = part.mT

    theta = double_double_kernel(passes, orders, seen)
    errors, unit = double_double_errors(passes, orders), unit_of(torch.float64)
    copies = passes.network_inputs.multiplicities
    # |Θ_ij| is at most the root of Θ_ii Θ_jj
    entries = errors.entries / copies + unit * theta.hi.diagonal(dim1=-2, dim2=-1)
    # squares of independent errors add up to that of the sum of w
    norm = entries.sum(-1) + underflow_error(passes)
    plain = Float64Kernel(theta.hi, traces, norm, entries * copies, common)
    return plain, (theta, errors)


def double_double_kernel(
    passes: CentredPasses, orders: int = 2, seen: Seen | None = None
) -> DoubleDouble:
    """Θ in double-double, up to the error of `double_double_errors`.

    Args:
        passes: The passes.
        orders: As in `ntk_sweep.numerics.gram_matrices.gram`; 0 for `ShortRows`, of one network.
        seen: Is told the factors of each layer, as float64 has them; there is none for Θ of some
            orders in tiles.
    """
    outputs = passes.outputs
    if orders == 0:
        return _assembled(outputs, partial(ShortRows(passes).tile, seen=seen))
    if outputs.ndim == 1 and len(outputs) > TILE_ROWS:
        assert seen is None, "only tiles of order 0 tell of their layers"
        return _assembled(outputs, partial(_layers_tile, passes, orders))
    size = outputs.shape[-1]

    def layers() -> Iterator[LayerGrams]:
        of_layers = zip(passes.inputs, passes.gradients, passes.scales, strict=True)
        for index, (a, delta, scale) in enumerate(of_layers):
            own = LayerGrams(scale, delta.double_double_gram(orders), a.double_double_gram(orders))
            if seen is not None:
                inputs, gradients = (
                    symmetric(part.hi, size) for part in (own.inputs, own.gradients)
                )
                seen(index, WHOLE, WHOLE, scale.gram(inputs), gradients)
            yield own

    theta = summed_layers(layers())
    return DoubleDouble(symmetric(theta.hi, size), symmetric(theta.lo, size))


def _assembled(
    outputs: Float[Tensor, " N"], tile: Callable[[slice, slice], DoubleDouble]
) -> DoubleDouble:
    """Θ from its tiles; those below the diagonal are mirror images.

    Args:
        outputs: Gives size and device.
        tile: Takes rows and columns; exactly symmetric where they are the same.
    """
    theta = [outputs.new_empty(2 * outputs.shape, dtype=torch.float64) for _ in range(2)]
    for rows, columns in upper_tiles(len(outputs)):
        for whole, part in zip(theta, tile(rows, columns), strict=True):
            whole[rows, columns] = part
            if rows != columns:
                whole[columns, rows] = part.mT
    return DoubleDouble(*theta)


def _layers_tile(passes: CentredPasses, orders: int, rows: slice, columns: slice) -> DoubleDouble:
    """A tile of Θ, exactly symmetric on the diagonal."""
    tile = summed_layers(
        LayerGrams(
            scale,
            delta.double_double_tile(rows, columns, orders),
            a.double_double_tile(rows, columns, orders),
        )
        for a, delta, scale in zip(passes.inputs, passes.gradients, passes.scales, strict=True)
    )
    return DoubleDouble(*map(mirrored, tile)) if rows == columns else tile


def double_double_errors(passes: CentredPasses, orders: int = 2) -> GramError:
    """The error Θ - Θ(passes) of Θ of `double_double_kernel`, without computing it.

    ‖P ∘ Q‖_F ≤ max|P| ‖Q‖_F, and the entries of a Gram matrix are bounded by the greatest square of
    a row's norm. The mean squares of independent roundings add up, and Σ_l x_li x_lj is at most the
    product of the lengths of x_i and x_j. An input that k inputs round like has k times its own
    share of `entries`.
    """
    layers = list(zip(passes.inputs, passes.gradients, passes.scales, strict=True))
    size, depth = passes.outputs.shape[-1], len(layers)
    both = gram_errors_of((*passes.inputs, *passes.gradients), orders)
    of_a, of_delta = map(GramError, *(part.split(depth) for part in both))
    squares = stacked([scale.gram(a.squares) for a, _, scale in layers])
    lengths = stacked([delta.squares for _, delta, _ in layers])
    factors = lengths.new_tensor([scale.square for *_, scale in layers])
    factors = factors.reshape(-1, *(lengths.ndim - 1) * [1])
    # two products of half a UNIT, and a quarter for each sum, of which there is one a layer and a
    # few more
    worst = (2 + depth / 4) * UNIT
    usual = (2 * MULTIPLY_USUAL**2 + (depth + 4) * ADD_USUAL**2) ** 0.5
    inputs, gradients = squares.amax(-1), lengths.amax(-1)
    error = (
        of_delta.norm * inputs
        + factors[..., 0] * of_a.norm * gradients
        + worst * size * inputs * gradients
    ).sum(0) + underflow_error(passes)
    products = (of_delta.entries * squares, factors * of_a.entries * lengths)
    entries = root_sum(*products, usual * squares * lengths).square().sum(0).sqrt()
    if orders == 0:
        more = short_rows_errors(passes)
        error, entries = error + more.norm, root_sum(entries, more.entries)
    return GramError(error, entries * passes.network_inputs.multiplicities)
