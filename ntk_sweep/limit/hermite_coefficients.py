"""Hermite coefficients of activations that are analytic near the real line, in double-double.

With the orthonormal Hermite polynomials h_k they are c_k(a) = E[σ(a t) h_k(t)], t ~ N(0, 1).

Dimension letters in the annotations: N Gaussians, K orders, R nodes.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.network.activations.activation import Activation
from ntk_sweep.numerics.double_double import (
    DoubleDouble,
    add,
    from_float64,
    multiply,
    two_prod,
)
from ntk_sweep.numerics.double_double_functions import (
    constant,
    decaying_exponential,
    divide,
    negative,
    scaled,
    selected,
    square_root,
)
from ntk_sweep.numerics.sliced_products import matmul

_RULES = ((80, 14.5, 90.0), (100, 18.0, 110.0))
"""Rules for so many bits: where Gaussian integrals are cut, and the decay asked of the trapezoidal
rule. Coefficients of high order are cut by exp(-t²/4), and count by their squares. With
singularities at ±i d and the step s the rule errs by about exp(-2π d/s) (Trefethen and Weideman
2014, section 5)."""

_LARGEST_STEP = 0.25

_MOST_NODES = 1000
"""More mean a variance for which too many orders are needed in any case."""

ORDERS = (96, 192, 384, 768)
"""Numbers of orders that are tried, one after the other."""

_MORE_ORDERS = 1.4
"""Orders that are certainly needed, in those that the decay foretells: sigmoid and SiLU need 1.5 to
1.7 as many. Tuned; a poor guess costs time only."""

GRANTED_BITS = 97
"""With 100 bits, products c_k(a) c_k(b) are granted an error of 2^-97 of the largest E[σ²] for
quadrature and rounding. Measured, not proven: the largest found against mpmath is 2^-105."""


def hermite_coefficients(
    activation: Activation, deviations: DoubleDouble, bits: int
) -> DoubleDouble | None:
    """c_0, c_1, … for each deviation a, (N, K), up to where k² c_k² is below 2^-bits of E[σ²].

    They come from the trapezoidal rule, with σ in double-double, split into its even and its odd
    part. None if more than the last of `ORDERS` are needed.

    Args:
        activation: An activation with an `extended` formula.
        deviations: a > 0, (N,).
        bits: At most 100.
    """
    assert activation.extended is not None
    end, decay = next((end, decay) for most, end, decay in _RULES if bits <= most)
    step = min(
        _LARGEST_STEP,
        2 * math.pi * activation.analytic_width / (float(deviations.hi.max()) * decay),
    )
    if end > _MOST_NODES * step:
        return None
    # three significant bits, so that nodes are exact, and few rules serve all layers
    power = 2.0 ** (math.floor(math.log2(step)) - 2)
    step = math.floor(step / power) * power
    nodes = _nodes(step, end)
    columns = DoubleDouble(deviations.hi[:, None], deviations.lo[:, None])
    parts = activation.extended(multiply(columns, from_float64(nodes)))
    # c_k² decays like exp(-2 d √k/a)
    decaying = bits * math.log(2) * float(deviations.hi.max()) / (2 * activation.analytic_width)
    likely = [count for count in ORDERS if count > _MORE_ORDERS * decaying**2]
    for count in likely or ORDERS[-1:]:
        weights = _weights(step, end, count)
        halves = [_product(part, weights[parity]) for parity, part in enumerate(parts)]
        coefficients = DoubleDouble(
            *(torch.stack(both, -1).flatten(1) for both in zip(*halves, strict=True))
        )
        squares = coefficients.hi.square()
        order = torch.arange(count, dtype=torch.float64)
        shares = ((squares * order**2).max(0).values / squares.sum(1).max()).tolist()
        last = max((k for k, share in enumerate(shares) if share > 2.0**-bits), default=0)
        if last < count - 8:
            return selected(coefficients, (slice(None), slice(last + 3)))
    return None


def _product(part: DoubleDouble, weights: DoubleDouble) -> DoubleDouble:
    product, _ = matmul(part, weights.hi, 3)
    return add(product, from_float64(part.hi @ weights.lo))


def _nodes(step: float, end: float) -> Float[Tensor, " R"]:
    """Odd multiples of half the step, which stand for their mirror images too."""
    return (torch.arange(math.ceil(end / step), dtype=torch.float64) + 0.5) * step


@lru_cache(maxsize=32)
def _weights(step: float, end: float, count: int) -> tuple[DoubleDouble, DoubleDouble]:
    """2 s φ(t) h_k(t) at the nodes, (R, count / 2) for even and for odd orders k < count."""
    t = from_float64(_nodes(step, end))
    square = two_prod(t.hi, t.hi)
    density = divide(decaying_exponential(scaled(square, 0.5)), square_root(scaled(_PI, 2.0)))
    first = multiply(density, constant(2 * step))
    rows = [first, multiply(first, t)]
    roots = square_root(from_float64(torch.arange(1, count + 1, dtype=torch.float64)))
    inverse = divide(constant(1), roots)
    for k in range(1, count - 1):
        # √(k+1) h_{k+1} = t h_k - √k h_{k-1}
        upper = add(multiply(t, rows[k]), negative(multiply(selected(roots, k - 1), rows[k - 1])))
        rows.append(multiply(upper, selected(inverse, k)))
    both = [
        DoubleDouble(*(torch.stack(part, 1) for part in zip(*rows[parity::2], strict=True)))
        for parity in (0, 1)
    ]
    return both[0], both[1]


_PI = DoubleDouble(
    torch.tensor(math.pi, dtype=torch.float64),
    torch.tensor(1.2246467991473532e-16, dtype=torch.float64),
)
"""π."""
