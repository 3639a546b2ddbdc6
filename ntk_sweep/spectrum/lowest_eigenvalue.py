"""λ_min of a kernel beyond float64, without the rest of the spectrum.

docs/theory/numerics.md derives the bounds. Dimension letters in the annotations: N inputs, m
leading eigenvectors, k of the smallest eigenvalues.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from scipy.linalg.blas import dsymv, dtrsv
from scipy.linalg.lapack import dpotrf, dpotrs, dtrtrs
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor

from ntk_sweep.kernel.pass_errors import ROOT_TWO, SAFETY
from ntk_sweep.numerics.double_double import (
    UNIT,
    DoubleDouble,
    add,
    add_plain,
)
from ntk_sweep.numerics.gram_matrices import GramError
from ntk_sweep.numerics.gram_tiles import mirrored, upper_tiles
from ntk_sweep.numerics.sliced_products import matmul
from ntk_sweep.numerics.tensors import all_finite

ORDERS = 3
"""Of products with Θ and with what is taken away: their error is far below that of Θ itself."""

ROWS = 64
"""Of Θ or A that are multiplied at once: their slices stay in the caches."""

LEADING = 10
"""Eigenvectors of the greatest eigenvalues that are computed: as many as the diagnostics use."""

LOWEST = 4
"""Eigenvectors of the smallest eigenvalues that are computed together: the gap beyond them is wider
than that beside λ_min."""

SMALLEST = 20
"""Inputs up to which Lanczos vectors would span the whole space, and all eigenvectors are computed
instead."""

LANCZOS = 1e-8
"""Asked of Lanczos's vectors. One more inverse iteration leaves residuals of as much of λ_min, and
they enter the bound squared."""

UNDERFLOW = 1e-290
"""What it costs a factorisation, for each input."""

ATTEMPTS = 20
"""Of a shift or a margin, each larger than the last, before it is given up; one is enough where
Lanczos found the right vectors."""

_UNIT = torch.finfo(torch.float64).eps / 2


@dataclass(frozen=True)
class LowestEigenvalue:
    """The smallest eigenvalue of a kernel.

    Attributes:
        value: λ_min, not negative.
        error: A bound of its absolute error.
        vectors: W, the approximate eigenvectors of the smallest eigenvalues, (N, k), λ_min first.
        values: Their Rayleigh quotients, (k,).
        beyond: A lower bound of xᵀΘx/xᵀx for all x orthogonal to W; 0 where it is not known.
        inverse_norm: A bound of (1ᵀΘ⁻¹1)^½; None where λ_min is unresolved.
    """

    value: float
    error: float
    vectors: Float[Tensor, "N k"]
    values: Float[Tensor, " k"]
    beyond: float
    inverse_norm: float | None


class NoBoundError(ValueError):
    """The solver found no bound of an eigenvalue."""


class Deflated(NamedTuple):
    """A = Θ - ZZᵀ.

    Attributes:
        rest: A, rounded to float64.
        vectors: Q, the vectors that are taken away.
        product: Y = ΘQ.
        factor: Z.
        error: Bound of ‖A + ZZᵀ - Θ‖_F.
        entries: w, (N,), such that an entry errs by (w_i w_j)^½ in root mean square.
    """

    rest: Float[Tensor, "N N"]
    vectors: Float[Tensor, "N m"]
    product: DoubleDouble
    factor: DoubleDouble
    error: float
    entries: Float[Tensor, " N"]


def deflated(theta: DoubleDouble, errors: GramError, leading: Float[Tensor, "N m"]) -> Deflated:
    """Θ without its greatest eigenvalues.

    A = Θ - ZZᵀ has no eigenvalue above those of Θ and, with Z along the leading eigenvectors,
    nearly the same smallest ones; but its trace is smaller by orders of magnitude, and so is the
    rounding of its Cholesky factorisation.

    Args:
        theta: Θ, exactly symmetric, on the CPU. A takes the memory of its high part.
        errors: Its errors.
        leading: Orthonormal approximate eigenvectors of the greatest eigenvalues, ascending.
    """
    # more vectors than half would take the smallest eigenvalues along
    leading = leading[:, -max(len(theta.hi) // 2, 1) :]
    seen = (leading * (theta.hi @ leading)).sum(0) > factorisation_error(theta.hi)
    seen[-1] = True
    known = leading[:, seen]
    if known.shape[1] < leading.shape[1]:
        # the others are lost in the rounding of Θ, but not in that of what is left of it
        rest = _deflate(theta, errors, known, torch.empty_like(theta.hi), to_zero=True).rest
        leading = known
        if float(rest.norm()) > float(errors.norm):
            leading = torch.linalg.qr(torch.cat((known.flip(1), greatest_vectors(rest)), 1)).Q
            leading = leading[:, : len(seen)].flip(1)
        del rest
    return _deflate(theta, errors, leading, theta.hi)


def lowest_eigenvalue(kernel: Deflated) -> LowestEigenvalue:
    """λ_min of a kernel whose greatest eigenvalues are taken away.

    Lanczos's method on A⁻¹, by a Cholesky factor, gives the smallest eigenvalues. A second
    factorisation, of A + τWWᵀ - μI, shows that nothing below μ is left beside their vectors W.

    Raises:
        NoBoundError: Θ is not positive semi-definite up to rounding.
    """
    rest, size = kernel.rest, len(kernel.rest)
    rounding = factorisation_error(rest)
    shift, lower = factor(rest, rounding)
    vectors, values, residual = _ritz(rest, lowest_vectors(rest, lower))
    value = float(values[0])
    inverse_norm = _inverse_norm_of_ones(kernel, lower)
    del lower
    # what is taken away counts for a vector that is not quite orthogonal to it
    columns = DoubleDouble(*(part.mT.contiguous() for part in kernel.factor))
    along, _ = matmul(columns, vectors[:, :1], 2)
    above = float(along.hi.norm()) ** 2 + (UNIT * size * float(columns.hi.norm())) ** 2
    whole = kernel.error
    single = SAFETY * ROOT_TWO * float(((vectors**2).T @ kernel.entries).sum())
    shifted = value + 0.9 * (float(values[-1]) - value)
    beyond = 0.0
    if _nothing_below(rest, vectors, shifted):
        beyond = shifted - rounding - whole
    gap = beyond - value - whole - single
    if gap > 0:
        error = single + (residual + whole) ** 2 / gap + above
    else:
        value, error = certified(rest, vectors[:, 0], rounding, sign=1)
        error += whole + above
    error += 8 * _UNIT * abs(value)
    value = max(value, 0.0)
    if value > 2 * error:
        stretched = (value + shift + rounding) / (value - error)
        inverse_norm *= stretched**0.5
    return LowestEigenvalue(
        value, error, vectors, values, beyond, inverse_norm if value > 2 * error else None
    )


def _deflate(
    theta: DoubleDouble,
    errors: GramError,
    q: Float[Tensor, "N m"],
    rest: Float[Tensor, "N N"],
    to_zero: bool = False,
) -> Deflated:
    """Takes away the space of Q up to σ, the smallest eigenvalue of C = QᵀΘQ.

    With Y = ΘQ, ZZᵀ = Y (C⁻¹ - σC⁻²) Yᵀ: what Q errs by changes Θ beside Q by its square over an
    eigenvalue of C only, as in a Schur complement.

    Args:
        theta: Θ.
        errors: Its errors.
        q: Q.
        rest: Where A is put; the high part of Θ if that is not needed any more.
        to_zero: Whether the space is taken away down to zero, so that A shows what else is great;
            its smallest eigenvalues are then those of that space.
    """
    y, _ = _product(theta, q, ORDERS)
    # of the others rounding may be all there is; the last belongs to the greatest eigenvalue
    known = (q * y.hi).sum(0) > 8 * len(q) * _UNIT * y.hi.norm(dim=0)
    known[-1] = True
    q, y = q[:, known], DoubleDouble(y.hi[:, known], y.lo[:, known])
    root, inverse = _scaled_inverse(q, y)
    least = 0.0 if to_zero else float(root.min()) ** 2
    most = inverse - least * (inverse / root**2) @ inverse
    squares, turn = torch.linalg.eigh((most + most.T) / 2)
    # slices of a row of Y hold its small columns only if all are of one size
    power = root.log2().round().exp2()
    small = turn * squares.clamp(min=0).sqrt() * (power / root)[:, None]
    z, _ = matmul(DoubleDouble(y.hi / power, y.lo / power), small, ORDERS)
    norms = float(theta.hi.norm()), float(z.hi.norm()) ** 2
    rounded = [0.0]
    for rows, columns in upper_tiles(len(rest)):
        others = DoubleDouble(z.hi[columns].mT.contiguous(), z.lo[columns].mT.contiguous())
        product, own = matmul(DoubleDouble(z.hi[rows], z.lo[rows]), others.hi, ORDERS)
        product = add_plain(product, z.hi[rows] @ others.lo)
        whole = DoubleDouble(theta.hi[rows, columns], theta.lo[rows, columns])
        tile = add(whole, DoubleDouble(-product.hi, -product.lo)).hi
        rest[rows, columns] = mirrored(tile) if rows == columns else tile
        if rows != columns:
            rest[columns, rows] = tile.mT
        rounded.append(ROOT_TWO * float(own))
    error = float(errors.norm) + UNIT * (norms[0] + 32 * norms[1]) + math.hypot(*rounded)
    entries = errors.entries + _UNIT * rest.diagonal().clamp(min=0)
    return Deflated(rest, q, y, z, error + _UNIT * float(rest.norm()), entries)


def _scaled_inverse(
    q: Float[Tensor, "N m"], y: DoubleDouble
) -> tuple[Float[Tensor, " m"], Float[Tensor, "m m"]]:
    """D and D C⁻¹ D for C = QᵀY, D = diag(C)^½.

    The columns of Q ascend with the eigenvalues. Entries come from the smaller one, which rounds
    less.
    """
    lower = (q.T @ y.hi + q.T @ y.lo).tril()
    c = lower + lower.tril(-1).T
    root = c.diagonal().clamp(min=torch.finfo(torch.float64).tiny).sqrt()
    return root, torch.linalg.pinv(c / torch.outer(root, root), hermitian=True)


def _ritz(
    rest: Float[Tensor, "N N"], w: Float[Tensor, "N k"]
) -> tuple[Float[Tensor, "N k"], Float[Tensor, " k"], float]:
    """Ritz vectors and values of A in the span of W, and a bound of their residual's norm."""
    zeros = rest.new_zeros(()).expand_as(rest)
    (product, low), rounding = _product(DoubleDouble(rest, zeros), w, 2)
    small = w.T @ product + w.T @ low
    values, turn = torch.linalg.eigh((small + small.T) / 2)
    vectors = w @ turn
    residual = torch.linalg.matrix_norm(product - w @ small).item()
    # of the difference, and of W, which is orthonormal to rounding
    own = 8 * _UNIT * len(w) ** 0.5 * torch.linalg.matrix_norm(product).item()
    return vectors, values, residual + rounding + own


