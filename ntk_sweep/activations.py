"""Activation functions: one entry each, and nothing to change elsewhere to add one.

The formulas use tensor methods with Python scalars only. Python scalars take the precision of the tensor they meet, whereas
a constant made by ``torch.tensor(0.3)`` or ``torch.where(z > 0, 1.0, 0.01)`` is float32 and costs eight digits. It also keeps
this module free of heavy imports, so that settings can be checked against it before anything starts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Difference = tuple["Tensor", "Tensor"]
"""(σ(z + d) - σ(z), σ'(z + d) - σ'(z))."""

LRELU_SLOPE = 0.01
"""Slope of LeakyReLU for negative arguments (the usual default, as in the thesis)."""


@dataclass(frozen=True)
class Activation:
    """An activation function σ and its derivative σ', both elementwise and in the dtype and on the device of their argument.

    Attributes:
        title: The name as written in tables and figures.
        function: z ↦ σ(z).
        derivative: z ↦ σ'(z), with a chosen value where σ has a kink.
        curvature: The largest |σ''| away from a kink.
        jump: How far σ' jumps at z = 0.
        differences: (z, d) ↦ (σ(z + d) - σ(z), σ'(z + d) - σ'(z)), with errors of a few ε (|σ(z + d) - σ(z)| + |σ'(z + d) -
            σ'(z)|) where plain subtraction would leave ε; None if there is no such formula, and then small eigenvalues get wider
            error bounds.
    """

    title: str
    function: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor], Tensor]
    curvature: float
    jump: float
    differences: Callable[[Tensor, Tensor], Difference] | None = None


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


def _positive_difference(z: Tensor, d: Tensor) -> Tensor:
    """max(z + d, 0) - max(z, 0), without cancellation."""
    return (d.maximum(-z)).where(z > 0, (z + d).clamp(min=0))


def _negative_difference(z: Tensor, d: Tensor) -> Tensor:
    """min(z + d, 0) - min(z, 0), without cancellation."""
    return (d.minimum(-z)).where(z < 0, (z + d).clamp(max=0))


def _relu_differences(z: Tensor, d: Tensor) -> Difference:
    return _positive_difference(z, d), _relu_derivative(z + d) - _relu_derivative(z)


def _elu_differences(z: Tensor, d: Tensor) -> Difference:
    exponential = z.clamp(max=0).exp() * _negative_difference(z, d).expm1()
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


ACTIVATIONS: dict[str, Activation] = {
    # σ(z) = max(z, 0); σ'(0) = 0
    "relu": Activation("ReLU", lambda z: z.clamp(min=0), _relu_derivative, 0.0, 1.0, _relu_differences),
    # σ(z) = z for z > 0, exp(z) - 1 otherwise (α = 1); σ'(0) = 1
    "elu": Activation("ELU", _elu, _elu_derivative, 1.0, 0.0, _elu_differences),
    # σ(z) = z for z > 0, 0.01 z otherwise; σ'(0) = 1
    "lrelu": Activation("LeakyReLU", _lrelu, _lrelu_derivative, 0.0, 1 - LRELU_SLOPE, _lrelu_differences),
    # σ(z) = 1 / (1 + exp(-z)); σ'(z) = σ(z) σ(-z), which keeps its relative accuracy where σ(z) is nearly 1
    # |σ''| ≤ 1/(6√3) < 0.1
    "sigmoid": Activation("Sigmoid", lambda z: z.sigmoid(), _sigmoid_derivative, 0.1, 0.0, _sigmoid_differences),
}
