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

from ntk_sweep.numerics.double_double import (
    UNIT,
    DoubleDouble,
    add,
    from_float64,
    two_prod,
)
from ntk_sweep.numerics.double_double_functions import selected
from ntk_sweep.numerics.sliced_products import (
    matmul_by_column,
    symmetric_product,
)
from ntk_sweep.numerics.thresholds import GRADED_ROWS

EPS = torch.finfo(torch.float64).eps

MAX_ROTATIONS = 4
"""Two are enough wherever it was tried (all activations, condition numbers up to 1e18); more only
after a poor start."""

SMALL_ANGLE = 1e-7
"""Larger angles are not taken in step 2, so that what they cost, ‖K‖², stays small beside a target
of 1e-9."""

NEGLIGIBLE = 1e-12
"""Entries of H off its diagonal that may stay there, small beside a target of 1e-9; they occur
between neighbouring eigenvalues."""

FAR = 1e-4
"""Of Λ, relatively: what is farther from the diagonal of B counts absolutely, in its own column."""

COLUMNS = 512
"""Of blocks of matrices."""

NULL = 1e6
"""Eigenvalues below this multiple of the absolute error are given an absolute bound only, lest the
noise in the null space of a singular matrix, large beside its eigenvalues, widen the relative bound
of all others."""


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
    congruence = _congruence(theta, vectors, start, orders, inner=0)
    if congruence.left < 1 and congruence.floor > NEGLIGIBLE * congruence.diagonal.min():
        # its matrices are not needed beside those of the next
        turned, diagonal = congruence.vectors, congruence.diagonal
        del congruence
        congruence = _congruence(theta, turned, diagonal, orders)
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
        congruence = _congruence(theta, turned, values, orders)
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
    for rows in _parts(len(left), GRADED_ROWS):
        block = selected(theta, rows)
        left[rows] = _minus(block, two_prod(root[rows, None], root))
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


def _bounds(congruence: _Congruence, residual: _Residual) -> tuple[float, float, float]:
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


@dataclass(frozen=True)
class _Congruence:
    """B = VᵀΘV.

    Attributes:
        vectors: V.
        diagonal: Of B, raised to at least `floor`.
        off: B off its diagonal.
        floor: Bound of the absolute error of B, in the Frobenius norm.
        columns: The same of an entry whose smaller eigenvalue is that of the column, (N,).
        beside: Second-order terms beside a null space.
        orthogonality: Bound of what orthonormal columns change, relative to D.
        skewed: ‖H - I‖_F, null spaces left out; the diagonal of H is B_ii / Λ_i here.
        raised: How far the diagonal was raised.
        angles: Those of step 2, zero where they are not small.
        left: The largest ratio of an entry without an angle to what may stay; below 1 there is
            nothing left to rotate.
    """

    vectors: Float[Tensor, "N N"]
    diagonal: Float[Tensor, " N"]
    off: Float[Tensor, "N N"]
    floor: float
    columns: Float[Tensor, " N"]
    beside: float
    orthogonality: float
    skewed: float
    raised: float
    angles: Float[Tensor, "N N"]
    left: float


def _congruence(
    theta: DoubleDouble,
    vectors: Float[Tensor, "N N"],
    values: Float[Tensor, " N"],
    orders: int,
    inner: int = 1,
) -> _Congruence:
    """B = SᵀVᵀΘVS from the residual R = ΘV - VΛ, which alone needs more than float64.

    VᵀΘV = (I + W)Λ + VᵀR for any Λ, with W = VᵀV - I. With Λ near the eigenvalues R is as small as
    rounding, so that VᵀR needs one order beyond float64. S = I - P, with P_ii = W_ii/2 and, of an
    entry and its mirror image, W_ij in the column of the larger Λ, makes the columns of VS
    orthonormal to ‖W‖². It leaves B_ij = v_iᵀr_j with j the smaller of the two, and B_ii = Λ_i +
    v_iᵀr_i / (1 + W_ii), up to second-order terms, relatively: with h = ‖D⁻¹(B - Λ)D⁻¹‖, D = Λ^½,
    they are within 2h‖P‖ + (1 + h)‖P‖², since the smaller Λ stands before its row of P. A Λ_j that
    is far from B_jj costs the entries of row and column j up to the diagonal |P_ji (B_jj - Λ_j)|
    instead.

    Args:
        theta: Θ.
        vectors: V.
        values: Λ.
        orders: Of the product with Θ.
        inner: Orders of VᵀR; 0 for plain float64, which is enough for a rotation.
    """
    size = len(vectors)
    order = values.argsort(descending=True)
    v, values = vectors[:, order], values[order].clamp(min=0)
    transposed = v.T.contiguous()
    overlap = symmetric_product(transposed)
    overlap.diagonal().sub_(1)
    # a float64 product of N terms errs by N u times the moduli (Higham 2002, section 3.1)
    heights = torch.linalg.vector_norm(overlap, dim=1) + 0.51 * EPS * size**1.5
    triangle = torch.linalg.matrix_norm(overlap).item() + 0.51 * EPS * size**2
    lengthened = 1 + overlap.diagonal()
    del overlap
    residual, columns = _residual(theta, v, values, orders)
    if inner:
        products, inner_errors = _inner_products(transposed, residual, inner)
    else:
        # as above
        rests = torch.linalg.vector_norm(residual, dim=0)
        products, inner_errors = v.T @ residual, 0.51 * EPS * size**1.5 * rests
    del residual, transposed
    missed = products.diagonal().abs()
    far = missed > FAR * values
    columns = columns + inner_errors + (2 * heights * missed).where(far, torch.zeros_like(missed))
    floor = 2**0.5 * columns.norm().item()
    plain = values + products.diagonal() / lengthened
    diagonal = plain.clamp(min=floor)
    off = _mirrored(products)
    angles, left, skewed, beside = _angles(off, diagonal, floor)
    skewed = math.hypot(skewed, (missed / values).masked_fill(far, 0).nan_to_num(0.0).norm().item())
    # what is left of second order; beside a null space it is an absolute error
    return _Congruence(
        vectors=v,
        diagonal=diagonal,
        off=off,
        floor=floor,
        columns=columns,
        beside=2 * triangle * beside,
        orthogonality=2 * skewed * triangle + (1 + skewed) * triangle**2,
        skewed=skewed,
        raised=(diagonal - plain).max().item(),
        angles=angles,
        left=left,
    )


