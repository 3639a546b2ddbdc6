"""Dual activations of analytic activations beyond float64, by Mehler's series.

With c_k(a) = E[σ(a t) h_k(t)] a pair (u, v) of deviations a, b and correlation ρ has

    E[σ(u)σ(v)] = Σ_k c_k(a) c_k(b) ρ^k,        E[σ'(u)σ'(v)] = Σ_k k c_k(a) c_k(b) ρ^{k-1} / (a b)

(Mehler 1866). As matrices all terms are positive semi-definite: nothing cancels. Only the first
terms, which are large, are added up in double-double.

Dimension letters in the annotations: N Gaussians, P = N(N + 1)/2 pairs in the order of
`ntk_sweep.numerics.double_double.upper_places`, K orders.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ntk_sweep.limit.hermite_coefficients import GRANTED_BITS
from ntk_sweep.numerics.double_double import (
    DoubleDouble,
    add,
    from_float64,
    multiply,
    upper,
    upper_places,
)
from ntk_sweep.numerics.double_double_functions import constant, divide, scaled, selected

_HALF_ULP = 2.0**-53


class ExtendedDuals(NamedTuple):
    """Dual activations of all pairs, with bounds of their absolute errors.

    Attributes:
        function: E[σ(u)σ(v)], (P,).
        derivative: E[σ'(u)σ'(v)], (P,).
        function_error: Of every entry, the covariances being exact.
        derivative_error: Likewise.
    """

    function: DoubleDouble
    derivative: DoubleDouble
    function_error: float
    derivative_error: float


def mehler_duals(
    coefficients: DoubleDouble, deviations: DoubleDouble, covariances: DoubleDouble, bits: int
) -> ExtendedDuals:
    """The dual activations of all pairs, to about 2^-bits of the largest E[σ²] and E[σ'²].

    Even and odd orders make polynomials Q and R in x = ρ², F = Q + ρR, and F' = 2ρQ' + R + 2xR',
    each by Horner's scheme together with its derivative.

    Args:
        coefficients: c_k(a_i), (N, K).
        deviations: a_i, (N,).
        covariances: E[u_i u_j], (P,).
        bits: At most 100.
    """
    rows, columns, _ = upper_places(len(deviations.hi), covariances.hi.device)
    inverse = divide(constant(1), deviations)
    scale = multiply(inverse.at(rows), inverse.at(columns))
    rho = multiply(covariances, scale)
    x = multiply(rho, rho)
    squares = coefficients.hi.square()
    order = torch.arange(squares.shape[1], dtype=torch.float64)
    largest, weighted = squares.max(0).values, (squares * order**2).max(0).values
    size, growth = float(squares.sum(1).max()), float((squares @ order).max())
    kept = weighted > 2.0**-bits * max(size, growth)
    kept[0] = largest[0] > 0
    even, odd = (
        _horner(coefficients, kept & (order % 2 == parity), parity, rho, x, size, bits)
        for parity in (0, 1)
    )
    total = add(even.value, multiply(rho, odd.value))
    twice = scaled(add(multiply(rho, even.slope), multiply(x, odd.slope)), 2.0)
    dropped = ~kept
    # beyond the last coefficient the terms decay as they did before, by more than 1/K each
    left = float((squares * (1 + order))[:, dropped].sum(1).max()) if dropped.any() else 0.0
    left += float(len(order) * weighted[-4:].max())
    rounding = (
        even.rounding
        + odd.rounding
        + left
        + 2.0 ** -min(bits + 6, GRANTED_BITS) * max(size, growth)
    )
    least = float(deviations.hi.min()) ** 2
    return ExtendedDuals(total, multiply(add(odd.value, twice), scale), rounding, rounding / least)


class _Sum(NamedTuple):
    """A polynomial, its derivative, and a bound of the rounding of float64 terms."""

    value: DoubleDouble
    slope: DoubleDouble
    rounding: float


def _horner(
    coefficients: DoubleDouble,
    kept: Tensor,
    parity: int,
    rho: DoubleDouble,
    x: DoubleDouble,
    size: float,
    bits: int,
) -> _Sum:
    """Σ_k c_k c_k' x^{(k - parity)/2} over the orders kept, and its derivative in x."""
    zeros = torch.zeros_like(x.hi)
    if not kept.any():
        return _Sum(from_float64(zeros), from_float64(zeros), 0.0)
    count = len(coefficients.hi)
    last = int(torch.nonzero(kept)[-1])
    shares = torch.where(
        kept, (coefficients.hi.square()).max(0).values * (1 + torch.arange(len(kept))) ** 2, 0.0
    )
    # from this order on the sum is so small that float64 is enough
    tails = shares.flip(0).cumsum(0).flip(0)
    switch = int((tails > 2.0 ** (53 - bits) * size).sum())
    switch += (switch - parity) % 2
    symmetric_x = x.hi.new_empty(count, count)
    rows, columns, _ = upper_places(count, x.hi.device)
    symmetric_x[rows, columns] = symmetric_x[columns, rows] = x.hi
    value, slope = torch.zeros_like(symmetric_x), torch.zeros_like(symmetric_x)
    for k in range(last, switch - 1, -2):
        slope.mul_(symmetric_x).add_(value)
        value.mul_(symmetric_x)
        if kept[k]:
            column = coefficients.hi[:, k]
            value.addr_(column, column)
    total, derivative = from_float64(upper(value)), from_float64(upper(slope))
    left = float(tails[switch]) if switch < len(tails) else 0.0
    for k in range(min(switch - 2, last - (last - parity) % 2), -1, -2):
        derivative = add(multiply(derivative, x), total)
        total = multiply(total, x)
        if kept[k]:
            column_k = selected(coefficients, (slice(None), k))
            total = add(total, multiply(column_k.at(rows), column_k.at(columns)))
    return _Sum(total, derivative, 16 * _HALF_ULP * left)
