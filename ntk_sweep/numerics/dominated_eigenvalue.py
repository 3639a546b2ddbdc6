"""The smallest eigenvalue of a matrix that one direction dominates, in float64.

Dimension letter in the annotations: N rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

_EPS = torch.finfo(torch.float64).eps


@dataclass(frozen=True)
class SmallestEigenvalue:
    """λ_min of a matrix.

    Attributes:
        value: λ_min, not negative.
        error: A bound of its absolute error, the matrix being exact.
    """

    value: float
    error: float


def deflating_slope(common: float, differences: Float[Tensor, "N N"]) -> Float[Tensor, " N"]:
    """A vector q for which the rest of τ 1 1ᵀ + t, less τ m mᵀ with m = 1 + q, is small along m.

    With q = t 1/(τN) less half its mean it is. Any q will do: what a poor one costs is
    digits. It is zero where t is not small beside τ.
    """
    means = differences.mean(0)
    zero = torch.zeros_like(means)
    slope = (means - means.mean() / 2) / common if common else zero
    return slope if float(slope.abs().max()) < 0.1 else zero


def dominated_eigenvalue(
    common: float, differences: Float[Tensor, "N N"]
) -> SmallestEigenvalue | None:
    """λ_min of Θ = τ 1 1ᵀ + t, with errors relative to t and not to τ.

    Θ = τ m mᵀ + M for m = 1 + q. A reflection takes m to the first axis: there Θ is

        [g yᵀ]    with g = τ ‖m‖² + M_11, y and C parts of the reflected M.
        [y C ]

    λ_min is the λ < g for which φ(λ) = λ_min(C - y yᵀ/(g - λ)) = λ (Schur complement). It is found
    by iteration, since |φ(a) - φ(b)| ≤ ‖y‖² |a - b| / ((g - a) (g - b)).

    Args:
        common: τ; its own relative error may be that of rounding.
        differences: t, with entries rounded to float64.

    Returns:
        None where no direction dominates, or λ_min is not positive.

    Example:
        >>> t = torch.tensor([[0.0, 0.0], [0.0, 2.0**-40]], dtype=torch.float64)
        >>> least = dominated_eigenvalue(1.0, t)
        >>> round(least.value * 2**41, 9), least.error < 1e-9 * least.value
        (1.0, True)
    """
    size = len(differences)
    slope = deflating_slope(common, differences)
    part = common * slope
    rest = differences - part[:, None] - part - torch.outer(part, slope)
    m = 1 + slope
    # the reflection I - w wᵀ/h takes m to -‖m‖ e_1, all of whose w_i are positive
    length = float(m.norm())
    w = m.clone()
    w[0] += length
    half = length * float(w[0])
    # a sum of n terms errs by n u times the moduli (Higham 2002, section 3.1): summed in parts
    # they err by 2 √N u, and not by N u
    terms = math.isqrt(size) + 1
    parts = zip(rest.split(terms, dim=1), w.split(terms), strict=True)
    image = torch.stack([columns @ weights for columns, weights in parts]).sum(0) / half
    products = float(w.norm() * image.norm())
    image -= w * (float(w @ image) / (2 * half))
    turned = rest - torch.outer(w, image) - torch.outer(image, w)
    great, y, corner = common * length**2 + float(turned[0, 0]), turned[0, 1:], turned[1:, 1:]
    own, far = float(torch.linalg.matrix_norm(rest)), float(y.norm())
    if size == 1 or not far < 0.1 * great:
        return None
    given = float(torch.linalg.matrix_norm(differences))
    error = 2 * given + 4 * size**0.5 * float(part.norm())
    error += (4 * terms + 16) * own + size * products + 4 * size * far
    value, apart = 0.0, math.inf
    while True:
        eigenvalues = torch.linalg.eigvalsh(corner - torch.outer(y, y / (great - value)))
        value, greatest = float(eigenvalues[0]), float(eigenvalues[-1])
        of_value = _EPS * (error + size * max(abs(value), abs(greatest)) + 4 * size * abs(value))
        most = value + of_value
        if not (of_value < value and most < 0.1 * great):
            return None
        shrinks = 1.01 * (far / (great - most)) ** 2
        apart = shrinks * min(apart, most)
        if apart <= of_value:
            return SmallestEigenvalue(value, of_value + apart)
        apart += of_value
