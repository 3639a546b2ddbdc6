"""The same Gaussian expectations for all pairs of a Gram matrix at once, by interpolation.

Quadrature of all N²/2 pairs would spend most of its time on the activation function. But an
expectation depends on three numbers only, the two scales and the angle, and smoothly: once Hermite
orders 0 and 1 are split off, a Chebyshev grid over the ranges that occur needs a few hundred
quadratures, and each of them shares its function values with others. Everything here is checked
against `gaussian_quadrature.pair_expectations` in the tests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ntk_sweep.numerics.gaussian_pairs import GaussianPairs
from ntk_sweep.numerics.gaussian_quadrature import (
    Function,
    Moments,
    line_moments,
    pair_expectations,
    remainder,
    sector_nodes,
    steepness,
)

_TAIL = 1e-15
"""Last Chebyshev coefficients at which a grid is fine enough: what is interpolated is divided by
√(E[f(u)²] E[f(v)²]), and rounding leaves about 1e-16 in each."""

_MOST_SCALES, _MOST_ANGLES = 40, 80
"""Largest grid that is tried; beyond, quadrature pair by pair takes no longer (tuned at N =
200)."""

_CELL = 0.25
"""Grids end at multiples of it, so that few serve all layers and widths; tuned: with half and with
twice as much a sweep takes as long."""

_WIDEST_RATIO = 100.0
"""Largest ratio of scales that shares a grid: wider ones need more points than `_MOST_SCALES`."""


def gram_expectations(
    functions: Sequence[Function],
    rows: Sequence[Moments],
    columns: Sequence[Moments],
    pairs: GaussianPairs,
) -> list[Float[Tensor, "R C"]]:
    """E[f(u_i)f(v_j)] for each function f, and all i and j.

    Identical pairs (distance exactly 0) have E[f(u_i)²]. Where rows and columns are the same object
    the result is exactly symmetric.

    Args:
        functions: The functions f.
        rows: Their moments at the scales √E[u_i²].
        columns: Their moments at the scales √E[v_j²].
        pairs: The pairs, (R, C), as `GaussianPairs.from_layer` makes them.
    """
    same = columns is rows
    scales = pairs.var_x[:, 0].sqrt(), pairs.var_y[0].sqrt()
    apart = pairs.distance > 0
    grids = _grids(functions, scales, pairs.angle, apart, same)
    if grids is not None:
        grams = grids.rests(scales, pairs.angle)
        for moments, others, values in zip(rows, columns, grams, strict=True):
            sizes = torch.outer(moments.square.sqrt(), others.square.sqrt())
            (mean, slope), (mean_y, slope_y) = (of.hermite.T[:2] for of in (moments, others))
            values.mul_(sizes).addr_(mean, mean_y).addcmul_(
                pairs.correlation, torch.outer(slope, slope_y)
            )
    else:
        grams = _pair_by_pair(functions, scales, pairs, apart.triu(1) if same else apart)
    found = []
    for moments, values in zip(rows, grams, strict=True):
        if same:
            values = values.triu_(1)
            values = values + values.T
        found.append(values.where(apart, moments.square[:, None]))
    return found


def _pair_by_pair(
    functions: Sequence[Function],
    scales: tuple[Float[Tensor, " R"], Float[Tensor, " C"]],
    pairs: GaussianPairs,
    wanted: Bool[Tensor, "R C"],
) -> list[Float[Tensor, "R C"]]:
    """By quadrature of each pair that is wanted, zero elsewhere."""
    i, j = wanted.nonzero(as_tuple=True)
    angles = (pairs.angle[i, j], pairs.coangle[i, j], pairs.correlation[i, j])
    grams = [torch.zeros_like(pairs.cov) for _ in functions]
    entries = pair_expectations(functions, scales[0][i], scales[1][j], *angles)
    for gram, values in zip(grams, entries, strict=True):
        gram[i, j] = values
    return grams


def _grids(
    functions: Sequence[Function],
    scales: tuple[Float[Tensor, " R"], Float[Tensor, " C"]],
    angle: Float[Tensor, "R C"],
    apart: Bool[Tensor, "R C"],
    same: bool,
) -> _Grids | None:
    """Grids over these scales and angles; None if pair by pair is cheaper, or none is fine enough.

    They reach to the next multiples of `_CELL`, so that layers and widths share them.
    """
    ends = [torch.aminmax(of) for of in scales]
    least, largest = float(min(end.min for end in ends)), float(max(end.max for end in ends))
    count = len(angle) * (len(angle) - 1) // 2 if same else angle.numel()
    if least == 0 or largest > _WIDEST_RATIO * least or not apart.any():
        return None
    of_scales = _Axis.around(math.log(least), math.log(largest))
    rate = steepness(math.exp(of_scales.high))
    # the angle of identical pairs is 0
    nearest = float(angle.masked_fill(~apart, math.inf).min())
    of_angles = _Axis.around(*(math.asinh(rate * end) for end in (nearest, float(angle.max()))))
    of_angles = of_angles._replace(high=min(of_angles.high, math.asinh(rate * math.pi)))
    grids = _fine_grids(tuple(functions), of_scales, of_angles)
    if grids is None or grids.points >= count:
        return None
    return grids


class _Axis(NamedTuple):
    """An interval on which functions are interpolated by Chebyshev polynomials."""

    low: float
    high: float

    @classmethod
    def around(cls, low: float, high: float) -> _Axis:
        """The shortest one that contains these two numbers and ends at multiples of `_CELL`."""
        first, last = math.floor(low / _CELL), math.ceil(high / _CELL)
        return cls(first * _CELL, max(last, first + 1) * _CELL)

    @property
    def radius(self) -> float:
        """Half its length."""
        return (self.high - self.low) / 2

    def nodes(self, count: int) -> Float[Tensor, " {count}"]:
        """The zeros of the Chebyshev polynomial of degree `count`."""
        return (self.low + self.high) / 2 + self.radius * _zeros(count)

    def position(self, points: Float[Tensor, "*p"]) -> Float[Tensor, "*p"]:
        """The points, mapped to [-1, 1]."""
        return ((points - (self.low + self.high) / 2) / self.radius).clamp_(-1, 1)

    def polynomials(self, points: Float[Tensor, " K"], count: int) -> Float[Tensor, "K {count}"]:
        """T_k at each point."""
        order = torch.arange(count, dtype=torch.float64)
        return (self.position(points).acos()[:, None] * order).cos()


@dataclass(frozen=True)
class _Grids:
    """Chebyshev coefficients of the expectations without Hermite orders 0 and 1, over their sizes.

    Attributes:
        scales: The axis of log √E[u²].
        angles: The axis of asinh(rate θ): where activations look like steps the expectations change
            on the angle 1/scale, hence the same map as in the quadrature.
        coefficients: One array for each function, (n_angles, n_scales, n_scales).
    """

    scales: _Axis
    angles: _Axis
    coefficients: tuple[Float[Tensor, "A S S"], ...]

    @property
    def points(self) -> int:
        """The angles times the scales of a grid."""
        return self.coefficients[0].shape[0] * self.coefficients[0].shape[1]

    def rests(
        self, scales: tuple[Float[Tensor, " R"], Float[Tensor, " C"]], angle: Float[Tensor, "R C"]
    ) -> list[Float[Tensor, "R C"]]:
        """Σ_k (P C_k Qᵀ)_ij T_k(θ_ij), by Clenshaw's recurrence over k."""
        count = self.coefficients[0].shape[1]
        of_rows, of_columns = (self.scales.polynomials(of.log(), count) for of in scales)
        rate = steepness(math.exp(self.scales.high))
        position = self.angles.position((rate * angle).asinh_())
        twice, found = 2 * position, []
        for coefficients in self.coefficients:
            parts = of_rows @ coefficients
            current, previous = torch.zeros_like(position), torch.zeros_like(position)
            for k in range(len(coefficients) - 1, -1, -1):
                previous.addmm_(parts[k], of_columns.T, beta=-1)
                previous.addcmul_(twice if k else position, current)
                current, previous = previous, current
            found.append(current)
        return found


