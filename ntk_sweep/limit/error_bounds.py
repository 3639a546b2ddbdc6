"""Bounds of the limit kernel's error: how errors of the dual activations pass through the layers.

The bounds are entry-wise and of first order. `docs/theory/limit.md` derives them, in the section
"Error bounds". By Price's theorem the sensitivities of a dual activation are Gaussian
expectations. Cauchy and Schwarz bound these by one-dimensional integrals.

Dimension letters in the annotations: N inputs; R of them in rows and C in columns.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.limit.dual_activations import Duals, OwnDuals, dual_error, is_homogeneous
from ntk_sweep.limit.gram_factors import GramFactors
from ntk_sweep.network.activations.activation import Activation
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.numerics.gaussian_pairs import GaussianPairs
from ntk_sweep.numerics.gaussian_quadrature import Function, mean_squares

_EPS = torch.finfo(torch.float64).eps

_TINY = 1e-290
"""Added to the bound of each entry: what underflow costs."""

_ROUNDINGS = 8
"""Rounding errors granted to each entry-wise formula: none has more operations in sequence."""


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
        if _is_straight(entry):
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


def next_variance_error(
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
    return gain * function + _ROUNDINGS * _EPS * result


class ErrorPropagation:
    """Bounds of the errors of covariance, dual activations and tangent kernel, layer by layer.

    The angle θ between two inputs is followed separately from the covariance. Where σ' jumps
    (ReLU), the dual of σ' has the slope 1/sin θ in the covariance. For nearly identical inputs
    this magnifies rounding without limit. But the squared distance is carried with a small
    *relative* error, and so is θ. Where σ' does not jump, no bound depends on the angle.

    Args:
        activation: A name in `ACTIVATIONS`.
        pairs: K^1, the covariances of the first pre-activations.
        tangent: T^1 of each input with itself, of rows and of columns.
        n_in: The features of an input, over which Gram matrix and distances are summed.
        area: √(‖x_i‖² ‖x_j‖² - ⟨x_i, x_j⟩²).
        area_error: A bound of its error.
        factors: Those of layer 1.
    """

    def __init__(
        self,
        activation: str,
        pairs: GaussianPairs,
        tangent: tuple[Float[Tensor, " R"], Float[Tensor, " C"]],
        n_in: int,
        area: Float[Tensor, "R C"],
        area_error: Float[Tensor, "R C"],
        factors: GramFactors,
    ) -> None:
        self._name, self._activation = activation, ACTIVATIONS[activation]
        tiny = torch.tensor([-1e-300, 1e-300], dtype=torch.float64)
        slopes = self._activation.derivative(tiny)
        self._jump = float((slopes[1] - slopes[0]).abs())
        # what jumps has a closed form in the angle
        assert not self._jump or is_homogeneous(self._activation)
        unit = first_error(n_in)
        self._cov = unit * pairs.scale
        if self._jump:
            self._distance = 1e2 * unit * pairs.distance / factors.covariance
            self._area = area_error
            self._own_area: Tensor | None = area
            self._angle = self._angle_error(pairs, factors)
            self._distance = factors.covariance * self._distance
        self._tangent = _means(unit * tangent[0].sqrt(), tangent[1].sqrt())
        self._function = self._derivative = torch.zeros_like(pairs.cov)

    def pass_activation(self, pairs: GaussianPairs, duals: Duals, rows: Own, columns: Own) -> None:
        """From errors of the covariance to errors of the dual activations.

        Args:
            pairs: K^l.
            duals: Its dual activations.
            rows: The inputs of the rows.
            columns: Those of the columns.
        """
        self._passed = pairs, rows, columns
        largest = max(float(of.max()) for of in (rows.variance, columns.variance))
        unit = dual_error(self._name, largest)
        both = (rows, columns)
        # errors of the variances move the covariance, too, at a constant correlation
        moved = rows.errors.half[:, None] + columns.errors.half[None, :]
        moved = moved.mul_(pairs.cov.abs()).add_(self._cov)
        sizes = [own.duals.function.sqrt() for own in both]
        slopes = [own.errors.half * own.errors.slopes for own in both]
        error = moved * duals.derivative.abs()
        error.addr_(unit * sizes[0] + slopes[0], sizes[1]).addr_(sizes[0], slopes[1])
        self._function = error
        sizes = [own.duals.derivative.sqrt() for own in both]
        if self._jump:
            error = torch.addr(
                self._angle, unit * sizes[0], sizes[1], beta=self._jump**2 / (2 * math.pi)
            )
        else:
            bent = [own.errors.half * own.errors.bent for own in both]
            error = moved.mul_(_means(rows.errors.bends, columns.errors.bends))
            error.addr_(unit * sizes[0] + bent[0], sizes[1]).addr_(sizes[0], bent[1])
        self._derivative = error

    def pass_distance(self, duals: Duals) -> None:
        """From errors of distance and area to those of the dual activations that were passed."""
        pairs, rows, columns = self._passed
        self._distance = self._distance_error(pairs, duals, rows, columns)
        self._area, self._own_area = self._area_error(duals, rows, columns), duals.area

    def pass_layer(
        self,
        factors: GramFactors,
        duals: Duals,
        tangent: Float[Tensor, "R C"],
        next_tangent: Float[Tensor, "R C"],
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
        if self._jump:
            self.pass_distance(duals)
        self._cov = factors.covariance * self._function + _ROUNDINGS * _EPS * pairs.scale
        if self._jump:
            self._angle = self._angle_error(pairs, factors)
            self._distance = factors.covariance * self._distance

    def of_tangent(
        self,
        factors: GramFactors,
        duals: Duals,
        tangent: Float[Tensor, "R C"],
        kernel: Float[Tensor, "R C"],
    ) -> Float[Tensor, "R C"]:
        """Bounds of the errors of Θ̄'s entries, from the arguments of `pass_layer`."""
        return self._tangent_error(factors, duals, tangent, kernel) + _TINY

    def of_covariance(
        self, factors: GramFactors, rows: Float[Tensor, " R"], columns: Float[Tensor, " C"]
    ) -> Float[Tensor, "R C"]:
        """Bounds of the errors of the entries of K^l, the covariance of the outputs.

        Args:
            factors: Those of layer l.
            rows: K^l of each input of the rows with itself.
            columns: The same of the columns.
        """
        rounding = _means(_ROUNDINGS * _EPS * rows.sqrt(), columns.sqrt())
        return rounding.add_(self._function, alpha=factors.covariance).add_(_TINY)

    def _distance_error(
        self, pairs: GaussianPairs, duals: Duals, rows: Own, columns: Own
    ) -> Float[Tensor, "R C"]:
        """Of E[(σ(u) - σ(v))²], relative to it but for what a kink adds."""
        half, slope = (
            max(float(of.max()) for of in parts)
            for parts in (
                (rows.errors.half, columns.errors.half),
                (rows.duals.derivative, columns.duals.derivative),
            )
        )
        share = self._jump**2 / math.pi
        angle = pairs.angle
        # θ sin θ δθ + 2 h θ³
        bend = angle.sin().mul_(self._angle).addcmul_(angle, angle, value=2 * half).mul_(angle)
        bend.mul_(pairs.scale).mul_(share).add_(self._distance, alpha=2 * slope)
        return bend.add_(duals.distance, alpha=_ROUNDINGS * _EPS)

    def _tangent_error(
        self,
        factors: GramFactors,
        duals: Duals,
        tangent: Float[Tensor, "R C"],
        result: Float[Tensor, "R C"],
    ) -> Float[Tensor, "R C"]:
        products = duals.derivative.abs().mul_(self._tangent)
        products.addcmul_(tangent.abs(), self._derivative).mul_(factors.covariance)
        products.add_(self._function, alpha=factors.tangent)
        return products.add_(result.abs(), alpha=_ROUNDINGS * _EPS)

    def _area_error(self, duals: Duals, rows: Own, columns: Own) -> Float[Tensor, "R C"]:
        """Of √(S_ii S_jj - S_ij²), relative to it.

        An error of θ moves the angle of σ(u) and σ(v) by no more than itself, whereas the lengths
        count relatively.
        """
        assert duals.area is not None
        lengths = rows.errors.half[:, None] + columns.errors.half + _ROUNDINGS * _EPS
        sizes = _means(rows.duals.function.sqrt(), columns.duals.function.sqrt())
        return sizes.mul_(self._angle).add_(lengths.mul_(duals.area))

    def _angle_error(self, pairs: GaussianPairs, factors: GramFactors) -> Float[Tensor, "R C"]:
        """Of θ, from the area; zero for identical pairs, whose θ is exact.

        With A the area of the layer's inputs that of the pre-activations is a = √((c A)² + c b Δ),
        c the gain and b the variance of the bias.
        """
        gain, bias, own = factors.covariance, factors.bias, self._own_area
        assert own is not None
        least = pairs.area.clamp(min=1e-300)
        error = torch.add(self._area, own, alpha=2).div_(least).mul_(gain).clamp_(max=1)
        error.mul_(self._area).mul_(gain)
        if bias:
            error.add_(_root_error(gain * bias * self._distance, least))
        error.add_(pairs.area, alpha=_ROUNDINGS * _EPS).mul_(pairs.correlation.abs())
        scale = pairs.scale.clamp(min=1e-300)
        error.addcmul_(self._cov / scale, pairs.area).div_(scale)
        # no angle is defined at zero variance
        return error.masked_fill_((pairs.distance == 0) | (pairs.scale == 0), 0.0)


def _root_error(error: Float[Tensor, "R C"], root: Float[Tensor, "R C"]) -> Float[Tensor, "R C"]:
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


def _means(rows: Float[Tensor, " R"], columns: Float[Tensor, " C"]) -> Float[Tensor, "R C"]:
    """The products of each two: geometric means of squares, from their roots."""
    return rows[:, None] * columns[None, :]