def _residual(
    theta: DoubleDouble, v: Float[Tensor, "N N"], values: Float[Tensor, " N"], orders: int
) -> tuple[Float[Tensor, "N N"], Float[Tensor, " N"]]:
    """R = ΘV - VΛ, and bounds of the errors of its columns."""
    residual, errors = torch.empty_like(v), torch.empty_like(values)
    for columns in _parts(len(v), COLUMNS):
        factors, scales = v[:, columns], values[columns]
        squares = torch.zeros_like(scales)
        lengths = torch.zeros_like(scales)
        for rows in _parts(len(v), GRADED_ROWS):
            block = selected(theta, rows)
            product, own = matmul_by_column(block, factors, orders)
            scaled = two_prod(factors[rows], scales)
            residual[rows, columns] = _minus(product, scaled)
            squares += own**2
            lengths += torch.linalg.vector_norm(product.hi, dim=0) ** 2
        # of the product with Θ, of its difference from VΛ, of that number in float64
        sizes = lengths.sqrt() + scales * torch.linalg.vector_norm(factors, dim=0)
        rests = torch.linalg.vector_norm(residual[:, columns], dim=0)
        errors[columns] = 1.01 * (squares.sqrt() + UNIT / 4 * sizes + EPS * rests)
    return residual, errors


def _inner_products(
    transposed: Float[Tensor, "N N"], residual: Float[Tensor, "N N"], orders: int
) -> tuple[Float[Tensor, "N N"], Float[Tensor, " N"]]:
    """VᵀR beyond float64, rounded to it, and bounds of the errors of its columns."""
    products, squares = torch.empty_like(residual), torch.zeros_like(residual[0])
    for columns in _parts(len(residual), COLUMNS):
        for rows in _parts(len(residual), GRADED_ROWS):
            block = from_float64(transposed[rows])
            product, own = matmul_by_column(block, residual[:, columns], orders)
            products[rows, columns] = product.hi
            squares[columns] += own**2
    return products, squares.sqrt()


def _mirrored(products: Float[Tensor, "N N"]) -> Float[Tensor, "N N"]:
    """The upper triangle and its mirror image, zero on the diagonal, in place."""
    products.triu_(1)
    for rows in _parts(len(products), GRADED_ROWS):
        square = products[rows, rows]
        square += square.mT.clone()
        products[rows.stop :, rows] = products[rows, rows.stop :].mT
    return products


def _angles(
    off: Float[Tensor, "N N"], diagonal: Float[Tensor, " N"], floor: float
) -> tuple[Float[Tensor, "N N"], float, float, float]:
    """The angles of step 2, and what `_Congruence` says of B off its diagonal.

    That is the largest ratio of an entry without an angle to what may stay, the norm relative to
    the roots of the eigenvalues, and that of the entries beside a null space.
    """
    angles, root, tiny = torch.empty_like(off), diagonal.sqrt(), diagonal < NULL * floor
    left, skewed, beside = [], [], []
    for rows in _parts(len(off), GRADED_ROWS):
        part, null = off[rows], tiny[rows, None] | tiny
        quotients = part / (diagonal - diagonal[rows, None])
        taken = quotients.abs() < SMALL_ANGLE  # false for 0/0
        outer = torch.outer(root[rows], root)
        accepted = (NEGLIGIBLE * outer).maximum(floor * null.double())
        ratios = (part.abs() / accepted).masked_fill_(taken, 0)
        ratios.diagonal(rows.start).fill_(0)
        left.append(ratios.max().item())
        skewed.append(torch.linalg.matrix_norm((part / outer).masked_fill_(null, 0)).item())
        beside.append(torch.linalg.matrix_norm(part * null).item())
        angles[rows] = quotients.masked_fill_(~taken, 0)
    angles.fill_diagonal_(0)
    return angles, max(left), math.hypot(*skewed), math.hypot(*beside)


def _parts(size: int, height: int) -> list[slice]:
    return [slice(top, min(top + height, size)) for top in range(0, size, height)]


def _minus(x: DoubleDouble, y: DoubleDouble) -> Float[Tensor, "N k"]:
    """The difference x - y in float64, to a unit of rounding of it and UNIT (|x| + |y|)."""
    difference = add(x, DoubleDouble(-y.hi, -y.lo))
    return difference.hi + difference.lo


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


def _second_order(congruence: _Congruence) -> tuple[Float[Tensor, " N"], _Residual]:
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
    for rows in _parts(len(off), GRADED_ROWS):
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
