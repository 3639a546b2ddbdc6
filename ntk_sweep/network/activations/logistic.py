"""Activations made of the logistic function s(z) = 1 / (1 + exp(-z)): sigmoid, tanh, SiLU."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ntk_sweep.network.activations.activation import (
    Activation,
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


def _half_tanh(z: DoubleDouble) -> DoubleDouble:
    """s(z) - 1/2 = tanh(z/2)/2 = (1 - exp(-z)) / (2 + 2 exp(-z)) for z ≥ 0."""
    from ntk_sweep.numerics import double_double
    from ntk_sweep.numerics import double_double_functions as functions

    one = functions.constant(1)
    exponential = functions.decaying_exponential(z)
    quotient = functions.divide(
        double_double.add(one, functions.negative(exponential)),
        double_double.add(one, exponential),
    )
    return functions.scaled(quotient, 0.5)


def _sigmoid_extended(z: DoubleDouble) -> tuple[DoubleDouble, DoubleDouble]:
    from ntk_sweep.numerics.double_double import (
        from_float64,
    )

    return from_float64(z.hi * 0 + 0.5), _half_tanh(z)


def _tanh_extended(z: DoubleDouble) -> tuple[DoubleDouble, DoubleDouble]:
    from ntk_sweep.numerics.double_double import (
        from_float64,
    )
    from ntk_sweep.numerics.double_double_functions import scaled

    return from_float64(z.hi * 0), scaled(_half_tanh(scaled(z, 2.0)), 2.0)


def _silu_extended(z: DoubleDouble) -> tuple[DoubleDouble, DoubleDouble]:
    from ntk_sweep.numerics.double_double import (
        multiply,
    )
    from ntk_sweep.numerics.double_double_functions import scaled

    return multiply(z, _half_tanh(z)), scaled(z, 0.5)


def _logistic_double_double(z: DoubleDouble) -> tuple[DoubleDouble, DoubleDouble, DoubleDouble]:
    """s(z), s(-z) and s'(z), from 1 / (1 + e) and e / (1 + e) with e = exp(-|z|)."""
    from ntk_sweep.numerics.double_double import (
        add,
        multiply,
    )
    from ntk_sweep.numerics.double_double_functions import (
        chosen,
        constant,
        decaying_exponential,
        divide,
        scaled,
    )

    sign = 2.0 * (z.hi >= 0) - 1
    exponential = decaying_exponential(scaled(z, sign))
    greater = divide(constant(1), add(constant(1), exponential))
    less = multiply(exponential, greater)
    upwards = sign > 0
    value, mirrored = chosen(upwards, greater, less), chosen(upwards, less, greater)
    return value, mirrored, multiply(greater, less)


def _sigmoid_double_double(z: DoubleDouble) -> DoubleDoublePair:
    value, _, slope = _logistic_double_double(z)
    return value, slope


def _tanh_double_double(z: DoubleDouble) -> DoubleDoublePair:
    # with e = exp(-2|z|): (1 - e) / (1 + e) and 4 e / (1 + e)²
    from ntk_sweep.numerics.double_double import (
        add,
    )
    from ntk_sweep.numerics.double_double_functions import (
        constant,
        decaying_difference,
        divide,
        negative,
        scaled,
    )

    twice = scaled(z, 2.0)
    difference = decaying_difference(scaled(twice, z.hi.sign()))
    quotient = divide(negative(difference), add(constant(2), difference))
    return scaled(quotient, z.hi.sign()), scaled(_logistic_double_double(twice)[2], 4.0)


def _silu_double_double(z: DoubleDouble) -> DoubleDoublePair:
    from ntk_sweep.numerics.double_double import (
        add,
        multiply,
    )
    from ntk_sweep.numerics.double_double_functions import constant

    value, mirrored, _ = _logistic_double_double(z)
    return multiply(z, value), multiply(value, add(constant(1), multiply(z, mirrored)))


def _sigmoid_derivative(z: Tensor) -> Tensor:
    return z.sigmoid() * (-z).sigmoid()


