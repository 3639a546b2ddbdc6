"""Fan and Wang 2020: spectra of the conjugate kernel and the NTK if widths grow like N.

For N Gaussian inputs, an odd σ and no biases, in the limit of N, n_0, n → ∞ with fixed ratios: let
G_0 = X Xᵀ/n_0 and G_l = A_l A_lᵀ/n be the Gram matrices of the layers. Inputs are almost
orthogonal, so that, given the layer below, the law of eigenvalues is as if the columns of A_l were
Gaussian vectors of covariance

    Φ_l = α_l + β_l G_(l-1),    β_l = σ_w² E[σ'(√q_l z)]²,   α_l = v_l - β_l v_(l-1),
    q_l = σ_w² v_(l-1),   v_l = E[σ(√q_l z)²],   v_0 = 1.

The Marčenko-Pastur map takes the law of Φ_l to that of G_l. With γ = N/n, in terms of Stieltjes
transforms m(z) = ∫ (s - z)^(-1) dμ(s),

    m_l(z) = m_(l-1)((z - α c)/(β c)) / (β c),    c = 1 - γ - γ z m_l(z).

For one hidden layer Θ = σ_w² G_1 + (δ δᵀ) ∘ σ_w² G_0, and δ δᵀ tends to σ_w² E[σ'(√q z)²] on its
diagonal and σ_w² E[σ'(√q z)]² off it. So Θ/σ_w² has the law of G_1 + β G_0 + r, where
r = σ_w² Var[σ'(√q z)], and G_1 has covariance Φ_1 given G_0:

    m(z) = m_0(w)/(β (1 + c)),   w = (z - r - α c)/(β (1 + c)),
    1/c = 1 + γ (α m_0(w) + β (1 + w m_0(w)))/(β (1 + c)).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_FROM, _STEPS, _NEWTON = 100.0, 80, 5
"""Im z is lowered from here in so many steps, each with so many iterations of Newton."""

_DAMPED = 1500
"""Iterations for c."""


@dataclass(frozen=True)
class Layer:
    """A Marčenko-Pastur map.

    Attributes:
        share: γ = N / width.
        constant: α.
        slope: β.
    """

    share: float
    constant: float
    slope: float


@dataclass(frozen=True)
class Moments:
    """Gaussian moments of erf at a variance q (Williams 1996).

    Attributes:
        square: v = E[σ²].
        mean_slope: E[σ'].
        square_slope: E[σ'²].
    """

    square: float
    mean_slope: float
    square_slope: float


def moments(variance: float) -> Moments:
    """Those of erf."""
    full = 1 + 2 * variance
    return Moments(
        2 / math.pi * math.asin(2 * variance / full),
        2 / math.sqrt(math.pi * full),
        4 / math.pi / math.sqrt(1 + 4 * variance),
    )


def layers(inputs: int, features: int, width: int, hidden: int, weight: float) -> list[Layer]:
    """The maps from the inputs to the last hidden layer of an erf network; weight is σ_w²."""
    found, square = [Layer(inputs / features, 0.0, 1.0)], 1.0
    for _ in range(hidden):
        own = moments(weight * square)
        slope = weight * own.mean_slope**2
        found.append(Layer(inputs / width, own.square - slope * square, slope))
        square = own.square
    return found


def conjugate_transform(z: np.ndarray, maps: Sequence[Layer]) -> np.ndarray:
    """m(z) of the last Gram matrix, Im z > 0, the law below the first map being a unit mass at 1.

    Going upwards z_l and m_l are explicit in z_(l-1) and m_(l-1), since c depends on these alone.
    So the only unknown is the point of the unit mass. Newton follows it from large Im z.
    """
    point = 1j * _FROM + z.real
    for one in reversed(maps):
        point = (point - one.constant) / one.slope
    heights = np.geomspace(_FROM, z.imag.min(), _STEPS)
    for height in heights:
        target = z.real + 1j * np.maximum(height, z.imag)
        for _ in range(_NEWTON):
            reached, slope, _ = _upwards(point, maps)
            point = point - (reached - target) / slope
    return _upwards(point, maps)[2]


def _upwards(point: np.ndarray, maps: Sequence[Layer]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The point z of the last layer, its derivative, and m."""
    z, dz, m, dm = point, np.ones_like(point), 1 / (1 - point), 1 / (1 - point) ** 2
    for one in maps:
        inner, d_inner = one.constant + one.slope * z, one.slope * dz
        ratio = one.share / one.slope
        c, dc = 1 - one.share - ratio * inner * m, -ratio * (d_inner * m + inner * dm)
        z, dz = c * inner, dc * inner + c * d_inner
        m, dm = m / (one.slope * c), (dm - m * dc / c) / (one.slope * c)
    return z, dz, m


def marcenko_pastur(z: np.ndarray, share: float) -> np.ndarray:
    """That of X Xᵀ/n_0, the root of γ z m² - (1 - γ - z) m + 1 = 0 with Im m > 0."""
    middle = 1 - share - z
    # Both factors have their cut on the support, and the product behaves like z far away.
    root = np.sqrt(z - (1 - share**0.5) ** 2) * np.sqrt(z - (1 + share**0.5) ** 2)
    return (middle + root) / (2 * share * z)


def tangent_transform(
    z: np.ndarray, maps: Sequence[Layer], rest: float, readout: float = 1.0
) -> np.ndarray:
    """m(z) of Θ/σ_w² with one hidden layer, by damped iteration for c.

    Args:
        z: Im z > 0.
        maps: Those of inputs and hidden layer.
        rest: r.
        readout: ‖W^D‖²/n, which tends to 1; it multiplies δ δᵀ.
    """
    below, own = maps
    c = np.ones_like(z)
    for _ in range(_DAMPED):
        scale = own.slope * (readout + c)
        w = (z - readout * rest - own.constant * c) / scale
        m = marcenko_pastur(w, below.share)
        weighted = (own.constant * m + own.slope * (1 + w * m)) / scale
        c = (c + 1 / (1 + own.share * weighted)) / 2
    return m / scale