def _product(
    matrix: DoubleDouble, columns: Float[Tensor, "N k"], orders: int
) -> tuple[DoubleDouble, float]:
    """A matrix times some columns, and a bound of the error's Frobenius norm."""
    blocks = zip(*(part.split(ROWS) for part in matrix), strict=True)
    parts = [matmul(DoubleDouble(*block), columns, orders) for block in blocks]
    high, low = (torch.cat([getattr(part, kind) for part, _ in parts]) for kind in ("hi", "lo"))
    return DoubleDouble(high, low), math.hypot(*(float(error) for _, error in parts))


def _inverse_norm_of_ones(kernel: Deflated, lower: Float[Tensor, "N N"]) -> float:
    """(1ᵀΘ⁻¹1)^½ ≤ ‖Qc‖_Θ + ‖s‖_(A⁻¹) with 1 = ΘQc + s, as if LLᵀ were A."""
    q, y = kernel.vectors, kernel.product
    root, inverse = _scaled_inverse(q, y)
    coefficients = inverse @ (q.sum(0) / root) / root
    explained, _ = matmul(y, coefficients[:, None], 2)
    ones = torch.ones_like(explained.hi)
    left = add_plain(DoubleDouble(-explained.hi, -explained.lo), ones)
    own = float((q @ coefficients) @ explained.hi[:, 0])
    solved, _ = dtrtrs(lower.numpy(), left.hi[:, 0].numpy(), lower=1)
    return max(own, 0.0) ** 0.5 + float(np.linalg.norm(solved))