@lru_cache(maxsize=64)
def _fine_grids(
    functions: tuple[Function, ...], of_scales: _Axis, of_angles: _Axis
) -> _Grids | None:
    """Grids that are fine enough for all functions; None if that is more than the largest."""
    largest = math.exp(of_scales.high)
    # Tuned on widths 50 to 1000 and depths up to 10, pixels as inputs; a poor guess costs a second
    # grid, no accuracy.
    n_scales, n_angles = (
        least + round(slope * axis.radius**0.5)
        for least, slope, axis in ((6, 20, of_scales), (8, 17, of_angles))
    )
    while n_scales <= _MOST_SCALES and n_angles <= _MOST_ANGLES:
        scales = of_scales.nodes(n_scales).exp().clamp(max=largest)
        angles = of_angles.nodes(n_angles).sinh() / steepness(largest)
        moments = [line_moments(function, scales) for function in functions]
        values = _grid_values(functions, moments, scales, angles.clamp(0, math.pi), largest)
        coefficients = tuple(map(_coefficients, values))
        finer_angles, finer_scales = (
            max(_points_needed(c, axis) for c in coefficients) for axis in (0, 1)
        )
        if finer_angles == n_angles and finer_scales == n_scales:
            return _Grids(of_scales, of_angles, coefficients)
        n_angles, n_scales = finer_angles, finer_scales
    return None


