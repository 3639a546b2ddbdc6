"""The critical line χ_1 = 1 in the plane of weight and bias variances.

On it E[σ'(√q z)²] fixes σ_w², and the fixed point q = σ_w² E[σ(√q z)²] + σ_b² then fixes σ_b²: the
line has q for its parameter (docs/theory/criticality.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import brentq
from torch import Tensor

from ntk_sweep.limit.fixed_points import ROUNDING, VarianceMap
from ntk_sweep.limit.scales import check_number
from ntk_sweep.limit.variance_moments import variance_moments
from ntk_sweep.network.architecture import check_activation, check_scales

_LEAST, _GREATEST, _PER_DECADE = 1e-12, 1e12, 32
"""Variances among which a critical point of given σ_b is sought, and grid points."""

_ABOVE = 1e-4
"""How far above a fixed point of slope 1 the sign of V(q) - q is taken."""


@dataclass(frozen=True)
class CriticalPoint:
    """A point of the critical line.

    Attributes:
        activation: The activation.
        weight_std: σ_w.
        bias_std: σ_b.
        variance: q, a fixed point of the variance map. None if every variance is one.
        variance_slope: V'(q), V the variance map.
        stable: Whether variances a little above q converge to it, or stay. Not on the part of the
            line of GELU and SiLU that has small σ_b: networks there are ordered or their variances
            grow, depending on the norm of the inputs.
    """

    activation: str
    weight_std: float
    bias_std: float
    variance: float | None
    variance_slope: float
    stable: bool


def critical_point_at_variance(activation: str, variance: float) -> CriticalPoint:
    """The point of the critical line whose fixed point is q.

        σ_w² = 1 / E[σ'(√q z)²],   σ_b² = q - σ_w² E[σ(√q z)²]

    The error of σ_b² is about 1e-15 q.

    Args:
        activation: A name in `ACTIVATIONS`.
        variance: q ≥ 0.

    Raises:
        ValueError: The name is unknown, q negative or not finite, or σ_b² would be negative: the
            sigmoid has no critical point with q < 45.6.

    Example:
        >>> point = critical_point_at_variance("tanh", 0.57)
        >>> round(point.weight_std**2, 3), round(point.bias_std**2, 3)
        (1.761, 0.05)
    """
    check_activation(activation)
    check_number("variance", variance, least=0.0)
    at = torch.tensor([variance], dtype=torch.float64)
    weight, bias, slope = (float(value) for value in _line(activation, at))
    if bias < -ROUNDING * max(variance, weight):
        raise ValueError(
            f"{activation} has no critical point with q = {variance}: χ_1 = 1 needs σ_w² = "
            f"{weight:.6g}, whose weights alone give a greater variance (σ_b² = {bias:.6g}); choose"
            " a greater q"
        )
    return _checked_point(activation, weight, max(bias, 0.0), variance, slope)


def critical_point(activation: str, bias_std: float | None = 0.0) -> CriticalPoint:
    """The point of the critical line at σ_b: the σ_w that is the edge between order and chaos.

    Args:
        activation: A name in `ACTIVATIONS`.
        bias_std: σ_b ≥ 0. None (no biases) counts as 0.

    Raises:
        ValueError: The name is unknown, σ_b out of range, or the activation has no critical point
            at that σ_b: ReLU and LeakyReLU have one at σ_b = 0 only.

    Example:
        >>> [round(critical_point(name).weight_std ** 2, 6) for name in ("relu", "tanh", "erf")]
        [2.0, 1.0, 0.785398]
    """
    check_activation(activation)
    check_scales(1.0, bias_std)
    bias_std = bias_std or 0.0
    grid = torch.logspace(
        math.log10(_LEAST),
        math.log10(_GREATEST),
        _PER_DECADE * round(math.log10(_GREATEST / _LEAST)) + 1,
        dtype=torch.float64,
    )
    weights, biases, slopes = _line(activation, grid)
    if bool((biases.abs() <= ROUNDING * grid).all()):
        return _of_a_scale_free(activation, float(weights[0]), bias_std, float(slopes[0]))
    origin = torch.zeros(1, dtype=torch.float64)
    if bias_std == 0 and float(variance_moments(activation, origin).square) == 0:
        return critical_point_at_variance(activation, 0.0)
    below = np.flatnonzero((biases <= bias_std**2).numpy())
    if len(below) in (0, len(grid)):
        raise ValueError(
            f"bias_std is {bias_std}, but critical points of {activation} are sought for q from "
            f"{_LEAST} to {_GREATEST}: choose another one, or use critical_point_at_variance"
        )
    bracket = grid[below[-1]], grid[below[-1] + 1]
    log_variance = brentq(
        lambda t: _bias(activation, math.exp(t)) - bias_std**2,
        *(math.log(float(end)) for end in bracket),
        xtol=1e-16,
        rtol=4 * float(np.finfo(float).eps),
    )
    variance = math.exp(log_variance)
    weight, _, slope = _line(activation, torch.tensor([variance], dtype=torch.float64))
    return _checked_point(activation, float(weight), bias_std**2, variance, float(slope))


def _line(
    activation: str, variances: Float[Tensor, " N"]
) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"], Float[Tensor, " N"]]:
    """σ_w², σ_b² and V'(q)."""
    moments = variance_moments(activation, variances)
    weights = 1 / moments.slope
    return weights, variances - weights * moments.square, weights * moments.growth


def _bias(activation: str, variance: float) -> float:
    return float(_line(activation, torch.tensor([variance], dtype=torch.float64))[1])


def _of_a_scale_free(
    activation: str, weight: float, bias_std: float, slope: float
) -> CriticalPoint:
    if bias_std > 0:
        raise ValueError(
            f"bias_std is {bias_std}, but {activation} is critical with bias_std = 0 only, at "
            f"weight_std² = {weight:.6g}: with biases its variances grow without bound there"
        )
    return CriticalPoint(activation, math.sqrt(weight), 0.0, None, slope, stable=True)


def _checked_point(
    activation: str, weight: float, bias: float, variance: float, slope: float
) -> CriticalPoint:
    """The point, and whether it is stable: by the slope, or, if that is 1, by V(q) - q above q."""
    stable = slope < 1
    if abs(slope - 1) <= ROUNDING:
        stable = VarianceMap(activation, weight, bias).excess(variance + _ABOVE) <= ROUNDING
    return CriticalPoint(activation, math.sqrt(weight), math.sqrt(bias), variance, slope, stable)
