"""What stands in the cells of a table: numbers, spreads, intervals, probabilities."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ntk_sweep.analysis.rows.over_seeds import ENDS
from ntk_sweep.digits import known_digits

DIGITS = 3
"""Of a loss in a table: seeds differ in the second."""


@dataclass(frozen=True)
class Number:
    """A number in a table, with or without a spread.

    Attributes:
        value: The number.
        spread: A standard deviation, shown behind ± with the same exponent; None or NaN for none.
        digits: Significant digits of the value.
    """

    value: float
    spread: float | None = None
    digits: int = 4


Entry = str | int | Number


def number(value: float, digits: int = 4) -> str:
    """A number in plain text: 3.664, 3.935e-10."""
    return text_of(Number(value, digits=digits))


def signed(value: float, digits: int = 2, sign: str = "") -> str:
    """A number with fixed decimals, where what rounds to zero has no minus: 0.00 and not -0.00.

    Args:
        value: The number.
        digits: Decimals.
        sign: "+" writes it before positive numbers too.
    """
    return f"{value:{sign}z.{digits}f}"


def bracket(line: dict, name: str) -> str:
    """A median with the least and greatest value: 0.12 [0.10, 0.15].

    From the columns `NAME`, `NAME_low` and `NAME_high`.
    """
    middle, low, high = (line[f"{name}{end}"] for end in ENDS)
    if np.isnan(middle):
        return "—"
    text = "infinite" if np.isinf(middle) else number(middle, DIGITS)
    return (
        text
        if low == high or not np.isfinite(low)
        else f"{text} [{number(low, DIGITS)}, {number(high, DIGITS)}]"
    )


def bounded(value: float, spread: float | None, bound: float, digits: int = 4) -> Number:
    """A number of which only the digits are shown that the bound of its error leaves."""
    return Number(value, spread, known_digits(value, bound, digits))


def interval_text(low: float, high: float, bound: float) -> Entry:
    """An interval as an entry of a table, to the digits that the bound of its ends leaves."""
    if np.isnan(low):
        return "—"
    return " to ".join(number(end, known_digits(end, bound, DIGITS)) for end in (low, high))


def probability_text(value: float) -> Entry:
    """A probability as an entry of a table; `CONTESTS` draws tell no more than whole percents."""
    if np.isnan(value):
        return "—"
    return "< 1 %" if value < 0.01 else "> 99 %" if 0.995 <= value < 1 else f"{100 * value:.0f} %"


def text_of(entry: Entry) -> str:
    """An entry in plain text."""
    return rendered(entry, " ± ", lambda exponent: f"e{exponent:+03d}")


def rendered(entry: Entry, plus_minus: str, power: Callable[[int], str]) -> str:
    """A number in one notation: 4.12 ± 0.31, or (3.93 ± 0.70)e-10."""
    if not isinstance(entry, Number):
        return str(entry)
    mantissa, spread, exponent = _parts(entry)
    text = mantissa if spread is None else f"{mantissa}{plus_minus}{spread}"
    if exponent is not None:
        text = (f"({text})" if spread is not None else text) + power(exponent)
    return text


def _parts(entry: Number) -> tuple[str, str | None, int | None]:
    """Mantissa, spread and exponent.

    One exponent for both, and none where fixed notation reads better.
    """
    if not math.isfinite(entry.value) or entry.value == 0:
        return f"{entry.value:g}", None, None
    exponent = int(f"{entry.value:.{entry.digits - 1}e}".partition("e")[2])
    fixed = -3 <= exponent < entry.digits + 2
    shift = 0 if fixed else exponent
    decimals = max(entry.digits - 1 - (exponent - shift), 0)
    spread = entry.spread if entry.spread is not None and math.isfinite(entry.spread) else None
    scale = 10.0**-shift
    return (
        f"{entry.value * scale:.{decimals}f}",
        None if spread is None else f"{spread * scale:.{decimals}f}",
        None if fixed else shift,
    )
