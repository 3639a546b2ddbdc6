"""Which digits of a number are known: those that its error bound leaves, in text and tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import pandas as pd

MOST = 10
"""Digits of a number at the most: what a reader may want to compare with other programs."""

Ratio = TypeVar("Ratio", float, "pd.Series")


def known_digits(value: float, bound: float, most: int = MOST) -> int:
    """How many significant digits are known: down to the place of the bound's own first digit.

    Args:
        value: The number.
        bound: Of its absolute error; 0 or NaN if there is none, which leaves `most` digits.
        most: Digits at the most; one is the least.

    Example:
        >>> known_digits(0.0009312, 0.0000102), known_digits(3.647, 2.6e-9, most=4)
        (2, 4)
    """
    if not (bound > 0 and math.isfinite(value) and value != 0):
        return most
    if math.isinf(bound):
        return 1
    return min(max(_exponent(value) - _exponent(bound) + 1, 1), most)


def known(value: float, bound: float, most: int = MOST) -> str:
    """A number to its known digits; zeros at the end are shown where the bound ends the digits.

    Example:
        >>> known(0.0009312, 0.0000102), known(12.5, 0.03, most=6), known(12.5, 0.0)
        ('0.00093', '12.50', '12.5')
    """
    digits = known_digits(value, bound, most)
    if digits == most:
        return f"{value:.{most}g}"
    return f"{value:#.{digits}g}".replace(".e", "e").rstrip(".")


def with_bound(value: float, bound: float) -> str:
    """A number to its known digits, and the bound of its error to one.

    Example:
        >>> with_bound(0.0009312, 0.0000102), with_bound(3.6471234567, 2.6e-9)
        ('0.00093 ± 1e-05', '3.647123457 ± 3e-09')
    """
    return f"{known(value, bound)} ± {bound:.1g}"


def ratio_bound(above: Ratio, above_bound: Ratio, below: Ratio, below_bound: Ratio) -> Ratio:
    """A bound of |a/b - a'/b'| where a' and b' lie within their bounds of a and b, and b' > 0.

    The arguments are numbers, or columns of a frame.
    """
    return (above_bound * below + above * below_bound) / (below * (below - below_bound))


def _exponent(value: float) -> int:
    """That of the power of ten, as the number is printed to one digit."""
    return int(f"{value:.0e}".partition("e")[2])
