"""What the recursion of the limit kernels takes of single inputs, layer by layer.

All pairs of an input share it, in whichever block they are computed. Dimension letter in the
annotations: N inputs.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.limit.dual_activations import OwnDuals, dual_error, own_duals
from ntk_sweep.limit.gram_factors import gram_factors
from ntk_sweep.network.activations.activation import Activation
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.architecture import Architecture
from ntk_sweep.numerics.gaussian_quadrature import Function, mean_squares
from ntk_sweep.numerics.tensors import all_finite, overflow

_EPS = torch.finfo(torch.float64).eps

_ROUNDINGS = 8
"""Rounding errors granted to each entry-wise formula: none has more operations in sequence."""

ROUNDING = _ROUNDINGS * _EPS
"""Their relative size."""


class OwnErrors(NamedTuple):
    """What the bounds of pairs take of single inputs of a layer.

    Attributes:
        half: Half the relative errors of the variances; 0 of a variance that is zero.
        slopes: √E[(u σ'(u))²].
        bends: √E[σ''(u)²]; 0 of a piecewise linear σ.
        bent: √E[(u σ''(u))²], likewise.
    """

    half: Float[Tensor, " N"]
    slopes: Float[Tensor, " N"]
    bends: Float[Tensor, " N"]
    bent: Float[Tensor, " N"]

    @classmethod
    def of(
        cls, activation: str, variance: Float[Tensor, " N"], error: Float[Tensor, " N"]
    ) -> OwnErrors:
        """Those of inputs whose pre-activations have this variance, with these errors."""
        entry, scales, none = ACTIVATIONS[activation], variance.sqrt(), torch.zeros_like(variance)
        half = torch.where(variance > 0, error / (2 * variance), none)
        _, slopes = mean_squares(entry.derivative, scales)
        if entry.piecewise_linear:
            return cls(half, slopes.sqrt(), none, none)
        bends = mean_squares(_second_derivative(entry), scales)
        return cls(half, slopes.sqrt(), *(of.sqrt() for of in bends))


class Own(NamedTuple):
    """What the pairs of a layer take of its single inputs.

    Attributes:
        variance: K_ii of the pre-activations.
        duals: The dual activations of an input with itself.
        errors: What bounds take.
    """

    variance: Float[Tensor, " N"]
    duals: OwnDuals
    errors: OwnErrors

    def at(self, index: slice) -> Own:
        """Those of some of the inputs."""
        return Own(
            self.variance[index],
            OwnDuals(*(of[index] for of in self.duals)),
            OwnErrors(*(of[index] for of in self.errors)),
        )


def first_error(n_in: int) -> float:
    """The error of a sum over the features of an input, relative to the lengths of both factors.

    Roundings are taken as independent (Higham and Mary 2019), as in the spectrum of the empirical
    kernel.
    """
    return (n_in**0.5 + _ROUNDINGS) * _EPS


def own_layers(second_moment: Float[Tensor, " N"], deepest: Architecture, n_in: int) -> list[Own]:
    """The single inputs in the layers 1 to D - 1.

    Args:
        second_moment: ‖x_i‖².
        deepest: The architecture.
        n_in: The features of an input.

    Raises:
        ValueError: A variance overflows, or the product of two.
    """
    layers: list[Own] = []
    error = torch.zeros_like(second_moment)
    for layer in range(1, deepest.depth):
        factors = gram_factors(deepest, layer, n_in)
        variance = factors.covariance * second_moment + factors.bias
        _check_variances(layer, variance, second_moment)
        if layers:
            gain = factors.covariance
            error = _next_error(deepest.activation, layers[-1], error, gain, variance)
        else:
            error = first_error(n_in) * variance
        duals = own_duals(deepest.activation, variance)
        layers.append(Own(variance, duals, OwnErrors.of(deepest.activation, variance, error)))
        second_moment = duals.function
    return layers


def _next_error(
    activation: str, own: Own, error: Float[Tensor, " N"], gain: float, result: Float[Tensor, " N"]
) -> Float[Tensor, " N"]:
    """The errors of the variances of the next layer, from those of this one.

    Args:
        activation: A name in `ACTIVATIONS`.
        own: The inputs in this layer.
        error: The errors of its variances.
        gain: The factor of E[σ(u)²] in the variances of the next layer.
        result: Those.
    """
    unit = dual_error(activation, float(own.variance.max()))
    size, slope, half = own.duals.function, own.duals.derivative, own.errors.half
    function = unit * size + slope * (error + 2 * half * own.variance)
    function += 2 * half * own.errors.slopes * size.sqrt()
    return gain * function + ROUNDING * result


def _check_variances(layer: int, *values: Float[Tensor, " N"]) -> None:
    """Raises a ValueError if a variance overflows, or the product of two, which angles need.

    Formulas take up to four times such a product; a wrong angle would not show.
    """
    variance, second_moment = values
    # the greatest product is that of one with itself
    check_overflow("the limit kernel", variances_of(layer), 16 * variance**2, 4 * second_moment)


def variances_of(layer: int) -> str:
    """What overflows there."""
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


def _second_derivative(activation: Activation) -> Function:
    """σ'' by automatic differentiation, zero at jumps of σ'."""

    def second(z: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            slopes = activation.derivative(z)
            if not slopes.requires_grad:
                return torch.zeros_like(z)
            return torch.autograd.grad(slopes.sum(), z)[0]

    return second
