"""Activations made of the normal distribution: erf and GELU."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from numpy.polynomial.legendre import leggauss

from ntk_sweep.network.activations.activation import (
    Activation,
    ClosedDual,
    Differences,
    DoubleDoublePair,
    Module,
    with_long_steps,
)

if TYPE_CHECKING:
    from torch import Tensor

    from ntk_sweep.numerics.double_double import (
        DoubleDouble,
    )
    from ntk_sweep.numerics.gaussian_pairs import GaussianPairs


_GAUSS = [((1 + node) / 2, weight / 2) for node, weight in zip(*leggauss(8), strict=True)]
"""Nodes and weights of the eight-point Gauss rule on (0, 1)."""


def _erf_derivative(z: Tensor) -> Tensor:
    return (2 / math.sqrt(math.pi)) * (-z * z).exp()


def _gaussian_difference(z: Tensor, d: Tensor, rate: float) -> Tensor:
    """exp(-rate (z + d)²) - exp(-rate z²), from the larger: nothing overflows or cancels."""
    exponent = rate * (2 * z + d) * d
    nearer = z.abs().minimum((z + d).abs())
    return (-rate * nearer * nearer).exp() * (-exponent.abs()).expm1().copysign(-exponent)


def _erf_difference(z: Tensor, d: Tensor) -> Tensor:
    """The difference erf(z + d) - erf(z).

    It is the integral of exp(-t²) for a short step, erfc(|z|) - erfc(|z + d|) for a long one in a
    tail.
    Eight Gauss points integrate exp(-t²) over a step of 1/4 to a relative 1e-17; over longer steps
    at most two digits cancel.
    """
    integral = sum(float(weight) * (-((z + float(node) * d) ** 2)).exp() for node, weight in _GAUSS)
    shifted = z + d
    tails = (z.abs().erfc() - shifted.abs().erfc()) * z.sign()
    plain = shifted.erf() - z.erf()
    long = tails.where(z * shifted > 0, plain)
    return (d * integral * (2 / math.sqrt(math.pi))).where(d.abs() < 0.25, long)


def _erf_differences(z: Tensor, d: Tensor) -> Differences:
    return _erf_difference(z, d), (2 / math.sqrt(math.pi)) * _gaussian_difference(z, d, 1.0)


def _erf_double_double(z: DoubleDouble) -> DoubleDoublePair:
    from ntk_sweep.numerics import double_double_normal as normal
    from ntk_sweep.numerics.double_double_functions import divide, scaled

    slope = divide(scaled(normal.decaying_gaussian(z), 2.0), normal.ROOT_PI)
    return normal.error_function(z), slope


def _gelu_double_double(z: DoubleDouble) -> DoubleDoublePair:
    from ntk_sweep.numerics import double_double_normal as normal
    from ntk_sweep.numerics.double_double import (
        add,
        multiply,
    )
    from ntk_sweep.numerics.double_double_functions import (
        chosen,
        constant,
        divide,
        negative,
        scaled,
        square_root,
    )

    x = multiply(z, square_root(constant(0.5)))
    tail = scaled(normal.complementary_error(scaled(x, x.hi.sign())), 0.5)
    probability = chosen(z.hi < 0, tail, add(constant(1), negative(tail)))
    density = divide(multiply(x, normal.decaying_gaussian(x)), normal.ROOT_PI)
    return multiply(z, probability), add(probability, density)


def _erf_dual(pairs: GaussianPairs) -> ClosedDual:
    """E[σσ] = (2/π) atan(2 k_xy / r) and E[σ'σ'] = (4/π) / r.

    r² = 1 + 2 k_xx + 2 k_yy + 4 (k_xx k_yy - k_xy²).
    Williams 1997, with asin written as atan so that nothing cancels for nearly identical
    inputs of large variance.
    """
    root = (1 + 2 * (pairs.var_x + pairs.var_y) + 4 * pairs.area**2).sqrt()
    function = (2 / math.pi) * (2 * pairs.cov).atan2(root)
    diagonals = [
        (2 / math.pi) * (2 * k).atan2((1 + 4 * k).sqrt()) for k in (pairs.var_x, pairs.var_y)
    ]
    return function, (4 / math.pi) / root, diagonals[0] + diagonals[1] - 2 * function


def _normal_cdf(z: Tensor) -> Tensor:
    return 0.5 * (z * -math.sqrt(0.5)).erfc()


def _gelu(z: Tensor) -> Tensor:
    return z * _normal_cdf(z)


def _gelu_derivative(z: Tensor) -> Tensor:
    return _normal_cdf(z) + z * (-0.5 * z * z).exp() * (1 / math.sqrt(2 * math.pi))


def _gelu_together(z: Tensor, value: Tensor, slope: Tensor) -> None:
    import torch

    probability = _normal_cdf(z)
    torch.mul(z, probability, out=value)
    density = torch.mul(z, z, out=slope).mul_(-0.5).exp_()
    torch.addcmul(probability, z, density, value=1 / math.sqrt(2 * math.pi), out=slope)


def _gelu_differences(z: Tensor, d: Tensor) -> Differences:
    # with Φ and φ: Δ(zΦ) = d Φ(z + d) + z ΔΦ, and Δ(Φ + zφ) = ΔΦ + d φ(z + d) + z Δφ
    root, density = math.sqrt(0.5), 1 / math.sqrt(2 * math.pi)
    shifted = z + d
    step = 0.5 * _erf_difference(root * z, root * d)
    slope = d * density * (-0.5 * shifted * shifted).exp() + z * density * _gaussian_difference(
        z, d, 0.5
    )
    return d * _normal_cdf(shifted) + z * step, step + slope


def _gelu_bend(z: Tensor, _slope: Tensor) -> Tensor:
    # σ'' = (2 - z²) φ(z)
    square = z * z
    return (2 + square) * (-0.5 * square).exp() * (1 / math.sqrt(2 * math.pi))


ERF = Activation(
    title="Erf",
    function=lambda z: z.erf(),
    derivative=_erf_derivative,
    curvature=0.97,
    differences=_erf_differences,
    bend=lambda z, slope: (2 * z.abs() + 0.1) * slope,
    closed_dual=_erf_dual,
    double_double=_erf_double_double,
)
"""σ(z) = erf z; σ'(z) = 2/√π exp(-z²); |σ''| ≤ √(8/(πe))."""

GELU = Activation(
    title="GELU",
    module=Module("GELU", "approximate", "none"),
    function=_gelu,
    derivative=_gelu_derivative,
    curvature=0.8,
    differences=with_long_steps(_gelu, _gelu_derivative, _gelu_differences),
    bend=_gelu_bend,
    double_double=_gelu_double_double,
    together=_gelu_together,
)
"""σ(z) = z Φ(z); σ'(z) = Φ(z) + z φ(z) (Hendrycks and Gimpel 2016, section 2).

Φ, the normal distribution function, goes through erfc and so keeps its relative accuracy for
z → -∞. |σ''| ≤ 2 φ(0).
"""
