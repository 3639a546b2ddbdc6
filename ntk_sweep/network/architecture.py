"""The architecture of a network: all that determines its infinite-width kernel on given inputs."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.parametrisations import PARAMETRISATIONS


@dataclass(frozen=True)
class Architecture:
    """A fully connected network without its weights; it travels through points, draws and caches.

    Attributes:
        activation: A name in `ntk_sweep.network.activations.registry.ACTIVATIONS`.
        width: n, the width of every hidden layer.
        depth: D ≥ 2, the number of weight layers.
        parametrisation: A name in `ntk_sweep.network.parametrisations.PARAMETRISATIONS`.
        weight_std: σ_w > 0, the scale of the weights.
        bias_std: σ_b ≥ 0, the scale of the biases; None for a network without biases.

    Raises:
        ValueError: A scale is out of range.
    """

    activation: str
    width: int
    depth: int
    parametrisation: str
    weight_std: float = 1.0
    bias_std: float | None = 1.0

    def __post_init__(self) -> None:
        check_scales(self.weight_std, self.bias_std)
        # 2 and 2.0 are one network, which has one key, and so are 0 and -0
        object.__setattr__(self, "weight_std", float(self.weight_std))
        if self.bias_std is not None:
            object.__setattr__(self, "bias_std", float(self.bias_std) + 0.0)

    @property
    def draw(self) -> Architecture:
        """What networks have in common if one draw of the weights serves all of them."""
        if PARAMETRISATIONS[self.parametrisation].scales_draws:
            return replace(self, activation="")
        return replace(self, activation="", weight_std=1.0, bias_std=1.0)


def check_names(activation: str, parametrisation: str) -> None:
    """Raises a ValueError if one of the names is unknown."""
    check_activation(activation)
    _check_known("parametrisation", parametrisation, PARAMETRISATIONS)


def check_activation(activation: str) -> None:
    """Raises a ValueError if there is no such activation."""
    _check_known("activation", activation, ACTIVATIONS)


def _check_known(kind: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise ValueError(f"unknown {kind} {name!r}: choose one of {', '.join(known)}")


def check_scales(weight_std: float, bias_std: float | None) -> None:
    """Raises a ValueError if a scale of the weights or biases is out of range."""
    if not (_is_finite(weight_std) and weight_std > 0):
        raise ValueError(
            f"weight_std is {weight_std!r}, but must be a positive number: without weights the "
            "inputs would not appear"
        )
    if bias_std is not None and not (_is_finite(bias_std) and bias_std >= 0):
        raise ValueError(
            f"bias_std is {bias_std!r}, but must be 0 or a positive number, or None for a network "
            "without biases"
        )


def scale_words(weight_std: float, bias_std: float | None) -> list[str]:
    """The scales as settings, those that are 1 left out.

    Example:
        >>> scale_words(1.5, None), scale_words(1.0, 0.0), scale_words(1.0, 1.0)
        (['weight_std=1.5', 'bias_std=null'], ['bias_std=0'], [])
    """
    words = [] if weight_std == 1 else [f"weight_std={_digits(weight_std)}"]
    if bias_std != 1:
        words.append(f"bias_std={'null' if bias_std is None else _digits(bias_std)}")
    return words


def _digits(value: float) -> str:
    """A number as it is read back: 2 and not 2.0."""
    return repr(float(value)).removesuffix(".0")


def _is_finite(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
