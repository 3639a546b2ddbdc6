"""Forward and backward passes as differences from a centre, with a running estimate of their
rounding errors.

In a deep network all inputs end up with nearly the same activations, and the small eigenvalues of
the kernel live in what is left of the differences. A plain pass rounds relative to the activations
and so destroys them. Here each quantity is kept as a centre, the value that belongs to the mean
input, plus one row of differences for each input:

    z^l = z̄^l + d^l,    d^l = c_l (a^{l-1} - ā^{l-1}) W^lᵀ,    a^l - ā^l = σ(z̄^l + d^l) - σ(z̄^l),
    δ^l - δ̄^l = c_{l+1} (δ^{l+1} - δ̄^{l+1}) W^{l+1} ∘ σ'(z^l) + c_{l+1} δ̄^{l+1} W^{l+1} ∘ (σ'(z^l) - σ'(z̄^l)),

so that rounding is relative to the differences, at the cost of one plain pass. Errors of the centre
are shared by all rows and act on eigenvalues as a *relative* perturbation; docs/theory/numerics.md
has the proof and the error model.

A centre is a matrix of one row. Shapes are written for one network; several side by side have
leading dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.network.activations.registry import Activation
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.network.linear_layer import Linear
from ntk_sweep.network.stacked import NetworkStack
from ntk_sweep.network.streamed import StreamedNetwork

Networks = Network | StreamedNetwork | NetworkStack

ELEMENTWISE = 8
"""Units of rounding charged to an activation, its derivative or their differences: a dozen
operations at most, each with half a unit, plus two units for each library exponential."""

TAIL = 8
"""How many standard deviations a pre-activation must lie from a kink for its side to be taken as
certain; with 1e7 units and errors that are sums of many roundings, fewer than 1e-8 units are
expected beyond."""


@dataclass(frozen=True)
class Factor:
    """One factor of a layer's Jacobian, a^{l-1} or δ^l, as centre + rows; the sum is not rounded.

    Attributes:
        centre: Shared by all rows, (1, n); None for zero.
        rows: The differences, (N, n).
        row_norms: Euclidean norm of each, (N,), float64.
        centre_error: Root mean square estimate of the Euclidean norm of the centre's rounding
            error, (1,), float64.
        row_errors: The same for each row, (N,), float64.
        grams: Where `ntk_sweep.kernel.centred_kernel` keeps the Gram matrices of a factor that several networks
            share; None where it does not.
    """

    centre: Float[Tensor, "*b 1 n"] | None
    rows: Float[Tensor, "*b N n"]
    row_norms: Float[Tensor, "*b N"]
    centre_error: Float[Tensor, "*b 1"]
    row_errors: Float[Tensor, "*b N"]
    grams: dict[Any, Any] | None = None

    @property
    def total(self) -> Float[Tensor, "*b N n"]:
        """Centre + rows, in float64 whatever the dtype of the pass."""
        rows = self.rows.double()
        return rows if self.centre is None else rows + self.centre

    def __getitem__(self, index: tuple[int, int]) -> Factor:
        """That of one of several networks side by side; the inputs belong to all of them."""
        if self.rows.ndim == 2:
            return self
        centre = None if self.centre is None else self.centre[index]
        return Factor(
            centre,
            self.rows[index],
            self.row_norms[index],
            self.centre_error[index],
            self.row_errors[index],
        )


@dataclass(frozen=True)
class CentredTrace:
    """What the two passes leave behind, layer by layer (l = 1..D): J_l is the row-wise product of
    δ^l and [c_l a^{l-1}, 1].

    Attributes:
        inputs: a^{l-1}.
        gradients: δ^l.
        factors: c_l.
        outputs: f(x), (N,).
    """

    inputs: tuple[Factor, ...]
    gradients: tuple[Factor, ...]
    factors: tuple[float, ...]
    outputs: Float[Tensor, "*b N"]

    def __getitem__(self, index: tuple[int, int]) -> CentredTrace:
        """That of one of several networks side by side."""
        inputs, gradients = (
            [factor[index] for factor in factors] for factors in (self.inputs, self.gradients)
        )
        return CentredTrace(tuple(inputs), tuple(gradients), self.factors, self.outputs[index])


@dataclass(frozen=True)
class FirstLayer:
    """What networks that differ in their activation share.

    Attributes:
        inputs: The inputs as a factor of the first layer's Jacobian, exact and without a centre.
        z: z^1.
    """

    inputs: Factor
    z: PreActivation


@dataclass(frozen=True)
class PreActivation:
    """z^l as centre + rows.

    Attributes:
        centre: z̄^l, (1, n); None for zero.
        rows: d^l, (N, n).
        total: z^l, (N, n).
        centre_error: As in `Factor`.
        row_errors: As in `Factor`.
    """

    centre: Float[Tensor, "*b 1 n"] | None
    rows: Float[Tensor, "*b N n"]
    total: Float[Tensor, "*b N n"]
    centre_error: Float[Tensor, "*b 1"]
    row_errors: Float[Tensor, "*b N"]


@dataclass(frozen=True)
class _Slope:
    """σ'(z^l), for the backward pass."""

    total: Tensor  # σ'(z^l), (N, n)
    centre: Tensor | None  # σ'(z̄^l), (1, n)
    rows: Tensor  # σ'(z^l) - σ'(z̄^l)
    row_errors: Tensor  # error of σ'(z^l) - σ'(z̄^l) away from kinks, norm of each row
    centre_error: Tensor  # error of σ'(z̄^l), norm
    uncertain: Tensor | None  # units too close to a kink for their side to be certain, (N, n)


