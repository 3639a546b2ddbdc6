"""The smallest eigenvalue of a positive semi-definite matrix in double-double, without the others.

It costs a fraction of `ntk_sweep.numerics.graded_eigenvalues.graded_spectrum`: rotations need only
bring the matrix so close to a diagonal that an inverse in float64 is accurate.

Dimension letter in the annotations: N rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.numerics.dominated_eigenvalue import (
    SmallestEigenvalue,
    deflating_slope,
    dominated_eigenvalue,
)
from ntk_sweep.numerics.double_double import (
    UNIT,
    DoubleDouble,
    add,
    add_plain,
    from_float64,
    multiply,
    symmetric,
    two_prod,
    two_sum,
)
from ntk_sweep.numerics.gram_matrices import (
    gram,
    gram_error,
)
from ntk_sweep.numerics.sliced_products import (
    matmul,
    slice_bits,
    slices,
)

_EPS = torch.finfo(torch.float64).eps

_ENOUGH = 1e-7
"""Relative error of the inverse at which no further rotation is made."""

LEFT_PER_ROW = 1.5e-11
"""Relative error, a row, that double-double leaves of λ_min (measured on kernels of 200 images).
Float64 is enough where it leaves no more."""

_ROTATIONS = 4
"""Each brings eigenvalues 1e-13 of the greatest, or smaller, closer by that factor."""


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
    size = len(differences.hi)
    plain = dominated_eigenvalue(float(common.hi), differences.hi)
    if plain is not None and plain.error <= max(LEFT_PER_ROW * size * plain.value, uncertainty):
        return plain
    deflated = _deflated(common, differences)
    vectors = _start(deflated)
    best: SmallestEigenvalue | None = None
    for orders in (1, *(3 for _ in range(_ROTATIONS))):
        congruence = _congruence(deflated, vectors, orders)
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


class _Deflated(NamedTuple):
    """Θ = τ m mᵀ + M, in which M has lost the linear part of t too.

    Attributes:
        common: τ.
        slope: m - 1, exact in float64, (N,).
        rest: M.
        error: A bound of the rounding of M in the Frobenius norm.
    """

    common: DoubleDouble
    slope: Float[Tensor, " N"]
    rest: DoubleDouble
    error: float


def _deflated(common: DoubleDouble, differences: DoubleDouble) -> _Deflated:
    """M = t - τ(q 1ᵀ + 1 qᵀ + q qᵀ) for m = 1 + q."""
    size = len(differences.hi)
    slope = deflating_slope(float(common.hi), differences.hi)
    if not bool(slope.any()):
        return _Deflated(common, slope, differences, 0.0)
    part = multiply(from_float64(slope), common)
    column = DoubleDouble(part.hi[:, None], part.lo[:, None])
    outer = add(multiply(column, from_float64(slope)), add(column, part))
    rest = add(differences, DoubleDouble(-outer.hi, -outer.lo))
    size_of = float(differences.hi.abs().max()) + 3 * float(part.hi.abs().max())
    return _Deflated(common, slope, rest, 8 * UNIT * size * size_of)


def _start(deflated: _Deflated) -> Float[Tensor, "N N"]:
    """Approximate eigenvectors, by descending eigenvalues.

    Those of the small eigenvalues are exact to the rounding of M, not of τ: with s = m/‖m‖, g = τ
    ‖m‖² + sᵀMs and y = M s less its part along s, they are eigenvectors of M - y yᵀ/g on the
    complement of s, turned by the small angle to the great eigenvector s + y/g.
    """
    m = 1 + deflated.slope
    rest, tau = deflated.rest.hi, float(deflated.common.hi)
    s = m / m.norm()
    image = rest @ s
    along = torch.dot(s, image)
    y = image - along * s
    great = tau * float(m.norm()) ** 2 + float(along)
    if not float(y.norm()) < 0.1 * great:
        return torch.linalg.eigh(rest + tau * torch.outer(m, m)).eigenvectors.flip(1)
    inner = rest - torch.outer(s, y + along * s) - torch.outer(y, s) - torch.outer(y, y) / great
    # s, of eigenvalue zero here, becomes the first
    vectors = torch.linalg.eigh(
        inner + torch.outer(s, s) * (2 * torch.linalg.matrix_norm(inner))
    ).eigenvectors.flip(1)
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
        errors: Bounds of the errors of the entries of each column on and above the diagonal,
            but for what the errors of `mean` add.
        mean: Moduli of τ^½ Vᵀm.
        mean_error: Bounds of their errors.
        orthogonality: A bound of ‖VᵀV - I‖.
    """

    vectors: Float[Tensor, "N N"]
    matrix: Float[Tensor, "N N"]
    errors: Float[Tensor, " N"]
    mean: Float[Tensor, " N"]
    mean_error: Float[Tensor, " N"]
    orthogonality: float


