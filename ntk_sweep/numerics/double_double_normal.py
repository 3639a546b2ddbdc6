"""The error function and its complement in double-double."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import torch

from ntk_sweep.numerics.double_double import (
    DoubleDouble,
    add,
    from_float64,
    multiply,
)
from ntk_sweep.numerics.double_double_functions import (
    chosen,
    constant,
    decaying_exponential,
    divide,
    negative,
    scaled,
)

PI = constant(Decimal("3.1415926535897932384626433832795028841971693993751"))

ROOT_PI = constant(Decimal("1.7724538509055160272981674833411451827975494561224"))
"""√π."""

_STEP = Fraction(11, 32)
"""h: the rule errs by about exp(-(π/h)²), 5e-37."""

_NODES, _DOUBLE_NODES = 26, 18
"""Nodes t_k = (k + 1/2) h, and how many of them need more than float64: exp(-t²) is below 1e-34 and
1e-16 beyond."""

_SHORT = 0.5
"""Arguments up to which erf is computed from its own series."""

_TERMS, _DOUBLE_TERMS = 22, 12
"""Terms of that series, and how many of them need more than float64."""


def decaying_gaussian(x: DoubleDouble) -> DoubleDouble:
    """exp(-x²), to a few units of `UNIT` and what that unit of x makes."""
    return decaying_exponential(multiply(x, x))


def complementary_error(x: DoubleDouble) -> DoubleDouble:
    """The function erfc x = 1 - erf x for x ≥ 0, to some units of `UNIT` relative to the result.

    The midpoint rule for its integral, with the residue at the pole ix,

        erfc x = (2 h x / π) exp(-x²) Σ_k exp(-t_k²) / (x² + t_k²) + 2 / (1 + exp(2 π x / h)),

    has positive terms only (Chiarella and Reichl 1968; Hunter and Regan 1972). For x > π/h the pole
    is too far away to count.

    Example:
        >>> value = complementary_error(constant(1))
        >>> value.hi.item() == math.erfc(1)
        True
    """
    square, total = multiply(x, x), from_float64(torch.zeros_like(x.hi))
    for k in range(_NODES - 1, -1, -1):
        node = constant(((k + Fraction(1, 2)) * _STEP) ** 2)
        weight = decaying_exponential(node)
        if k < _DOUBLE_NODES:
            total = add(total, divide(weight, add(square, node)))
        else:
            total = add(total, from_float64(weight.hi / (square.hi + node.hi)))
    factor = multiply(divide(constant(2 * _STEP), PI), multiply(x, decaying_gaussian(x)))
    pole = decaying_exponential(multiply(x, divide(PI, constant(_STEP / 2))))
    residue = divide(scaled(pole, 2.0), add(constant(1), pole))
    near = (x.hi < math.pi / _STEP).to(x.hi.dtype)
    return add(multiply(factor, total), scaled(residue, near))


def error_function(x: DoubleDouble) -> DoubleDouble:
    """The function erf x, to some units of `UNIT` relative to the result.

    From its series (2/√π) Σ_k (-1)^k x^(2k+1) / (k! (2k + 1)) for small x.
    """
    size = scaled(x, x.hi.sign())
    short = size.hi < _SHORT
    near = chosen(short, size, from_float64(torch.zeros_like(size.hi)))
    square = negative(multiply(near, near))
    series = torch.zeros_like(square.hi)
    for k in range(_TERMS - 1, _DOUBLE_TERMS - 1, -1):
        series = series * square.hi + float(_coefficient(k))
    total = from_float64(series)
    for k in range(_DOUBLE_TERMS - 1, -1, -1):
        total = add(multiply(total, square), constant(_coefficient(k)))
    inner = multiply(total, divide(scaled(near, 2.0), ROOT_PI))
    outer = add(constant(1), negative(complementary_error(size)))
    found = chosen(short, inner, outer)
    return scaled(found, x.hi.sign())


def _coefficient(k: int) -> Fraction:
    return Fraction(1, math.factorial(k) * (2 * k + 1))
