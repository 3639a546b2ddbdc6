"""Quotients, roots and exponentials in double-double, to a few units of `UNIT`.

Like `ntk_sweep.numerics.double_double` they assume round-to-nearest and no overflow.
"""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ntk_sweep.numerics.double_double import (
    DoubleDouble,
    add,
    add_plain,
    multiply,
    two_prod,
    two_sum,
)

_STEPS = 32
"""Steps of the table of 2^(j/32)."""

_DIGITS = 40
"""Decimal digits of the constants: two float64 hold 32."""

_TERMS, _DOUBLE_TERMS = 12, 6
"""Terms of the exponential series, and how many of them need more than float64: its argument is at
most log(2)/64, so that the terms left out are below 1e-35 and those in float64 below 1e-17."""


def selected(x: DoubleDouble, index: Any) -> DoubleDouble:
    """The elements at an index of any kind; `x[index]`, for type checkers."""
    return DoubleDouble(x.hi[index], x.lo[index])


def chosen(condition: Bool[Tensor, " ..."], x: DoubleDouble, y: DoubleDouble) -> DoubleDouble:
    """The entries of x where the condition holds, those of y elsewhere."""
    return DoubleDouble(*(a.where(condition, b) for a, b in zip(x, y, strict=True)))


def negative(x: DoubleDouble) -> DoubleDouble:
    """The number -x, exactly."""
    return DoubleDouble(-x.hi, -x.lo)


def scaled(x: DoubleDouble, power: float | Float[Tensor, " ..."]) -> DoubleDouble:
    """The number x · power, exactly, for a power of two with either sign, or 0."""
    return DoubleDouble(x.hi * power, x.lo * power)


def constant(value: Fraction | Decimal | float | int) -> DoubleDouble:
    """A number as a double-double of no dimension, rounded to nearest.

    Example:
        >>> constant(Fraction(1, 3)).hi.item() == 1 / 3
        True
    """
    hi = float(value)
    exact = Fraction(value) - Fraction(hi)
    return DoubleDouble(*(torch.tensor(part, dtype=torch.float64) for part in (hi, float(exact))))


def divide(x: DoubleDouble, y: DoubleDouble) -> DoubleDouble:
    """The quotient x / y for y ≠ 0: three digits of float64, each from what the others leave."""
    first = x.hi / y.hi
    rest = add(x, negative(_times(y, first)))
    second = rest.hi / y.hi
    rest = add(rest, negative(_times(y, second)))
    return add_plain(two_sum(first, second), rest.hi / y.hi)


def square_root(x: DoubleDouble) -> DoubleDouble:
    """√x for x > 0: one Newton step from the root in float64."""
    root = x.hi.sqrt()
    rest = add(x, negative(two_prod(root, root)))
    return two_sum(root, rest.hi / (2 * root))


def decaying_exponential(x: DoubleDouble) -> DoubleDouble:
    """exp(-x) for x ≥ 0, to a few units of `UNIT`, absolutely.

    With -x = (log 2 / 32) m + r, |r| ≤ log(2)/64, it is 2^(m // 32) · 2^((m mod 32)/32) · exp r.

    Example:
        >>> value = decaying_exponential(constant(1))
        >>> value.hi.item() == math.exp(-1), abs(value.lo.item() + 1.2428753672788363e-17) < 1e-31
        (True, True)
    """
    factor, power, rest = _reduced(x)
    value = multiply(_series(rest, 0), factor)
    return scaled(value, power)


def decaying_difference(x: DoubleDouble) -> DoubleDouble:
    """exp(-x) - 1 for x ≥ 0, to some units of `UNIT` relative to the result.

    With f · exp r for exp(-x), as in `decaying_exponential`, it is f (exp r - 1) + (f - 1), where f
    is 1 for small x.
    """
    factor, power, rest = _reduced(x)
    series = multiply(_series(rest, 1), rest)
    step = scaled(multiply(series, factor), power)
    return add(step, add(scaled(factor, power), constant(-1)))


def _reduced(x: DoubleDouble) -> tuple[DoubleDouble, Float[Tensor, " ..."], DoubleDouble]:
    """2^((m mod 32)/32), 2^(m // 32) and r with exp(-x) their product with exp r."""
    table, step = _constants()
    table, step = table.to(x.hi.device), step.to(x.hi.device)
    # beyond 700 the value is nothing beside its error bound
    x = DoubleDouble(x.hi.clamp(max=700), x.lo.where(x.hi < 700, torch.zeros_like(x.lo)))
    count = (-x.hi / step.hi).round()
    rest = add(negative(x), negative(_times(step, count)))
    index = count.remainder(_STEPS).long()
    return selected(table, index), torch.exp2((count - index) / _STEPS), rest


def _series(rest: DoubleDouble, least: int) -> DoubleDouble:
    """Σ_k r^(k - least) / k! for k from `least` on."""
    series = torch.full_like(rest.hi, 1 / math.factorial(_TERMS))
    for k in range(_TERMS - 1, _DOUBLE_TERMS, -1):
        series = series * rest.hi + 1 / math.factorial(k)
    total = DoubleDouble(series, torch.zeros_like(series))
    for k in range(_DOUBLE_TERMS, least - 1, -1):
        total = add(multiply(total, rest), constant(Fraction(1, math.factorial(k))))
    return total


def _times(x: DoubleDouble, y: Float[Tensor, " ..."]) -> DoubleDouble:
    """The product x · y for a float64 tensor y."""
    product = two_prod(x.hi, y)
    return add_plain(product, x.lo * y)


def _constants() -> tuple[DoubleDouble, DoubleDouble]:
    """2^(j/32) for j = 0..31, and log 2 / 32."""
    if not _TABLE:
        with localcontext() as context:
            context.prec = _DIGITS
            powers = [constant(Decimal(2) ** (Decimal(j) / _STEPS)) for j in range(_STEPS)]
            step = constant(Decimal(2).ln() / _STEPS)
        columns = (torch.stack(part) for part in zip(*powers, strict=True))
        _TABLE.append((DoubleDouble(*columns), step))
    return _TABLE[0]


_TABLE: list[tuple[DoubleDouble, DoubleDouble]] = []
