"""Parametrisations: the factors of a layer's weights and bias, and the deviation of their draws.

A network of depth D computes x^l = σ(σ_w c_l W^l x^{l-1} + σ_b b^l) for l < D and f(x) = σ_w c_D
W^D x^{D-1} + σ_b b^D. Like the activations, this module imports nothing heavy, so that settings can
be checked against it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple


class LayerFactors(NamedTuple):
    """How a layer's pre-activations z = weight · W a + bias · b are made, and its draws.

    Attributes:
        weight: The factor of W.
        bias: The factor of b; 0 for a layer without one.
        weight_deviation: The standard deviation of the entries of W at initialisation.
        bias_deviation: Likewise of b.
    """

    weight: float
    bias: float
    weight_deviation: float
    bias_deviation: float


@dataclass(frozen=True)
class Parametrisation:
    """How a layer is scaled.

    Attributes:
        source: Where the scaling comes from.
        factor: (fan_in, fan_out, is_last) ↦ c_l.
        deviation: fan_in ↦ standard deviation of the entries of W^l where σ_w = 1. That of the
            biases is 1.
        scales_draws: Whether σ_w and σ_b multiply the draws at initialisation, once; otherwise they
            are factors of the layer beside c_l.
    """

    source: str
    factor: Callable[[int, int, bool], float]
    deviation: Callable[[int], float]
    scales_draws: bool = False

    def layer(
        self,
        fan_in: int,
        fan_out: int,
        is_last: bool,
        weight_std: float = 1.0,
        bias_std: float | None = 1.0,
    ) -> LayerFactors:
        """What the scales come to in one layer.

        Args:
            fan_in: n_{l-1}.
            fan_out: n_l.
            is_last: Whether l = D.
            weight_std: σ_w.
            bias_std: σ_b; None for no biases, not even such as begin at zero and are trained.

        Example:
            >>> PARAMETRISATIONS["ntk"].layer(4, 9, False, weight_std=3.0, bias_std=0.5)
            LayerFactors(weight=1.5, bias=0.5, weight_deviation=1.0, bias_deviation=1.0)
            >>> PARAMETRISATIONS["standard"].layer(4, 9, False, weight_std=3.0, bias_std=0.5)
            LayerFactors(weight=1.0, bias=1.0, weight_deviation=1.5, bias_deviation=0.5)
        """
        factor, deviation = self.factor(fan_in, fan_out, is_last), self.deviation(fan_in)
        of_bias = float(bias_std or 0)
        if self.scales_draws:
            present = float(bias_std is not None)
            return LayerFactors(factor, present, weight_std * deviation, of_bias)
        return LayerFactors(weight_std * factor, of_bias, deviation, 1.0)


def exact_square(factor: float) -> Fraction:
    """The square of 1/√n, which `factor` is rounded from, or of another factor as it stands.

    Example:
        >>> exact_square(6**-0.5), exact_square(0.5)
        (Fraction(1, 6), Fraction(1, 4))
    """
    inverse = round(factor**-2)
    near = inverse > 0 and abs(factor**-2 - inverse) < 1e-9 * inverse
    return Fraction(1, inverse) if near else Fraction(factor) ** 2


PARAMETRISATIONS: dict[str, Parametrisation] = {
    # c_l = 1/√n_l with the layer's own width, c_D = 1
    "thesis": Parametrisation(
        source="Berg 2024, eq. (5)",
        factor=lambda fan_in, fan_out, is_last: 1.0 if is_last else fan_out**-0.5,
        deviation=lambda fan_in: 1.0,
    ),
    # c_l = 1/√n_{l-1} on every layer
    "ntk": Parametrisation(
        source="Jacot, Gabriel, Hongler 2018",
        factor=lambda fan_in, fan_out, is_last: fan_in**-0.5,
        deviation=lambda fan_in: 1.0,
    ),
    # c_l = 1 and W ~ N(0, σ_w²/n_{l-1})
    "standard": Parametrisation(
        source="Berg 2024, eq. (1), with variance 1/fan-in (LeCun et al. 1998)",
        factor=lambda fan_in, fan_out, is_last: 1.0,
        deviation=lambda fan_in: fan_in**-0.5,
        scales_draws=True,
    ),
}
