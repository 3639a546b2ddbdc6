"""What an activation does to nearly equal inputs, layer by layer (docs/theory/scaling.md)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ntk_sweep.network.activations.activation import Activation
from ntk_sweep.network.activations.registry import ACTIVATIONS

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(400)
"""On either side of zero: for every activation the moments of 200 and 400 nodes agree to 1e-12."""

_END = 12.0
"""Standard deviations at which integrals are cut: a Gaussian's tail beyond is 1e-33."""


class LayerMoments(NamedTuple):
    """Moments of the pre-activations u ~ N(0, q) of a hidden layer, the same for all inputs.

    Attributes:
        variance: q.
        slope: χ = E[σ'(u)²] (Schoenholz et al. 2017).
        curvature: ψ = E[σ''(u)²], with σ'' away from a kink.
    """

    variance: float
    slope: float
    curvature: float


def layer_moments(activation: str, layers: int) -> list[LayerMoments]:
    """The moments of layers 1 to `layers`, in the limit of equal inputs of no length.

    Weight and bias variance are 1, as in every parametrisation at scales of 1: q_1 = 1 and q_{l+1}
    = E[σ(u)²] + 1.

    Args:
        activation: A name in `ACTIVATIONS`.
        layers: How many, at least one.

    Example:
        >>> layer_moments("relu", 2)[1]
        LayerMoments(variance=1.5, slope=0.5, curvature=0.0)
    """
    entry, variance, found = ACTIVATIONS[activation], 1.0, []
    for _ in range(layers):
        slope = _expectation(lambda u: entry.derivative(u).square(), variance)
        curvature = _expectation(lambda u: _second_derivative(entry, u).square(), variance)
        found.append(LayerMoments(variance, slope, curvature))
        variance = _expectation(lambda u: entry.function(u).square(), variance) + 1
    return found


def _second_derivative(entry: Activation, u: Tensor) -> Tensor:
    """σ'' by automatic differentiation, away from zero."""
    if entry.piecewise_linear:
        return torch.zeros_like(u)
    with torch.enable_grad():
        place = u.detach().clone().requires_grad_()
        (second,) = torch.autograd.grad(entry.derivative(place).sum(), place)
    return second


def _expectation(function: Callable[[Tensor], Tensor], variance: float) -> float:
    """E[function(u)], u ~ N(0, variance), for a function that is smooth on both sides of zero."""
    half = torch.from_numpy(_END * (1 + _NODES) / 2)
    weights = torch.from_numpy(_END / 2 * _WEIGHTS) * (-half.square() / 2).exp()
    both = function(math.sqrt(variance) * half) + function(-math.sqrt(variance) * half)
    return round(float((weights * both).sum()) / math.sqrt(2 * math.pi), 12)
