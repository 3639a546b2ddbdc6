"""Mean-field theory of deep networks at initialisation: order, chaos, and the edge between them.

For the network of infinite width with weights of variance σ_w² / fan-in and biases of variance
σ_b². `docs/theory/criticality.md` has the formulas and their sources.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.limit.dual_activations import Covariances, dual_activations
from ntk_sweep.limit.fixed_points import GREATEST, LEAST, VarianceMap, correlation_fixed_point
from ntk_sweep.limit.scales import check_number, squared_scales
from ntk_sweep.limit.variance_moments import (
    slope_at_infinity,
    variance_moments,
)
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.architecture import check_activation
from ntk_sweep.numerics.tensors import as_tensor

Phase = Literal["ordered", "critical", "chaotic"]

_CRITICAL = 1e-9
"""Slopes this near to 1 count as 1: the depth 1/|log χ| is then a thousand million layers."""

_GREATEST_START = GREATEST / 1e4
"""Four decades, in which fixed points above the start may lie."""


@dataclass(frozen=True)
class MeanField:
    """What becomes of the variances and correlations of inputs in a deep network.

    Attributes:
        activation: The activation.
        weight_std: σ_w.
        bias_std: σ_b.
        first_variance: q_1, the variance of the first layer's pre-activations.
        variance: q*, the fixed point of the variance map that q_1 converges to. Infinite if there
            is none: variances grow without bound (ReLU with σ_w² > 2). Zero: they vanish.
        scale_free: Every variance is a fixed point, and q* = q_1 (ReLU with σ_w² = 2, σ_b = 0).
        variance_slope: V'(q*), V the variance map; where q* is infinite its limit.
        slope: χ_1 = σ_w² E[σ'(√q* z)²]; where q* is 0 or infinite its limit.
        correlation: c*, the fixed point of the correlation map that c in [0, 1) converges to. None
            if every correlation is one: where q* = 0 a σ that is smooth at 0 acts like a linear
            one.
        correlation_slope: The slope of the correlation map at c*. It is χ_1 if c* = 1, unless q* is
            0 or infinite: then it is 1, since correlations are those of a scale-free map.
    """

    activation: str
    weight_std: float
    bias_std: float
    first_variance: float
    variance: float
    scale_free: bool
    variance_slope: float
    slope: float
    correlation: float | None
    correlation_slope: float

    @property
    def phase(self) -> Phase:
        """Ordered for χ_1 < 1, chaotic for χ_1 > 1; critical if χ_1 is 1 to 1e-9.

        Squared gradients, and in the ordered phase distances of inputs, change like χ_1^l.
        """
        if abs(self.slope - 1) <= _CRITICAL:
            return "critical"
        return "ordered" if self.slope < 1 else "chaotic"

    @property
    def variance_depth(self) -> float:
        """ξ_q = -1 / log V'(q*): |q_l - q*| falls like exp(-l / ξ_q). Infinite where it does not.

        The source is Schoenholz et al. 2017.
        """
        return _depth(self.variance_slope)

    @property
    def correlation_depth(self) -> float:
        """ξ_c = -1 / log C'(c*): |c_l - c*| falls like exp(-l / ξ_c). Infinite where it does not.

        The source is Schoenholz et al. 2017.
        """
        return _depth(self.correlation_slope)

    @property
    def ntk_limit(self) -> float:
        """p* = q* / (1 - χ_1), the limit for large depth of every entry of Θ̄ under `ntk`.

        From T^l = K^l + χ_1 T^(l-1) (Xiao et al. 2020, ordered phase). Infinite outside of the
        ordered phase, where the diagonal grows: like l q* on the critical line, like χ_1^l in
        chaos.
        """
        return self.variance / (1 - self.slope) if self.phase == "ordered" else math.inf

    @property
    def ntk_limit_off_diagonal(self) -> float | None:
        """c* q* / (1 - χ_c), the limit of Θ̄'s entries of different inputs; χ_c is C'(c*).

        As p* in the ordered phase, finite in the chaotic one (Xiao et al. 2020). None if c* is.
        """
        if self.phase == "ordered":
            return self.ntk_limit
        if self.correlation is None:
            return None
        if abs(self.correlation_slope - 1) <= _CRITICAL:
            return math.inf
        return self.correlation * self.variance / (1 - self.correlation_slope)


def mean_field(
    activation: str,
    weight_std: float = 1.0,
    bias_std: float | None = 1.0,
    second_moment: float = 1.0,
) -> MeanField:
    """Fixed points, slopes and depths of an activation at scales (σ_w, σ_b).

    Args:
        activation: A name in `ACTIVATIONS`.
        weight_std: σ_w > 0.
        bias_std: σ_b ≥ 0. None (no biases) counts as 0.
        second_moment: ‖x‖² / n_0 of the inputs. It decides where there are several fixed points
            (GELU and SiLU at σ_w² near 2), or only fixed points: q_1 = σ_w² ‖x‖² / n_0 + σ_b².

    Raises:
        ValueError: The name is unknown, a scale out of range, or q_1 zero, below 1e-40 or above
            1e12.

    Example:
        >>> found = mean_field("relu")
        >>> found.variance, found.slope, found.phase, round(found.ntk_limit, 12)
        (2.0, 0.5, 'ordered', 4.0)
        >>> mean_field("relu", weight_std=2.0, bias_std=0.0).variance
        inf
    """
    check_activation(activation)
    weight, bias = squared_scales(weight_std, bias_std)
    check_number("second_moment", second_moment, least=0.0)
    first = weight * second_moment + bias
    if not LEAST <= first <= _GREATEST_START:
        raise ValueError(
            f"the variance of the first layer is {weight_std}² · {second_moment} + {bias_std or 0}²"
            f" = {first}, but must be between {LEAST} and {_GREATEST_START} for a fixed point to be"
            " found: choose other scales or inputs"
        )
    variances = VarianceMap(activation, weight, bias)
    variance, scale_free = variances.fixed_point(first)
    if math.isinf(variance):
        slope = variance_slope = weight * slope_at_infinity(activation)
    else:
        moments = variance_moments(activation, torch.tensor([variance], dtype=torch.float64))
        slope, variance_slope = weight * float(moments.slope), weight * float(moments.growth)
    correlation, correlation_slope = _correlations(variances, variance, slope)
    return MeanField(
        activation=activation,
        weight_std=weight_std,
        bias_std=bias_std or 0.0,
        first_variance=first,
        variance=variance,
        scale_free=scale_free,
        variance_slope=variance_slope,
        slope=slope,
        correlation=correlation,
        correlation_slope=correlation_slope,
    )


def variance_map(
    activation: str, weight_std: float, bias_std: float | None, variances: Covariances
) -> Float[Tensor, " N"]:
    """V(q) = σ_w² E[σ(√q z)²] + σ_b², the variance of the next layer.

    The length map of Poole et al. 2016.

    Args:
        activation: A name in `ACTIVATIONS`.
        weight_std: σ_w > 0.
        bias_std: σ_b ≥ 0, or None.
        variances: q ≥ 0.

    Raises:
        ValueError: The name is unknown, a scale out of range, or a variance negative or not finite.

    Example:
        >>> variance_map("relu", 1.0, 1.0, [1.0, 2.0])
        tensor([1.5000, 2.0000], dtype=torch.float64)
    """
    check_activation(activation)
    weight, bias = squared_scales(weight_std, bias_std)
    at = as_tensor("variances", variances, torch.float64)
    if not torch.isfinite(at).all() or bool((at < 0).any()):
        raise ValueError("variances must be finite and not negative")
    return weight * variance_moments(activation, at.reshape(-1)).square + bias


def correlation_map(
    activation: str,
    weight_std: float,
    bias_std: float | None,
    variance: float,
    correlations: Covariances,
) -> Float[Tensor, " N"]:
    """C(c) = (σ_w² E[σ(u)σ(v)] + σ_b²) / V(q), (u, v) of variance q and correlation c.

    The correlation map of Poole et al. 2016, for two inputs of one variance; there q is q*.

    Args:
        activation: A name in `ACTIVATIONS`.
        weight_std: σ_w > 0.
        bias_std: σ_b ≥ 0, or None.
        variance: q > 0.
        correlations: c in [-1, 1].

    Raises:
        ValueError: The name is unknown, a scale or the variance out of range, or a correlation not
            finite.

    Example:
        >>> correlation_map("relu", 1.0, 1.0, 2.0, [0.0, 1.0])
        tensor([0.6592, 1.0000], dtype=torch.float64)
    """
    check_activation(activation)
    weight, bias = squared_scales(weight_std, bias_std)
    check_number("variance", variance, least=LEAST)
    c = as_tensor("correlations", correlations, torch.float64).reshape(-1)
    duals = dual_activations(activation, [variance], [variance], c * variance)
    own = dual_activations(activation, [variance], [variance], [variance]).function
    return (weight * duals.function + bias) / (weight * own + bias)


def _correlations(
    variances: VarianceMap, variance: float, slope: float
) -> tuple[float | None, float]:
    """c* and C'(c*)."""
    if variance == 0 and not ACTIVATIONS[variances.activation].kinked:
        return None, 1.0
    if variance == 0 or math.isinf(variance):
        return 1.0, 1.0
    if slope <= 1 + _CRITICAL:
        return 1.0, slope
    correlation = correlation_fixed_point(variances, variance, slope)
    duals = dual_activations(variances.activation, [variance], [variance], [correlation * variance])
    return correlation, variances.weight * float(duals.derivative)


def _depth(slope: float) -> float:
    """-1 / log of a slope; 0 where the slope is."""
    if slope >= 1 - _CRITICAL:
        return math.inf
    return -1 / math.log(slope) if slope > 0 else 0.0
