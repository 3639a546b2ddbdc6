"""The kernel of centred passes in float64, from Gram matrices of centre + rows.

It serves where its errors leave hope of what is asked, passes without a centre, and more inputs
than `TILE_ROWS`, of which whole matrices in double-double would need too much memory.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.kernel.centred_passes import CentredPasses
from ntk_sweep.kernel.centred_rows import CentredRows
from ntk_sweep.kernel.pass_errors import add_common_covariance
from ntk_sweep.kernel.rounding import least_of, unit_of
from ntk_sweep.network.linear_layer import LayerScale
from ntk_sweep.numerics.sliced_products import symmetric_product
from ntk_sweep.numerics.thresholds import TILE_ROWS

ROUNDINGS = 8
"""Units of rounding beside those of the two products of a layer: the sums of centre and rows, and
the elementwise operations."""


class Float64Kernel(NamedTuple):
    """Θ in float64, of one network or of several side by side.

    Attributes:
        theta: Θ.
        layer_traces: tr Θ_l.
        error: Estimate of ‖Θ - Θ(passes)‖_F.
        entry_errors: w, (N,): entry (i, j) of Θ errs by (w_i w_j)^½ in root mean square, entries
            independently; w_i counts once for each input that rounds like i.
        common: The sum of `pass_errors.add_common_covariance` over the layers; None
            for so many inputs that Θ is computed in tiles.
    """

    theta: Float[Tensor, "*b N N"]
    layer_traces: Float[Tensor, "*b D"]
    error: Float[Tensor, "*b"]
    entry_errors: Float[Tensor, "*b N"]
    common: Float[Tensor, "*b N N"] | None


def float64_kernel(passes: CentredPasses) -> Float64Kernel:
    """Θ of one network in float64, and what is known of its errors.

    An entry of a Gram matrix errs by about √n u ‖a_i‖ ‖a_j‖ (Higham and Mary 2019:
    independent roundings, u = ε/2), and eight u cover centre + row and the elementwise operations;
    the Frobenius norm of such errors of layer l is at most tr Θ_l.
    """
    outputs, traces = passes.outputs, []
    theta = outputs.new_zeros(*outputs.shape, outputs.shape[-1], dtype=torch.float64)
    common = None if len(outputs) > TILE_ROWS else torch.zeros_like(theta)
    entries = torch.zeros_like(outputs, dtype=torch.float64)
    for a, delta, scale in zip(passes.inputs, passes.gradients, passes.scales, strict=True):
        if common is None:
            diagonal = _add_in_tiles(theta, a, delta, scale)
        else:
            gradients, squares = delta.gram(), scale.gram(a.gram())
            layer = gradients * squares
            theta += layer
            add_common_covariance(common, a, delta, scale.factor, squares, gradients)
            diagonal = layer.diagonal()
        traces.append(diagonal.sum())
        entries = entries + product_units(a, delta) * diagonal
    error = entries.sum() + underflow_error(passes)
    entries = entries * passes.network_inputs.multiplicities
    return Float64Kernel(theta, torch.stack(traces), error, entries, common)


def layer_kernels(passes: CentredPasses) -> Float[Tensor, "D N N"]:
    """Θ_l = (δ^l δ^lᵀ) ∘ (c_l² a^{l-1} a^{l-1}ᵀ + β_l²) of each layer, on the CPU.

    They are float64 and exactly symmetric, and their sum is Θ of `float64_kernel` to rounding.
    """
    size = passes.outputs.shape[-1]
    theta = torch.empty(len(passes.scales), size, size, dtype=torch.float64)
    layers = zip(passes.inputs, passes.gradients, passes.scales, strict=True)
    for own, (a, delta, scale) in zip(theta, layers, strict=True):
        own.copy_(delta.gram() * scale.gram(a.gram()))
    return theta


def float64_entry_errors(passes: CentredPasses) -> Float[Tensor, " N"]:
    """`Float64Kernel.entry_errors` of `float64_kernel`, without computing it."""
    entries = torch.zeros_like(passes.outputs, dtype=torch.float64)
    for a, delta, scale in zip(passes.inputs, passes.gradients, passes.scales, strict=True):
        diagonal = delta.total_squares * scale.gram(a.total_squares)
        entries = entries + product_units(a, delta) * diagonal
    return entries * passes.network_inputs.multiplicities


def product_units(a: CentredRows, delta: CentredRows) -> float:
    """The error of an entry of Θ_l from Gram matrices in float64, relative to ‖J_i‖ ‖J_j‖.

    In root mean square: √n u of each Gram matrix, and `ROUNDINGS` of them for all else.
    """
    terms = (a.rows.shape[-1], delta.rows.shape[-1])
    return unit_of(torch.float64) * (terms[0] ** 0.5 + terms[1] ** 0.5 + ROUNDINGS)


def underflow_error(passes: CentredPasses) -> Float[Tensor, "*b"]:
    """Bound of what underflow costs Θ in the Frobenius norm, in float64 or double-double."""
    size, total = passes.outputs.shape[-1], passes.outputs.new_zeros((), dtype=torch.float64)
    for a, delta, scale in zip(passes.inputs, passes.gradients, passes.scales, strict=True):
        entries = scale.gram(a.largest_square) + scale.square * delta.largest_square + 1
        total = total + (a.rows.shape[-1] + delta.rows.shape[-1]) * entries
    return least_of(torch.float64) * size * total


def _add_in_tiles(
    theta: Float[Tensor, "N N"], a: CentredRows, delta: CentredRows, scale: LayerScale
) -> Float[Tensor, " N"]:
    """Adds Θ_l to Θ tile by tile, those below the diagonal as mirror images.

    Returns:
        The diagonal of Θ_l.
    """
    inputs, gradients, diagonals = a.total, delta.total, []
    for top in range(0, len(theta), TILE_ROWS):
        rows = slice(top, top + TILE_ROWS)
        square = symmetric_product(inputs[rows])
        layer = symmetric_product(gradients[rows]) * scale.gram(square, out=square)
        theta[rows, rows] += layer
        diagonals.append(layer.diagonal().clone())
        for left in range(top + TILE_ROWS, len(theta), TILE_ROWS):
            columns = slice(left, left + TILE_ROWS)
            tile = inputs[rows] @ inputs[columns].T
            layer = scale.gram(tile, out=tile).mul_(gradients[rows] @ gradients[columns].T)
            theta[rows, columns] += layer
            theta[columns, rows] += layer.T
    return torch.cat(diagonals)
