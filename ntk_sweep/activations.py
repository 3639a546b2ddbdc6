"""Activation functions: one entry each, and nothing to change elsewhere to add one.

An entry holds σ, σ' and, where one is known, the closed form of its dual activations; without one, the infinite-width kernel
uses quadrature (`ntk_sweep.quadrature`), which asks of σ only that it is analytic on either side of zero.

The formulas use tensor methods with Python scalars only. Python scalars take the precision of the tensor they meet, whereas
a constant made by ``torch.tensor(0.3)`` or ``torch.where(z > 0, 1.0, 0.01)`` is float32 and costs eight digits. It also keeps
this module free of heavy imports, so that settings can be checked against it before anything starts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from ntk_sweep.gaussian import GaussianPairs

LRELU_SLOPE = 0.01
"""Slope of LeakyReLU for negative arguments (the usual default, as in the thesis)."""

ClosedDual = tuple["Tensor", "Tensor", "Tensor"]
"""E[σ(u)σ(v)], E[σ'(u)σ'(v)] and E[(σ(u) - σ(v))²], the last without cancellation for u ≈ v."""


@dataclass(frozen=True)
class Activation:
    """An activation function σ and its derivative σ', both elementwise and in the dtype and on the device of their argument.

    Attributes:
        title: The name as written in tables and figures.
        function: z ↦ σ(z), analytic for z < 0 and for z > 0.
        derivative: z ↦ σ'(z), with a chosen value where σ has a kink.
        closed_dual: The dual activations in closed form, for Gaussian pairs of positive variance; None if none is known.
    """

    title: str
    function: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor], Tensor]
    closed_dual: Callable[[GaussianPairs], ClosedDual] | None = None


def _relu_derivative(z: Tensor) -> Tensor:
    return (z > 0).to(z.dtype)


def _elu(z: Tensor) -> Tensor:
    return z.clamp(min=0) + z.clamp(max=0).expm1()


def _elu_derivative(z: Tensor) -> Tensor:
    return z.clamp(max=0).exp()


def _lrelu(z: Tensor) -> Tensor:
    return z.clamp(min=0) + LRELU_SLOPE * z.clamp(max=0)


def _lrelu_derivative(z: Tensor) -> Tensor:
    return (z >= 0).to(z.dtype).clamp(min=LRELU_SLOPE)


def _sigmoid_derivative(z: Tensor) -> Tensor:
    return z.sigmoid() * (-z).sigmoid()


def _tanh_derivative(z: Tensor) -> Tensor:
    return 4 * (2 * z).sigmoid() * (-2 * z).sigmoid()


def _erf_derivative(z: Tensor) -> Tensor:
    return (2 / math.sqrt(math.pi)) * (-z * z).exp()


def _normal_cdf(z: Tensor) -> Tensor:
    return 0.5 * (z * -math.sqrt(0.5)).erfc()


def _gelu_derivative(z: Tensor) -> Tensor:
    return _normal_cdf(z) + z * (-0.5 * z * z).exp() * (1 / math.sqrt(2 * math.pi))


def _silu_derivative(z: Tensor) -> Tensor:
    return z.sigmoid() * (1 + z * (-z).sigmoid())


def _piecewise_linear_dual(slope: float) -> Callable[[GaussianPairs], ClosedDual]:
    """Duals of σ(z) = z for z > 0 and slope·z otherwise (Cho and Saul 2009, section 2.1, orders 0 and 1).

    With θ the angle between u and v, φ = π - θ, and j(t) = sin t - t cos t,

        E[σσ]      = slope·k_xy + (1 - slope)² √(k_xx k_yy) j(φ) / 2π
        E[σ'σ']    = slope + (1 - slope)² φ / 2π
        E[(σ-σ)²]  = (1 + slope²)/2 · E[(u-v)²] - (1 - slope)² √(k_xx k_yy) j(θ) / π.
    """
    weight = (1 - slope) ** 2

    def dual(pairs: GaussianPairs) -> ClosedDual:
        scale = (pairs.var_x * pairs.var_y).sqrt()
        function = slope * pairs.cov + scale * _sin_minus_cos(pairs.coangle) * (weight / (2 * math.pi))
        derivative = slope + pairs.coangle * (weight / (2 * math.pi))
        distance = 0.5 * (1 + slope**2) * pairs.distance - scale * _sin_minus_cos(pairs.angle) * (weight / math.pi)
        return function, derivative, distance

    return dual


def _sin_minus_cos(t: Tensor) -> Tensor:
    """The function sin t - t cos t for 0 ≤ t ≤ π, to relative accuracy.

    Below 1 the two terms cancel (the value is about t³/3), so there it is Σ_k (-1)^{k+1} 2k t^{2k+1} / (2k+1)!, k = 1..9, whose
    first omitted term is below 1e-18 of the sum.
    """
    small = t.clamp(max=1)
    square = small * small
    series = square * 0
    for k in range(9, 0, -1):
        series = series * square + (-1) ** (k + 1) * 2 * k / math.factorial(2 * k + 1)
    return (t.sin() - t * t.cos()).where(t > 1, series * square * small)


def _erf_dual(pairs: GaussianPairs) -> ClosedDual:
    """E[σσ] = (2/π) atan(2 k_xy / r), E[σ'σ'] = (4/π) / r, r² = 1 + 2 k_xx + 2 k_yy + 4 (k_xx k_yy - k_xy²).

    Williams 1997, eq. (11), with asin written as atan so that nothing cancels for nearly identical inputs of large variance.
    """
    root = (1 + 2 * pairs.var_x + 2 * pairs.var_y + 4 * pairs.det).sqrt()
    function = (2 / math.pi) * (2 * pairs.cov).atan2(root)
    diagonals = [(2 / math.pi) * (2 * k).atan2((1 + 4 * k).sqrt()) for k in (pairs.var_x, pairs.var_y)]
    return function, (4 / math.pi) / root, diagonals[0] + diagonals[1] - 2 * function


ACTIVATIONS: dict[str, Activation] = {
    # σ(z) = max(z, 0); σ'(0) = 0
    "relu": Activation("ReLU", lambda z: z.clamp(min=0), _relu_derivative, _piecewise_linear_dual(0.0)),
    # σ(z) = z for z > 0, exp(z) - 1 otherwise (α = 1); σ'(0) = 1
    "elu": Activation("ELU", _elu, _elu_derivative),
    # σ(z) = z for z > 0, 0.01 z otherwise; σ'(0) = 1
    "lrelu": Activation("LeakyReLU", _lrelu, _lrelu_derivative, _piecewise_linear_dual(LRELU_SLOPE)),
    # σ(z) = 1 / (1 + exp(-z)); σ'(z) = σ(z) σ(-z), which keeps its relative accuracy where σ(z) is nearly 1
    "sigmoid": Activation("Sigmoid", lambda z: z.sigmoid(), _sigmoid_derivative),
    # σ'(z) = 1 - tanh² z = 4 s(2z) s(-2z) with s the sigmoid: no cancellation where tanh z is nearly 1
    "tanh": Activation("Tanh", lambda z: z.tanh(), _tanh_derivative),
    # σ'(z) = 2/√π exp(-z²)
    "erf": Activation("Erf", lambda z: z.erf(), _erf_derivative, _erf_dual),
    # σ(z) = z Φ(z), Φ the normal distribution function through erfc, which keeps its relative accuracy for z → -∞
    # (Hendrycks and Gimpel 2016); σ'(z) = Φ(z) + z φ(z)
    "gelu": Activation("GELU", lambda z: z * _normal_cdf(z), _gelu_derivative),
    # σ(z) = z s(z), σ'(z) = s(z) (1 + z s(-z)), s the sigmoid (Elfwing et al. 2018, eqs. 6 and 7)
    "silu": Activation("SiLU", lambda z: z * z.sigmoid(), _silu_derivative),
}
