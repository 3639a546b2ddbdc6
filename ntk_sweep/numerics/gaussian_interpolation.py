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

import torch
from jaxtyping import Float, Int64
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
"""Last Chebyshev coefficients at which a grid is fine enough, relative to the largest E[f²]:
rounding leaves about 1e-16 in each."""

_MOST_SCALES, _MOST_ANGLES = 40, 80
"""Largest grid that is tried; beyond, quadrature pair by pair takes no longer (tuned at N =
200)."""

_WIDEST_RATIO = 4.0
"""Largest ratio of scales that shares a grid: errors are relative to the largest E[f²], which goes
like the square of the scale."""


def gram_expectations(
    functions: Sequence[Function], moments: Sequence[Moments], pairs: GaussianPairs
) -> list[Float[Tensor, "N N"]]:
    """E[f(u_i)f(u_j)] for each function f and all i, j, exactly symmetric.

    Args:
        functions: The functions f.
        moments: Their moments at the scales √E[u_i²].
        pairs: All pairs of N Gaussians, as `GaussianPairs.from_layer` makes them.
    """
    scales = pairs.var_x[:, 0].sqrt()
    count = len(scales)
    rows, columns = torch.triu_indices(count, count, 1)
    angle = pairs.angle[rows, columns]
    rests = _interpolated(functions, moments, scales, angle, rows, columns)
    if rests is None:
        values = pair_expectations(
            functions,
            scales[rows],
            scales[columns],
            angle,
            pairs.coangle[rows, columns],
            pairs.correlation[rows, columns],
        )
    else:
        correlation = pairs.correlation[rows, columns]
        values = []
        for moment, rest in zip(moments, rests, strict=True):
            mean, slope = moment.hermite[:, 0], moment.hermite[:, 1]
            values.append(
                mean[rows] * mean[columns] + correlation * slope[rows] * slope[columns] + rest
            )
    grams = []
    for moment, value in zip(moments, values, strict=True):
        gram = torch.diag(moment.square)
        gram[rows, columns] = gram[columns, rows] = value
        grams.append(gram)
    return grams


def _interpolated(
    functions: Sequence[Function],
    moments: Sequence[Moments],
    scales: Float[Tensor, " N"],
    angle: Float[Tensor, " P"],
    rows: Int64[Tensor, " P"],
    columns: Int64[Tensor, " P"],
) -> list[Float[Tensor, " P"]] | None:
    """The expectations without Hermite orders 0 and 1.

    None if pair by pair is cheaper, or no grid is fine enough.
    """
    least = float(scales.min())
    if len(angle) == 0 or least == 0 or float(scales.max()) > _WIDEST_RATIO * least:
        return None
    largest = float(scales.max())
    scale_axis = _Axis(scales.log())
    # Where activations look like steps the expectations change on the angle 1/scale, hence the same
    # map as in the quadrature.
    angle_axis = _Axis((steepness(largest) * angle).asinh())
    tolerances = [_TAIL * float(moment.square.max()) for moment in moments]
    # Tuned on widths 50 to 1000 and depths up to 10, pixels as inputs; a poor guess costs a second
    # grid, no accuracy.
    n_scales, n_angles = scale_axis.first_guess(6, 20), angle_axis.first_guess(8, 17)
    while (
        n_scales * n_angles < len(angle) and n_scales <= _MOST_SCALES and n_angles <= _MOST_ANGLES
    ):
        grid = (
            scale_axis.nodes(n_scales).exp().clamp(max=largest),
            angle_axis.nodes(n_angles).sinh() / steepness(largest),
        )
        coefficients = [_coefficients(values) for values in _grid_values(functions, *grid, largest)]
        finer_angles = max(
            _points_needed(c, 0, t) for c, t in zip(coefficients, tolerances, strict=True)
        )
        finer_scales = max(
            _points_needed(c, 1, t) for c, t in zip(coefficients, tolerances, strict=True)
        )
        if finer_angles == n_angles and finer_scales == n_scales:
            polynomials = scale_axis.polynomials(n_scales)
            return [
                _evaluate(polynomials, c, angle_axis.position, rows, columns) for c in coefficients
            ]
        n_angles, n_scales = finer_angles, finer_scales
    return None


