"""Dual activations of analytic activations in double-double, by Mehler's series.

With the orthonormal Hermite polynomials h_k and c_k(a) = E[σ(a t) h_k(t)], t ~ N(0, 1), a pair (u, v)
of deviations a, b and correlation ρ has

    E[σ(u)σ(v)] = Σ_k c_k(a) c_k(b) ρ^k,        E[σ'(u)σ'(v)] = Σ_k k c_k(a) c_k(b) ρ^{k-1} / (a b)

(Mehler 1866; O'Donnell 2014, section 11.2). As matrices all terms are positive semi-definite:
nothing cancels. Only the first terms, which are large, are added up in double-double.

Dimension letters in the annotations: N Gaussians, P = N(N + 1)/2 pairs in the order of
`ntk_sweep.numerics.double_double.upper_places`, K orders.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.network.activations.activation import Activation
from ntk_sweep.numerics.double_double import (
    UNIT,
    DoubleDouble,
    add,
    from_float64,
    matmul,
    multiply,
    two_prod,
)
from ntk_sweep.numerics.double_double_functions import (
    constant,
    decaying_exponential,
    divide,
    negative,
    scaled,
    square_root,
)

_END = 12.75
"""Where Gaussian integrals are cut: exp(-t²/2) is 5e-36 there, and the Hermite coefficient of order
k, which needs fewer digits the smaller it is, is cut at 1e-18."""

_DIGITS = 82.0
"""Decay e^-82 asked of the trapezoidal rule: with singularities at ±i d and the step s it errs by
about exp(-2π d/s) (Trefethen and Weideman 2014, theorem 5.1)."""

_LARGEST_STEP = 0.25

_ORDERS = (96, 192, 384)
"""Numbers of orders that are tried, one after the other."""

_NEGLIGIBLE = 2.0**-112
"""Terms k² c_k² below this share of the largest E[σ²] are left out."""

_FLOAT64_FROM = 2.0**-58
"""Terms of a sum that is below this share of E[σ²] are added in float64."""

GRANTED = 2.0**-97
"""The error granted to the coefficients' products relative to the largest E[σ²], of quadrature and
rounding together. Measured, not proven: the largest found against mpmath is 2^-101."""


@dataclass(frozen=True)
class HermiteSeries:
    """Hermite coefficients of σ(a_i t) for N deviations a_i.

    Attributes:
        deviations: a_i.
        orders: Those whose coefficients are kept, ascending; all others are negligible.
        coefficients: c_k(a_i), (N, len(orders)).
        left_out: A bound of what the others contribute to E[σσ] and a b E[σ'σ'].
    """

    deviations: DoubleDouble
    orders: list[int]
    coefficients: DoubleDouble
    left_out: float

    def square_of_derivative(self, order: int) -> Float[Tensor, " N"]:
        """E[σ^{(order)}(u)²] in float64, order ≤ 3: Σ_k k(k-1)…(k-order+1) c_k² / a^{2·order}."""
        k = torch.tensor(self.orders, dtype=torch.float64)
        weights = math.prod((k - m for m in range(order)), start=torch.ones_like(k))
        return self.coefficients.hi.square() @ weights / self.deviations.hi ** (2 * order)


def hermite_series(activation: Activation, variances: DoubleDouble) -> HermiteSeries | None:
    """The coefficients c_k(a) for a² the variances; None if more orders are needed than is worth.

    They come from the trapezoidal rule, with σ in double-double, split into its even and its odd
    part.

    Args:
        activation: An activation with `extended` parts.
        variances: E[u²] > 0, (N,).
    """
    assert activation.extended is not None
    deviations = square_root(variances)
    largest = float(deviations.hi.max())
    step = min(_LARGEST_STEP, 2 * math.pi * activation.analytic_width / (largest * _DIGITS))
    # three significant bits, so that the nodes are exact
    power = 2.0 ** (math.floor(math.log2(step)) - 2)
    step = math.floor(step / power) * power
    for count in _ORDERS:
        nodes, weights = _rule(step, count)
        places = multiply(
            DoubleDouble(deviations.hi[:, None], deviations.lo[:, None]), from_float64(nodes)
        )
        parts = activation.extended(places)
        columns = [
            _product(part, weights[:, parity::2]) for parity, part in enumerate(parts)
        ]
        coefficients = DoubleDouble(
            *(
                torch.stack((even, odd), -1).flatten(1)
                for even, odd in zip(*columns, strict=True)
            )
        )
        series = _shortened(deviations, coefficients)
        if series is not None:
            return series
    return None


def _shortened(deviations: DoubleDouble, coefficients: DoubleDouble) -> HermiteSeries | None:
    """The series without negligible terms; None if the last ones are not among them."""
    squares = coefficients.hi.square()
    orders = torch.arange(squares.shape[1], dtype=torch.float64)
    shares = (squares * (1 + orders**2)).max(0).values / squares.sum(1).max()
    kept = [k for k, share in enumerate(shares.tolist()) if share > _NEGLIGIBLE]
    if kept[-1] >= len(shares) - 4:
        return None
    dropped = [k for k in range(len(shares)) if k not in set(kept)]
    # those beyond the last one computed decay at least as fast as the last ones did
    left_out = float((squares * (1 + orders))[:, dropped].sum(1).max()) + len(shares) * float(
        (squares * (1 + orders))[:, -4:].max()
    )
    index = torch.tensor(kept)
    return HermiteSeries(deviations, kept, coefficients.at(index), left_out)


def _product(part: DoubleDouble, weights: DoubleDouble) -> DoubleDouble:
    """part · weights, beyond double-double."""
    product, _ = matmul(part, weights.hi.contiguous(), 3)
    return add(product, from_float64(part.hi @ weights.lo))


@lru_cache(maxsize=16)
def _rule(step: float, count: int) -> tuple[Float[Tensor, " R"], DoubleDouble]:
    """Nodes t > 0 and weights 2 s φ(t) h_k(t), (R, count), of the trapezoidal rule for c_k.

    The nodes are odd multiples of half the step s, and stand for their mirror images too.
    """
    nodes = (torch.arange(math.ceil(_END / step), dtype=torch.float64) + 0.5) * step
    t = from_float64(nodes)
    square = two_prod(nodes, nodes)
    root = square_root(scaled(_pi(), 2.0))
    below = divide(
        multiply(decaying_exponential(scaled(square, 0.5)), constant(2 * int(1))),
        root,
    )
    below = multiply(below, from_float64(torch.tensor(step, dtype=torch.float64)))
    rows = [below, multiply(below, t)]
    roots = square_root(from_float64(torch.arange(1, count + 1, dtype=torch.float64)))
    for k in range(1, count - 1):
        # √(k+1) h_{k+1} = t h_k - √k h_{k-1}
        upper = add(multiply(t, rows[k]), negative(multiply(roots[k - 1], rows[k - 1])))
        rows.append(divide(upper, roots[k]))
    return nodes, DoubleDouble(*(torch.stack(part, 1) for part in zip(*rows, strict=True)))


def _pi() -> DoubleDouble:
    """π: the remainder of the nearest float64 is known to 16 digits."""
    return DoubleDouble(
        torch.tensor(math.pi, dtype=torch.float64),
        torch.tensor(1.2246467991473532e-16, dtype=torch.float64),
    )


@dataclass(frozen=True)
class ExtendedDuals:
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


def extended_duals(
    series: HermiteSeries,
    covariances: DoubleDouble,
    rows: Tensor,
    columns: Tensor,
) -> ExtendedDuals:
    """The dual activations of the pairs (rows, columns).

    Even and odd orders make polynomials Q and R in x = ρ², F = Q + ρR, and F' = 2ρQ' + R + 2xR', each
    by Horner's scheme together with its derivative.

    Args:
        series: The coefficients of each Gaussian.
        covariances: E[u_i u_j], (P,).
        rows: i, (P,).
        columns: j, (P,).
    """
    inverse = divide(from_float64(torch.ones_like(series.deviations.hi)), series.deviations)
    scale = multiply(inverse.at(rows), inverse.at(columns))
    rho = multiply(covariances, scale)
    x = multiply(rho, rho)
    size = float(series.square_of_derivative(0).max())
    total = slope = DoubleDouble(torch.zeros_like(rho.hi), torch.zeros_like(rho.hi))
    terms = 0
    for parity in (0, 1):
        value, derivative, count = _horner(series, parity, x, rows, columns, size)
        terms += count
        twice = scaled(derivative, 2.0)
        if parity:
            total = add(total, multiply(rho, value))
            slope = add(slope, add(value, multiply(x, twice)))
        else:
            total = add(total, value)
            slope = add(slope, multiply(rho, twice))
    least = float(series.deviations.hi.min()) ** 2
    rounding = GRANTED * size + series.left_out
    growth = float(series.square_of_derivative(1).max()) * least
    return ExtendedDuals(
        total,
        multiply(slope, scale),
        rounding,
        (rounding + GRANTED * max(growth, size)) / least,
    )


def _horner(
    series: HermiteSeries,
    parity: int,
    x: DoubleDouble,
    rows: Tensor,
    columns: Tensor,
    size: float,
) -> tuple[DoubleDouble, DoubleDouble, int]:
    """Σ_k c_k c_k' x^{(k - parity)/2} over the orders of one parity, its derivative in x, and how
    many terms are in double-double."""
    zeros = torch.zeros_like(x.hi)
    places = {k: place for place, k in enumerate(series.orders) if k % 2 == parity}
    if not places:
        return from_float64(zeros), from_float64(zeros), 0
    squares = series.coefficients.hi.square().max(0).values
    value, slope, left = zeros, zeros, 0.0
    extended: tuple[DoubleDouble, DoubleDouble] | None = None
    count = 0
    for k in range(max(places), -1, -2):
        place = places.get(k)
        if place is not None:
            left += k**2 * float(squares[place])
        if extended is None and left > _FLOAT64_FROM * size:
            extended = from_float64(value), from_float64(slope)
        if extended is None:
            slope = torch.addcmul(value, slope, x.hi)
            value = value * x.hi
            if place is not None:
                c = series.coefficients.hi[:, place]
                value = torch.addcmul(value, c[rows], c[columns])
            continue
        first, second = extended
        count += 1
        if place is not None:
            c = series.coefficients[:, place]
            term = multiply(c.at(rows), c.at(columns))
        else:
            term = from_float64(zeros)
        extended = add(multiply(first, x), term), add(multiply(second, x), first)
    if extended is None:
        extended = from_float64(value), from_float64(slope)
    return *extended, count
