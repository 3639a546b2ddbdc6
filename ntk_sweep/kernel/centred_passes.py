"""Forward and backward passes as differences from a centre, with their rounding errors estimated.

In a deep network all inputs end up with nearly the same activations, and the small eigenvalues of
the kernel live in what is left of the differences. A plain pass rounds relative to the activations
and so destroys them. Here each quantity is kept as a centre, the value that belongs to the mean
input, plus one row of differences for each input:

    z^l = z̄^l + d^l,    d^l = c_l (a^{l-1} - ā^{l-1}) W^lᵀ,    a^l - ā^l = σ(z̄^l + d^l) - σ(z̄^l),
    δ^l - δ̄^l = c_{l+1} (δ^{l+1} - δ̄^{l+1}) W^{l+1} ∘ σ'(z^l)
                + c_{l+1} δ̄^{l+1} W^{l+1} ∘ (σ'(z^l) - σ'(z̄^l)),

so that rounding is relative to the differences, at the cost of one plain pass. Here c_l is the
layer's whole factor, σ_w included. Errors of the centre are shared by all rows and act on
eigenvalues as a *relative* perturbation; docs/theory/numerics.md has the proof and the error model.

A centre is a matrix of one row. Shapes are written for one network; several side by side have
leading dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ntk_sweep.kernel.centred_rows import CentredRows, ExactInputs
from ntk_sweep.kernel.float64_pass import float64_pre_activations
from ntk_sweep.kernel.kinks import jumps, possible_slopes, uncertain_units
from ntk_sweep.kernel.pre_activations import (
    FirstLayer,
    PreActivation,
    first_layer,
    is_centred,
    pre_activation,
)
from ntk_sweep.kernel.rounding import (
    ELEMENTWISE,
    TAIL,
    least_of,
    product_errors,
    root_sum,
    row_norms,
    unit_of,
)
from ntk_sweep.network.activations.activation import Activation
from ntk_sweep.network.layered import LayeredNetwork
from ntk_sweep.network.linear_layer import LayerScale, LinearLayer

KNOWN = 1 / 32
"""Pre-activations known so well have |σ''| of `Activation.bend`."""


@dataclass(frozen=True)
class CentredPasses:
    """What the two passes leave behind, layer by layer (l = 1..D).

    J_l is the row-wise product of δ^l and [c_l a^{l-1}, β_l].

    Attributes:
        inputs: a^{l-1}.
        gradients: δ^l.
        scales: c_l and β_l.
        outputs: f(x), (N,).
        network_inputs: x.
    """

    inputs: tuple[CentredRows, ...]
    gradients: tuple[CentredRows, ...]
    scales: tuple[LayerScale, ...]
    outputs: Float[Tensor, "*b N"]
    network_inputs: ExactInputs

    def __getitem__(self, index: tuple[int, int]) -> CentredPasses:
        """Those of one of several networks side by side."""
        inputs = tuple(rows[index] for rows in self.inputs)
        gradients = tuple(rows[index] for rows in self.gradients)
        return CentredPasses(
            inputs, gradients, self.scales, self.outputs[index], self.network_inputs
        )


@dataclass(frozen=True)
class _Slope:
    """σ'(z^l), for the backward pass.

    Attributes:
        activation: σ.
        total: σ'(z^l), (N, n).
        centre: σ'(z̄^l), (1, n).
        rows: σ'(z^l) - σ'(z̄^l), (N, n).
        row_errors: Norm of the rounding error of each row.
        centre_error: Norm of the rounding error of the centre.
        bend: A bound of |σ''(z^l)|, (N, n); None where it is zero.
        centre_bend: The same of z̄^l, (1, n).
        z_errors: Norm of the error of each row of z^l.
        z_centre_error: Norm of the error of z̄^l.
        z_norms: Norm of each row of z^l - z̄^l.
        uncertain: Units too close to a kink for their side to be certain, (N, n); None where there
            are none.
    """

    activation: Activation
    total: Float[Tensor, "*b N n"]
    centre: Float[Tensor, "*b 1 n"] | None
    rows: Float[Tensor, "*b N n"]
    row_errors: Float[Tensor, "*b N"]
    centre_error: Float[Tensor, "*e 1"]
    bend: Float[Tensor, "*b N n"] | None
    centre_bend: Float[Tensor, "*b 1 n"] | None
    z_errors: Float[Tensor, "*z N"]
    z_centre_error: Float[Tensor, "*y 1"]
    z_norms: Float[Tensor, "*z N"]
    uncertain: Bool[Tensor, "*u N n"] | None

    @cached_property
    def possible(self) -> Float[Tensor, "*b N"]:
        """Norm of what each row of |σ'(z^l)| may be."""
        return row_norms(possible_slopes(self.total, self.uncertain, self.activation))

    @cached_property
    def possible_rows(self) -> Float[Tensor, "*b N"]:
        """The same of `rows`."""
        return row_norms(possible_slopes(self.rows, self.uncertain, self.activation))