class _Axis:
    """Chebyshev interpolation over the range of some points.

    Attributes:
        position: The points, mapped to [-1, 1].
    """

    def __init__(self, points: Float[Tensor, " K"]) -> None:
        low, high = float(points.min()), float(points.max())
        self._centre, self._radius = (low + high) / 2, (high - low) / 2
        self.position = (
            ((points - self._centre) / self._radius).clamp(-1, 1)
            if self._radius
            else torch.zeros_like(points)
        )

    def first_guess(self, least: int, slope: int) -> int:
        """A number of nodes for which a range of radius r mostly suffices, `least` + `slope` √r."""
        return 1 if self._radius == 0 else least + round(slope * self._radius**0.5)

    def nodes(self, count: int) -> Float[Tensor, " {count}"]:
        """The zeros of the Chebyshev polynomial of degree `count`."""
        return self._centre + self._radius * _zeros(count)

    def polynomials(self, count: int) -> Float[Tensor, "K {count}"]:
        """T_k at each point, (N, count)."""
        return (self.position.acos()[:, None] * torch.arange(count, dtype=torch.float64)).cos()


def _zeros(count: int) -> Float[Tensor, " {count}"]:
    return ((torch.arange(count, dtype=torch.float64) + 0.5) * (math.pi / count)).cos()


def _grid_values(
    functions: Sequence[Function],
    scales: Float[Tensor, " S"],
    angles: Float[Tensor, " A"],
    largest: float,
) -> list[Float[Tensor, "A S S"]]:
    """The expectations on the grid, (n_angles, n_scales, n_scales) for each function."""
    at_scales = [line_moments(function, scales) for function in functions]
    values = [
        torch.empty(len(angles), len(scales), len(scales), dtype=torch.float64) for _ in functions
    ]
    for q, angle in enumerate(angles):
        r, weight, sine, cosine = sector_nodes(angle, math.pi - angle, largest)
        near, far = (r * sine).flatten(), (r * cosine).flatten()
        for function, moment, value in zip(functions, at_scales, values, strict=True):
            half = torch.zeros(len(scales), len(scales), dtype=torch.float64)
            for sign in (1, -1):
                left = remainder(function, moment, scales, sign * near[None]).mul_(weight.flatten())
                half.addmm_(left, remainder(function, moment, scales, sign * far[None]).T)
            value[q] = half + half.T
    return values


def _coefficients(values: Float[Tensor, "A S S"]) -> Float[Tensor, "A S S"]:
    """Chebyshev coefficients along all three axes."""
    for axis in range(3):
        count = values.shape[axis]
        order = torch.arange(count, dtype=torch.float64)
        transform = (order[:, None] * ((order + 0.5) * (math.pi / count))).cos() * (2 / count)
        transform[0] /= 2
        values = torch.tensordot(transform, values, dims=([1], [axis])).movedim(0, axis)
    return values


def _points_needed(coefficients: Float[Tensor, "A S S"], axis: int, tolerance: float) -> int:
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
    if tail <= tolerance:
        return count
    decay = max(math.log(head / tail), 1.0) / (count - 2)
    return max(count + 2, 3 + math.ceil(math.log(head / tolerance) / decay))


def _evaluate(
    polynomials: Float[Tensor, "N S"],
    coefficients: Float[Tensor, "A S S"],
    position: Float[Tensor, " P"],
    rows: Int64[Tensor, " P"],
    columns: Int64[Tensor, " P"],
) -> Float[Tensor, " P"]:
    """Σ_k (P C_k Pᵀ)_ij T_k(position_ij), by Clenshaw's recurrence over k."""
    current, previous = torch.zeros_like(position), torch.zeros_like(position)
    for k in range(len(coefficients) - 1, -1, -1):
        term = (polynomials @ coefficients[k] @ polynomials.T)[rows, columns]
        factor = 2 if k else 1
        current, previous = term + factor * position * current - previous, current
    return current
