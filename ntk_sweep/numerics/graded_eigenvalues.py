"""Eigenvalues of a positive semi-definite matrix in double-double, to full relative accuracy.

A matrix with λ_max/λ_min up to 1e25 still determines its small eigenvalues if its entries are known
to 1e-30; what is missing is a solver that does not lose them. One or two congruences in
double-double bring the matrix close to a diagonal, and the remainder is bounded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.numerics.congruence import (
    COLUMNS,
    EPS,
    NEGLIGIBLE,
    NULL,
    SMALL_ANGLE,
    Congruence,
    congruence_of,
    minus,
    parts,
)
from ntk_sweep.numerics.double_double import (
    DoubleDouble,
    two_prod,
)
from ntk_sweep.numerics.double_double_functions import selected
from ntk_sweep.numerics.thresholds import GRADED_ROWS

MAX_ROTATIONS = 4
"""Two are enough wherever it was tried (all activations, condition numbers up to 1e18); more only
after a poor start."""


@dataclass(frozen=True)
class GradedSpectrum:
    """Eigenvalues λ_i with |λ_i - true| ≤ relative · λ_i + absolute.

    Attributes:
        eigenvalues: Ascending, (N,), none negative.
        relative: Relative part of the bound, the same for all.
        absolute: Absolute part of the bound, the same for all: that of the norm of an error.
        vectors: Approximate eigenvectors in the columns, (N, N).
        single: Bounds of the diagonal of that error in the basis of the vectors, (N,).
    """

    eigenvalues: Float[Tensor, " N"]
    relative: float
    absolute: float
    vectors: Float[Tensor, "N N"]
    single: Float[Tensor, " N"]


def graded_spectrum(
    theta: DoubleDouble, orders: int = 3, vectors: Float[Tensor, "N N"] | None = None
) -> GradedSpectrum:
    """All eigenvalues of Θ, exactly symmetric and positive semi-definite up to rounding.

    Θ is on the CPU.

    1. V from LAPACK's eigen-solver, for Θ less its greatest part where rounding of that would be
       too much. B = VᵀΘV, and B = D H D with D = diag(B)^½. H is well conditioned even where Θ is
       not (Demmel and Veselić 1992), so the left singular vectors U of D chol(H), in float64, are
       good rotations where one is still needed; V ← V U.
    2. B again. What is left off its diagonal is taken away by T = I + K with the small angles K_ij
       = B_ij / (B_jj - B_ii), whose effect on the diagonal is of second order.
    3. TᵀBT = D (I + M) D, with eigenvalues within ‖M‖ of those of D², relatively (Ostrowski;
       Eisenstat and Ipsen 1995). V is orthonormal to rounding, T to ‖K‖², and each
       costs that much, relatively, by the same theorem.

    Args:
        theta: Θ.
        orders: Of the products in `ntk_sweep.numerics.sliced_products.matmul`: the absolute error
            is about 2^(-21·orders - 53) λ_max.
        vectors: Eigenvectors of a matrix near Θ in the columns, in ascending order of eigenvalues,
            if known; they save a solver.

    Example:
        >>> from ntk_sweep.numerics.double_double import from_float64
        >>> theta = torch.tensor([[1.0, 1.0], [1.0, 1.0 + 2.0**-40]], dtype=torch.float64)
        >>> spectrum = graded_spectrum(from_float64(theta))
        >>> round(spectrum.eigenvalues[0].item() * 2**41, 9)
        1.0
    """
    size = len(theta.hi)
    if not theta.hi.any():
        zeros = torch.zeros(size, dtype=torch.float64)
        return GradedSpectrum(zeros, 0.0, 0.0, torch.eye(size, dtype=torch.float64), zeros)
    vectors, start = _start(theta, vectors)
    congruence = congruence_of(theta, vectors, start, orders, inner=0)
    if congruence.left < 1 and congruence.floor > NEGLIGIBLE * congruence.diagonal.min():
        # its matrices are not needed beside those of the next
        turned, diagonal = congruence.vectors, congruence.diagonal
        del congruence
        congruence = congruence_of(theta, turned, diagonal, orders)
        del turned
    del vectors
    for _ in range(MAX_ROTATIONS):
        if congruence.left < 1:
            break
        turned, off, diagonal = congruence.vectors, congruence.off, congruence.diagonal
        del congruence
        rotation, values = _rotation(off, diagonal)
        del off
        turned = turned @ rotation
        del rotation
        congruence = congruence_of(theta, turned, values, orders)
        del turned

    values, residual = _second_order(congruence)
    relative, absolute, beside = _bounds(congruence, residual)
    order, turned = values.argsort(), congruence.vectors
    for rows in turned.split(GRADED_ROWS):
        rows.copy_((rows + rows @ congruence.angles)[:, order])
    single = (congruence.columns + beside).clamp(max=absolute)
    return GradedSpectrum(values[order].clamp(min=0), relative, absolute, turned, single[order])


def _start(
    theta: DoubleDouble, vectors: Float[Tensor, "N N"] | None
) -> tuple[Float[Tensor, "N N"], Float[Tensor, " N"]]:
    """Approximate eigenvectors and eigenvalues of Θ, the greatest first.

    Args:
        theta: Θ.
        vectors: As in `graded_spectrum`.
    """
    if vectors is None:
        vectors = torch.linalg.eigh(theta.hi).eigenvectors
    vectors = vectors.flip(1)
    values = [(part * (theta.hi @ part)).sum(0) for part in vectors.split(COLUMNS, dim=1)]
    start = torch.cat(values)
    greatest = start.max()
    # noise has no positive part
    if greatest > 0 and EPS * greatest > SMALL_ANGLE * start.min():
        return _deflated(theta, vectors[:, start.argmax()], greatest)
    return vectors, start


def _deflated(
    theta: DoubleDouble, first: Float[Tensor, " N"], greatest: Float[Tensor, ""]
) -> tuple[Float[Tensor, "N N"], Float[Tensor, " N"]]:
    """Approximate eigenvectors and eigenvalues of Θ, the greatest first.

    A solver in float64 errs by rounding of the greatest eigenvalue, 1e3 to 1e14 times the others
    where the entries of Θ are nearly equal. What Θ leaves of its greatest part λ₁v₁v₁ᵀ, taken off
    beyond float64, has eigenvectors with rounding of the others alone.
    """
    root = greatest.sqrt() * first
    left = torch.empty_like(theta.hi)
    for rows in parts(len(left), GRADED_ROWS):
        block = selected(theta, rows)
        left[rows] = minus(block, two_prod(root[rows, None], root))
    image = left @ first
    image -= first * ((first @ image) / 2)
    left -= torch.outer(first, image)
    left -= torch.outer(image, first)
    # the first vector, of eigenvalue zero now, becomes the first
    left += torch.outer(first, first * (2 * torch.linalg.matrix_norm(left)))
    values, vectors = torch.linalg.eigh(left)
    values[-1] = greatest
    return vectors.flip(1), values.flip(0)


class _Residual(NamedTuple):
    """What is left off the diagonal, as Frobenius norms of bounds of the entries' moduli.

    Attributes:
        null: Of entries beside a null space.
        remainder: Of all others, relative to the roots of their eigenvalues; infinite where one of
            these is not positive.
        whole: Of all.
    """

    null: float
    remainder: float
    whole: float


def _bounds(congruence: Congruence, residual: _Residual) -> tuple[float, float, float]:
    """The relative and the absolute bound.

    Last comes what of the absolute bound is not the error of B.
    """
    floor = congruence.floor
    turned = 1.1 * torch.linalg.matrix_norm(congruence.angles).item() ** 2 + 2 * EPS
    beside = congruence.raised + residual.null + congruence.beside
    if congruence.skewed < 0.5:
        # by Ostrowski's theorem for B = D H D: D X D changes it by ‖X‖ / λ_min(H), relatively
        turned += 1.1 * congruence.orthogonality / (1 - congruence.skewed)
    else:
        beside += congruence.orthogonality * congruence.diagonal.max().item()
    relative = turned + residual.remainder
    if relative > 0.5:
        # no relative statement; Weyl's inequality for all that is off the diagonal
        relative = turned
        beside += residual.whole
    return relative, floor + beside, beside


def _rotation(
    off: Float[Tensor, "N N"], diagonal: Float[Tensor, " N"]
) -> tuple[Float[Tensor, "N N"], Float[Tensor, " N"]]:
    """The left singular vectors of D · chol(H), B = D H D, and the squared singular values.

    B is given by what is off its diagonal, whose memory is used, and the diagonal.
    """
    root, jitter = diagonal.sqrt(), 0.0
    scaled = off.div_(root).div_(root[:, None])
    for _ in range(20):
        scaled.diagonal().fill_(1 + jitter)
        lower, failed = torch.linalg.cholesky_ex(scaled)
        if not failed:
            break
        # only the quality of the rotation depends on it: the bound is computed afterwards
        jitter = max(10 * jitter, 1e-14)
    left, singular, _ = torch.linalg.svd(lower.mul_(root[:, None]))
    return left, singular**2


def _second_order(congruence: Congruence) -> tuple[Float[Tensor, " N"], _Residual]:
    """Diagonal of TᵀBT for T = I + K, and norms of the rest.

    With B = Λ + O: TᵀBT = Λ + (O + ΛK - KΛ) + (OK + (OK)ᵀ + KᵀBK) as Kᵀ = -K. The first bracket
    vanishes where the angle is taken, up to the rounding of its three terms.
    """
    off, diagonal, angles = congruence.off, congruence.diagonal, congruence.angles
    product = off @ angles
    turned = product + diagonal[:, None] * angles
    # sums of N products are bounded by the lengths of their factors
    sizes, heights = torch.linalg.vector_norm(angles, dim=0), torch.linalg.vector_norm(off, dim=1)
    weighted = (diagonal @ angles**2).sqrt()
    root, tiny = diagonal.sqrt(), diagonal < NULL * congruence.floor
    values, norms = diagonal.clone(), []
    for rows in parts(len(off), GRADED_ROWS):
        own, part, turns = diagonal[rows, None], off[rows], angles[rows]
        second = product[rows] + product[:, rows].T + angles[:, rows].T @ turned
        values[rows] += second.diagonal(rows.start)
        second.diagonal(rows.start).fill_(0)
        moduli = part.abs() + (own + diagonal) * turns.abs()
        moduli += len(off) * (
            torch.outer(heights[rows], sizes)
            + torch.outer(sizes[rows], heights)
            + heights.norm() * torch.outer(sizes[rows], sizes)
            + torch.outer(weighted[rows], weighted)
        )
        first = part + (own - diagonal) * turns
        residual = first.abs() + second.abs() + 2 * EPS * moduli
        null = tiny[rows, None] | tiny
        relative = (residual / torch.outer(root[rows], root)).masked_fill_(null, 0)
        norms.append(
            [torch.linalg.matrix_norm(x).item() for x in (residual * null, relative, residual)]
        )
    beside, remainder, whole = (math.hypot(*each) for each in zip(*norms, strict=True))
    # so far relative to the diagonal of B
    share = (values / diagonal).masked_fill(tiny, 1).min().item()
    return values, _Residual(beside, remainder / share if share > 0 else math.inf, whole)
