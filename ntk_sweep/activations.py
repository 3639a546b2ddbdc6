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

LRELU_SLOPE = 0.01
"""Slope of LeakyReLU for negative arguments (the usual default, as in the thesis)."""


@dataclass(frozen=True)
class Activation:
    """An activation function σ and its derivative σ', both elementwise and in the dtype and on the device of their argument.

    Attributes:
        title: The name as written in tables and figures.
        function: z ↦ σ(z).
        derivative: z ↦ σ'(z), with a chosen value where σ has a kink.
    """

    title: str
    function: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor], Tensor]


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


ACTIVATIONS: dict[str, Activation] = {
    # σ(z) = max(z, 0); σ'(0) = 0
    "relu": Activation("ReLU", lambda z: z.clamp(min=0), _relu_derivative),
    # σ(z) = z for z > 0, exp(z) - 1 otherwise (α = 1); σ'(0) = 1
    "elu": Activation("ELU", _elu, _elu_derivative),
    # σ(z) = z for z > 0, 0.01 z otherwise; σ'(0) = 1
    "lrelu": Activation("LeakyReLU", _lrelu, _lrelu_derivative),
    # σ(z) = 1 / (1 + exp(-z)); σ'(z) = σ(z) σ(-z), which keeps its relative accuracy where σ(z) is nearly 1
    "sigmoid": Activation("Sigmoid", lambda z: z.sigmoid(), _sigmoid_derivative),
}
