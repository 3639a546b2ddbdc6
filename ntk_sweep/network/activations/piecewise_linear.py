"""Piecewise linear activations: ReLU and LeakyReLU."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from ntk_sweep.network.activations.activation import (
    Activation,
    ClosedDual,
    Differences,
    DoubleDoublePair,
    Module,
    negative_difference,
    positive_difference,
)

if TYPE_CHECKING:
    from torch import Tensor

    from ntk_sweep.numerics.double_double import (
        DoubleDouble,
    )
    from ntk_sweep.numerics.gaussian_pairs import GaussianPairs


LRELU_SLOPE = 0.01
"""Slope of LeakyReLU for negative arguments (the usual default, as in the thesis)."""


def _relu_derivative(z: Tensor) -> Tensor:
    return z.sign().clamp(min=0)


def _relu_together(z: Tensor, value: Tensor, slope: Tensor) -> None:
    import torch

    torch.clamp(z, min=0, out=value)
    torch.sign(value, out=slope)


def _relu_differences(z: Tensor, d: Tensor) -> Differences:
    return positive_difference(z, d), _relu_derivative(z + d) - _relu_derivative(z)


def _lrelu(z: Tensor) -> Tensor:
    return z.maximum(LRELU_SLOPE * z)


def _lrelu_derivative(z: Tensor) -> Tensor:
    return (z.sign() + 1).clamp(min=LRELU_SLOPE, max=1)


def _lrelu_together(z: Tensor, value: Tensor, slope: Tensor) -> None:
    import torch

    torch.sign(z, out=slope).add_(1).clamp_(min=LRELU_SLOPE, max=1)
    torch.mul(z, slope, out=value)


def _lrelu_differences(z: Tensor, d: Tensor) -> Differences:
    function = positive_difference(z, d) + LRELU_SLOPE * negative_difference(z, d)
    return function, _lrelu_derivative(z + d) - _lrelu_derivative(z)


def _relu_double_double(z: DoubleDouble) -> DoubleDoublePair:
    from ntk_sweep.numerics.double_double import (
        from_float64,
    )
    from ntk_sweep.numerics.double_double_functions import scaled

    slope = _relu_derivative(z.hi)
    return scaled(z, slope), from_float64(slope)


def _lrelu_double_double(z: DoubleDouble) -> DoubleDoublePair:
    from ntk_sweep.numerics.double_double import (
        from_float64,
        multiply,
    )

    slope = from_float64(_lrelu_derivative(z.hi))
    return multiply(z, slope), slope


def _piecewise_linear_dual(slope: float) -> Callable[[GaussianPairs], ClosedDual]:
    """The dual activations of σ(z) = z for z > 0 and slope·z otherwise.

    Cho and Saul 2009, orders 0 and 1.
    With θ the angle between u and v, φ = π - θ, and j(t) = sin t - t cos t,

        E[σσ]      = slope·k_xy + (1 - slope)² √(k_xx k_yy) j(φ) / 2π
        E[σ'σ']    = slope + (1 - slope)² φ / 2π
        E[(σ-σ)²]  = (1 + slope²)/2 · E[(u-v)²] - (1 - slope)² √(k_xx k_yy) j(θ) / π.
    """
    weight = (1 - slope) ** 2

    def dual(pairs: GaussianPairs) -> ClosedDual:
        scale = pairs.scale
        function = slope * pairs.cov + scale * _sin_minus_cos(pairs.coangle) * (
            weight / (2 * math.pi)
        )
        derivative = slope + pairs.coangle * (weight / (2 * math.pi))
        distance = 0.5 * (1 + slope**2) * pairs.distance - scale * _sin_minus_cos(pairs.angle) * (
            weight / math.pi
        )
        return function, derivative, distance

    return dual


def _sin_minus_cos(t: Tensor) -> Tensor:
    """The function sin t - t cos t for 0 ≤ t ≤ π, to relative accuracy.

    Below 1 the two terms cancel (the value is about t³/3), so there it is Σ_k (-1)^{k+1} 2k
    t^{2k+1} / (2k+1)!, k = 1..9, whose first omitted term is below 1e-18 of the sum.
    """
    least, largest = t.aminmax() if t.numel() else (1.0, 1.0)
    if least > 1:
        return t.sin() - t * t.cos()
    small = t.clamp(max=1)
    square = small * small
    series = square * 0
    for k in range(9, 0, -1):
        series.mul_(square).add_((-1) ** (k + 1) * 2 * k / math.factorial(2 * k + 1))
    series.mul_(square).mul_(small)
    return series if largest <= 1 else (t.sin() - t * t.cos()).where(t > 1, series)


RELU = Activation(
    title="ReLU",
    module=Module("ReLU"),
    function=lambda z: z.relu(),
    derivative=_relu_derivative,
    curvature=0.0,
    jump=1.0,
    differences=_relu_differences,
    closed_dual=_piecewise_linear_dual(0.0),
    double_double=_relu_double_double,
    together=_relu_together,
)
"""σ(z) = max(z, 0); σ'(z) = 1 for z > 0, 0 otherwise, σ'(0) = 0 among them."""

LRELU = Activation(
    title="LeakyReLU",
    module=Module("LeakyReLU", "negative_slope", LRELU_SLOPE),
    function=_lrelu,
    derivative=_lrelu_derivative,
    curvature=0.0,
    jump=1 - LRELU_SLOPE,
    differences=_lrelu_differences,
    closed_dual=_piecewise_linear_dual(LRELU_SLOPE),
    together=_lrelu_together,
    double_double=_lrelu_double_double,
)
"""σ(z) = z for z > 0, 0.01 z otherwise; σ'(z) = 1 for z ≥ 0, 0.01 otherwise."""