def _zeros(count: int) -> Float[Tensor, " {count}"]:
    return ((torch.arange(count, dtype=torch.float64) + 0.5) * (math.pi / count)).cos()


def _grid_values(
    functions: Sequence[Function],
    moments: Sequence[Moments],
    scales: Float[Tensor, " S"],
    angles: Float[Tensor, " A"],
    largest: float,
) -> list[Float[Tensor, "A S S"]]:
    """The same expectations on the grid, (n_angles, n_scales, n_scales) for each function."""
    values = [
        torch.empty(len(angles), len(scales), len(scales), dtype=torch.float64) for _ in functions
    ]
    for q, angle in enumerate(angles):
        r, weight, sine, cosine = sector_nodes(angle, math.pi - angle, largest)
        near, far = (r * sine).flatten(), (r * cosine).flatten()
        for function, moment, value in zip(functions, moments, values, strict=True):
            half = torch.zeros(len(scales), len(scales), dtype=torch.float64)
            for sign in (1, -1):
                left = remainder(function, moment, scales, sign * near[None]).mul_(weight.flatten())
                half.addmm_(left, remainder(function, moment, scales, sign * far[None]).T)
            value[q] = half + half.T
    sizes = [moment.square.sqrt() for moment in moments]
    return [value / torch.outer(size, size) for value, size in zip(values, sizes, strict=True)]


def _coefficients(values: Float[Tensor, "A S S"]) -> Float[Tensor, "A S S"]:
    """Chebyshev coefficients along all three axes."""
    for axis in range(3):
        count = values.shape[axis]
        order = torch.arange(count, dtype=torch.float64)
        transform = (order[:, None] * ((order + 0.5) * (math.pi / count))).cos() * (2 / count)
        transform[0] /= 2
        values = torch.tensordot(transform, values, dims=([1], [axis])).movedim(0, axis)
    return values


def _points_needed(coefficients: Float[Tensor, "A S S"], axis: int) -> int:
    """The grid points an axis needs.

    Those it has if its last two coefficients are small, else as geometric decay foretells.
    """
    count = coefficients.shape[axis]
    if count == 1:
        return 1
    head, tail = (
        float(coefficients.abs().max()),
        float(coefficients.narrow(axis, count - 2, 2).abs().max()),
    )
    if tail <= _TAIL:
        return count
    decay = max(math.log(head / tail), 1.0) / (count - 2)
    return max(count + 2, 3 + math.ceil(math.log(head / _TAIL) / decay))