def centred_passes(
    network: LayeredNetwork,
    x: Float[Tensor, "N n_in"],
    first: FirstLayer | None = None,
    *,
    plain: bool = False,
) -> CentredPasses:
    """One forward and one backward pass around the mean of `x`.

    For an activation without a difference formula, and for a single input, the centre is zero: that
    is the plain pass.

    Args:
        network: The network, at its present weights, or several side by side.
        x: N inputs, of the network's dtype and on its device.
        first: `first_layer` of a network with the same weights, where it is known; it does not
            depend on the activation.
        plain: Whether the centre is zero in any case.

    Raises:
        ValueError: `x` does not fit the network, or float32 products are set to be less precise
            than float32. A pass that overflows shows in the outputs; the kernel of such passes is
            refused.
    """
    network.check_inputs(x)
    _check_precision(x.dtype)
    centred = is_centred(network, x) and not plain
    if first is None or (first.z.centre is None) == centred:
        first = first_layer(network, ExactInputs(x), plain=plain)
    z, slopes = first.z, []
    inputs: list[CentredRows] = [first.inputs]
    for index in range(1, network.depth):
        forward, slope = _activate(network.nonlinearity, z)
        inputs.append(forward)
        slopes.append(slope)
        if index < network.depth - 1:
            z = pre_activation(network.layer(index), forward)
    # no layer is held here: a network that is streamed has room for one only
    outputs = _outputs(network.layer(-1), forward)
    if x.dtype != torch.float64 and network.nonlinearity.kinked:
        slopes = _on_their_sides(network, x, slopes)
    backward = _output_gradients(outputs, centred=z.centre is not None)
    gradients = [backward]
    for index in range(network.depth - 1, 0, -1):
        backward = _backward(network.layer(index), backward, slopes.pop())
        gradients.append(backward)
    return CentredPasses(
        tuple(inputs), tuple(gradients[::-1]), network.scales, outputs, first.inputs
    )


def _check_precision(dtype: torch.dtype) -> None:
    precision = torch.get_float32_matmul_precision()
    if dtype == torch.float32 and precision != "highest":
        raise ValueError(
            f"float32 matrix products are set to {precision!r} precision (TF32), so their error is "
            "unknown: call torch.set_float32_matmul_precision('highest') first"
        )


def _outputs(layer: LinearLayer, a: CentredRows) -> Float[Tensor, "*b N"]:
    return layer.forward(a.total.to(a.rows.dtype))[..., 0] + layer.shift[..., 0]


def _output_gradients(outputs: Float[Tensor, "*b N"], centred: bool) -> CentredRows:
    """δ^D = 1, exactly."""
    ones = torch.ones_like(outputs)[..., None]
    one = torch.ones_like(outputs, dtype=torch.float64)
    none = one * 0
    if centred:
        return CentredRows(ones[..., :1, :], ones * 0, none, none[..., :1], none)
    return CentredRows(None, ones, one, none[..., :1], none)


def _activate(activation: Activation, z: PreActivation) -> tuple[CentredRows, _Slope]:
    """From z^l to a^l, and what the backward pass needs of layer l."""
    root, shared = z.total.shape[-1] ** 0.5, z.centre_error
    elementwise = ELEMENTWISE * unit_of(z.total.dtype)
    spread = TAIL / root * (z.row_errors + shared)
    uncertain = uncertain_units(activation, z.total, spread)
    if z.centre is None:
        rows, slope_rows = activation.function(z.total), activation.derivative(z.total)
        total, centre, slope_centre = slope_rows, None, None
        centre_error = slope_error = shared * 0
    else:
        assert activation.differences is not None
        rows, slope_rows = activation.differences(z.centre, z.rows)
        centre, slope_centre = activation.function(z.centre), activation.derivative(z.centre)
        total = slope_centre + slope_rows
        centre_error = row_norms(slope_centre) / root * shared + elementwise * row_norms(centre)
        slope_error = elementwise * row_norms(slope_centre)
    norms = row_norms(rows)
    own = elementwise * norms + least_of(z.total.dtype) * root
    bend, centre_bend = bends(activation, z, total, slope_centre, spread)
    slope = _Slope(
        activation=activation,
        total=total,
        centre=slope_centre,
        rows=slope_rows,
        row_errors=root_sum(own, elementwise * row_norms(slope_rows)),
        centre_error=slope_error,
        bend=bend,
        centre_bend=centre_bend,
        z_errors=z.row_errors,
        z_centre_error=shared,
        z_norms=z.row_norms,
        uncertain=uncertain,
    )
    errors = [slope.possible / root * z.row_errors, own]
    if centre is not None:
        # an error e of z̄ changes σ(z̄ + d) - σ(z̄) by (σ'(z̄ + d) - σ'(z̄)) e
        errors.append(shared / root * slope.possible_rows)
    return CentredRows(centre, rows, norms, centre_error, root_sum(*errors)), slope


