"""Parametrisations: the factor c_l of each weight matrix and the deviation of its entries.

A network of depth D computes x^l = σ(c_l W^l x^{l-1} + b^l) for l < D and f(x) = c_D W^D x^{D-1} +
b^D. Like the activations, this module imports nothing heavy, so that settings can be checked
against it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Parametrisation:
    """How the weights of a layer are scaled.

    Attributes:
        source: Where the scaling comes from.
        factor: (fan_in, fan_out, is_last) ↦ c_l.
        weight_std: fan_in ↦ standard deviation of the entries of W^l. Biases are N(0, 1)
            throughout.
    """

    source: str
    factor: Callable[[int, int, bool], float]
    weight_std: Callable[[int], float]


PARAMETRISATIONS: dict[str, Parametrisation] = {
    # c_l = 1/√n_l with the layer's own width, c_D = 1
    "thesis": Parametrisation(
        source="Berg 2024, eq. (5)",
        factor=lambda fan_in, fan_out, is_last: 1.0 if is_last else fan_out**-0.5,
        weight_std=lambda fan_in: 1.0,
    ),
    # c_l = 1/√n_{l-1} on every layer
    "ntk": Parametrisation(
        source="Jacot, Gabriel, Hongler 2018, section 2",
        factor=lambda fan_in, fan_out, is_last: fan_in**-0.5,
        weight_std=lambda fan_in: 1.0,
    ),
    # c_l = 1 and W ~ N(0, 1/n_{l-1})
    "standard": Parametrisation(
        source="Berg 2024, eq. (1), with variance 1/fan-in (LeCun et al. 1998)",
        factor=lambda fan_in, fan_out, is_last: 1.0,
        weight_std=lambda fan_in: fan_in**-0.5,
    ),
}
