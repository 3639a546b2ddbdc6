"""Dual activations of pairs that nearly coincide, as differences from their mean.

Deep networks of saturating activations see all inputs alike: all K_ij lie near one number κ. With
p_i = K_ii - κ, d_ij = K_ij - κ and the moments M_mn = E[σ^(m)(u) σ^(n)(u)], u ~ N(0, κ),

    E[σ(u)σ(v)] = Σ_{a,b,c} (p_i/2)^a (p_j/2)^b d_ij^c M_{2a+c, 2b+c} / (a! b! c!)

by Price's theorem (1958), and E[σ'(u)σ'(v)] likewise with all indices of M one larger. Terms of
degree m are smaller than the differences by the power m - 1 of these, and need that many digits
less.

Dimension letters in the annotations: N Gaussians, P pairs, as in
`ntk_sweep.limit.mehler_series`; J moments.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.limit.hermite_coefficients import GRANTED_BITS
from ntk_sweep.numerics.double_double import (
    DoubleDouble,
    add,
    from_float64,
    matmul,
    multiply,
    symmetric,
    upper,
    upper_places,
)
from ntk_sweep.numerics.double_double_functions import (
    constant,
    divide,
    scaled,
    selected,
    square_root,
)

MOST = 12
"""Degree of the longest series that is tried; Mehler's series is faster then."""

MOMENTS = 2 * MOST + 2

_HALF_ULP = 2.0**-53


@dataclass(frozen=True)
class Moments:
    """The moments at one variance.

    Attributes:
        variance: κ, exact in float64.
        table: M_mn, (J, J).
        coefficients: c_k(√κ) in float64, for the sensitivities.
    """

    variance: float
    table: DoubleDouble
    coefficients: Float[Tensor, " K"]


def moment_tables(variances: Float[Tensor, " L"], coefficients: DoubleDouble) -> list[Moments]:
    """The moments at each variance, M_mn = Σ_k b_mk b_nk, b_mk = √((k+1)…(k+m)) c_{k+m} / κ^{m/2}.

    Args:
        variances: κ.
        coefficients: c_k(√κ), (L, K).
    """
    count = coefficients.hi.shape[1]
    orders = from_float64(torch.arange(1, count + 1, dtype=torch.float64))
    variance = DoubleDouble(variances[:, None], torch.zeros_like(variances)[:, None])
    factors = square_root(divide(orders, variance))
    rows = [coefficients]
    for _ in range(MOMENTS - 1):
        above = rows[-1]
        shifted = DoubleDouble(*(torch.nn.functional.pad(part[:, 1:], (0, 1)) for part in above))
        rows.append(multiply(shifted, factors))
    stacked = DoubleDouble(*(torch.stack(part, 1) for part in zip(*rows, strict=True)))
    product, _ = matmul(stacked, stacked.hi.mT.contiguous(), 3)
    table = add(product, from_float64(stacked.hi @ stacked.lo.mT))
    return [
        Moments(float(variances[index]), selected(table, index), coefficients.hi[index])
        for index in range(len(variances))
    ]


@dataclass(frozen=True)
class Differences:
    """Dual activations less their value for identical pairs of variance κ.

    Attributes:
        value: E[f(u)f(v)] - M, (P,).
        error: A bound of its error, the covariances being exact.
    """

    value: DoubleDouble
    error: float


def taylor_differences(
    moments: Moments, order: int, differences: DoubleDouble, size: int, bits: int
) -> Differences | None:
    """E[σ^(order)(u) σ^(order)(v)] - M_{order, order} for all pairs.

    None if the series does not converge fast enough.

    Args:
        moments: Those at κ.
        order: 0 or 1.
        differences: K_ij - κ, (P,).
        size: N.
        bits: The error is about 2^-bits of the largest value.
    """
    table = selected(moments.table, (slice(order, None), slice(order, None)))
    spread = float(differences.hi.abs().max())
    result = spread * float(table.hi[1, 1].abs() + table.hi[2, 0].abs())
    degree = _degree(table.hi, spread, 2.0**-bits * result)
    if degree is None:
        return None
    left = _bound(table.hi, spread, degree + 1)
    rows, columns, _ = upper_places(size, differences.hi.device)
    diagonal = rows == columns
    own = selected(differences, diagonal)
    # terms of degree `exact` and more are so small that float64 is enough
    exact = next(
        m
        for m in range(2, degree + 2)
        if m > degree or _bound(table.hi, spread, m) * 2.0**-50 <= 2.0**-bits * result
    )
    square = symmetric(differences.hi, size)
    powers = torch.stack([(own.hi / 2) ** a / math.factorial(a) for a in range(degree + 1)], 1)
    bend = multiply(own, scaled(selected(table, (2, 0)), 0.5))
    linear = add(
        add(bend.at(rows), bend.at(columns)), multiply(differences, selected(table, (1, 1)))
    )
    if exact == 2:
        rest = torch.zeros_like(square)
        for c in range(degree, -1, -1):
            rest = rest * square + _slab(table.hi, c, degree, powers, _skipped(c, 2))
        value = add(linear, from_float64(upper(rest)))
    else:
        high = torch.zeros_like(square)
        for c in range(degree, exact - 1, -1):
            high = high * square + _slab(table.hi, c, degree, powers, 0)
        total = from_float64(upper(high))
        fine = _fine_powers(own, degree)
        for c in range(exact - 1, -1, -1):
            slab = _fine_slab(table, c, degree, fine, _skipped(c, 2))
            total = add(multiply(total, differences), slab)
        value = add(linear, total)
    rounding = 2.0**-48 * _bound(table.hi, spread, exact) if exact <= degree else 0.0
    return Differences(value, 2 * left + rounding + 2.0 ** (2 - GRANTED_BITS) * result)