def _on_their_sides(
    network: LayeredNetwork, x: Float[Tensor, "N n_in"], slopes: list[_Slope]
) -> list[_Slope]:
    """Slopes of a pass in float32, with units near a kink on the side where float64 has them.

    One on the wrong side would change its row of the Jacobian by more than small eigenvalues bear.
    A plain pass in float64 errs by 2⁻²⁹ of what the spreads here say, with room in 2⁻²⁴.
    """
    activation, unit = network.nonlinearity, unit_of(x.dtype)
    rows = torch.arange(len(x), device=x.device)
    if not x.is_cuda:  # few inputs have such units, but on a GPU counting them would wait
        found = [s.uncertain.any(dim=-1) for s in slopes if s.uncertain is not None]
        rows = rows[sum(found, torch.zeros_like(rows)).reshape(-1, len(x)).any(dim=0)]
    if len(rows) == 0:
        return slopes
    settled = []
    for slope, z in zip(slopes, float64_pre_activations(network, x[rows]), strict=True):
        if slope.uncertain is None:
            settled.append(slope)
            continue
        total, near = slope.total[..., rows, :], slope.uncertain[..., rows, :]
        moved = (activation.derivative(z).to(total.dtype) - total).where(near, 0)
        spread = TAIL / z.shape[-1] ** 0.5 * (slope.z_errors + slope.z_centre_error)
        near = near & (z.abs() < unit * spread[..., rows, None])
        settled.append(
            replace(
                slope,
                total=slope.total.index_add(-2, rows, moved),
                rows=slope.rows.index_add(-2, rows, moved),
                uncertain=slope.uncertain.index_copy(-2, rows, near),
            )
        )
    return settled


def bends(
    activation: Activation,
    z: PreActivation,
    slope: Float[Tensor, "*b N n"],
    slope_centre: Float[Tensor, "*b 1 n"] | None,
    spread: Float[Tensor, "*s N"],
) -> tuple[Float[Tensor, "*b N n"] | None, Float[Tensor, "*b 1 n"] | None]:
    """Bounds of |σ''(z)| and |σ''(z̄)|, `curvature` where z is not known well enough."""
    if activation.piecewise_linear:
        return None, None
    curvature = activation.curvature
    if activation.bend is None:
        limit = slope.new_ones(()) * curvature
        limit = limit[..., None] if limit.ndim else limit
        return limit.expand_as(slope), None if z.centre is None else limit.expand_as(z.centre)
    most = torch.as_tensor(curvature, dtype=slope.dtype, device=slope.device)
    most = most[..., None] if most.ndim else most
    known = (spread < KNOWN)[..., None]
    bend = activation.bend(z.total, slope)
    certain = known.all(dim=-2, keepdim=True)
    if certain.is_cuda or not bool(certain.all()):
        bend = bend.where(known, most)
    if z.centre is None or slope_centre is None:
        return bend, None
    return bend, activation.bend(z.centre, slope_centre).where(certain, most)


def _backward(layer: LinearLayer, delta: CentredRows, slope: _Slope) -> CentredRows:
    """From δ^{l+1} to δ^l."""
    squares, root = layer.row_squares, layer.weight.shape[-1] ** 0.5
    unit = unit_of(delta.rows.dtype)
    pulled = layer.backward(delta.rows)
    own_norms = row_norms(pulled)
    rows = pulled * slope.total
    pulled_errors = product_errors(
        delta.rows, delta.row_norms, delta.row_errors, own_norms, squares
    )
    errors = slope.possible / root * pulled_errors
    centre, centre_error = None, delta.centre_error
    bent = mixed = torch.zeros_like(errors)
    if delta.centre is not None:
        assert slope.centre is not None
        shared = layer.backward(delta.centre)
        norm = row_norms(shared)
        shared_error = product_errors(
            delta.centre, row_norms(delta.centre), delta.centre_error, norm, squares
        )
        pulled = pulled + shared
        centre = shared * slope.centre
        rows = rows.addcmul(shared, slope.rows)
        centre_error = (
            row_norms(slope.centre) * shared_error + norm * slope.centre_error
        ) / root + 2 * unit * row_norms(centre)
        # an error of the shared signal meets σ'(z) - σ'(z̄) in the rows
        errors = torch.hypot(errors, shared_error / root * slope.possible_rows)
    norms, pulled_norms = row_norms(rows), row_norms(pulled)
    if slope.bend is not None:
        bent = row_norms(pulled * slope.bend)
        if slope.centre_bend is not None:
            centre_error = centre_error + slope.z_centre_error / root * row_norms(
                shared * slope.centre_bend
            )
            # an error e of z̄ changes δ^l by σ''(z) e, less what the centre has of it
            mixed = slope.activation.curvature * (own_norms + slope.z_norms / root * pulled_norms)
            if mixed.is_cuda or not bool((mixed <= bent).all()):
                mixed = mixed.minimum(bent + row_norms(pulled * slope.centre_bend))
    own = 4 * unit * norms + least_of(delta.rows.dtype) * root
    errors = root_sum(
        errors,
        (bent * slope.z_errors + mixed * slope.z_centre_error + pulled_norms * slope.row_errors)
        / root,
        own,
    )
    if slope.uncertain is not None:
        errors = torch.hypot(errors, row_norms(pulled * jumps(slope.uncertain, slope.activation)))
    return CentredRows(centre, rows, norms, centre_error, errors)
