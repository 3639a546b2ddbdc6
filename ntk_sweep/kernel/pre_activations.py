"""Pre-activations as centre + rows, with their rounding errors estimated.

`ntk_sweep.kernel.centred_passes` has the notation. The first layer's belong to weights and inputs
alone: networks of other activations share them.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from ntk_sweep.kernel.centred_rows import CentredRows, ExactInputs
from ntk_sweep.kernel.rounding import product_errors, root_sum, row_norms, unit_of
from ntk_sweep.network.layered import LayeredNetwork
from ntk_sweep.network.linear_layer import LinearLayer


@dataclass(frozen=True)
class Products:
    """The products of centred rows with Wᵀ, without the layer's factor.

    Attributes:
        centre: That of the centre, (1, n); None for zero.
        rows: Those of the rows, (N, n).
    """

    centre: Float[Tensor, "*b 1 n"] | None
    rows: Float[Tensor, "*b N n"]


@dataclass(frozen=True)
class PreActivation:
    """z^l as centre + rows.

    Attributes:
        centre: z̄^l, (1, n); None for zero.
        rows: d^l, (N, n).
        row_norms: Norm of each row of d^l, (N,).
        total: z^l, (N, n).
        centre_error: As in `CentredRows`.
        row_errors: As in `CentredRows`.
    """

    centre: Float[Tensor, "*b 1 n"] | None
    rows: Float[Tensor, "*b N n"]
    row_norms: Float[Tensor, "*b N"]
    total: Float[Tensor, "*b N n"]
    centre_error: Float[Tensor, "*e 1"]
    row_errors: Float[Tensor, "*b N"]


@dataclass(frozen=True)
class FirstLayer:
    """What networks that differ in their activation share; those of other scales, all but z.

    Attributes:
        inputs: The inputs of the network.
        rows: The same as centre + rows.
        products: The products of both with Wᵀ.
        z: z^1.
    """

    inputs: ExactInputs
    rows: CentredRows
    products: Products
    z: PreActivation


def first_layer(
    network: LayeredNetwork,
    inputs: ExactInputs,
    like: FirstLayer | None = None,
    *,
    plain: bool = False,
) -> FirstLayer:
    """The first layer's linear part.

    Args:
        network: The network.
        inputs: Its inputs.
        like: The same of a network of the same draws and inputs that differs in scale, where it is
            known: products of the inputs are taken from it.
        plain: Whether the centre is zero in any case.
    """
    layer, centred = network.layer(0), is_centred(network, inputs.rows) and not plain
    if like is not None and (like.products.centre is not None) == centred:
        rows, products = like.rows, like.products
    else:
        rows = _around_mean(inputs.rows) if centred else inputs
        products = _products(layer, rows)
    return FirstLayer(inputs, rows, products, pre_activation(layer, rows, products))


def is_centred(network: LayeredNetwork, x: Float[Tensor, "N n_in"]) -> bool:
    """Whether a pass has a centre: with a difference formula and more than one input."""
    return network.nonlinearity.differences is not None and x.shape[-2] > 1


def _around_mean(x: Float[Tensor, "N n_in"]) -> CentredRows:
    mean = x.mean(dim=-2, keepdim=True)
    differences = x - mean
    norms = row_norms(differences)
    return CentredRows(mean, differences, norms, norms[..., :1] * 0, unit_of(x.dtype) * norms)


def _products(layer: LinearLayer, a: CentredRows) -> Products:
    centre = None if a.centre is None else layer.product(a.centre)
    return Products(centre, layer.product(a.rows))


def pre_activation(
    layer: LinearLayer, a: CentredRows, products: Products | None = None
) -> PreActivation:
    """From a^{l-1} to z^l; products that are given are kept."""
    factor, unit, squares = layer.scale.factor, unit_of(a.rows.dtype), layer.column_squares
    rows = layer.forward(a.rows) if products is None else factor * products.rows
    norms = row_norms(rows)
    row_errors = product_errors(a.rows, a.row_norms, a.row_errors, norms, squares)
    if a.centre is None:
        z = rows + layer.shift
        norms = row_norms(z)
        z_errors = root_sum(row_errors, unit * norms, unit * _shift_rounding(layer))
        return PreActivation(None, z, norms, z, a.centre_error, z_errors)
    if products is None or products.centre is None:
        product = layer.forward(a.centre)
    else:
        product = factor * products.centre
    centre = product + layer.shift
    centre_error = product_errors(
        a.centre, row_norms(a.centre), a.centre_error, row_norms(product), squares
    )
    centre_error = centre_error + unit * (row_norms(centre) + _shift_rounding(layer))
    return PreActivation(centre, rows, norms, centre + rows, centre_error, row_errors)


def _shift_rounding(layer: LinearLayer) -> Float[Tensor, "*e 1"]:
    """‖β b‖ where the product is rounded; 0 where β = 1."""
    shift = layer.shift if layer.shift.ndim > 1 else layer.shift[None]
    return row_norms(shift) * float(layer.scale.bias != 1)