def _skipped(c: int, degree: int) -> int:
    """Terms of this slab with a + b below this are left out: all of total degree below `degree`."""
    return max(degree - c, 0)


def _slab_table(
    table: Float[Tensor, "J J"], c: int, degree: int, skipped: int
) -> Float[Tensor, "A A"]:
    """M_{2a+c, 2b+c} / c! for a + b ≤ degree - c, without those of a + b < skipped."""
    count = degree - c + 1
    index = 2 * torch.arange(count) + c
    chosen = table[index][:, index] / math.factorial(c)
    sums = torch.arange(count)[:, None] + torch.arange(count)
    return chosen * ((sums < count) & (sums >= skipped))


def _slab(
    table: Float[Tensor, "J J"],
    c: int,
    degree: int,
    powers: Float[Tensor, "N A"],
    skipped: int,
) -> Float[Tensor, "N N"]:
    own = powers[:, : degree - c + 1]
    return own @ _slab_table(table, c, degree, skipped) @ own.T


def _fine_powers(own: DoubleDouble, degree: int) -> DoubleDouble:
    """(p/2)^a / a!, (N, degree + 1)."""
    half = scaled(own, 0.5)
    columns = [from_float64(torch.ones_like(own.hi))]
    for a in range(1, degree + 1):
        columns.append(divide(multiply(columns[-1], half), constant(a)))
    return DoubleDouble(*(torch.stack(part, 1) for part in zip(*columns, strict=True)))


def _fine_slab(
    table: DoubleDouble, c: int, degree: int, powers: DoubleDouble, skipped: int
) -> DoubleDouble:
    """The same in double-double, (P,)."""
    count = degree - c + 1
    own = selected(powers, (slice(None), slice(count)))
    index = 2 * torch.arange(count) + c
    whole = selected(table, (index[:, None], index))
    sums = torch.arange(count)[:, None] + torch.arange(count)
    mask = ((sums < count) & (sums >= skipped)).double()
    whole = DoubleDouble(whole.hi * mask, whole.lo * mask)
    left, _ = matmul(own, whole.hi, 3)
    left = add(left, from_float64(own.hi @ whole.lo))
    product, _ = matmul(left, own.hi.T.contiguous(), 3)
    entries = add(
        DoubleDouble(upper(product.hi), upper(product.lo)), from_float64(upper(left.hi @ own.lo.T))
    )
    return divide(entries, constant(math.factorial(c))) if c > 1 else entries


def _degree(table: Float[Tensor, "J J"], spread: float, target: float) -> int | None:
    """The least degree beyond which the series is below the target."""
    for degree in range(2, MOST):
        if _bound(table, spread, degree + 1) <= target:
            return degree
    return None


def _bound(table: Float[Tensor, "J J"], spread: float, degree: int) -> float:
    """A bound of the terms of one degree: by Cauchy and Schwarz M_mn² ≤ M_mm M_nn."""
    roots = table.diagonal().sqrt().tolist()
    return spread**degree * sum(roots[m] * roots[n] * share for m, n, share in _terms(degree))


@cache
def _terms(degree: int) -> list[tuple[int, int, float]]:
    """m, n and 1 / (2^(a + b) a! b! c!) for each term M_mn of this degree."""
    return [
        (
            2 * a + c,
            2 * b + c,
            1 / (2.0 ** (a + b) * math.factorial(a) * math.factorial(b) * math.factorial(c)),
        )
        for a in range(degree + 1)
        for b in range(degree + 1 - a)
        for c in [degree - a - b]
    ]
