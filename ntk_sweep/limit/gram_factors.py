"""How the Gram matrix of a layer's inputs enters the infinite-width kernel."""

from __future__ import annotations

from typing import NamedTuple

from ntk_sweep.network.architecture import Architecture
from ntk_sweep.network.parametrisations import PARAMETRISATIONS


class GramFactors(NamedTuple):
    """A layer's factors of the Gram matrix of its inputs, and the variance of its bias.

    c_l and the weight variance v_l are those of the parametrisation, n_{l-1} is the fan-in. The
    Gram matrix of a hidden layer is a mean over units, E[σ(u)σ(v)], so that n_{l-1} multiplies it.

    Attributes:
        covariance: c_l² v_l n_{l-1}, in the covariance of the pre-activations.
        tangent: c_l² n_{l-1}, in the term of the layer's own weights.
        bias: The variance of the bias, and its term in the tangent kernel.
    """

    covariance: float
    tangent: float
    bias: float


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
        GramFactors(covariance=50.0, tangent=50.0, bias=1.0)
    """
    first, last = layer == 1, layer == architecture.depth
    fan_in, fan_out = n_in if first else architecture.width, 1 if last else architecture.width
    scaling = PARAMETRISATIONS[architecture.parametrisation]
    tangent = scaling.factor(fan_in, fan_out, last) ** 2 * (1 if first else fan_in)
    return GramFactors(tangent * scaling.weight_std(fan_in) ** 2, tangent, bias=1.0)
