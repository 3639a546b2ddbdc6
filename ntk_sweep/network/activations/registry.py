"""All activation functions, by the names that settings and rows have for them.

A constant `RELU` of a family's file is the activation `relu`. A new family is one line in
`FAMILIES`.
"""

from __future__ import annotations

from ntk_sweep.network.activations import exponential, gaussian, logistic, piecewise_linear
from ntk_sweep.network.activations.activation import Activation

FAMILIES = (piecewise_linear, exponential, logistic, gaussian)

_ORDER = ("relu", "elu", "lrelu", "sigmoid", "tanh", "erf", "gelu", "silu")
"""The order of tables and figures; activations that are not named come after these."""


def _collected() -> dict[str, Activation]:
    found = {
        constant.lower(): value
        for family in FAMILIES
        for constant, value in vars(family).items()
        if isinstance(value, Activation)
    }
    return {name: found[name] for name in dict.fromkeys((*_ORDER, *found))}


ACTIVATIONS: dict[str, Activation] = _collected()