def centred_trace(
    network: Networks, x: Float[Tensor, "N n_in"], first: FirstLayer | None = None
) -> CentredTrace:
    """One forward and one backward pass around the mean of `x`.

    An activation without a difference formula, and a single input, are traced around zero, which is
    the plain pass.

    Args:
        network: The network, at its present weights, or several.
        x: N inputs, of the network's dtype and on its device.
        first: `first_layer` of a network with the same weights, where it is known; it does not
            depend on the activation.

    Raises:
        ValueError: `x` does not fit the network, or float32 products are set to be less precise
            than float32. A pass that overflows shows in the outputs; the kernel of such a trace is
            refused.
    """
    network.check_inputs(x)
    if x.dtype == torch.float32 and torch.get_float32_matmul_precision() != "highest":
        raise ValueError(
            f"float32 matrix products are set to {torch.get_float32_matmul_precision()!r} "
            "precision (TF32), so their error is unknown: call "
            "torch.set_float32_matmul_precision('highest') first"
        )
    activation, unit = network.nonlinearity, torch.finfo(x.dtype).eps / 2
    if first is None or (first.z.centre is None) == _is_centred(network, x):
        first = first_layer(network, exact_factor(x))
    z, inputs, slopes = first.z, [first.inputs], []
    for index in range(1, network.depth):
        forward, slope = _activate(activation, z, unit)
        inputs.append(forward)
        slopes.append(slope)
        if index < network.depth - 1:
            z = _pre_activation(network.layer(index), forward, unit)
    outputs = (
        network.layer(-1).forward(forward.total.to(x.dtype))[..., 0]
        + network.layer(-1).bias[..., 0]
    )
    ones = torch.ones_like(outputs)[..., None]
    one = torch.ones_like(outputs, dtype=torch.float64)
    none = one * 0
    backward = Factor(None, ones, one, none[..., :1], none)
    if z.centre is not None:
        backward = Factor(ones[..., :1, :], ones * 0, none, none[..., :1], none)
    gradients = [backward]
    for index in range(network.depth - 1, 0, -1):
        backward = _backward(network.layer(index), backward, slopes.pop(), activation, unit)
        gradients.append(backward)
    return CentredTrace(tuple(inputs), tuple(gradients[::-1]), network.factors, outputs)


def exact_factor(x: Float[Tensor, "N n_in"], shared: bool = False) -> Factor:
    """The inputs as they are; `shared` if more than one network will be traced on them."""
    norms = _norms(x)
    return Factor(None, x, norms, norms[..., :1] * 0, norms * 0, {} if shared else None)


def first_layer(network: Networks, inputs: Factor) -> FirstLayer:
    """The first layer's linear part, for inputs from `exact_factor`."""
    x, unit = inputs.rows, torch.finfo(inputs.rows.dtype).eps / 2
    a = inputs
    if _is_centred(network, x):
        mean = x.mean(dim=-2, keepdim=True)
        rows = x - mean
        norms = _norms(rows)
        a = Factor(mean, rows, norms, norms[..., :1] * 0, unit * norms)
    return FirstLayer(inputs, _pre_activation(network.layer(0), a, unit))


def _is_centred(network: Networks, x: Tensor) -> bool:
    return network.nonlinearity.differences is not None and x.shape[-2] > 1


def _pre_activation(layer: Linear, a: Factor, unit: float) -> PreActivation:
    """From a^{l-1} to z^l."""
    squares, rows = layer.column_squares, layer.forward(a.rows)
    row_errors = _product_errors(a.rows, a.row_norms, a.row_errors, _norms(rows), squares, unit)
    if a.centre is None:
        z = rows + layer.bias
        return PreActivation(None, z, z, a.centre_error, torch.hypot(row_errors, unit * _norms(z)))
    product = layer.forward(a.centre)
    centre = product + layer.bias
    centre_error = _product_errors(
        a.centre, _norms(a.centre), a.centre_error, _norms(product), squares, unit
    )
    return PreActivation(
        centre, rows, centre + rows, centre_error + unit * _norms(centre), row_errors
    )


