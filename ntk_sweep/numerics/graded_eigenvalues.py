"""Eigenvalues of a positive semi-definite matrix in double-double, to full relative accuracy.

A matrix with λ_max/λ_min up to 1e25 still determines its small eigenvalues if its entries are known
to 1e-30; what is missing is a solver that does not lose them. Two congruences in double-double
bring the matrix close to a diagonal, and the remainder is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.numerics.double_double import (
    UNIT,
    DoubleDouble,
    add,
    from_float64,
    matmul_by_column,
    symmetric_product,
    two_prod,
)

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

    1. V from LAPACK's eigen-solver, B = VᵀΘV, and B = D H D with D = diag(B)^½. H is well
       conditioned even where Θ is not (Demmel and Veselić 1992), so the left singular vectors U of
       D chol(H), in float64, are good rotations; V ← V U.
    2. B again. What is left off its diagonal is taken away by T = I + K with the small angles K_ij
       = B_ij / (B_jj - B_ii), whose effect on the diagonal is of second order.
    3. TᵀBT = D (I + M) D, with eigenvalues within ‖M‖ of those of D², relatively (Ostrowski;
       Eisenstat and Ipsen 1995). V is orthonormal to rounding, T to ‖K‖², and each
       costs that much, relatively, by the same theorem.

    Args:
        theta: Θ.
        orders: Of the products in `ntk_sweep.numerics.double_double.matmul`: the absolute error is
            about 2^(-21·orders - 53) λ_max.
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
    if vectors is None:
        vectors = torch.linalg.eigh(theta.hi).eigenvectors
    vectors = vectors.flip(1)
    start = (vectors * (theta.hi @ vectors)).sum(0)
    congruence = _congruence(theta, vectors, start, orders, inner=0)
    if congruence.left < 1 and congruence.floor > NEGLIGIBLE * congruence.diagonal.min():
        congruence = _congruence(theta, vectors, start, orders)
    for _ in range(MAX_ROTATIONS):
        if congruence.left < 1:
            break
        rotation, values = _rotation(congruence)
        congruence = _congruence(theta, congruence.vectors @ rotation, values, orders)

    values, residual = _second_order(congruence)
    relative, absolute, beside = _bounds(congruence, residual)
    order = values.argsort()
    turned = congruence.vectors + congruence.vectors @ congruence.angles
    single = (congruence.columns + beside).clamp(max=absolute)
    return GradedSpectrum(
        values[order].clamp(min=0), relative, absolute, turned[:, order], single[order]
    )


def _bounds(congruence: _Congruence, residual: Float[Tensor, "N N"]) -> tuple[float, float, float]:
    """The relative and the absolute bound, from moduli of what is left off the diagonal.

    Last comes what of the absolute bound is not the error of B.
    """
    diagonal, floor = congruence.diagonal, congruence.floor
    root = diagonal.sqrt()
    tiny = diagonal < NULL * floor
    null = torch.linalg.matrix_norm(residual * (tiny[:, None] | tiny)).item()
    remainder = torch.linalg.matrix_norm(
        residual * ~(tiny[:, None] | tiny) / torch.outer(root, root)
    ).item()
    relative = (
        remainder
        + 1.1 * (torch.linalg.matrix_norm(congruence.angles).item() ** 2 + congruence.orthogonality)
        + 2 * EPS
    )
    beside = congruence.raised + null + congruence.beside
    if relative > 0.5:
        # no relative statement; Weyl's inequality for all that is off the diagonal
        relative = 2 * congruence.orthogonality
        beside += torch.linalg.matrix_norm(residual).item()
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
        orthogonality: Bound of what orthonormal columns change, relatively.
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
    they are within 2h‖P‖ + (1 + h)‖P‖², since the smaller Λ stands before its row of P.

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
    product, errors = matmul_by_column(theta, v, orders)
    scaled = two_prod(v, values)
    residual = _minus(product, scaled)
    rests = torch.linalg.vector_norm(residual, dim=0)
    if inner:
        product_of, inner_errors = matmul_by_column(from_float64(v.T.contiguous()), residual, inner)
        products = product_of.hi
    else:
        # a float64 product of N terms errs by N u times the moduli (Higham 2002, section 3.1)
        products, inner_errors = v.T @ residual, 0.51 * EPS * size**1.5 * rests
    upper = products.triu(1)
    off = upper + upper.T
    # of the product with Θ, of its difference from VΛ, of that number in float64, of VᵀR
    sizes, lengths = (torch.linalg.vector_norm(x, dim=0) for x in (product.hi, scaled.hi))
    columns = 1.01 * (errors + UNIT / 4 * (sizes + lengths) + EPS * rests) + inner_errors
    floor = 2**0.5 * columns.norm().item()
    overlap = symmetric_product(v.T.contiguous())
    overlap.diagonal().sub_(1)
    plain = values + products.diagonal() / (1 + overlap.diagonal())
    diagonal = plain.clamp(min=floor)
    # a float64 product of N terms errs by N u times the moduli (Higham 2002, section 3.1)
    triangle = torch.linalg.matrix_norm(overlap).item() + 0.51 * EPS * size**2
    gaps = diagonal[None, :] - diagonal[:, None]
    angles = off / gaps
    taken = angles.abs() < SMALL_ANGLE  # false for 0/0
    root = diagonal.sqrt()
    tiny = diagonal < NULL * floor
    accepted = (NEGLIGIBLE * torch.outer(root, root)).maximum(
        floor * (tiny[:, None] | tiny).double()
    )
    # what is left of second order; beside a null space it is an absolute error
    null = tiny[:, None] | tiny
    skewed = torch.linalg.matrix_norm((off / torch.outer(root, root)).masked_fill(null, 0)).item()
    orthogonality = 2 * skewed * triangle + (1 + skewed) * triangle**2
    beside = 2 * triangle * torch.linalg.matrix_norm(off * null).item()
    left = (off.abs() / accepted).masked_fill(taken, 0).fill_diagonal_(0).max().item()
    angles = angles.masked_fill(~taken, 0).fill_diagonal_(0)
    return _Congruence(
        vectors=v,
        diagonal=diagonal,
        off=off,
        floor=floor,
        columns=columns,
        beside=beside,
        orthogonality=orthogonality,
        raised=(diagonal - plain).max().item(),
        angles=angles,
        left=left,
    )


def _minus(x: DoubleDouble, y: DoubleDouble) -> Float[Tensor, "N N"]:
    """X - y as one float64 number, to a unit of rounding of it and UNIT (|x| + |y|)."""
    difference = add(x, DoubleDouble(-y.hi, -y.lo))
    return difference.hi + difference.lo


def _rotation(congruence: _Congruence) -> tuple[Float[Tensor, "N N"], Float[Tensor, " N"]]:
    """The left singular vectors of D · chol(H), B = D H D, and the squared singular values."""
    root = congruence.diagonal.sqrt()
    scaled = congruence.off / torch.outer(root, root)
    scaled.fill_diagonal_(1)
    jitter = 0.0
    for _ in range(20):
        lower, failed = torch.linalg.cholesky_ex(
            scaled + jitter * torch.eye(len(scaled), dtype=torch.float64)
        )
        if not failed:
            break
        # only the quality of the rotation depends on it: the bound is computed afterwards
        jitter = max(10 * jitter, 1e-14)
    left, singular, _ = torch.linalg.svd(root[:, None] * lower)
    return left, singular**2


def _second_order(congruence: _Congruence) -> tuple[Float[Tensor, " N"], Float[Tensor, "N N"]]:
    """Diagonal of TᵀBT for T = I + K, and a bound of the modulus of each entry of the rest.

    With B = Λ + O: TᵀBT = Λ + (O + ΛK - KΛ) + (OK + (OK)ᵀ + KᵀBK) as Kᵀ = -K. The first bracket
    vanishes where the angle is taken, up to the rounding of its three terms.
    """
    off, diagonal, angles = congruence.off, congruence.diagonal, congruence.angles
    product = off @ angles
    second = product + product.T + angles.T @ (product + diagonal[:, None] * angles)
    first = off + (diagonal[:, None] - diagonal[None, :]) * angles
    # sums of N products are bounded by the lengths of their factors
    sizes, heights = torch.linalg.vector_norm(angles, dim=0), torch.linalg.vector_norm(off, dim=1)
    weighted = torch.linalg.vector_norm(diagonal.sqrt()[:, None] * angles, dim=0)
    outer = torch.outer(heights, sizes)
    moduli = off.abs() + (diagonal[:, None] + diagonal[None, :]) * angles.abs()
    moduli += len(off) * (
        outer
        + outer.T
        + heights.norm() * torch.outer(sizes, sizes)
        + torch.outer(weighted, weighted)
    )
    residual = first.abs() + second.abs().fill_diagonal_(0) + 2 * EPS * moduli
    return diagonal + second.diagonal(), residual
