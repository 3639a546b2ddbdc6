"""Forward and backward passes as differences from a centre, with a running estimate of their rounding errors.

In a deep network all inputs end up with nearly the same activations, and the small eigenvalues of the kernel live in what is left
of the differences. A plain pass rounds relative to the activations and so destroys them. Here each quantity is kept as a centre,
the value that belongs to the mean input, plus one row of differences for each input:

    z^l = z̄^l + d^l,    d^l = c_l (a^{l-1} - ā^{l-1}) W^lᵀ,    a^l - ā^l = σ(z̄^l + d^l) - σ(z̄^l),
    δ^l - δ̄^l = c_{l+1} (δ^{l+1} - δ̄^{l+1}) W^{l+1} ∘ σ'(z^l) + c_{l+1} δ̄^{l+1} W^{l+1} ∘ (σ'(z^l) - σ'(z̄^l)),

so that rounding is relative to the differences, at the cost of one plain pass. Errors of the centre are shared by all rows and
act on eigenvalues as a *relative* perturbation; docs/numerics.md has the proof and the error model.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.activations import ACTIVATIONS, Activation
from ntk_sweep.network import Network

ELEMENTWISE = 8
"""Units of rounding charged to an activation, its derivative or their differences: a dozen operations at most, each with half a
unit, plus two units for each library exponential."""

TAIL = 8
"""How many standard deviations a pre-activation must lie from a kink for its side to be taken as certain; with 1e7 units and errors
that are sums of many roundings, fewer than 1e-8 units are expected beyond."""


@dataclass(frozen=True)
class Factor:
    """One factor of a layer's Jacobian, a^{l-1} or δ^l, as centre + rows; the sum is not rounded.

    Attributes:
        centre: Shared by all rows, (n,); None for zero.
        rows: The differences, (N, n).
        centre_error: Root mean square estimate of the Euclidean norm of the centre's rounding error.
        row_errors: The same for each row, (N,), float64.
    """

    centre: Float[Tensor, " n"] | None
    rows: Float[Tensor, "N n"]
    centre_error: float
    row_errors: Float[Tensor, " N"]

    @property
    def total(self) -> Float[Tensor, "N n"]:
        """Centre + rows, in float64 whatever the dtype of the pass."""
        rows = self.rows.double()
        return rows if self.centre is None else rows + self.centre


@dataclass(frozen=True)
class CentredTrace:
    """What the two passes leave behind, layer by layer (l = 1..D): J_l is the row-wise product of δ^l and [c_l a^{l-1}, 1].

    Attributes:
        inputs: a^{l-1}.
        gradients: δ^l.
        factors: c_l.
        outputs: f(x), (N,).
    """

    inputs: tuple[Factor, ...]
    gradients: tuple[Factor, ...]
    factors: tuple[float, ...]
    outputs: Float[Tensor, " N"]


@dataclass(frozen=True)
class _Layer:
    """What the backward pass needs of hidden layer l."""

    derivative: Tensor  # σ'(z^l), (N, n)
    derivative_centre: Tensor | None  # σ'(z̄^l), (n,)
    derivative_rows: Tensor  # σ'(z^l) - σ'(z̄^l)
    row_errors: Tensor  # error of σ'(z^l) - σ'(z̄^l) away from kinks, norm of each row
    centre_error: float  # error of σ'(z̄^l), norm
    uncertain: Tensor | None  # units too close to a kink for their side to be certain, (N, n)


def centred_trace(network: Network, x: Float[Tensor, "N n_in"]) -> CentredTrace:
    """One forward and one backward pass around the mean of `x`.

    An activation without a difference formula, and a single input, are traced around zero, which is the plain pass.

    Args:
        network: The network, at its present weights.
        x: N inputs, of the network's dtype and on its device.

    Raises:
        ValueError: `x` does not fit the network, a pass overflows, or float32 products are set to be less precise than float32.
    """
    network.check_inputs(x)
    if x.dtype == torch.float32 and torch.get_float32_matmul_precision() != "highest":
        raise ValueError(
            f"float32 matrix products are set to {torch.get_float32_matmul_precision()!r} precision (TF32), so their error is "
            "unknown: call torch.set_float32_matmul_precision('highest') first"
        )
    activation = ACTIVATIONS[network.activation]
    centred = activation.differences is not None and len(x) > 1
    unit = torch.finfo(x.dtype).eps / 2
    mean = x.mean(dim=0) if centred else None
    forward = Factor(mean, x if mean is None else x - mean, 0.0, _norms(x) * 0)
    if mean is not None:
        forward = Factor(mean, forward.rows, 0.0, unit * _norms(forward.rows))
    # the first layer's part of the kernel takes x itself, which is exact
    inputs, layers = [Factor(None, x, 0.0, _norms(x) * 0)], []
    for weight, bias, c in zip(network.weights[:-1], network.biases[:-1], network.factors[:-1], strict=True):
        forward, layer = _forward(activation, weight, bias, c, forward, unit)
        inputs.append(forward)
        layers.append(layer)
    last = forward.total.to(x.dtype)
    outputs = torch.addmm(network.biases[-1], last, network.weights[-1].T, alpha=network.factors[-1])
    if not torch.isfinite(outputs).all():
        raise ValueError(
            f"the network's output is not finite: the input holds NaN or infinity, or it overflows "
            f"{x.dtype}; scale the inputs down or use float64"
        )
    ones = torch.ones_like(outputs)
    backward = Factor(None, ones, 0.0, _norms(ones) * 0)
    if centred:
        backward = Factor(ones[0], ones * 0, 0.0, backward.row_errors)
    gradients = [backward]
    for weight, c, layer in zip(network.weights[:0:-1], network.factors[:0:-1], layers[::-1], strict=True):
        backward = _backward(weight, c, backward, layer, activation.jump, unit)
        gradients.append(backward)
    return CentredTrace(tuple(inputs), tuple(gradients[::-1]), network.factors, outputs[:, 0])


def _forward(activation: Activation, weight: Tensor, bias: Tensor, c: float, a: Factor, unit: float) -> tuple[Factor, _Layer]:
    """From a^{l-1} to a^l, and what the backward pass needs of layer l."""
    columns = torch.linalg.vector_norm(weight, dim=0, dtype=torch.float64).square() * c**2
    root = len(bias) ** 0.5
    if a.centre is None:
        z = torch.addmm(bias, a.rows, weight.T, alpha=c)
        rows, derivative = activation.function(z), activation.derivative(z)
        centre, derivative_centre, derivative_rows = None, None, derivative
        z_errors = torch.hypot(_product_errors(a, z - bias, columns, unit), unit * _norms(z))
        shared, centre_error, slope_error, mixed = 0.0, 0.0, 0.0, 0 * z_errors
    else:
        assert activation.differences is not None
        mean = torch.addmv(bias, weight, a.centre, alpha=c)
        shared = _centre_product_error(a, mean - bias, columns, unit) + unit * mean.norm().item()
        d = (a.rows @ weight.T).mul_(c)
        z_errors = _product_errors(a, d, columns, unit)
        z = mean + d
        rows, derivative_rows = activation.differences(mean, d)
        centre, derivative_centre = activation.function(mean), activation.derivative(mean)
        derivative = derivative_centre + derivative_rows
        slope = derivative_centre.norm().item() / root
        centre_error = slope * shared + ELEMENTWISE * unit * centre.norm().item()
        slope_error = activation.curvature * shared + ELEMENTWISE * unit * derivative_centre.norm().item()
        # an error e of z̄ changes σ(z̄ + d) - σ(z̄) by about σ'' e d
        mixed = activation.curvature * shared / root * _norms(d)
    elementwise = ELEMENTWISE * unit * _norms(rows)
    errors = _root_sum(_norms(derivative) / root * z_errors, elementwise, mixed)
    slope_errors = _root_sum(activation.curvature * z_errors, elementwise, ELEMENTWISE * unit * _norms(derivative_rows), mixed)
    uncertain = None
    if activation.jump:
        spread = TAIL / root * (z_errors + shared)
        uncertain = z.abs() < spread.to(z.dtype)[:, None]
    layer = _Layer(derivative, derivative_centre, derivative_rows, slope_errors, slope_error, uncertain)
    return Factor(centre, rows, centre_error, errors), layer


def _backward(weight: Tensor, c: float, delta: Factor, layer: _Layer, jump: float, unit: float) -> Factor:
    """From δ^{l+1} to δ^l."""
    squares = torch.linalg.vector_norm(weight, dim=1, dtype=torch.float64).square() * c**2
    root = weight.shape[1] ** 0.5
    pulled = (delta.rows @ weight).mul_(c)
    rows = pulled * layer.derivative
    errors = _norms(layer.derivative) / root * _product_errors(delta, pulled, squares, unit)
    centre, centre_error = None, 0.0
    if delta.centre is not None:
        assert layer.derivative_centre is not None
        shared = c * (delta.centre @ weight)
        shared_error = _centre_product_error(delta, shared, squares, unit)
        pulled = pulled + shared
        centre = shared * layer.derivative_centre
        rows = rows + shared * layer.derivative_rows
        centre_error = (
            layer.derivative_centre.norm().item() * shared_error + shared.norm().item() * layer.centre_error
        ) / root + 2 * unit * centre.norm().item()
        # an error of the shared signal meets σ'(z) - σ'(z̄) in the rows
        errors = torch.hypot(errors, shared_error / root * _norms(layer.derivative_rows))
    errors = _root_sum(errors, _norms(pulled) / root * layer.row_errors, 4 * unit * _norms(rows))
    if layer.uncertain is not None and bool(layer.uncertain.any()):
        errors = torch.hypot(errors, jump * _norms(pulled * layer.uncertain))
    return Factor(centre, rows, centre_error, errors)


def _product_errors(factor: Factor, products: Tensor, squares: Tensor, unit: float) -> Tensor:
    """Norm of the error of each row of c · rows · Wᵀ: its own rounding, and what the rows bring.

    Takes the products and c² ‖W_k‖² in `squares`.

    A sum of n terms in any order has the variance Σ_k (u s_k)² over its partial sums s_k, roundings taken as independent with mean
    zero (Higham and Mary 2019). If the order is not related to the values, E s_k² = (k/n)² s_n² + (k/n)(1 - k/n) Q with Q the sum
    of the squared terms, which adds up to n (s_n²/3 + Q/6); summed over the outputs, s_n² gives ‖product‖² and Q gives
    Σ_k rows_k² c² ‖W_k‖². Blocked sums and fused operations round less.

    The rows' errors are amplified like an isotropic vector, by the root mean square of c ‖W_k‖, or like the rows themselves if that
    is more (they may lie along leading singular vectors of W, and so may their errors).
    """
    terms = factor.rows.shape[1]
    result, given = _norms(products), _norms(factor.rows)
    spread = (factor.rows.double() ** 2) @ squares
    rounding = unit * (terms * (result**2 / 3 + spread / 6) + 2 * result**2).sqrt()
    gain = (result / given).nan_to_num(0.0, 0.0, 0.0).clamp(min=squares.mean().item() ** 0.5)
    return torch.hypot(rounding, gain * factor.row_errors)


def _centre_product_error(factor: Factor, product: Tensor, squares: Tensor, unit: float) -> float:
    """The same for the centre."""
    assert factor.centre is not None
    error = torch.full((1,), factor.centre_error, dtype=torch.float64, device=product.device)
    return _product_errors(Factor(None, factor.centre[None], 0.0, error), product[None], squares, unit).item()


def _norms(rows: Tensor) -> Tensor:
    """Euclidean norm of each row, float64."""
    return torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64)


def _root_sum(*errors: Tensor) -> Tensor:
    """√(Σ errors²): independent errors."""
    return torch.stack(errors).square().sum(dim=0).sqrt()
