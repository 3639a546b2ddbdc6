"""The smallest eigenvalue of a positive semi-definite matrix in double-double, without the others.

It costs a fraction of `ntk_sweep.numerics.graded_eigenvalues.graded_spectrum`: rotations need only
bring the matrix so close to a diagonal that an inverse in float64 is accurate.

Dimension letter in the annotations: N rows.
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
    add_plain,
    gram,
    gram_error,
    matmul,
    multiply,
    slice_bits,
    slices,
    symmetric,
    two_prod,
    two_sum,
)

_EPS = torch.finfo(torch.float64).eps

_ENOUGH = 5e-7
"""Relative error of the inverse at which no further rotation is made."""

_ROTATIONS = 4
"""Each brings eigenvalues 1e-13 of the greatest, or smaller, closer by that factor."""


@dataclass(frozen=True)
class SmallestEigenvalue:
    """λ_min of a matrix.

    Attributes:
        value: λ_min, not negative.
        error: A bound of its absolute error, the matrix being exact.
    """

    value: float
    error: float


def smallest_eigenvalue(
    common: DoubleDouble, differences: DoubleDouble, uncertainty: float = 0.0
) -> SmallestEigenvalue:
    """λ_min of Θ = τ 1 1ᵀ + t, exactly symmetric and positive semi-definite up to its error.

    B = VᵀΘV for nearly orthonormal V, beyond float64, is D H D with D = diag(B)^½ and H well
    conditioned (Demmel and Veselić 1992). With X ≈ H⁻¹ in float64, λ_min(B) = 1/‖D⁻¹H⁻¹D⁻¹‖₂. If
    ‖I - H X‖ ≤ ρ < 1, then H⁻¹ differs from X by at most ‖X‖ρ/(1 - ρ), which in comparison with H⁻¹
    is ρ' = ‖H‖ ‖X‖ ρ/(1 - ρ), and so does every eigenvalue, relatively. An error η of H changes the
    eigenvalues by at most ‖H⁻¹‖ η, relatively. V costs ‖VᵀV - I‖ by Ostrowski's theorem.

    Args:
        common: τ, of no dimension.
        differences: t, (N, N), on the CPU.
        uncertainty: A bound of ‖Θ - exact‖₂; not part of `error`. Below it no digits are sought.

    Example:
        >>> from ntk_sweep.numerics.double_double import from_float64
        >>> t = torch.tensor([[0.0, 0.0], [0.0, 2.0**-40]], dtype=torch.float64)
        >>> least = smallest_eigenvalue(from_float64(torch.ones(()).double()), from_float64(t))
        >>> round(least.value * 2**41, 9), least.error < 1e-9 * least.value
        (1.0, True)
    """
    vectors = _deflated_vectors(float(common.hi), differences.hi)
    best: SmallestEigenvalue | None = None
    for _ in range(_ROTATIONS):
        congruence = _congruence(common, differences, vectors)
        found = _from_inverse(congruence)
        if best is None or found.error < best.error:
            best = found
        if best.error <= max(_ENOUGH * best.value, uncertainty):
            break
        rotation = _rotation(congruence)
        if rotation is None:
            break
        vectors = congruence.vectors @ rotation
    assert best is not None
    return best


def _deflated_vectors(common: float, differences: Float[Tensor, "N N"]) -> Float[Tensor, "N N"]:
    """Approximate eigenvectors of τ 1 1ᵀ + t for t small beside τ, by descending eigenvalues.

    Those of the small eigenvalues are exact to the rounding of t, not of τ: with s = 1/√N and y = t
    s less its part along s, they are eigenvectors of the rest, t - … - y yᵀ/(τN + sᵀts), on the
    complement of s, turned by the small angle to the great eigenvector s + y/(τN + sᵀts).
    """
    size = len(differences)
    s = torch.full((size,), size**-0.5, dtype=torch.float64)
    y = differences @ s
    along = torch.dot(s, y)
    y = y - along * s
    great = common * size + along
    if not float(y.norm()) < 0.1 * float(great):
        return torch.linalg.eigh(differences + common).eigenvectors.flip(1)
    means = differences.mean(0)
    rest = differences - means[:, None] - means + means.mean() - torch.outer(y, y) / great
    # s, of eigenvalue zero here, becomes the first
    shifted = rest + torch.outer(s, s) * (2 * torch.linalg.matrix_norm(rest))
    vectors = torch.linalg.eigh(shifted).eigenvectors.flip(1)
    vectors[:, 0] = s
    angles = y @ vectors / great
    angles[0] = 0
    vectors = vectors - torch.outer(s, angles)
    vectors[:, 0] = s + y / great
    deviation = float(y.norm() / great) ** 2
    while deviation > _EPS:
        # Newton and Schulz: the deviation from orthonormal columns is squared
        vectors = torch.addmm(vectors, vectors, vectors.T @ vectors, beta=1.5, alpha=-0.5)
        deviation = deviation**2
    return vectors


@dataclass(frozen=True)
class _Congruence:
    """B = VᵀΘV, by descending diagonal.

    Attributes:
        vectors: V.
        matrix: B.
        errors: Bounds of the errors of the entries of each column on and above the diagonal.
        orthogonality: A bound of ‖VᵀV - I‖.
    """

    vectors: Float[Tensor, "N N"]
    matrix: Float[Tensor, "N N"]
    errors: Float[Tensor, " N"]
    orthogonality: float


def _congruence(
    common: DoubleDouble, differences: DoubleDouble, vectors: Float[Tensor, "N N"]
) -> _Congruence:
    """B from the residual R = ΘV - VΛ, which alone needs more than float64.

    B = (VᵀV)Λ + VᵀR; of the two forms of an entry off the diagonal the one with the smaller Λ is
    taken, as in `ntk_sweep.numerics.graded_eigenvalues`.
    """
    size = len(vectors)
    values = (vectors * (differences.hi @ vectors)).sum(0)
    values = (values + float(common.hi) * vectors.sum(0) ** 2).clamp(min=0)
    order = values.argsort(descending=True)
    v, values = vectors[:, order].contiguous(), values[order]
    product, error = matmul(differences, v, 3)
    sums, sums_error = _column_sums(v)
    mean = multiply(sums, common)
    shift = two_prod(v, values)
    difference = add(add(product, DoubleDouble(-shift.hi, -shift.lo)), mean)
    residual = difference.hi + difference.lo
    columns = v.T.contiguous()
    entries = gram(columns, orders=1)
    overlap = symmetric(entries.hi, size)
    overlap.diagonal().sub_(1)
    overlap += symmetric(entries.lo, size)
    upper = (overlap * values + v.T @ residual).triu(1)
    matrix = upper + upper.T
    # W is left out on the diagonal, which normalises the columns of V
    matrix.diagonal().copy_(values + (v * residual).sum(0))
    # a float64 product of N terms errs by N u times the moduli (Higham 2002, section 3.1)
    lengths = torch.linalg.vector_norm(residual, dim=0)
    modulus = torch.linalg.vector_norm(product.hi, dim=0) + values
    modulus = modulus + size**0.5 * mean.hi.abs()
    errors = (
        1.01 * float(error)
        + size**0.5 * abs(float(common.hi)) * sums_error
        + 8 * UNIT * modulus
        + (size / 2 + 2) * _EPS * 1.01 * lengths
    )
    orthogonality = 2 * (
        float(torch.linalg.matrix_norm(overlap)) + float(gram_error(columns, orders=1)) + _EPS
    )
    return _Congruence(v, matrix, errors, orthogonality)


def _column_sums(v: Float[Tensor, "N N"]) -> tuple[DoubleDouble, float]:
    """The sums of the columns, and a bound of the error of each, beside UNIT of itself.

    Three slices of each column add up exactly; what is left is below 2^(-3 bits) of its entries.
    """
    size = len(v)
    bits = slice_bits(size)
    columns = v.T.contiguous()
    *parts, rest = (part.sum(1) for part in slices(columns, 4, bits))
    total = add_plain(add_plain(two_sum(parts[0], parts[1]), parts[2]), rest)
    return total, size * _EPS * 2.0 ** (1 - 3 * bits) * size


def _scaled(congruence: _Congruence) -> tuple[Float[Tensor, "N N"], Float[Tensor, " N"]]:
    """H and D."""
    diagonal = congruence.matrix.diagonal().maximum(congruence.errors).clamp(min=1e-300)
    root = diagonal.sqrt()
    h = congruence.matrix / torch.outer(root, root)
    h.fill_diagonal_(1)
    return h, root


def _from_inverse(congruence: _Congruence) -> SmallestEigenvalue:
    h, root = _scaled(congruence)
    # the smallest eigenvalue is at most the smallest number on the diagonal
    most = float((congruence.matrix.diagonal() + congruence.errors).min())
    unknown = SmallestEigenvalue(0.0, 1.01 * max(most, 0.0))
    lower, failed = torch.linalg.cholesky_ex(h)
    if failed:
        return unknown
    inverse = torch.cholesky_inverse(lower)
    size = len(h)
    identity = torch.eye(size, dtype=torch.float64)
    height, width = (float(torch.linalg.matrix_norm(m)) for m in (h, inverse))
    rest = float(torch.linalg.matrix_norm(identity - h @ inverse)) + size * _EPS * height * width
    if rest >= 0.5:
        return unknown
    relative = height * width * rest / (1 - rest)
    # of the entries of one column of B, relative to D: i ≤ j has D_i ≥ D_j
    shares = congruence.errors / root**2
    places = torch.arange(1, size + 1, dtype=torch.float64)
    moved = float((2 * (places * shares**2).sum()).sqrt()) + 4 * _EPS * height
    scaled = inverse / torch.outer(root, root)
    largest = float(torch.linalg.eigvalsh((scaled + scaled.T) / 2)[-1])
    share = (
        relative
        + moved * width / (1 - rest)
        + (2 * size + 8) * _EPS
        + 1.1 * congruence.orthogonality
    )
    if not share < 0.3:
        return unknown
    return SmallestEigenvalue(1 / largest, 1.5 * share / largest)


def _rotation(congruence: _Congruence) -> Float[Tensor, "N N"] | None:
    """The left singular vectors of D · chol(H), by descending singular values."""
    h, root = _scaled(congruence)
    jitter = 0.0
    for _ in range(20):
        lower, failed = torch.linalg.cholesky_ex(
            h + jitter * torch.eye(len(h), dtype=torch.float64)
        )
        if not failed:
            return torch.linalg.svd(root[:, None] * lower)[0]
        # only the quality of the rotation depends on it: the bound is computed afterwards
        jitter = max(10 * jitter, 1e-14)
    return None
