"""How errors of the dual activations travel through the recursion of the limit kernel: entry-wise
bounds to first order.

The derivation stands in `docs/theory/limit.md`, section "Error bounds"; by Price's theorem all
sensitivities of a dual activation are themselves Gaussian expectations, and Cauchy and Schwarz
bound these by one-dimensional integrals.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.limit.dual_activations import Duals, dual_error
from ntk_sweep.network.activations.registry import ACTIVATIONS, Activation
from ntk_sweep.numerics.gaussian_pairs import GaussianPairs
from ntk_sweep.numerics.gaussian_quadrature import Function, line_moments, line_rule

_EPS = torch.finfo(torch.float64).eps

_ROUNDINGS = 8
"""Rounding errors granted to each entry-wise formula; none has more than eight operations in
sequence."""


class ErrorPropagation:
    """Bounds of the errors of covariance, duals and tangent kernel, layer by layer.

    Two kinds of error have to be told apart where σ' jumps (ReLU): the dual of σ' then has the
    slope 1/sin θ in the covariance, which for nearly identical inputs would magnify rounding
    without limit. What protects it is that the squared distance is carried with a small *relative*
    error, so the angle θ is followed separately.
    """

    def __init__(
        self, activation: str, pairs: GaussianPairs, tangent: Float[Tensor, "N N"], n_in: int
    ) -> None:
        self._name, self._activation = activation, ACTIVATIONS[activation]
        tiny = torch.tensor([-1e-300, 1e-300], dtype=torch.float64)
        slopes = self._activation.derivative(tiny)
        self._jump = float((slopes[1] - slopes[0]).abs())
        # Rounding of sums over the features taken as independent (Higham and Mary 2019), as in
        # `kernel_spectrum`.
        unit = (n_in**0.5 + _ROUNDINGS) * _EPS
        self._cov = unit * _scale(pairs)
        self._distance = 1e2 * unit * pairs.distance
        self._angle = self._angle_error(pairs)
        self._tangent = unit * torch.sqrt(tangent.diagonal()[:, None] * tangent.diagonal()[None, :])
        self._function = self._derivative = torch.zeros_like(tangent)

    def pass_activation(self, pairs: GaussianPairs, duals: Duals) -> None:
        """From errors of the covariance to errors of the dual activations."""
        scales = pairs.var_x[:, 0].sqrt()
        entry, second = self._activation, _second_derivative(self._activation)
        moments = {
            "p": line_moments(lambda z: z * entry.derivative(z), scales).square,
            "q": line_moments(second, scales).square,
            "r": line_moments(lambda z: z * second(z), scales).square,
        }
        relative = self._cov.diagonal() / pairs.var_x[:, 0]
        unit = dual_error(self._name, float(pairs.var_x.max()))
        own, slope = duals.function.diagonal(), duals.derivative.diagonal()
        size, slope_size = _outer(own), _outer(slope)

        def diagonal_terms(of: Tensor, against: Tensor, mixed: Tensor) -> Tensor:
            half = 0.5 * relative[:, None] * ((of[:, None] * against[None, :]).sqrt() + mixed)
            return half + half.T

        gradient = duals.derivative.abs()
        self._function = (
            unit * size
            + gradient * self._cov
            + diagonal_terms(moments["p"], own, pairs.cov.abs() * gradient)
        )
        peak = second(line_rule(float(scales.max()))[0]).abs().max() if self._jump else 0.0
        density = 1 / (2 * math.pi * pairs.var_x[:, 0]).sqrt()
        curvature = _outer(moments["q"]) + self._jump * peak * (density[:, None] + density[None, :])
        self._derivative = (
            unit * slope_size
            + curvature * self._cov
            + diagonal_terms(moments["r"], slope, pairs.cov.abs() * curvature)
            + self._jump**2 / (2 * math.pi) * self._angle
        )
        if entry.closed_dual is not None and self._jump:
            scale = _scale(pairs)
            share = self._jump**2 / math.pi
            bend = (
                (pairs.angle * pairs.angle.sin() * self._angle + pairs.angle**3 * relative.max())
                * scale
                * share
            )
            self._distance = (
                2 * slope.max() * self._distance + bend + _ROUNDINGS * _EPS * duals.distance
            )
        else:
            spread = self._function.diagonal()
            apart = spread[:, None] + spread[None, :] + 2 * self._function
            self._distance = torch.where(pairs.distance > 0, apart, torch.zeros_like(apart))

    def pass_layer(
        self,
        gain: float,
        own_gain: float,
        duals: Duals,
        tangent: Tensor,
        next_tangent: Tensor,
        pairs: GaussianPairs,
    ) -> None:
        """From errors of the dual activations to errors of the next layer's covariance (of `pairs`)
        and tangent kernel."""
        self._tangent = self._tangent_error(gain, own_gain, duals, tangent, next_tangent)
        self._cov = gain * self._function + _ROUNDINGS * _EPS * _scale(pairs)
        self._distance = gain * self._distance
        self._angle = self._angle_error(pairs)

    def kernel_norm(
        self, gain: float, own_gain: float, duals: Duals, tangent: Tensor, kernel: Tensor
    ) -> float:
        """A bound of ‖δΘ̄‖₂: the largest row sum of the entry-wise bounds."""
        return float(self._tangent_error(gain, own_gain, duals, tangent, kernel).sum(1).max())

    def _tangent_error(
        self, gain: float, own_gain: float, duals: Duals, tangent: Tensor, result: Tensor
    ) -> Tensor:
        products = duals.derivative.abs() * self._tangent + tangent.abs() * self._derivative
        return own_gain * self._function + gain * products + _ROUNDINGS * _EPS * result.abs()

    def _angle_error(self, pairs: GaussianPairs) -> Tensor:
        """Bound of δθ, from det = spread + (bias) distance; zero for identical pairs, where the
        angle is exactly zero."""
        relative = self._cov.diagonal() / pairs.var_x[:, 0]
        mean = (pairs.var_x + pairs.var_y) / 2
        tilt = (
            (pairs.var_x - pairs.var_y).abs() / 2 * (relative[:, None] + relative[None, :]) * mean
        )
        det = (
            2 * mean * self._distance
            + tilt
            + 2 * pairs.distance * self._cov
            + _ROUNDINGS * _EPS * mean * pairs.distance
        )
        root = torch.minimum(det / pairs.det.sqrt().clamp(min=1e-300), det.sqrt())
        error = (root * pairs.cov.abs() + pairs.det.sqrt() * self._cov) / (
            pairs.var_x * pairs.var_y
        )
        return torch.where(pairs.distance > 0, error, torch.zeros_like(error))


def _second_derivative(activation: Activation) -> Function:
    def second(z: Tensor) -> Tensor:
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            slopes = activation.derivative(z)
            if not slopes.requires_grad:
                return torch.zeros_like(z)
            return torch.autograd.grad(slopes.sum(), z)[0]

    return second


def _scale(pairs: GaussianPairs) -> Tensor:
    return (pairs.var_x * pairs.var_y).sqrt()


def _outer(values: Tensor) -> Tensor:
    return (values[:, None] * values[None, :]).sqrt()
