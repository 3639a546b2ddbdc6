"""Bounds of the limit kernel's error: how errors of the dual activations pass through the layers.

The bounds are entry-wise and of first order. `docs/theory/limit.md` derives them, in the section
"Error bounds". By Price's theorem the sensitivities of a dual activation are Gaussian
expectations. Cauchy and Schwarz bound these by one-dimensional integrals.

Dimension letter in the annotations: N inputs.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.limit.dual_activations import Duals, dual_error, is_homogeneous
from ntk_sweep.limit.gram_factors import GramFactors
from ntk_sweep.network.activations.activation import Activation
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.numerics.gaussian_pairs import GaussianPairs
from ntk_sweep.numerics.gaussian_quadrature import Function, line_rule, mean_squares

_EPS = torch.finfo(torch.float64).eps

_TINY = 1e-290
"""Added to the bound of each entry: what underflow costs."""

_ROUNDINGS = 8
"""Rounding errors granted to each entry-wise formula: none has more operations in sequence."""


class ErrorPropagation:
    """Bounds of the errors of covariance, dual activations and tangent kernel, layer by layer.

    The angle θ between two inputs is followed separately from the covariance. Where σ' jumps
    (ReLU), the dual of σ' has the slope 1/sin θ in the covariance. For nearly identical inputs
    this magnifies rounding without limit. But the squared distance is carried with a small
    *relative* error, and so is θ. Where σ' does not jump, no bound depends on the angle.

    Args:
        activation: A name in `ACTIVATIONS`.
        pairs: K^1, the covariances of the first pre-activations.
        tangent: T^1.
        n_in: The features of an input, over which Gram matrix and distances are summed.
        area: √(‖x_i‖² ‖x_j‖² - ⟨x_i, x_j⟩²).
        area_error: A bound of its error.
        factors: Those of layer 1.
    """

    def __init__(
        self,
        activation: str,
        pairs: GaussianPairs,
        tangent: Float[Tensor, "N N"],
        n_in: int,
        area: Float[Tensor, "N N"],
        area_error: Float[Tensor, "N N"],
        factors: GramFactors,
    ) -> None:
        self._name, self._activation = activation, ACTIVATIONS[activation]
        tiny = torch.tensor([-1e-300, 1e-300], dtype=torch.float64)
        slopes = self._activation.derivative(tiny)
        self._jump = float((slopes[1] - slopes[0]).abs())
        # what jumps has a closed form in the angle
        assert not self._jump or is_homogeneous(self._activation)
        # Rounding of sums over the features taken as independent (Higham and Mary 2019), as in the
        # spectrum of the empirical kernel.
        unit = (n_in**0.5 + _ROUNDINGS) * _EPS
        self._cov = unit * pairs.scale
        if self._jump:
            self._distance = 1e2 * unit * pairs.distance / factors.covariance
            self._area = area_error
            self._own_area: Tensor | None = area
            self._angle = self._angle_error(pairs, factors)
            self._distance = factors.covariance * self._distance
        self._tangent = unit * torch.sqrt(tangent.diagonal()[:, None] * tangent.diagonal()[None, :])
        self._function = self._derivative = torch.zeros_like(tangent)

    def pass_activation(self, pairs: GaussianPairs, duals: Duals) -> None:
        """From errors of the covariance to errors of the dual activations."""
        unit = dual_error(self._name, float(pairs.var_x.max()))
        self._function = self._function_error(pairs, duals, unit)
        self._derivative = self._derivative_error(pairs, duals, unit)
        if self._jump:
            self._distance = self._distance_error(pairs, duals)
            self._area, self._own_area = self._area_error(pairs, duals), duals.area

    def pass_layer(
        self,
        factors: GramFactors,
        duals: Duals,
        tangent: Float[Tensor, "N N"],
        next_tangent: Float[Tensor, "N N"],
        pairs: GaussianPairs,
    ) -> None:
        """From errors of the dual activations to errors of the next layer.

        Args:
            factors: Those of layer l.
            duals: The dual activations of layer l - 1.
            tangent: T^{l-1}.
            next_tangent: T^l.
            pairs: K^l.
        """
        self._tangent = self._tangent_error(factors, duals, tangent, next_tangent)
        self._cov = factors.covariance * self._function + _ROUNDINGS * _EPS * pairs.scale
        if self._jump:
            self._angle = self._angle_error(pairs, factors)
            self._distance = factors.covariance * self._distance

    def of_tangent(
        self,
        factors: GramFactors,
        duals: Duals,
        tangent: Float[Tensor, "N N"],
        kernel: Float[Tensor, "N N"],
    ) -> Float[Tensor, "N N"]:
        """Bounds of the errors of Θ̄'s entries, from the arguments of `pass_layer`."""
        return self._tangent_error(factors, duals, tangent, kernel) + _TINY

    def of_covariance(
        self, factors: GramFactors, covariance: Float[Tensor, "N N"]
    ) -> Float[Tensor, "N N"]:
        """Bounds of the errors of the entries of K^l, the covariance of the outputs.

        Args:
            factors: Those of layer l.
            covariance: K^l.
        """
        rounding = _ROUNDINGS * _EPS * _outer(covariance.diagonal())
        return factors.covariance * self._function + rounding + _TINY

    def _function_error(
        self, pairs: GaussianPairs, duals: Duals, unit: float
    ) -> Float[Tensor, "N N"]:
        """Of E[σ(u)σ(v)], whose derivative in the covariance is E[σ'(u)σ'(v)]."""
        _, moments = mean_squares(self._activation.derivative, pairs.var_x[:, 0].sqrt())
        size, gradient = duals.function.diagonal(), duals.derivative.abs()
        return (
            unit * _outer(size)
            + gradient * self._cov
            + self._variance_terms(pairs, moments, size, gradient)
        )

    def _derivative_error(
        self, pairs: GaussianPairs, duals: Duals, unit: float
    ) -> Float[Tensor, "N N"]:
        """Of E[σ'(u)σ'(v)], whose derivative in the covariance is E[σ''(u)σ''(v)].

        A jump of σ' adds a term in its density, and one in the angle where u and v cross it.
        """
        size = duals.derivative.diagonal()
        error = unit * _outer(size)
        if self._jump:
            error += self._jump**2 / (2 * math.pi) * self._angle
        if _is_straight(self._activation):
            return error
        scales, second = pairs.var_x[:, 0].sqrt(), _second_derivative(self._activation)
        bends, moments = mean_squares(second, scales)
        peak = second(line_rule(float(scales.max()))[0]).abs().max() if self._jump else 0.0
        variance = pairs.var_x[:, 0]
        density = torch.where(
            variance > 0, 1 / (2 * math.pi * variance).sqrt(), torch.zeros_like(variance)
        )
        curvature = _outer(bends) + self._jump * peak * (density[:, None] + density[None, :])
        error += curvature * self._cov
        return error.add_(self._variance_terms(pairs, moments, size, curvature))

    def _distance_error(self, pairs: GaussianPairs, duals: Duals) -> Float[Tensor, "N N"]:
        """Of E[(σ(u) - σ(v))²], relative to it but for what a kink adds."""
        relative, slope = self._variance_error(pairs), duals.derivative.diagonal()
        share = self._jump**2 / math.pi
        bend = (
            (pairs.angle * pairs.angle.sin() * self._angle + pairs.angle**3 * relative.max())
            * pairs.scale
            * share
        )
        return 2 * slope.max() * self._distance + bend + _ROUNDINGS * _EPS * duals.distance

    def _variance_error(self, pairs: GaussianPairs) -> Float[Tensor, " N"]:
        """The relative errors of the variances; none of a variance that is zero."""
        variance, error = pairs.var_x[:, 0], self._cov.diagonal()
        return torch.where(variance > 0, error / variance, torch.zeros_like(error))

    def _variance_terms(
        self,
        pairs: GaussianPairs,
        moments: Float[Tensor, " N"],
        size: Float[Tensor, " N"],
        gradient: Float[Tensor, "N N"],
    ) -> Float[Tensor, "N N"]:
        """What errors of the two variances add to that of E[f(u)f(v)].

        Args:
            pairs: The covariances.
            moments: E[(u f'(u))²].
            size: E[f(u)²].
            gradient: A bound of |∂E[f(u)f(v)]/∂E[uv]|.
        """
        relative, mixed = self._variance_error(pairs), pairs.cov.abs() * gradient
        products = torch.addr(mixed, moments.sqrt(), size.sqrt())
        half = products.mul_(0.5 * relative[:, None])
        return half + half.T

    def _tangent_error(
        self,
        factors: GramFactors,
        duals: Duals,
        tangent: Float[Tensor, "N N"],
        result: Float[Tensor, "N N"],
    ) -> Float[Tensor, "N N"]:
        products = duals.derivative.abs() * self._tangent + tangent.abs() * self._derivative
        return (
            factors.tangent * self._function
            + factors.covariance * products
            + _ROUNDINGS * _EPS * result.abs()
        )

    def _area_error(self, pairs: GaussianPairs, duals: Duals) -> Float[Tensor, "N N"]:
        """Of √(S_ii S_jj - S_ij²), relative to it.

        An error of θ moves the angle of σ(u) and σ(v) by no more than itself, whereas the lengths
        count relatively.
        """
        assert duals.area is not None
        relative = self._variance_error(pairs) / 2
        lengths = relative[:, None] + relative[None, :] + _ROUNDINGS * _EPS
        return _outer(duals.function.diagonal()) * self._angle + lengths * duals.area

    def _angle_error(self, pairs: GaussianPairs, factors: GramFactors) -> Float[Tensor, "N N"]:
        """Of θ, from the area; zero for identical pairs, whose θ is exact.

        With A the area of the layer's inputs that of the pre-activations is a = √((c A)² + c b Δ),
        c the gain and b the variance of the bias.
        """
        gain, bias, own = factors.covariance, factors.bias, self._own_area
        assert own is not None
        least = pairs.area.clamp(min=1e-300)
        area = (
            gain * self._area * (gain * (2 * own + self._area) / least).clamp(max=1)
            + _root_error(gain * bias * self._distance, least)
            + _ROUNDINGS * _EPS * pairs.area
        )
        scale = pairs.scale.clamp(min=1e-300)
        error = area / scale * pairs.correlation.abs() + pairs.area / scale * (self._cov / scale)
        known = (pairs.distance == 0) | (pairs.scale == 0)  # no angle is defined at zero variance
        return error.where(~known, torch.zeros_like(error))


def _root_error(error: Float[Tensor, "N N"], root: Float[Tensor, "N N"]) -> Float[Tensor, "N N"]:
    """A bound of |√(a² + e) - a| for |e| up to `error`, a > 0 being `root`."""
    return torch.minimum(error / root, error.sqrt())


def _is_straight(activation: Activation) -> bool:
    """Whether σ'' is zero away from jumps of σ'."""
    return isinstance(activation.curvature, float) and activation.curvature == 0


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


def _outer(values: Float[Tensor, " N"]) -> Float[Tensor, "N N"]:
    """The geometric means √(v_i v_j)."""
    roots = values.sqrt()
    return roots[:, None] * roots[None, :]
