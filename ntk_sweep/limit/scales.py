"""Checks of the scales of weights and biases, σ_w and σ_b, and of the activation they go with."""

from __future__ import annotations

import math

from ntk_sweep.network.activations.registry import ACTIVATIONS


def check_activation(activation: str) -> None:
    """Raises a ValueError if there is no such activation.

    Example:
        >>> check_activation("relu")
    """
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"unknown activation {activation!r}: choose one of {', '.join(ACTIVATIONS)}"
        )


def squared_scales(weight_std: float, bias_std: float | None) -> tuple[float, float]:
    """σ_w² and σ_b²; no biases (None) count as σ_b = 0.

    Raises:
        ValueError: σ_w is not positive, σ_b negative, or one of them not a finite number.

    Example:
        >>> squared_scales(2.0, None)
        (4.0, 0.0)
    """
    check_number("weight_std", weight_std, least=0.0)
    if weight_std == 0:
        raise ValueError("weight_std is 0, but must be positive: all weights would be 0")
    if bias_std is None:
        return weight_std**2, 0.0
    check_number("bias_std", bias_std, least=0.0)
    return weight_std**2, bias_std**2


def check_number(name: str, value: float, least: float) -> None:
    """Raises a ValueError unless `value` is a finite number of at least `least`.

    Example:
        >>> check_number("variance", 1.0, least=0.0)
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} is {value!r}, but must be a finite number")
    if value < least:
        raise ValueError(f"{name} is {value!r}, but must be at least {least}")