def _nothing_below(rest: Float[Tensor, "N N"], w: Float[Tensor, "N k"], shifted: float) -> bool:
    """Whether xᵀAx ≥ μ xᵀx for all x orthogonal to W, up to rounding."""
    if not shifted > 0:
        return False
    matrix = torch.addmm(rest, w, w.T, alpha=2 * shifted)
    matrix.diagonal().sub_(shifted)
    return _factored(matrix) is not None


def lowest_vectors(
    rest: Float[Tensor, "N N"],
    lower: Float[Tensor, "N N"],
    count: int = LOWEST,
    tolerance: float = LANCZOS,
) -> Float[Tensor, "N k"]:
    """Orthonormal approximate eigenvectors of the smallest eigenvalues.

    Args:
        rest: The matrix, or one near it.
        lower: Its Cholesky factor.
        count: Of eigenvectors.
        tolerance: Asked of Lanczos's vectors.
    """
    size = len(rest)
    if size <= SMALLEST:
        return torch.linalg.eigh(rest).eigenvectors[:, :count]
    triangle = lower.numpy()

    def solve(v: np.ndarray) -> np.ndarray:
        # LAPACK's routine for several right-hand sides takes twice as long for one
        half = dtrsv(triangle, v.reshape(-1), lower=1)
        return dtrsv(triangle, half, lower=1, trans=1, overwrite_x=1)

    inverse = LinearOperator((size, size), matvec=solve, dtype=float)
    start = np.random.default_rng(0).standard_normal(size)
    _, last = eigsh(inverse, k=count, which="LM", v0=start, tol=tolerance)
    return torch.linalg.qr(torch.from_numpy(dpotrs(triangle, last, lower=1)[0])).Q