def _activate(activation: Activation, z: PreActivation, unit: float) -> tuple[Factor, _Slope]:
    """From z^l to a^l, and what the backward pass needs of layer l."""
    root, shared = z.total.shape[-1] ** 0.5, z.centre_error
    if z.centre is None:
        rows, slope_rows = activation.function(z.total), activation.derivative(z.total)
        slope, centre, slope_centre = slope_rows, None, None
        centre_error = slope_error = mixed = shared * 0
    else:
        assert activation.differences is not None
        rows, slope_rows = activation.differences(z.centre, z.rows)
        centre, slope_centre = activation.function(z.centre), activation.derivative(z.centre)
        slope = slope_centre + slope_rows
        centre_error = _norms(slope_centre) / root * shared + ELEMENTWISE * unit * _norms(centre)
        slope_error = activation.curvature * shared + ELEMENTWISE * unit * _norms(slope_centre)
        # an error e of z̄ changes σ(z̄ + d) - σ(z̄) by about σ'' e d
        mixed = activation.curvature * shared / root * _norms(z.rows)
    norms = _norms(rows)
    elementwise = ELEMENTWISE * unit * norms
    errors = _root_sum(_norms(slope) / root * z.row_errors, elementwise, mixed)
    slope_errors = _root_sum(
        activation.curvature * z.row_errors,
        elementwise,
        ELEMENTWISE * unit * _norms(slope_rows),
        mixed,
    )
    uncertain = None
    if activation.kinked:
        spread = TAIL / root * (z.row_errors + shared)
        uncertain = z.total.abs() < spread.to(z.total.dtype)[..., None]
    return Factor(centre, rows, norms, centre_error, errors), _Slope(
        slope, slope_centre, slope_rows, slope_errors, slope_error, uncertain
    )


def _backward(
    layer: Linear, delta: Factor, slope: _Slope, activation: Activation, unit: float
) -> Factor:
    """From δ^{l+1} to δ^l."""
    squares, root = layer.row_squares, layer.weight.shape[-1] ** 0.5
    pulled = layer.backward(delta.rows)
    rows = pulled * slope.total
    pulled_errors = _product_errors(
        delta.rows, delta.row_norms, delta.row_errors, _norms(pulled), squares, unit
    )
    errors = _norms(slope.total) / root * pulled_errors
    centre, centre_error = None, delta.centre_error
    if delta.centre is not None:
        assert slope.centre is not None
        shared = layer.backward(delta.centre)
        norm = _norms(shared)
        shared_error = _product_errors(
            delta.centre, _norms(delta.centre), delta.centre_error, norm, squares, unit
        )
        pulled = pulled + shared
        centre = shared * slope.centre
        rows = rows.addcmul(shared, slope.rows)
        centre_error = (
            _norms(slope.centre) * shared_error + norm * slope.centre_error
        ) / root + 2 * unit * _norms(centre)
        # an error of the shared signal meets σ'(z) - σ'(z̄) in the rows
        errors = torch.hypot(errors, shared_error / root * _norms(slope.rows))
    norms = _norms(rows)
    errors = _root_sum(errors, _norms(pulled) / root * slope.row_errors, 4 * unit * norms)
    # asking costs less than the norm, but on a GPU it would wait for everything before
    if slope.uncertain is not None and (slope.uncertain.is_cuda or bool(slope.uncertain.any())):
        errors = torch.hypot(errors, activation.jump * _norms(pulled * slope.uncertain))
    return Factor(centre, rows, norms, centre_error, errors)


def _product_errors(
    rows: Tensor, norms: Tensor, errors: Tensor, results: Tensor, squares: Tensor, unit: float
) -> Tensor:
    """Norm of the error of each row of c · rows · Wᵀ: its own rounding, and what the rows bring.

    Takes the rows, their norms and errors, the norms of the products, and c² ‖W_k‖² in `squares`.

    A sum of n terms in any order has the variance Σ_k (u s_k)² over its partial sums s_k, roundings
    taken as independent with mean zero (Higham and Mary 2019). If the order is not related to the
    values, E s_k² = (k/n)² s_n² + (k/n)(1 - k/n) Q with Q the sum of the squared terms, which adds
    up to n (s_n²/3 + Q/6); summed over the outputs, s_n² gives ‖product‖² and Q gives Σ_k rows_k²
    c² ‖W_k‖². Blocked sums and fused operations round less.

    The rows' errors are amplified like an isotropic vector, by the root mean square of c ‖W_k‖, or
    like the rows themselves if that is more (they may lie along leading singular vectors of W, and
    so may their errors).
    """
    terms = rows.shape[-1]
    spread = (rows.double().square() @ squares)[..., 0]
    rounding = unit * (terms * (results**2 / 3 + spread / 6) + 2 * results**2).sqrt()
    mean = squares.mean(dim=(-2, -1), keepdim=True)[..., 0]
    gain = (results / norms).nan_to_num(0.0, 0.0, 0.0).maximum(mean.sqrt())
    return torch.hypot(rounding, gain * errors)


def _norms(rows: Tensor) -> Tensor:
    """Euclidean norm of each row, float64."""
    return torch.linalg.vector_norm(rows, dim=-1, dtype=torch.float64)


def _root_sum(*errors: Tensor) -> Tensor:
    """√(Σ errors²): independent errors."""
    return torch.stack(torch.broadcast_tensors(*errors)).square().sum(dim=0).sqrt()
