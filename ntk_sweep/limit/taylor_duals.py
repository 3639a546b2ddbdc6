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
from functools import cache, lru_cache

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ntk_sweep.limit.hermite_coefficients import GRANTED_BITS
from ntk_sweep.limit.split_matrices import FLOAT64_UNIT, Differences, leading, plus, times
from ntk_sweep.numerics.double_double import (
    DoubleDouble,
    add,
    from_float64,
    multiply,
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
from ntk_sweep.numerics.sliced_products import matmul

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
    """

    variance: float
    table: DoubleDouble


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
        Moments(float(variances[index]), selected(table, index)) for index in range(len(variances))
    ]


@dataclass(frozen=True)
class TaylorDifferences:
    """Dual activations less their value for identical pairs of variance κ.

    Attributes:
        value: E[f(u)f(v)] - M, (P,).
        error: A bound of its error, the covariances being exact.
        slope: How much an error of all covariances moves it at most.
    """

    value: Differences
    error: float
    slope: float


def taylor_differences(
    moments: Moments, order: int, differences: Differences, size: int, bits: int
) -> TaylorDifferences | None:
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
    entries = leading(differences)
    spread = float(entries.abs().max())
    result = spread * float(table.hi[1, 1].abs() + table.hi[2, 0].abs())
    degree = _degree(table.hi, spread, 2.0**-bits * result)
    if degree is None:
        return None
    error = 2 * _bound(table.hi, spread, degree + 1) + 2.0 ** (2 - GRANTED_BITS) * result
    # terms of degree `exact` and more are so small that float64 is enough
    exact = 2
    if isinstance(differences, DoubleDouble):
        terms = range(2, degree + 2)
        small = 2.0 ** (50 - bits) * result
        exact = next(m for m in terms if m > degree or _bound(table.hi, spread, m) <= small)
    else:
        error += FLOAT64_UNIT * result
    if exact <= degree:
        error += 2.0**-48 * _bound(table.hi, spread, exact)
    # by the terms of degree one, and twice those of degree two, with which the others decay
    slope = (result + 4 * _bound(table.hi, spread, 2)) / spread if spread else 0.0
    value = _linear_terms(table, differences, size)
    own = entries[diagonal_places(size)]
    powers = torch.stack([(own / 2) ** a / math.factorial(a) for a in range(degree + 1)], 1)
    high = torch.zeros_like(entries)
    least = 0 if exact == 2 else exact
    for c in range(degree, least - 1, -1):
        slab = _slab(table.hi, c, degree, powers, _skipped(c, 2))
        high = slab if c == degree else high.mul_(entries).add_(slab)
    if isinstance(differences, DoubleDouble) and exact > 2:
        fine = _fine_powers(selected(differences, diagonal_places(size)), degree)
        sum_of = from_float64(high)
        for c in range(exact - 1, -1, -1):
            slab_of = _fine_slab(table, c, degree, fine, _skipped(c, 2))
            sum_of = add(multiply(sum_of, differences), slab_of)
        return TaylorDifferences(plus(value, sum_of), error, slope)
    return TaylorDifferences(plus(value, high), error, slope)


def _linear_terms(table: DoubleDouble, differences: Differences, size: int) -> Differences:
    """M_20 (p_i + p_j)/2 + M_11 d_ij."""
    rows, columns, _ = upper_places(size, table.hi.device)
    own = _at(differences, diagonal_places(size))
    bend = times(own, scaled(selected(table, (2, 0)), 0.5))
    steep = times(differences, selected(table, (1, 1)))
    return plus(plus(_at(bend, rows), _at(bend, columns)), steep)


def _at(differences: Differences, places: Int64[Tensor, " p"]) -> Differences:
    if isinstance(differences, DoubleDouble):
        return differences.at(places)
    return differences.index_select(-1, places)


@lru_cache(maxsize=8)
def diagonal_places(size: int) -> Int64[Tensor, " N"]:
    """The places of the diagonal in the order of `upper_places`."""
    rows, columns, _ = upper_places(size, torch.device("cpu"))
    return torch.nonzero(rows == columns)[:, 0]


def _skipped(c: int, degree: int) -> int:
    """Terms of this slab with a + b below this are left out: all of total degree below `degree`."""
    return max(degree - c, 0)


@lru_cache(maxsize=256)
def _slab_places(
    c: int, degree: int, skipped: int
) -> tuple[Int64[Tensor, "A A"], Float[Tensor, "A A"]]:
    """Places of M_{2a+c, 2b+c} in the flattened table, and 1/c! for a + b ≤ degree - c.

    Those of a + b < skipped are left out.
    """
    count = degree - c + 1
    index = 2 * torch.arange(count) + c
    sums = torch.arange(count)[:, None] + torch.arange(count)
    kept = ((sums < count) & (sums >= skipped)).double()
    return index[:, None] * MOMENTS + index, kept / math.factorial(c)


def _slab(
    table: Float[Tensor, "J J"],
    c: int,
    degree: int,
    powers: Float[Tensor, "N A"],
    skipped: int,
) -> Float[Tensor, " P"]:
    places, weights = _slab_places(c, degree, skipped)
    places = places // MOMENTS * len(table) + places % MOMENTS
    own = powers[:, : degree - c + 1]
    return upper(own @ (table.flatten()[places] * weights) @ own.T)


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
