"""Fixed points of the variance map and of the correlation map of a deep network.

`docs/theory/criticality.md` has the formulas. Root finders bracket: iteration would take as many
steps as the correlation depth, which is infinite on the critical line.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import brentq, minimize_scalar

from ntk_sweep.limit.dual_activations import dual_activations
from ntk_sweep.limit.variance_moments import variance_moments

LEAST, GREATEST = 1e-40, 1e16
"""Variances between which fixed points are sought."""

_PER_DECADE = 32
"""Grid points; a pair of fixed points nearer than that is found from the extremum between them."""

ROUNDING = 4e-15
"""Below it V(q)/q - 1 counts as zero: the rounding of σ_w² and of the moments, with room."""

_RESOLVED = 1e-13
"""Beyond it the sign of V(q)/q - 1 on the grid is sure, likewise."""

_NEARLY_TANGENT = 1e-2
"""Extrema of V(q)/q - 1 beyond it cannot cross zero between grid points: V(q)/q is smooth on the
scale of a decade."""

_EPSILON = float(np.finfo(float).eps)

_NEAR_ONE = 3e-8
"""Distance of c* from 1 below which (1 - C(c)) / (1 - c) has lost half of its digits."""


class VarianceFixedPoint(NamedTuple):
    """What a variance converges to.

    Attributes:
        variance: q*, infinite if there is none.
        scale_free: Whether every variance is a fixed point.
    """

    variance: float
    scale_free: bool = False


@dataclass(frozen=True)
class VarianceMap:
    """V(q) = σ_w² E[σ(√q z)²] + σ_b², which takes a layer's variance to the next one's.

    Attributes:
        activation: A name in `ACTIVATIONS`.
        weight: σ_w².
        bias: σ_b².
    """

    activation: str
    weight: float
    bias: float

    def excess(self, variance: float) -> float:
        """V(q)/q - 1."""
        at = torch.tensor([variance], dtype=torch.float64)
        square = float(variance_moments(self.activation, at).square)
        return (self.weight * square + self.bias) / variance - 1

    def fixed_point(self, start: float) -> VarianceFixedPoint:
        """The limit of V(V(… V(start))).

        V increases, so that the limit is the first fixed point above a start with V(q) > q, and the
        first below one with V(q) < q.

        Args:
            start: q_1 > 0, the variance of the first layer.
        """
        variances, ratios = _grid(self.activation)
        excess = self.weight * ratios + self.bias / variances - 1
        if np.abs(excess).max() <= ROUNDING:
            return VarianceFixedPoint(start, scale_free=True)
        here = self.excess(start)
        if abs(here) <= ROUNDING:
            return VarianceFixedPoint(start)
        path = variances > start if here > 0 else (variances < start)[::-1]
        ordered = slice(None) if here > 0 else slice(None, None, -1)
        places = [start, *variances[ordered][path].tolist()]
        values = [abs(here), *(math.copysign(1, here) * excess[ordered][path]).tolist()]
        bracket = self._bracket(places, values)
        if bracket is not None:
            return VarianceFixedPoint(self._root(*bracket))
        if here > 0:
            return VarianceFixedPoint(math.inf)
        lowest = self.weight * float(_square_at_zero(self.activation)) + self.bias
        return VarianceFixedPoint(lowest)

    def _bracket(self, places: list[float], values: list[float]) -> tuple[float, float] | None:
        """The first two places between which the excess changes its sign; it is positive first."""
        last_positive = 0
        for k in range(1, len(values)):
            if values[k] < -_RESOLVED:
                return places[last_positive], places[k]
            if values[k] > _RESOLVED:
                last_positive = k
            if k < len(values) - 1 and _is_nearly_tangent(*values[k - 1 : k + 2]):
                dip = self._dip(places[k - 1], places[k + 1])
                if dip is not None:
                    return places[k - 1], dip
        return None

    def _dip(self, left: float, right: float) -> float | None:
        """Where the excess, of one sign at both ends, has the other between them."""
        sign = math.copysign(1, self.excess(left))
        found = minimize_scalar(
            lambda t: sign * self.excess(math.exp(t)),
            bounds=sorted((math.log(left), math.log(right))),
            method="bounded",
        )
        return math.exp(found.x) if found.fun < -_RESOLVED else None

    def _root(self, left: float, right: float) -> float:
        logs = sorted((math.log(left), math.log(right)))
        return math.exp(
            brentq(lambda t: self.excess(math.exp(t)), *logs, xtol=1e-16, rtol=4 * _EPSILON)
        )


def correlation_fixed_point(variances: VarianceMap, variance: float, slope: float) -> float:
    """The fixed point c* < 1 of the correlation map, where its slope at 1 is χ_1 > 1.

    C(c) = Σ a_k c^k with a_k ≥ 0 is convex on [0, 1] and C(1) = 1. So the mean slope (1 - C(c)) /
    (1 - c) increases from at most 1 at c = 0 to χ_1 at c = 1, and is 1 at c* alone. The error of 1
    - c* is about 1e-15 / (1 - c*); if c* is within 3e-8 of 1, the mean slope is taken as linear
    from there on.

    Args:
        variances: The variance map.
        variance: Its fixed point q* > 0.
        slope: χ_1 > 1.
    """

    def excess(correlation: float) -> float:
        duals = dual_activations(
            variances.activation, [variance], [variance], [correlation * variance]
        )
        lost = variances.weight * float(duals.distance) / (2 * variance)
        return lost / (1 - correlation) - 1

    if excess(0.0) >= -ROUNDING:
        return 0.0
    last = excess(1 - _NEAR_ONE)
    if last <= 0:
        return 1 - _NEAR_ONE * (slope - 1) / (slope - 1 - last)
    return brentq(excess, 0.0, 1 - _NEAR_ONE, xtol=1e-16, rtol=4 * _EPSILON)


@lru_cache(maxsize=64)
def _grid(activation: str) -> tuple[np.ndarray, np.ndarray]:
    """Variances q, and E[σ²]/q there."""
    decades = round(math.log10(GREATEST / LEAST))
    variances = torch.logspace(
        math.log10(LEAST), math.log10(GREATEST), decades * _PER_DECADE + 1, dtype=torch.float64
    )
    ratios = variance_moments(activation, variances).square / variances
    return variances.numpy(), ratios.numpy()


def _square_at_zero(activation: str) -> torch.Tensor:
    return variance_moments(activation, torch.zeros(1, dtype=torch.float64)).square


def _is_nearly_tangent(before: float, here: float, after: float) -> bool:
    """Whether the middle one of three values is a minimum just above zero."""
    return _RESOLVED < here < _NEARLY_TANGENT and here < min(before, after) - _RESOLVED / 10
