"""Centred Gaussian pairs, described so that nearly identical ones keep their accuracy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.numerics.double_double import two_prod


@dataclass(frozen=True)
class GaussianPairs:
    """Centred Gaussian pairs (u, v), elementwise over broadcast float64 tensors.

    The angle of a nearly identical pair cannot be had from rounded covariances: an error ε of the
    correlation is an error ε/θ of the angle θ. So area and distance are carried as well.

    Attributes:
        var_x: E[u²].
        var_y: E[v²].
        cov: E[uv].
        distance: E[(u - v)²] = var_x + var_y - 2 cov.
        area: √(var_x var_y - cov²), of the parallelogram of two vectors with this Gram matrix.
    """

    var_x: Float[Tensor, "*#pairs"]
    var_y: Float[Tensor, "*#pairs"]
    cov: Float[Tensor, "*pairs"]
    distance: Float[Tensor, "*pairs"]
    area: Float[Tensor, "*pairs"]

    @classmethod
    def from_covariances(
        cls,
        var_x: Float[Tensor, "*#pairs"],
        var_y: Float[Tensor, "*#pairs"],
        cov: Float[Tensor, "*#pairs"],
    ) -> GaussianPairs:
        """Pairs known by their covariances only, taken as exact.

        |cov| beyond √(var_x var_y) counts as correlation ±1.
        """
        var_x, var_y, cov = torch.broadcast_tensors(var_x, var_y, cov)
        variances, square = two_prod(var_x, var_y), two_prod(cov, cov)
        det = ((variances.hi - square.hi) + (variances.lo - square.lo)).clamp(min=0)
        distance = ((var_x - cov) + (var_y - cov)).clamp(min=0)
        return cls(var_x, var_y, cov, distance, det.sqrt())

    @classmethod
    def from_layer(
        cls,
        rows: Float[Tensor, "*#pairs"],
        columns: Float[Tensor, "*#pairs"],
        distance: Float[Tensor, "*pairs"],
        gain: float,
        bias: float = 1.0,
        area: Float[Tensor, "*pairs"] | None = None,
    ) -> GaussianPairs:
        """Pre-activations of a layer, k = gain·s + bias.

        Here s_ij are the second moments (Gram matrix) of its inputs, Δ = s_ii + s_jj - 2 s_ij, and
        A = √(s_ii s_jj - s_ij²). The determinant of k is (gain A)² + gain·bias·Δ: for bias > 0 the
        last term keeps its relative accuracy however small Δ is.

        Args:
            rows: s_ii, (R, 1) for pairs (R, C).
            columns: s_jj, (1, C).
            distance: Δ_ij, exactly 0 for identical inputs.
            gain: Factor of the Gram matrix.
            bias: Variance of the bias.
            area: A_ij; None takes `area_of`.
        """
        if area is None:
            area = area_of(rows, columns, distance)
        cov = (rows / 2 + columns / 2).sub(distance, alpha=0.5).mul_(gain).add_(bias)
        whole = gain * area
        if bias:
            whole = torch.hypot(whole, (gain * bias * distance).sqrt_())
        return cls(gain * rows + bias, gain * columns + bias, cov, gain * distance, whole)

    @cached_property
    def scale(self) -> Float[Tensor, "*pairs"]:
        """√(var_x var_y), which neither overflows nor underflows."""
        return (self.var_x.sqrt() * self.var_y.sqrt()).expand_as(self.cov)

    @cached_property
    def angle(self) -> Float[Tensor, "*pairs"]:
        """θ in [0, π] with cos θ the correlation; 0 where a variance is zero."""
        return torch.atan2(self.area, self.cov)

    @cached_property
    def coangle(self) -> Float[Tensor, "*pairs"]:
        """π - θ, to relative accuracy also where it is small."""
        return torch.atan2(self.area, -self.cov)

    @cached_property
    def correlation(self) -> Float[Tensor, "*pairs"]:
        """The correlation cov / √(var_x var_y) in [-1, 1]; 0 where a variance is zero."""
        scale = self.scale
        return (self.cov / scale).clamp(-1, 1).where(scale > 0, torch.zeros_like(scale))


def area_of(
    rows: Float[Tensor, "*#pairs"],
    columns: Float[Tensor, "*#pairs"],
    distance: Float[Tensor, "*pairs"],
) -> Float[Tensor, "*pairs"]:
    """√(s_ii s_jj - s_ij²) from s_ii and s_jj, and Δ_ij = s_ii + s_jj - 2 s_ij.

    With m = (s_ii + s_jj)/2 and q = (s_ii - s_jj)/2 its square is mΔ - Δ²/4 - q², which keeps its
    relative accuracy for small Δ unless the two vectors are nearly parallel and of different
    length.
    """
    power = max(power_of_two(rows), power_of_two(columns))
    rows, columns = rows / power, columns / power
    mean, half_difference, distance = (rows + columns) / 2, (rows - columns) / 2, distance / power
    spread = mean * distance - distance * distance / 4 - half_difference * half_difference
    # rounding is no area where one of the vectors has no length
    spread = spread.where(rows * columns > 0, torch.zeros_like(spread))
    return spread.clamp(min=0).sqrt() * power


def power_of_two(values: Float[Tensor, " ..."]) -> float:
    """A power of two near the greatest of some non-negative values; 1 where all are zero.

    Divided by it, products of the values neither overflow nor underflow, and nothing is rounded.
    """
    largest = float(values.max())
    return (
        math.ldexp(1.0, math.frexp(largest)[1] - 1) if math.isfinite(largest) and largest else 1.0
    )
