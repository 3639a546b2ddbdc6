"""Dual activations: E[σ(u)σ(v)] and E[σ'(u)σ'(v)] of centred Gaussian pairs, in closed form or by
quadrature."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.network.activations.registry import ACTIVATIONS, Activation
from ntk_sweep.numerics.gaussian_interpolation import gram_expectations
from ntk_sweep.numerics.gaussian_pairs import GaussianPairs
from ntk_sweep.numerics.gaussian_quadrature import line_moments, pair_expectations

_CLOSED_ERROR = 4e-15
_QUADRATURE_ERROR = 2e-14
_WIDE_QUADRATURE_ERROR = 2e-13
_WIDE = 100.0
"""Errors of dual activations relative to √(E[σ(u)²] E[σ(v)²]): of closed forms, and of quadrature
up to variance 100 and beyond.

Measured, not proven: the largest found against mpmath and against closed forms, with a factor of 2
to 10 to spare (`docs/theory/limit.md` lists what was found)."""


@dataclass(frozen=True)
class Duals:
    """Dual activations, elementwise.

    Attributes:
        function: E[σ(u)σ(v)].
        derivative: E[σ'(u)σ'(v)].
        distance: E[(σ(u) - σ(v))²].
    """

    function: Float[Tensor, "*pairs"]
    derivative: Float[Tensor, "*pairs"]
    distance: Float[Tensor, "*pairs"]


def dual_activations(
    activation: str,
    var_x: Float[Tensor, "*#pairs"],
    var_y: Float[Tensor, "*#pairs"],
    cov: Float[Tensor, "*#pairs"],
) -> Duals:
    """The dual activations of pairs with the given covariances, taken as exact, each pair by
    itself.

    The error is below 1e-11 of the value for correlations ρ ≥ 0, and below `dual_error` of
    √(E[σ(u)²] E[σ(v)²]) for any, where the value itself may pass through zero. At zero variance u =
    0, and σ'(0) is the activation's own choice.

    Args:
        activation: A name in `ACTIVATIONS`.
        var_x: E[u²] ≥ 0, float64.
        var_y: E[v²] ≥ 0, float64.
        cov: E[uv], float64; beyond ±√(var_x var_y) it counts as that.

    Raises:
        ValueError: The name is unknown, a variance negative, a value not finite, or a dtype not
            float64.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"unknown activation {activation!r}: choose one of {', '.join(ACTIVATIONS)}"
        )
    entry = ACTIVATIONS[activation]
    for name, value in (("var_x", var_x), ("var_y", var_y), ("cov", cov)):
        if value.dtype != torch.float64:
            raise ValueError(
                f"{name} is {value.dtype}, but dual activations are computed in float64: convert it"
            )
        if not torch.isfinite(value).all() or (name != "cov" and (value < 0).any()):
            raise ValueError(
                f"{name} must be finite" + ("" if name == "cov" else " and not negative")
            )
    pairs = GaussianPairs.from_covariances(var_x, var_y, cov)
    a, b = pairs.var_x.reshape(-1).sqrt(), pairs.var_y.reshape(-1).sqrt()
    functions = (entry.function, entry.derivative)
    if a.numel() == 0:
        return Duals(
            torch.zeros_like(pairs.cov), torch.zeros_like(pairs.cov), torch.zeros_like(pairs.cov)
        )
    if entry.closed_dual is not None:
        closed = [value.reshape(-1) for value in entry.closed_dual(pairs)]
        function, derivative, distance = (
            _with_zero_variance(entry, k, value, a, b) for k, value in enumerate(closed)
        )
    else:
        angles = (pairs.angle.reshape(-1), pairs.coangle.reshape(-1), pairs.correlation.reshape(-1))
        function, derivative = pair_expectations(functions, a, b, *angles)
        squares = line_moments(entry.function, a).square + line_moments(entry.function, b).square
        distance = (squares - 2 * function).clamp(min=0)
    shape = pairs.cov.shape
    return Duals(function.reshape(shape), derivative.reshape(shape), distance.reshape(shape))


def dual_error(activation: str, largest_variance: float) -> float:
    """The error granted to a dual activation, relative to √(E[σ(u)²] E[σ(v)²])."""
    if ACTIVATIONS[activation].closed_dual is not None:
        return _CLOSED_ERROR
    return _QUADRATURE_ERROR if largest_variance <= _WIDE else _WIDE_QUADRATURE_ERROR


def gram_duals(activation: str, pairs: GaussianPairs) -> Duals:
    """The dual activations of all pairs of N Gaussians of positive variance, symmetric (N, N).

    Errors are below `dual_error` of √(E[σ(u)²] E[σ(v)²]). Identical pairs (distance exactly 0) give
    identical rows.
    """
    entry = ACTIVATIONS[activation]
    if entry.closed_dual is not None:
        function, derivative, distance = entry.closed_dual(pairs)
    else:
        scales = pairs.var_x[:, 0].sqrt()
        functions = (entry.function, entry.derivative)
        moments = [line_moments(f, scales) for f in functions]
        function, derivative = gram_expectations(functions, moments, pairs)
        distance = moments[0].square[:, None] + moments[0].square[None, :] - 2 * function
        derivative = torch.where(pairs.distance > 0, derivative, moments[1].square[:, None])
    distance = torch.where(pairs.distance > 0, distance.clamp(min=0), torch.zeros_like(distance))
    return Duals(function, derivative, distance)


def _with_zero_variance(
    entry: Activation, order: int, value: Tensor, a: Tensor, b: Tensor
) -> Tensor:
    """Replaces the values where u or v is the constant 0; there E[f(u)f(v)] = E[f(u)] E[f(v)] and
    no angle is defined."""
    constant = (a == 0) | (b == 0)
    if not constant.any():
        return value
    u, v = (
        line_moments(entry.derivative if order == 1 else entry.function, scale[constant])
        for scale in (a, b)
    )
    product = u.hermite[:, 0] * v.hermite[:, 0]
    value = value.clone()
    value[constant] = u.square + v.square - 2 * product if order == 2 else product
    return value
