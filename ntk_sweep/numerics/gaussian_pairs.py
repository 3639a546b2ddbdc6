"""Centred Gaussian pairs, described so that nearly identical ones keep their accuracy."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.numerics.double_double import two_prod


@dataclass(frozen=True)
class GaussianPairs:
    """Centred Gaussian pairs (u, v), elementwise over broadcast float64 tensors.

    The angle of a nearly identical pair cannot be had from rounded covariances: an error ε of the
    correlation is an error ε/θ of the angle θ. So the determinant and the distance are carried as
    well.

    Attributes:
        var_x: E[u²].
        var_y: E[v²].
        cov: E[uv].
        distance: E[(u - v)²] = var_x + var_y - 2 cov.
        det: var_x var_y - cov², not negative.
    """

    var_x: Float[Tensor, "*pairs"]
    var_y: Float[Tensor, "*pairs"]
    cov: Float[Tensor, "*pairs"]
    distance: Float[Tensor, "*pairs"]
    det: Float[Tensor, "*pairs"]

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
        return cls(var_x, var_y, cov, distance, det)

    @classmethod
    def from_layer(
        cls,
        second_moment: Float[Tensor, " N"],
        distance: Float[Tensor, "N N"],
        gain: float,
        bias: float = 1.0,
    ) -> GaussianPairs:
        """Pre-activations of a layer, k = gain·s + bias.

        Here s_ij are the second moments (Gram matrix) of its inputs. With m = (s_ii + s_jj)/2, Δ =
        s_ii + s_jj - 2 s_ij and q = (s_ii - s_jj)/2 the determinant is gain² (mΔ - Δ²/4 - q²) +
        gain·bias·Δ: for bias > 0 the last term keeps its relative accuracy however small Δ is.

        Args:
            second_moment: s_ii.
            distance: Δ_ij, symmetric with zero diagonal.
            gain: Factor of the Gram matrix.
            bias: Variance of the bias.
        """
        rows, columns = second_moment[:, None], second_moment[None, :]
        mean, half_difference = (rows + columns) / 2, (rows - columns) / 2
        spread = mean * distance - distance * distance / 4 - half_difference * half_difference
        det = (gain * gain * spread.clamp(min=0) + gain * bias * distance).clamp(min=0)
        cov = gain * (mean - distance / 2) + bias
        var_x, var_y = torch.broadcast_tensors(gain * rows + bias, gain * columns + bias)
        return cls(var_x, var_y, cov, gain * distance, det)

    @property
    def angle(self) -> Float[Tensor, "*pairs"]:
        """θ in [0, π] with cos θ the correlation; 0 where a variance is zero."""
        return torch.atan2(self.det.sqrt(), self.cov)

    @property
    def coangle(self) -> Float[Tensor, "*pairs"]:
        """π - θ, to relative accuracy also where it is small."""
        return torch.atan2(self.det.sqrt(), -self.cov)

    @property
    def correlation(self) -> Float[Tensor, "*pairs"]:
        """The correlation cov / √(var_x var_y) in [-1, 1]; 0 where a variance is zero."""
        scale = self.var_x.sqrt() * self.var_y.sqrt()
        return (self.cov / scale).clamp(-1, 1).where(scale > 0, torch.zeros_like(scale))
