"""The recursion of Θ̄ in mpmath, for inputs of one norm: an oracle that shares nothing with ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import mpmath

DIGITS = 40

Duals = Callable[[mpmath.mpf, mpmath.mpf], tuple[mpmath.mpf, mpmath.mpf]]


@dataclass(frozen=True)
class Pair:
    """Θ̄ of an input with itself and with another one of the same norm.

    Attributes:
        diagonal: Θ̄_aa.
        other: Θ̄_ab.
    """

    diagonal: mpmath.mpf
    other: mpmath.mpf

    def extremes(self, inputs: int) -> tuple[mpmath.mpf, mpmath.mpf]:
        """λ_max and λ_min of the kernel of inputs that all form such pairs."""
        gap = self.diagonal - self.other
        return gap + inputs * self.other, gap


def tangents(
    activation: str,
    weight: mpmath.mpf,
    bias: mpmath.mpf,
    correlation: mpmath.mpf,
    depths: Iterable[int],
) -> dict[int, Pair]:
    """Θ̄ of two inputs with ‖x‖² = n_0 under `ntk`, at each of some depths.

    Args:
        activation: relu or erf.
        weight: σ_w².
        bias: σ_b².
        correlation: ⟨x, x'⟩/n_0.
        depths: D, ascending.
    """
    duals = DUALS[activation]
    found: dict[int, Pair] = {}
    variance, covariance = weight + bias, weight * correlation + bias
    diagonal, other, depth = variance, covariance, 1
    for target in depths:
        while depth < target:
            own, own_slope = duals(variance, variance)
            function, slope = duals(variance, covariance)
            variance, covariance = weight * own + bias, weight * function + bias
            diagonal = variance + weight * own_slope * diagonal
            other = covariance + weight * slope * other
            depth += 1
        found[target] = Pair(diagonal, other)
    return found


def relu(variance: mpmath.mpf, covariance: mpmath.mpf) -> tuple[mpmath.mpf, mpmath.mpf]:
    """E[σ(u)σ(v)] and E[σ'(u)σ'(v)] (Cho and Saul 2009)."""
    angle = mpmath.acos(covariance / variance)
    slope = (mpmath.pi - angle) / (2 * mpmath.pi)
    return variance * mpmath.sin(angle) / (2 * mpmath.pi) + covariance * slope, slope


def erf(variance: mpmath.mpf, covariance: mpmath.mpf) -> tuple[mpmath.mpf, mpmath.mpf]:
    """Likewise (Williams 1996)."""
    full = 1 + 2 * variance
    function = 2 / mpmath.pi * mpmath.asin(2 * covariance / full)
    return function, 4 / mpmath.pi / mpmath.sqrt(full**2 - 4 * covariance**2)


DUALS: dict[str, Duals] = {"relu": relu, "erf": erf}


def squared(std: float) -> mpmath.mpf:
    """The exact square of a scale, as ours has it."""
    return mpmath.mpf(std) ** 2