def _sigmoid_differences(z: Tensor, d: Tensor) -> Differences:
    # σ(b) - σ(a) = σ(b) σ(-a) (1 - exp(a - b)) for a ≤ b, and σ' = σ (1 - σ)
    shifted = z + d
    size = z.maximum(shifted).sigmoid() * (-z.minimum(shifted)).sigmoid() * -(-d.abs()).expm1()
    function = size.copysign(d)
    return function, function * ((-shifted).sigmoid() - z.sigmoid())


def _tanh_derivative(z: Tensor) -> Tensor:
    return 4 * (2 * z).sigmoid() * (-2 * z).sigmoid()


def _tanh_differences(z: Tensor, d: Tensor) -> Differences:
    # tanh z = 2 s(2z) - 1 with s the sigmoid
    function, derivative = _sigmoid_differences(2 * z, 2 * d)
    return 2 * function, 4 * derivative


def _silu(z: Tensor) -> Tensor:
    return z * z.sigmoid()


def _silu_derivative(z: Tensor) -> Tensor:
    return z.sigmoid() * (1 + z * (-z).sigmoid())


def _silu_differences(z: Tensor, d: Tensor) -> Differences:
    # with s the sigmoid: Δ(zs) = d s(z + d) + z Δs, and Δ(s + zs') = Δs + d s'(z + d) + z Δs'
    step, slope = _sigmoid_differences(z, d)
    shifted = z + d
    return d * shifted.sigmoid() + z * step, step + d * _sigmoid_derivative(shifted) + z * slope


def _silu_together(z: Tensor, value: Tensor, slope: Tensor) -> None:
    import torch

    # s (1 + z (1 - s)) = s + v (1 - s) with s the sigmoid and v = z s the value
    sigmoid = torch.sigmoid(z, out=slope)
    torch.mul(z, sigmoid, out=value)
    slope.addcmul_(value, 1 - sigmoid)


def _silu_bend(z: Tensor, _slope: Tensor) -> Tensor:
    # σ'' = s(z) s(-z) (2 + z (s(-z) - s(z))), and s(z) s(-z) ≤ exp(-|z|)
    size = z.abs()
    return (2 + size) * (-size).exp()


def _sigmoid_together(z: Tensor, value: Tensor, slope: Tensor) -> None:
    import torch

    torch.sigmoid(z, out=value)
    torch.addcmul(value, value, value, value=-1, out=slope)


def _tanh_together(z: Tensor, value: Tensor, slope: Tensor) -> None:
    import torch

    torch.tanh(z, out=value)
    torch.mul(value, value, out=slope).neg_().add_(1)


SIGMOID = Activation(
    title="Sigmoid",
    module=Module("Sigmoid"),
    function=lambda z: z.sigmoid(),
    derivative=_sigmoid_derivative,
    curvature=0.1,
    differences=_sigmoid_differences,
    extended=_sigmoid_extended,
    analytic_width=math.pi,
    bend=lambda _, slope: slope,
    double_double=_sigmoid_double_double,
    together=_sigmoid_together,
)
"""σ(z) = s(z); σ'(z) = s(z) s(-z), which keeps its relative accuracy where s(z) is nearly 1.

|σ''| ≤ 1/(6√3).
"""

TANH = Activation(
    title="Tanh",
    module=Module("Tanh"),
    function=lambda z: z.tanh(),
    derivative=_tanh_derivative,
    curvature=0.77,
    differences=_tanh_differences,
    extended=_tanh_extended,
    analytic_width=math.pi / 2,
    bend=lambda _, slope: 2 * slope,
    double_double=_tanh_double_double,
    together=_tanh_together,
)
"""σ(z) = tanh z; σ'(z) = 1 - tanh² z = 4 s(2z) s(-2z), without cancellation where tanh z ≈ 1.

|σ''| ≤ 4/(3√3).
"""

SILU = Activation(
    title="SiLU",
    module=Module("SiLU"),
    function=_silu,
    derivative=_silu_derivative,
    curvature=0.5,
    differences=with_long_steps(_silu, _silu_derivative, _silu_differences),
    extended=_silu_extended,
    analytic_width=math.pi,
    bend=_silu_bend,
    double_double=_silu_double_double,
    together=_silu_together,
)
"""σ(z) = z s(z); σ'(z) = s(z) (1 + z s(-z)) (Elfwing, Uchibe, Doya 2018).

|σ''| ≤ 1/2.
"""
