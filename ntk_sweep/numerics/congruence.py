"""VᵀΘV for nearly orthonormal V and Θ in double-double, with bounds of its errors.

`ntk_sweep.numerics.graded_eigenvalues` takes the eigenvalues from it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.numerics.double_double import UNIT, DoubleDouble, add, from_float64, two_prod
from ntk_sweep.numerics.double_double_functions import selected
from ntk_sweep.numerics.sliced_products import matmul_by_column, symmetric_product
from ntk_sweep.numerics.thresholds import GRADED_ROWS

EPS = torch.finfo(torch.float64).eps

SMALL_ANGLE = 1e-7
"""Larger angles are not taken in step 2 of `graded_spectrum`, so that what they cost, ‖K‖², stays
small beside a target of 1e-9."""

NEGLIGIBLE = 1e-12
"""Entries of H off its diagonal that may stay there, small beside a target of 1e-9; they occur
between neighbouring eigenvalues."""

FAR = 1e-4
"""Of Λ, relatively: what is farther from the diagonal of B counts absolutely, in its own column."""

COLUMNS = 512
"""Of the blocks of matrices that are multiplied."""

NULL = 1e6
"""Eigenvalues below this multiple of the absolute error are given an absolute bound only, lest the
noise in the null space of a singular matrix, large beside its eigenvalues, widen the relative bound
of all others."""


@dataclass(frozen=True)
class Congruence:
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


def congruence_of(
    theta: DoubleDouble,
    vectors: Float[Tensor, "N N"],
    values: Float[Tensor, " N"],
    orders: int,
    inner: int = 1,
) -> Congruence:
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
    return Congruence(
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
    for columns in parts(len(v), COLUMNS):
        factors, scales = v[:, columns], values[columns]
        squares = torch.zeros_like(scales)
        lengths = torch.zeros_like(scales)
        for rows in parts(len(v), GRADED_ROWS):
            block = selected(theta, rows)
            product, own = matmul_by_column(block, factors, orders)
            scaled = two_prod(factors[rows], scales)
            residual[rows, columns] = minus(product, scaled)
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
    for columns in parts(len(residual), COLUMNS):
        for rows in parts(len(residual), GRADED_ROWS):
            block = from_float64(transposed[rows])
            product, own = matmul_by_column(block, residual[:, columns], orders)
            products[rows, columns] = product.hi
            squares[columns] += own**2
    return products, squares.sqrt()


def _mirrored(products: Float[Tensor, "N N"]) -> Float[Tensor, "N N"]:
    """The upper triangle and its mirror image, zero on the diagonal, in place."""
    products.triu_(1)
    for rows in parts(len(products), GRADED_ROWS):
        square = products[rows, rows]
        square += square.mT.clone()
        products[rows.stop :, rows] = products[rows, rows.stop :].mT
    return products


def _angles(
    off: Float[Tensor, "N N"], diagonal: Float[Tensor, " N"], floor: float
) -> tuple[Float[Tensor, "N N"], float, float, float]:
    """The angles of step 2, and what `Congruence` says of B off its diagonal.

    That is the largest ratio of an entry without an angle to what may stay, the norm relative to
    the roots of the eigenvalues, and that of the entries beside a null space.
    """
    angles, root, tiny = torch.empty_like(off), diagonal.sqrt(), diagonal < NULL * floor
    left, skewed, beside = [], [], []
    for rows in parts(len(off), GRADED_ROWS):
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


def parts(size: int, height: int) -> list[slice]:
    """Blocks of so many rows or columns, and the rest."""
    return [slice(top, min(top + height, size)) for top in range(0, size, height)]


def minus(x: DoubleDouble, y: DoubleDouble) -> Float[Tensor, "N k"]:
    """The difference x - y in float64, to a unit of rounding of it and UNIT (|x| + |y|)."""
    difference = add(x, DoubleDouble(-y.hi, -y.lo))
    return difference.hi + difference.lo
