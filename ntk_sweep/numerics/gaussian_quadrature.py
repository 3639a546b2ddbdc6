"""Gaussian expectations of one activation function, by quadrature.

They are exact to rounding for any function that is analytic on either side of zero. What makes
these integrals hard, and what is done about it (docs/theory/limit.md derives the formulas):

- A kink at 0. In polar coordinates of the pair the lines u = 0 and v = 0 are fixed angles, so each
  sector between them is smooth.
- Nearly identical inputs. One pair of sectors then is as narrow as the angle between u and v, and
  is integrated in its own scale.
- Large variances. Activations change on the scale 1 around 0 however wide the Gaussian is. The map
  z = sinh(ξ) is linear there and logarithmic beyond, so the number of nodes grows like the
  logarithm of the variance.
- Cancellation for nearly independent inputs. The Hermite components of order 0 and 1 are split off
  and treated by themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

Function = Callable[[Tensor], Tensor]

_RADIUS = 9.2
"""Where Gaussian integrals are cut: the mass of r³ exp(-r²/2) beyond is 3e-17 of the whole."""

_HERMITE = 8
_NEARLY_INDEPENDENT = 0.01
"""Below this correlation ρ the first 8 terms of Mehler's series Σ c_k c_k' ρ^k replace the
integral: the rest is below 1e-16 of E[f²], while rounding in the integral would be 1e-15 of E[f²],
which is not small beside ρ E[f²] any more."""

_PAIRS_AT_ONCE = 64
"""Pairs whose nodes are held in memory together; tuned (20 MB at variance 1)."""


@dataclass(frozen=True)
class Moments:
    """Expectations over one Gaussian u = a t, t ~ N(0, 1), one row for each scale a.

    Attributes:
        hermite: c_k = E[f(a t) h_k(t)] with h_k the Hermite polynomials, orthonormal for N(0, 1); k
            = 0..7.
        square: E[f(a t)²].
    """

    hermite: Float[Tensor, "N 8"]
    square: Float[Tensor, " N"]


def line_rule(largest_scale: float) -> tuple[Float[Tensor, " R"], Float[Tensor, " R"]]:
    """Nodes t > 0 and weights for ∫_0^∞ g(t) φ(t) dt, φ the normal density.

    The function g may change on scales from 1/`largest_scale` up.

    Example:
        >>> nodes, weights = line_rule(1.0)
        >>> abs(float(weights.sum()) - 0.5) < 1e-15
        True
    """
    rate = steepness(largest_scale)
    end = math.asinh(rate * _RADIUS)
    x, w = _gauss_legendre(round(24 + 8 * end))
    t = (x * end).sinh() / rate
    return t, w * end * (x * end).cosh() / rate * (-0.5 * t * t).exp() / math.sqrt(2 * math.pi)


def line_moments(function: Function, scales: Float[Tensor, " N"]) -> Moments:
    """Mean square and first Hermite coefficients of a function of centred Gaussians.

    Args:
        function: The function, elementwise.
        scales: The standard deviations of the Gaussians.
    """
    t, w = line_rule(float(scales.max()))
    z = scales[:, None] * t
    above, below = function(z), function(-z)
    # Taken in pairs ±t the odd part cancels exactly: the mean of an odd function is exactly zero,
    # and so on.
    parts = (above + below, above - below)
    polynomials = [torch.ones_like(t), t]
    for k in range(2, _HERMITE):
        polynomials.append(
            (t * polynomials[-1] - math.sqrt(k - 1) * polynomials[-2]) / math.sqrt(k)
        )
    coefficients = [parts[k % 2] @ (w * polynomial) for k, polynomial in enumerate(polynomials)]
    return Moments(torch.stack(coefficients, 1), (above.square() + below.square()) @ w)


def mean_squares(
    function: Function, scales: Float[Tensor, " N"]
) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
    """E[f(u)²] and E[(u f(u))²] for centred Gaussians u of these standard deviations."""
    t, w = line_rule(float(scales.max()))
    z = scales[:, None] * t
    squares = function(z).square() + function(-z).square()
    return squares @ w, scales**2 * (squares @ (w * t * t))


def pair_expectations(
    functions: Sequence[Function],
    scale_x: Float[Tensor, " P"],
    scale_y: Float[Tensor, " P"],
    angle: Float[Tensor, " P"],
    coangle: Float[Tensor, " P"],
    correlation: Float[Tensor, " P"],
) -> list[Float[Tensor, " P"]]:
    """E[f(u)f(v)] for each function f and each pair, every pair integrated by itself.

    Args:
        functions: The functions f.
        scale_x: √E[u²].
        scale_y: √E[v²].
        angle: θ, with cos θ the correlation.
        coangle: π - θ.
        correlation: cos θ.
    """
    results = [torch.empty_like(angle) for _ in functions]
    if len(angle) == 0:
        return results
    # Sorted, so that few pairs of large variance do not impose their many nodes on all others.
    order = torch.argsort(torch.maximum(scale_x, scale_y))
    for chunk in order.split(_PAIRS_AT_ONCE):
        a, b = scale_x[chunk], scale_y[chunk]
        r, weight, sine, cosine = sector_nodes(
            angle[chunk], coangle[chunk], float(torch.maximum(a, b).max())
        )
        near, far = r * sine, r * cosine
        for function, result in zip(functions, results, strict=True):
            low, high = line_moments(function, a), line_moments(function, b)
            rest = torch.zeros_like(a)
            for first, f, second, g in ((a, low, b, high), (b, high, a, low)):
                for sign in (1, -1):
                    left = remainder(function, f, first, sign * near)
                    right = remainder(function, g, second, sign * far)
                    rest += (left * right * weight).flatten(1).sum(1)
            products, rho = low.hermite * high.hermite, correlation[chunk]
            series = sum(products[:, k] * rho**k for k in range(2, _HERMITE))
            result[chunk] = (
                products[:, 0]
                + rho * products[:, 1]
                + torch.where(rho.abs() < _NEARLY_INDEPENDENT, series, rest)
            )
    return results


def remainder(
    function: Function, moment: Moments, scale: Float[Tensor, " P"], t: Float[Tensor, " ..."]
) -> Float[Tensor, " ..."]:
    """f(a t) less its Hermite components of order 0 and 1.

    `t` is (P, …) or (…), the others are (P,).
    """
    column = (-1,) + (1,) * (t.ndim - 1)
    value = function(scale.view(column) * t)
    mean, slope = moment.hermite[:, 0].view(column), moment.hermite[:, 1].view(column)
    return value.sub_(mean).addcmul_(slope, t, value=-1)


def sector_nodes(
    angle: Float[Tensor, "*P"], coangle: Float[Tensor, "*P"], largest_scale: float
) -> tuple[
    Float[Tensor, "R 1"],
    Float[Tensor, "*P 2 R S"],
    Float[Tensor, "*P 2 R S"],
    Float[Tensor, "*P 2 R S"],
]:
    """Polar nodes of the half sectors that begin at the line u = 0.

    With u = a r sin s and v = ±b r sin(θ ± s): in the sectors where u and v have one sign, s runs
    from 0 to half of π - θ and v ∝ sin(θ + s); in the two others from 0 to half of θ, and v ∝
    -sin(θ - s). The half sectors that begin at v = 0 are the mirror images, u and v exchanged, and
    u < 0 is u > 0 with both signs turned.

    Returns:
        r (R, 1), weights, sin s and the factor of b r in v; the last three (P, 2, R, S), the second
        axis being the sector.
    """
    rate = steepness(largest_scale)
    end = math.asinh(rate * _RADIUS)
    x, w = _gauss_legendre(round(5 + 10 * end))
    r = (x * end).sinh() / rate
    radial = w * end * (x * end).cosh() / rate * r * (-0.5 * r * r).exp() / (2 * math.pi)
    y, v = _gauss_legendre(round(7.7 * math.asinh(rate * _RADIUS * math.pi / 2) - 3))
    half_width = torch.stack([coangle, angle], -1)[..., None, None] / 2
    # As a function of s the integrand changes on the scale 1 / (a r).
    local = rate * r[:, None]
    stretch = (local * half_width).asinh()
    s = (y * stretch).sinh() / local
    weight = radial[:, None] * v * stretch * (y * stretch).cosh() / local
    theta = angle[..., None, None]
    return (
        r[:, None],
        weight,
        s.sin(),
        torch.stack([(theta + s[..., 0, :, :]).sin(), -(theta - s[..., 1, :, :]).sin()], -3),
    )


def steepness(largest_scale: float) -> float:
    """The inverse of the shortest scale on which f(a t) changes.

    Activations change on scales of 1 and more.
    """
    return max(largest_scale, 0.5)


@lru_cache(maxsize=256)
def _gauss_legendre(count: int) -> tuple[Float[Tensor, " R"], Float[Tensor, " R"]]:
    """Nodes and weights on [0, 1].

    NumPy's weights near the ends are off by up to 1e-12 of themselves. Two more Newton steps, in
    extended precision where the platform has it, make them right.
    """
    x: np.ndarray = np.polynomial.legendre.leggauss(count)[0].astype(np.longdouble)
    for _ in range(2):
        below: np.ndarray = np.ones_like(x)
        value = x
        for k in range(2, count + 1):
            below, value = value, ((2 * k - 1) * x * value - (k - 1) * below) / k
        slope = count * (below - x * value) / (1 - x * x)
        x = x - value / slope
    nodes, weights = (x + 1) / 2, 1 / ((1 - x * x) * slope * slope)
    return torch.from_numpy(nodes.astype(np.float64)), torch.from_numpy(weights.astype(np.float64))
