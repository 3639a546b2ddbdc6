"""How the Gram matrix of a layer's inputs enters the infinite-width kernel."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from ntk_sweep.network.architecture import Architecture
from ntk_sweep.network.parametrisations import PARAMETRISATIONS, exact_square
from ntk_sweep.numerics.double_double import DoubleDouble
from ntk_sweep.numerics.double_double_functions import constant


class GramFactors(NamedTuple):
    """How the Gram matrix of a layer's inputs, and its bias, enter the two kernels.

    The factors c_l and β_l and the variances v_l and w_l of the draws are those of the
    parametrisation, the scales σ_w and σ_b included, and n_{l-1} is the fan-in. The Gram matrix of
    a hidden layer is a mean over units, E[σ(u)σ(v)], so that n_{l-1} multiplies it.

    Attributes:
        covariance: c_l² v_l n_{l-1}, in the covariance of the pre-activations.
        tangent: c_l² n_{l-1}, in the term of the layer's own weights.
        bias: β_l² w_l, the variance of the bias in the pre-activations.
        bias_tangent: β_l², the term of the layer's own bias.
    """

    covariance: float
    tangent: float
    bias: float
    bias_tangent: float


def gram_factors(architecture: Architecture, layer: int, n_in: int) -> GramFactors:
    """The factors of one layer.

    The Gram matrix of the first layer is that of the inputs, x xᵀ: a sum and not a mean, so that
    n_0 does not multiply it.

    Args:
        architecture: The network.
        layer: l, from 1 to D.
        n_in: n_0, the features of an input.

    Example:
        >>> gram_factors(Architecture("relu", width=50, depth=3, parametrisation="thesis"), 3, 784)
        GramFactors(covariance=50.0, tangent=50.0, bias=1.0, bias_tangent=1.0)
    """
    first, last = layer == 1, layer == architecture.depth
    fan_in, fan_out = n_in if first else architecture.width, 1 if last else architecture.width
    own = PARAMETRISATIONS[architecture.parametrisation].layer(
        fan_in, fan_out, last, architecture.weight_std, architecture.bias_std
    )
    tangent = own.weight**2 * (1 if first else fan_in)
    return GramFactors(
        covariance=tangent * own.weight_deviation**2,
        tangent=tangent,
        bias=(own.bias * own.bias_deviation) ** 2,
        bias_tangent=own.bias**2,
    )


class ExactFactors(NamedTuple):
    """`GramFactors` in double-double."""

    covariance: DoubleDouble
    tangent: DoubleDouble
    bias: DoubleDouble
    bias_tangent: DoubleDouble


def exact_gram_factors(architecture: Architecture, layer: int, n_in: int) -> ExactFactors:
    """The factors of one layer beyond float64, σ_w and σ_b being the exact float64 numbers.

    Without σ_w, a parametrisation's factors and deviations are square roots of 1/n or of 1.

    Example:
        >>> float(exact_gram_factors(Architecture("erf", 50, 3, "thesis"), 1, 64).covariance.lo)
        -4.163336342344337e-19
    """
    first, last = layer == 1, layer == architecture.depth
    fan_in, fan_out = n_in if first else architecture.width, 1 if last else architecture.width
    return _exact_factors(replace(architecture, depth=0), first, last, fan_in, fan_out)


@lru_cache(maxsize=64)
def _exact_factors(
    architecture: Architecture, first: bool, last: bool, fan_in: int, fan_out: int
) -> ExactFactors:
    """The same for all layers between the first and the last."""
    entry = PARAMETRISATIONS[architecture.parametrisation]
    plain = entry.layer(fan_in, fan_out, last)
    weight_std, bias_std = Fraction(architecture.weight_std), architecture.bias_std
    of_bias = Fraction(bias_std or 0) ** 2
    tangent = exact_square(plain.weight) * (1 if first else fan_in)
    covariance = tangent * exact_square(plain.weight_deviation) * weight_std**2
    if entry.scales_draws:
        bias_tangent = Fraction(bias_std is not None)
    else:
        tangent, bias_tangent = tangent * weight_std**2, of_bias
    return ExactFactors(*map(constant, (covariance, tangent, of_bias, bias_tangent)))
