"""Activations made of an exponential: ELU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ntk_sweep.network.activations.activation import (
    Activation,
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


def _elu(z: Tensor) -> Tensor:
    return z.clamp(min=0) + z.clamp(max=0).expm1()


def _elu_derivative(z: Tensor) -> Tensor:
    return z.clamp(max=0).exp()


def _elu_together(z: Tensor, value: Tensor, slope: Tensor) -> None:
    import torch

    negative = torch.clamp(z, max=0, out=slope).expm1_()
    torch.maximum(z, negative, out=value)
    slope.add_(1)


def _elu_differences(z: Tensor, d: Tensor) -> Differences:
    # exp(b) - exp(a) from the larger of the two, so that nothing overflows
    step = negative_difference(z, d)
    exponential = (z.maximum(z + d).clamp(max=0).exp() * -(-step.abs()).expm1()).copysign(step)
    return positive_difference(z, d) + exponential, exponential


def _elu_double_double(z: DoubleDouble) -> DoubleDoublePair:
    from ntk_sweep.numerics.double_double import (
        add,
    )
    from ntk_sweep.numerics.double_double_functions import (
        decaying_difference,
        decaying_exponential,
        scaled,
    )

    size = scaled(z, -(z.hi < 0).to(z.hi.dtype))
    value = add(scaled(z, (z.hi > 0).to(z.hi.dtype)), decaying_difference(size))
    return value, decaying_exponential(size)


def _elu_bend(z: Tensor, slope: Tensor) -> Tensor:
    return slope * (z < 1 / 32)


ELU = Activation(
    title="ELU",
    module=Module("ELU", "alpha", 1.0),
    function=_elu,
    derivative=_elu_derivative,
    curvature=1.0,
    curvature_jump=1.0,
    differences=_elu_differences,
    bend=_elu_bend,
    together=_elu_together,
    double_double=_elu_double_double,
)
"""σ(z) = z for z > 0, exp(z) - 1 otherwise (α = 1); σ'(z) = 1 for z ≥ 0, exp(z) otherwise.

|σ''| ≤ 1 (Clevert, Unterthiner, Hochreiter 2016).
"""
