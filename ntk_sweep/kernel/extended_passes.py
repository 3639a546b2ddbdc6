"""Forward and backward passes in double-double, for inputs whose differences float64 loses.

Where inputs nearly coincide, share a large offset or differ much in size, the small eigenvalues of
the kernel live in differences between rows that even passes around a centre round. Here every
number has some 106 bits, nothing is centred, and c_l is 1/√n itself where it is rounded elsewhere.
Inputs of a layer come with their factor, so that J_l is the row-wise product of δ^l and [c_l
a^{l-1}, β_l].

The errors follow the model of `ntk_sweep.kernel.centred_passes` for plain passes, with `UNIT` in
place of the unit of rounding; that of the products is a bound.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ntk_sweep.kernel.centred_passes import CentredPasses, bends
from ntk_sweep.kernel.centred_rows import CentredRows, ExactInputs
from ntk_sweep.kernel.kinks import jumps, possible_slopes, uncertain_units
from ntk_sweep.kernel.pre_activations import PreActivation
from ntk_sweep.kernel.rounding import ELEMENTWISE, TAIL, least_of, root_sum, row_norms
from ntk_sweep.network.activations.activation import Activation
from ntk_sweep.network.layered import LayeredNetwork
from ntk_sweep.network.linear_layer import LayerScale
from ntk_sweep.numerics.double_double import (
    UNIT,
    DoubleDouble,
    add,
    from_float64,
    multiply,
    two_prod,
)
from ntk_sweep.numerics.gram_matrices import (
    GramError,
    double_double_gram,
    double_double_gram_errors,
    double_double_gram_tile,
)
from ntk_sweep.numerics.sliced_products import matmul_by_row
from ntk_sweep.numerics.thresholds import EXTENDED_WEIGHTS

ORDERS = 3
"""Of the products with weights: what is left is summed in float64, with errors below `UNIT`."""

LEAST = least_of(torch.float64)


class ExtendedRows(CentredRows):
    """One factor of a layer's Jacobian in double-double, without a centre.

    Args:
        value: The rows, (N, n).
        errors: As in `CentredRows`.
    """

    def __init__(self, value: DoubleDouble, errors: Float[Tensor, " N"]) -> None:
        norms = row_norms(value.hi)
        super().__init__(None, value.hi, norms, norms[:1] * 0, errors)
        self.value = value

    def double_double_gram(self, orders: int) -> DoubleDouble:
        """The Gram matrix to the last bit of the rows, whatever the orders: its upper triangle."""
        return double_double_gram(self.value)

    def double_double_tile(self, rows: slice, columns: slice, orders: int) -> DoubleDouble:
        """A tile of the same Gram matrix."""
        high, low = self.value
        own, others = (DoubleDouble(high[part], low[part]) for part in (rows, columns))
        return double_double_gram_tile(own, others)

    def double_double_gram_errors(self, orders: int) -> GramError:
        """The error of `double_double_gram`."""
        return double_double_gram_errors(self.value)

    def errors_like(self, orders: int) -> Hashable:
        """Nothing."""
        return id(self)


@dataclass(frozen=True)
class _Slope:
    """σ'(z^l), for the backward pass.

    Attributes:
        value: σ'(z^l), (N, n).
        errors: Norm of the rounding error of each row.
        bend: A bound of |σ''(z^l)|, (N, n); None where it is zero.
        z_errors: Norm of the error of each row of z^l.
        uncertain: Units too close to a kink for their side to be certain, (N, n).
    """

    value: DoubleDouble
    errors: Float[Tensor, " N"]
    bend: Float[Tensor, "N n"] | None
    z_errors: Float[Tensor, " N"]
    uncertain: Bool[Tensor, "N n"] | None


def extended_passes(network: LayeredNetwork, inputs: ExactInputs) -> CentredPasses:
    """One forward and one backward pass in double-double; overflow makes numbers that are NaN.

    Args:
        network: One network, at its present weights, whose activation has a formula in
            double-double.
        inputs: Its inputs.
    """
    factors = [scale.exact_factor for scale in network.scales]
    x = from_float64(inputs.rows.double())
    forward = _scaled(ExtendedRows(x, inputs.row_errors), factors[0])
    kept, slopes = [forward], []
    for index in range(network.depth - 1):
        z, z_errors = _pre_activation(network, index, forward)
        forward, slope = _activate(network.nonlinearity, z, z_errors)
        forward = _scaled(forward, factors[index + 1])
        kept.append(forward)
        slopes.append(slope)
    outputs = _pre_activation(network, network.depth - 1, forward)[0].hi[:, 0]
    ones = torch.ones_like(outputs)[:, None]
    backward = ExtendedRows(from_float64(ones), torch.zeros_like(outputs))
    gradients = [backward]
    for index in range(network.depth - 1, 0, -1):
        weight = network.layer(index).weight
        pulled = _scaled(_product(backward, weight), factors[index])
        backward = _through(pulled, slopes.pop(), network.nonlinearity)
        gradients.append(backward)
    scales = tuple(LayerScale(1.0, scale.bias) for scale in network.scales)
    return CentredPasses(tuple(kept), tuple(gradients[::-1]), scales, outputs, inputs)


def _product(a: ExtendedRows, matrix: Float[Tensor, "k n"]) -> ExtendedRows:
    """The product a · matrix, with the errors of `ntk_sweep.kernel.rounding.product_errors`."""
    columns = max(1, EXTENDED_WEIGHTS // len(matrix))
    blocks, squares = [], torch.zeros_like(a.row_errors)
    total = torch.zeros_like(squares[:1])
    for part in matrix.split(columns, dim=1):
        numbers = part.double()
        block, errors = matmul_by_row(a.value, numbers, ORDERS)
        blocks.append(block)
        squares = squares + errors**2
        total = total + torch.linalg.matrix_norm(numbers) ** 2
    product = DoubleDouble(*(torch.cat(halves, dim=1) for halves in zip(*blocks, strict=True)))
    gain = (row_norms(product.hi) / a.row_norms).nan_to_num(0.0, 0.0, 0.0)
    gain = gain.maximum((total / len(matrix)).sqrt())
    return ExtendedRows(product, torch.hypot(squares.sqrt() + LEAST, gain * a.row_errors))


def _scaled(rows: ExtendedRows, factor: DoubleDouble) -> ExtendedRows:
    """The rows times a number in double-double."""
    size = abs(float(factor.hi))
    errors = root_sum(size * rows.row_errors, UNIT * size * rows.row_norms)
    return ExtendedRows(multiply(rows.value, factor), errors)


def _pre_activation(
    network: LayeredNetwork, index: int, rows: ExtendedRows
) -> tuple[DoubleDouble, Float[Tensor, " N"]]:
    """The z of layer `index` + 1 and the norm of the error of each row, from c a."""
    layer = network.layer(index)
    product = _product(rows, layer.weight.mT)
    bias = layer.bias.double()
    shift = two_prod(bias, torch.full_like(bias, layer.scale.bias))
    z = add(product.value, shift)
    rounding = UNIT * (product.row_norms + torch.linalg.vector_norm(shift.hi) + row_norms(z.hi))
    return z, root_sum(product.row_errors, rounding)


def _activate(
    activation: Activation, z: DoubleDouble, z_errors: Float[Tensor, " N"]
) -> tuple[ExtendedRows, _Slope]:
    """From z^l to a^l, and what the backward pass needs of layer l."""
    assert activation.double_double is not None
    value, slope = activation.double_double(z)
    root, unit = z.hi.shape[-1] ** 0.5, ELEMENTWISE * UNIT
    own = unit * row_norms(value.hi) + LEAST * root
    spread = TAIL / root * z_errors
    plain = PreActivation(None, z.hi, row_norms(z.hi), z.hi, z_errors[:1] * 0, z_errors)
    bend, _ = bends(activation, plain, slope.hi, None, spread)
    uncertain = uncertain_units(activation, z.hi, spread)
    possible = row_norms(possible_slopes(slope.hi, uncertain, activation))
    errors = root_sum(possible / root * z_errors, own)
    return ExtendedRows(value, errors), _Slope(
        value=slope,
        errors=root_sum(own, unit * row_norms(slope.hi)),
        bend=bend,
        z_errors=z_errors,
        uncertain=uncertain,
    )


def _through(pulled: ExtendedRows, slope: _Slope, activation: Activation) -> ExtendedRows:
    """δ^l from c δ^{l+1} W."""
    root = pulled.rows.shape[-1] ** 0.5
    value = multiply(pulled.value, slope.value)
    bent = torch.zeros_like(slope.errors)
    if slope.bend is not None:
        bent = row_norms(pulled.rows * slope.bend)
    possible = row_norms(possible_slopes(slope.value.hi, slope.uncertain, activation))
    errors = root_sum(
        possible / root * pulled.row_errors,
        (bent * slope.z_errors + pulled.row_norms * slope.errors) / root,
        UNIT * row_norms(value.hi) + LEAST * root,
    )
    if slope.uncertain is not None:
        jumped = row_norms(pulled.rows * jumps(slope.uncertain, activation))
        errors = torch.hypot(errors, jumped)
    return ExtendedRows(value, errors)