def greatest_vectors(matrix: Float[Tensor, "N N"], count: int = LEADING) -> Float[Tensor, "N m"]:
    """Eigenvectors of as many greatest eigenvalues, ascending, by Lanczos's method."""
    size = len(matrix)
    if size <= SMALLEST:
        return torch.linalg.eigh(matrix).eigenvectors[:, -count:]
    # one triangle is read only; BLAS has columns where NumPy has rows
    columns = matrix.numpy().T
    product = LinearOperator(
        (size, size), matvec=lambda v: dsymv(1.0, columns, v.reshape(-1)), dtype=float
    )
    start = np.random.default_rng(0).standard_normal(size)
    return torch.from_numpy(eigsh(product, k=count, which="LA", v0=start)[1])


def factorisation_error(matrix: Float[Tensor, "N N"]) -> float:
    """What the Cholesky factor of a matrix errs by: 4 √N u tr A, as in `extreme_eigenvalues`."""
    size = len(matrix)
    return 4 * size**0.5 * _UNIT * matrix.diagonal().abs().sum().item() + size * UNDERFLOW


def factor(matrix: Float[Tensor, "N N"], rounding: float) -> tuple[float, Float[Tensor, "N N"]]:
    """The smallest s of 0, ρ, 2ρ, … for which A + sI has a Cholesky factor, and that factor.

    Raises:
        NoBoundError: There is none.
    """
    shift = 0.0
    for _ in range(ATTEMPTS):
        lower = cholesky(matrix, shift, 1)
        if lower is not None:
            return shift, lower
        shift = max(2 * shift, rounding)
    raise NoBoundError("the kernel is not positive semi-definite up to rounding")


def certified(
    matrix: Float[Tensor, "N N"], vector: Float[Tensor, " N"], rounding: float, sign: int
) -> tuple[float, float]:
    """The eigenvalue at one end of the spectrum, from its vector, and a bound of its error.

    The lower end has `sign` 1, the upper one -1.

    Raises:
        NoBoundError: No bound was found.
    """
    product = matrix @ vector
    value = (vector @ product / (vector @ vector)).item()
    margin = max((product - value * vector).norm().item(), rounding)
    for _ in range(ATTEMPTS):
        if cholesky(matrix, -sign * (value - sign * margin), sign) is not None:
            return value, margin + rounding
        margin *= 10
    raise NoBoundError(f"no bound was found for the eigenvalue near {value:g}")


def cholesky(matrix: Float[Tensor, "N N"], shift: float, sign: int) -> Float[Tensor, "N N"] | None:
    """The Cholesky factor of sign · A + shift · I; None if there is none."""
    shifted = matrix.clone() if sign > 0 else -matrix
    shifted.diagonal().add_(shift)
    return _factored(shifted)


def _factored(matrix: Float[Tensor, "N N"]) -> Float[Tensor, "N N"] | None:
    """The Cholesky factor of a symmetric matrix in its lower triangle, in the matrix's own memory.

    What is above the diagonal is not the factor's. SciPy's LAPACK takes two thirds of the time of
    torch's, and no further matrix.
    """
    # LAPACK has columns where NumPy has rows
    lower, failed = dpotrf(matrix.numpy().T, lower=1, clean=0, overwrite_a=1)
    factor = torch.from_numpy(lower)
    # not every LAPACK stops at a number that is not finite
    return None if failed or not all_finite(factor.diagonal()) else factor