def _congruence(deflated: _Deflated, vectors: Float[Tensor, "N N"], orders: int) -> _Congruence:
    """B = VᵀMV + τ (Vᵀm)(Vᵀm)ᵀ, the first term from the residual R = MV - VΛ.

    VᵀMV = (VᵀV)Λ + VᵀR for any Λ; with Λ near its diagonal R is small, and it alone needs more than
    float64. Of the two forms of an entry off the diagonal the one with the smaller eigenvalue is
    taken, as in `ntk_sweep.numerics.graded_eigenvalues`.
    """
    size, tau, rest = len(vectors), float(deflated.common.hi), deflated.rest
    m = 1 + deflated.slope
    values = (vectors * (rest.hi @ vectors)).sum(0)
    order = (values + tau * (m @ vectors) ** 2).argsort(descending=True)
    v, values = vectors[:, order].contiguous(), values[order]
    product, error = matmul(rest, v, orders)
    shift = two_prod(v, values)
    difference = add(product, DoubleDouble(-shift.hi, -shift.lo))
    residual = difference.hi + difference.lo
    columns = v.T.contiguous()
    entries = gram(columns, orders=1)
    overlap = symmetric(entries.hi, size)
    overlap.diagonal().sub_(1)
    overlap += symmetric(entries.lo, size)
    sums, sums_error = _column_sums(v)
    along = deflated.slope @ v
    sums, sums_error = (
        sums + along,
        sums_error + 2 * size * _EPS * float(deflated.slope.norm()),
    )
    upper = (overlap * values + v.T @ residual).triu(1)
    matrix = upper + upper.T
    # W is left out on the diagonal, which normalises the columns of V
    matrix.diagonal().copy_(values + (v * residual).sum(0))
    matrix += tau * torch.outer(sums, sums)
    # a float64 product of N terms errs by N u times the moduli (Higham 2002, section 3.1)
    lengths = torch.linalg.vector_norm(residual, dim=0)
    modulus = torch.linalg.vector_norm(product.hi, dim=0) + values.abs()
    # τ^½ Vᵀm and its error
    root = abs(tau) ** 0.5
    mean, mean_error = (
        root * sums.abs(),
        root * (sums_error + 2 * _EPS * (sums.abs() + along.abs())),
    )
    errors = (
        1.01 * float(error)
        + 1.01 * deflated.error
        + 8 * UNIT * modulus
        + (size / 2 + 2) * _EPS * 1.01 * lengths
        + 4 * _EPS * overlap.abs().amax(0) * values.abs()
        + mean**2 * overlap.diagonal().abs()
    )
    orthogonality = 2 * (
        float(torch.linalg.matrix_norm(overlap)) + float(gram_error(columns, orders=1)) + _EPS
    )
    return _Congruence(v, matrix, errors, mean, mean_error, orthogonality)


def _column_sums(v: Float[Tensor, "N N"]) -> tuple[Float[Tensor, " N"], float]:
    """The sums of the columns, and a bound of the error of each beside rounding of itself.

    Three slices of each column add up exactly; what is left is below 2^(-3 bits) of its entries.
    """
    size = len(v)
    bits = slice_bits(size)
    columns = v.T.contiguous()
    *parts, rest = (part.sum(1) for part in slices(columns, 4, bits))
    total = add_plain(add_plain(two_sum(parts[0], parts[1]), parts[2]), rest)
    return total.hi, size * _EPS * 2.0 ** (1 - 3 * bits) * size


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
    mean, mean_error = congruence.mean / root, congruence.mean_error / root
    moved = (
        float((2 * (places * shares**2).sum()).sqrt())
        + float((2 * mean.norm() + mean_error.norm()) * mean_error.norm())
        + 4 * _EPS * height
    )
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
