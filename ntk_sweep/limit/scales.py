"""The squares of the scales σ_w and σ_b, and checks of what mean-field theory takes beside them."""

from __future__ import annotations

import math

from ntk_sweep.network.architecture import check_scales


def squared_scales(weight_std: float, bias_std: float | None) -> tuple[float, float]:
    """σ_w² and σ_b²; no biases (None) count as σ_b = 0.

    Raises:
        ValueError: σ_w is not positive, σ_b negative, or one of them not a finite number.

    Example:
        >>> squared_scales(2.0, None)
        (4.0, 0.0)
    """
    check_scales(weight_std, bias_std)
    return weight_std**2, (bias_std or 0.0) ** 2


def check_number(name: str, value: float, least: float) -> None:
    """Raises a ValueError unless `value` is a finite number of at least `least`.

    Example:
        >>> check_number("variance", 1.0, least=0.0)
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} is {value!r}, but must be a finite number")
    if value < least:
        raise ValueError(f"{name} is {value!r}, but must be at least {least}")
