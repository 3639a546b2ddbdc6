"""Activation functions: one entry each, and nothing to change elsewhere to add one.

An entry holds σ, σ' and, where one is known, the closed form of its dual activations; without one,
the infinite-width kernel uses quadrature (`ntk_sweep.numerics.gaussian_quadrature`), which asks of σ only that it is
analytic on either side of zero.

The formulas use tensor methods with Python scalars only. Python scalars take the precision of the
tensor they meet, whereas a constant made by ``torch.tensor(0.3)`` or ``torch.where(z > 0, 1.0,
0.01)`` is float32 and costs eight digits. It also keeps this module free of heavy imports, so that
settings can be checked against it before anything starts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from numpy.polynomial.legendre import leggauss

if TYPE_CHECKING:
    from torch import Tensor

    from ntk_sweep.numerics.gaussian_pairs import GaussianPairs

LRELU_SLOPE = 0.01
"""Slope of LeakyReLU for negative arguments (the usual default, as in the thesis)."""

Difference = tuple["Tensor", "Tensor"]
"""(σ(z + d) - σ(z), σ'(z + d) - σ'(z))."""

ClosedDual = tuple["Tensor", "Tensor", "Tensor"]
"""E[σ(u)σ(v)], E[σ'(u)σ'(v)] and E[(σ(u) - σ(v))²], the last without cancellation for u ≈ v."""


@dataclass(frozen=True)
class Activation:
    """An activation function σ and its derivative σ', both elementwise and in the dtype and on the
    device of their argument.

    Attributes:
        title: The name as written in tables and figures.
        function: z ↦ σ(z), analytic for z < 0 and for z > 0.
        derivative: z ↦ σ'(z), with a chosen value where σ has a kink.
        curvature: The largest |σ''| away from a kink.
        jump: How far σ' jumps at z = 0.
        differences: (z, d) ↦ (σ(z + d) - σ(z), σ'(z + d) - σ'(z)), with errors of a few ε (|σ(z +
            d) - σ(z)| + |σ'(z + d) - σ'(z)|) where plain subtraction would leave ε; None if there
            is no such formula, and then small eigenvalues get wider error bounds.
        closed_dual: The dual activations in closed form, for Gaussian pairs of positive variance;
            None if none is known.
        together: z ↦ (σ(z), σ'(z)) in fewer operations than `function` and `derivative` take; None
            if there is no such formula. The error of σ' may be a few ε where that of `derivative`
            is a few ε σ'(z): enough for training, too much for a kernel of saturated units.
    """

    title: str
    function: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor], Tensor]
    curvature: float | Tensor
    jump: float | Tensor = 0.0
    differences: Callable[[Tensor, Tensor], Difference] | None = None
    closed_dual: Callable[[GaussianPairs], ClosedDual] | None = None
    together: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None

    def value_and_derivative(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """σ(z) and σ'(z) as cheaply as can be."""
        return (self.function(z), self.derivative(z)) if self.together is None else self.together(z)

    @property
    def kinked(self) -> bool:
        """Whether σ' jumps at zero."""
        return not (isinstance(self.jump, float) and self.jump == 0.0)


def _relu_derivative(z: Tensor) -> Tensor:
    return z.sign().clamp(min=0)


def _elu(z: Tensor) -> Tensor:
    return z.clamp(min=0) + z.clamp(max=0).expm1()


def _elu_derivative(z: Tensor) -> Tensor:
    return z.clamp(max=0).exp()


def _lrelu(z: Tensor) -> Tensor:
    return z.maximum(LRELU_SLOPE * z)


def _lrelu_derivative(z: Tensor) -> Tensor:
    return (z.sign() + 1).clamp(min=LRELU_SLOPE, max=1)


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


def _gelu_together(z: Tensor) -> tuple[Tensor, Tensor]:
    probability = _normal_cdf(z)
    return z * probability, probability.addcmul(
        z, (-0.5 * z * z).exp(), value=1 / math.sqrt(2 * math.pi)
    )


def _silu_derivative(z: Tensor) -> Tensor:
    return z.sigmoid() * (1 + z * (-z).sigmoid())


def _silu_together(z: Tensor) -> tuple[Tensor, Tensor]:
    # s (1 + z (1 - s)) = s + v (1 - s) with s the sigmoid and v = z s the value
    sigmoid = z.sigmoid()
    value = z * sigmoid
    return value, sigmoid.addcmul(value, 1 - sigmoid)


def _positive_difference(z: Tensor, d: Tensor) -> Tensor:
    """max(z + d, 0) - max(z, 0), without cancellation."""
    return (d.maximum(-z)).where(z > 0, (z + d).clamp(min=0))


def _negative_difference(z: Tensor, d: Tensor) -> Tensor:
    """min(z + d, 0) - min(z, 0), without cancellation."""
    return (d.minimum(-z)).where(z < 0, (z + d).clamp(max=0))


def _relu_differences(z: Tensor, d: Tensor) -> Difference:
    return _positive_difference(z, d), _relu_derivative(z + d) - _relu_derivative(z)


def _elu_differences(z: Tensor, d: Tensor) -> Difference:
    # exp(b) - exp(a) from the larger of the two, so that nothing overflows
    step = _negative_difference(z, d)
    exponential = (z.maximum(z + d).clamp(max=0).exp() * -(-step.abs()).expm1()).copysign(step)
    return _positive_difference(z, d) + exponential, exponential


def _lrelu_differences(z: Tensor, d: Tensor) -> Difference:
    function = _positive_difference(z, d) + LRELU_SLOPE * _negative_difference(z, d)
    return function, _lrelu_derivative(z + d) - _lrelu_derivative(z)


def _sigmoid_differences(z: Tensor, d: Tensor) -> Difference:
    # σ(b) - σ(a) = σ(b) σ(-a) (1 - exp(a - b)) for a ≤ b, and σ' = σ (1 - σ)
    shifted = z + d
    size = z.maximum(shifted).sigmoid() * (-z.minimum(shifted)).sigmoid() * -(-d.abs()).expm1()
    function = size.copysign(d)
    return function, function * ((-shifted).sigmoid() - z.sigmoid())


def _tanh_differences(z: Tensor, d: Tensor) -> Difference:
    # tanh z = 2 s(2z) - 1 with s the sigmoid
    function, derivative = _sigmoid_differences(2 * z, 2 * d)
    return 2 * function, 4 * derivative


def _gaussian_difference(z: Tensor, d: Tensor, rate: float) -> Tensor:
    """exp(-rate (z + d)²) - exp(-rate z²), from the larger of the two, so that nothing overflows or
    cancels."""
    exponent = rate * (2 * z + d) * d
    nearer = z.abs().minimum((z + d).abs())
    return (-rate * nearer * nearer).exp() * (-exponent.abs()).expm1().copysign(-exponent)


_GAUSS = [((1 + node) / 2, weight / 2) for node, weight in zip(*leggauss(8), strict=True)]
"""Nodes and weights of the eight-point Gauss rule on (0, 1)."""


def _erf_difference(z: Tensor, d: Tensor) -> Tensor:
    """The function erf(z + d) - erf(z): its integral over short steps, erfc(|z|) - erfc(|z + d|)
    over long ones in a tail.

    Eight Gauss points integrate exp(-t²) over a step of 1/4 to a relative 1e-17; over longer steps
    at most two digits cancel.
    """
    integral = sum(float(weight) * (-((z + float(node) * d) ** 2)).exp() for node, weight in _GAUSS)
    shifted = z + d
    tails = (z.abs().erfc() - shifted.abs().erfc()) * z.sign()
    plain = shifted.erf() - z.erf()
    long = tails.where(z * shifted > 0, plain)
    return (d * integral * (2 / math.sqrt(math.pi))).where(d.abs() < 0.25, long)


def _erf_differences(z: Tensor, d: Tensor) -> Difference:
    return _erf_difference(z, d), (2 / math.sqrt(math.pi)) * _gaussian_difference(z, d, 1.0)


def _gelu_differences(z: Tensor, d: Tensor) -> Difference:
    # with Φ and φ: Δ(zΦ) = d Φ(z + d) + z ΔΦ, and Δ(Φ + zφ) = ΔΦ + d φ(z + d) + z Δφ
    root, density = math.sqrt(0.5), 1 / math.sqrt(2 * math.pi)
    shifted = z + d
    step = 0.5 * _erf_difference(root * z, root * d)
    slope = d * density * (-0.5 * shifted * shifted).exp() + z * density * _gaussian_difference(
        z, d, 0.5
    )
    return d * _normal_cdf(shifted) + z * step, step + slope


def _silu_differences(z: Tensor, d: Tensor) -> Difference:
    # with s the sigmoid: Δ(zs) = d s(z + d) + z Δs, and Δ(s + zs') = Δs + d s'(z + d) + z Δs'
    step, slope = _sigmoid_differences(z, d)
    shifted = z + d
    return d * shifted.sigmoid() + z * step, step + d * _sigmoid_derivative(shifted) + z * slope


def _piecewise_linear_dual(slope: float) -> Callable[[GaussianPairs], ClosedDual]:
    """Duals of σ(z) = z for z > 0 and slope·z otherwise (Cho and Saul 2009, section 2.1, orders 0
    and 1).

    With θ the angle between u and v, φ = π - θ, and j(t) = sin t - t cos t,

        E[σσ]      = slope·k_xy + (1 - slope)² √(k_xx k_yy) j(φ) / 2π
        E[σ'σ']    = slope + (1 - slope)² φ / 2π
        E[(σ-σ)²]  = (1 + slope²)/2 · E[(u-v)²] - (1 - slope)² √(k_xx k_yy) j(θ) / π.
    """
    weight = (1 - slope) ** 2

    def dual(pairs: GaussianPairs) -> ClosedDual:
        scale = (pairs.var_x * pairs.var_y).sqrt()
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
    small = t.clamp(max=1)
    square = small * small
    series = square * 0
    for k in range(9, 0, -1):
        series = series * square + (-1) ** (k + 1) * 2 * k / math.factorial(2 * k + 1)
    return (t.sin() - t * t.cos()).where(t > 1, series * square * small)


def _erf_dual(pairs: GaussianPairs) -> ClosedDual:
    """E[σσ] = (2/π) atan(2 k_xy / r), E[σ'σ'] = (4/π) / r, r² = 1 + 2 k_xx + 2 k_yy + 4 (k_xx k_yy
    - k_xy²).

    Williams 1997, eq. (11), with asin written as atan so that nothing cancels for nearly identical
    inputs of large variance.
    """
    root = (1 + 2 * pairs.var_x + 2 * pairs.var_y + 4 * pairs.det).sqrt()
    function = (2 / math.pi) * (2 * pairs.cov).atan2(root)
    diagonals = [
        (2 / math.pi) * (2 * k).atan2((1 + 4 * k).sqrt()) for k in (pairs.var_x, pairs.var_y)
    ]
    return function, (4 / math.pi) / root, diagonals[0] + diagonals[1] - 2 * function


ACTIVATIONS: dict[str, Activation] = {
    # σ(z) = max(z, 0); σ'(0) = 0
    "relu": Activation(
        title="ReLU",
        function=lambda z: z.relu(),
        derivative=_relu_derivative,
        curvature=0.0,
        jump=1.0,
        differences=_relu_differences,
        closed_dual=_piecewise_linear_dual(0.0),
        together=lambda z: ((value := z.relu()), value.sign()),
    ),
    # σ(z) = z for z > 0, exp(z) - 1 otherwise (α = 1); σ'(0) = 1
    "elu": Activation("ELU", _elu, _elu_derivative, curvature=1.0, differences=_elu_differences),
    # σ(z) = z for z > 0, 0.01 z otherwise; σ'(0) = 1
    "lrelu": Activation(
        title="LeakyReLU",
        function=_lrelu,
        derivative=_lrelu_derivative,
        curvature=0.0,
        jump=1 - LRELU_SLOPE,
        differences=_lrelu_differences,
        closed_dual=_piecewise_linear_dual(LRELU_SLOPE),
    ),
    # σ(z) = 1 / (1 + exp(-z)); σ'(z) = σ(z) σ(-z), which keeps its relative accuracy where σ(z) is
    # nearly 1; |σ''| ≤ 1/(6√3)
    "sigmoid": Activation(
        title="Sigmoid",
        function=lambda z: z.sigmoid(),
        derivative=_sigmoid_derivative,
        curvature=0.1,
        differences=_sigmoid_differences,
        together=lambda z: ((value := z.sigmoid()), value.addcmul(value, value, value=-1)),
    ),
    # σ'(z) = 1 - tanh² z = 4 s(2z) s(-2z) with s the sigmoid: no cancellation where tanh z is
    # nearly 1; |σ''| ≤ 4/(3√3)
    "tanh": Activation(
        title="Tanh",
        function=lambda z: z.tanh(),
        derivative=_tanh_derivative,
        curvature=0.77,
        differences=_tanh_differences,
        together=lambda z: ((value := z.tanh()), 1 - value * value),
    ),
    # σ'(z) = 2/√π exp(-z²); |σ''| ≤ √(8/(πe))
    "erf": Activation(
        "Erf",
        lambda z: z.erf(),
        _erf_derivative,
        curvature=0.97,
        differences=_erf_differences,
        closed_dual=_erf_dual,
    ),
    # σ(z) = z Φ(z), Φ the normal distribution function through erfc, which keeps its relative
    # accuracy for z → -∞ (Hendrycks and Gimpel 2016); σ'(z) = Φ(z) + z φ(z); |σ''| ≤ 2 φ(0)
    "gelu": Activation(
        title="GELU",
        function=lambda z: z * _normal_cdf(z),
        derivative=_gelu_derivative,
        curvature=0.8,
        differences=_gelu_differences,
        together=_gelu_together,
    ),
    # σ(z) = z s(z), σ'(z) = s(z) (1 + z s(-z)), s the sigmoid (Elfwing et al. 2018, eqs. 6 and 7);
    # |σ''| ≤ 1/2
    "silu": Activation(
        title="SiLU",
        function=lambda z: z * z.sigmoid(),
        derivative=_silu_derivative,
        curvature=0.5,
        differences=_silu_differences,
        together=_silu_together,
    ),
}
