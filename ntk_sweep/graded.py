"""Eigenvalues of a positive semi-definite double-double matrix, each to nearly full *relative* accuracy.

A matrix with λ_max/λ_min up to 1e25 still determines its small eigenvalues if its entries are known to 1e-30; what is missing is a
solver that does not lose them. Two congruences in double-double bring the matrix close to a diagonal, and the remainder is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.doubled import UNIT, Doubled, doubled, matmul, matmul_error, symmetrised

MAX_ROTATIONS = 4
"""Two are enough wherever it was tried (all activations, condition numbers up to 1e18); more only after a poor start."""

SMALL_ANGLE = 1e-7
"""Larger angles are not taken in step 2, so that what they cost, ‖K‖², stays small beside a target of 1e-9."""

NEGLIGIBLE = 1e-12
"""Entries of H off its diagonal that may stay there, small beside a target of 1e-9; they occur between neighbouring eigenvalues."""

NULL = 1e6
"""Eigenvalues below this multiple of the absolute error are given an absolute bound only, lest the noise in the null space of a
singular matrix, large beside its eigenvalues, widen the relative bound of all others."""


@dataclass(frozen=True)
class GradedSpectrum:
    """Eigenvalues λ_i with |λ_i - true| ≤ relative · λ_i + absolute.

    Attributes:
        eigenvalues: Ascending, (N,), none negative.
        relative: Relative part of the bound, the same for all.
        absolute: Absolute part of the bound, the same for all.
        vectors: Approximate eigenvectors in the columns, (N, N).
    """

    eigenvalues: Float[Tensor, " N"]
    relative: float
    absolute: float
    vectors: Float[Tensor, "N N"]


def graded_spectrum(theta: Doubled) -> GradedSpectrum:
    """All eigenvalues of Θ, exactly symmetric and positive semi-definite up to rounding, on the CPU.

    1. V from LAPACK's eigen-solver, B = VᵀΘV in double-double, and B = D H D with D = diag(B)^½. H is well conditioned even where Θ
       is not (Demmel and Veselić 1992), so the left singular vectors U of D chol(H), in float64, are good rotations; V ← V U.
    2. B again. What is left off its diagonal is taken away by T = I + K with the small angles K_ij = B_ij / (B_jj - B_ii), whose
       effect on the diagonal is of second order and fits in float64.
    3. TᵀBT = D (I + N) D, with eigenvalues within ‖N‖ of those of D², relatively (Ostrowski; Eisenstat and Ipsen 1995, theorem
    2.1).
       V is orthonormal to rounding, T to ‖K‖², and each costs that much, relatively, by the same theorem.
    """
    size = len(theta.hi)
    scale = torch.linalg.matrix_norm(theta.hi).item()
    if scale == 0:
        zeros = torch.zeros(size, dtype=torch.float64)
        return GradedSpectrum(zeros, 0.0, 0.0, torch.eye(size, dtype=torch.float64))
    # two products with ‖V‖_F² = N, the second on the result of the first, and √2 for mirroring one triangle; 2√2 rounded up allows
    # for V not quite orthonormal
    product_error = 2.9 * size**0.5 * (matmul_error(size) + UNIT) * scale
    floor = torch.tensor(product_error, dtype=torch.float64)

    vectors = torch.linalg.eigh(theta.hi).eigenvectors.flip(1)
    congruent, diagonal, angles, left = _congruence(theta, vectors, floor)
    for _ in range(MAX_ROTATIONS):
        if left < 1:
            break
        vectors = vectors @ _rotation(congruent, diagonal)
        congruent, diagonal, angles, left = _congruence(theta, vectors, floor)

    values, residual = _second_order(congruent, diagonal, angles)
    root = diagonal.sqrt()
    tiny = diagonal < NULL * floor
    null = torch.linalg.matrix_norm(residual * (tiny[:, None] | tiny)).item()
    remainder = torch.linalg.matrix_norm(residual * ~(tiny[:, None] | tiny) / torch.outer(root, root)).item()
    identity = torch.eye(size, dtype=torch.float64)
    orthogonality = torch.linalg.matrix_norm(vectors.T @ vectors - identity).item() + size * torch.finfo(torch.float64).eps
    relative = remainder + 1.1 * (torch.linalg.matrix_norm(angles).item() ** 2 + orthogonality) + 2 * torch.finfo(torch.float64).eps
    raised = (diagonal - congruent.hi.diagonal()).max().item()
    absolute = product_error + max(raised, 0.0) + null
    if relative > 0.5:
        # no relative statement; Weyl's inequality for all that is off the diagonal
        relative, absolute = 2 * orthogonality, absolute + torch.linalg.matrix_norm(residual).item()
    order = values.argsort()
    return GradedSpectrum(values[order].clamp(min=0), relative, absolute, vectors[:, order])


def _congruence(theta: Doubled, vectors: Tensor, floor: Tensor) -> tuple[Doubled, Tensor, Tensor, float]:
    """B = VᵀΘV; its diagonal, raised to at least `floor`; the angles of step 2; the largest ratio of what is left to what may be.

    What is left are the entries off the diagonal without an angle.
    """
    v = doubled(vectors)
    congruent = symmetrised(matmul(v.T, matmul(theta, v)))
    diagonal = congruent.hi.diagonal().maximum(floor)
    gaps = diagonal[None, :] - diagonal[:, None]
    angles = congruent.hi / gaps
    taken = angles.abs() < SMALL_ANGLE  # false for 0/0
    root = diagonal.sqrt()
    tiny = diagonal < NULL * floor
    accepted = (NEGLIGIBLE * torch.outer(root, root)).maximum(floor * (tiny[:, None] | tiny))
    left = (congruent.hi.abs() / accepted).where(~taken, torch.zeros_like(gaps)).fill_diagonal_(0)
    return congruent, diagonal, angles.where(taken, torch.zeros_like(gaps)).fill_diagonal_(0), left.max().item()


def _rotation(congruent: Doubled, diagonal: Tensor) -> Tensor:
    """The left singular vectors of D · chol(H), B = D H D."""
    root = diagonal.sqrt()
    scaled = congruent.hi / torch.outer(root, root)
    scaled.fill_diagonal_(1)
    jitter = 0.0
    for _ in range(20):
        lower, failed = torch.linalg.cholesky_ex(scaled + jitter * torch.eye(len(scaled), dtype=torch.float64))
        if not failed:
            break
        # only the quality of the rotation depends on it: the bound is computed afterwards
        jitter = max(10 * jitter, 1e-14)
    return torch.linalg.svd(root[:, None] * lower)[0]


def _second_order(congruent: Doubled, diagonal: Tensor, angles: Tensor) -> tuple[Tensor, Tensor]:
    """Diagonal of TᵀBT for T = I + K, and a bound of the modulus of each entry of the rest.

    With B = Λ + O: TᵀBT = Λ + (O + ΛK - KΛ) + (OK + (OK)ᵀ + KᵀBK) as Kᵀ = -K. The first bracket vanishes where the angle is taken,
    up to the rounding of its three terms.
    """
    off = congruent.hi.clone().fill_diagonal_(0)
    full = off + diagonal.diag()
    product = off @ angles
    second = product + product.T + angles.T @ full @ angles
    first = off + (diagonal[:, None] - diagonal[None, :]) * angles
    sizes = angles.abs()
    product = off.abs() @ sizes
    moduli = off.abs() + (diagonal[:, None] + diagonal[None, :]) * sizes
    moduli += len(off) * (product + product.T + sizes @ full.abs() @ sizes)
    residual = first.abs() + second.abs().fill_diagonal_(0) + 4 * torch.finfo(torch.float64).eps * moduli
    return diagonal + (congruent.lo + second).diagonal(), residual
