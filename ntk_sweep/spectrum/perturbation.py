"""What the errors of the passes and of the kernel do to its eigenvalues.

The exact Jacobian J becomes J + E, E = 1eᵀ + F. With σ_i = √λ_i the singular values of J,
|σ_i(J + F) - σ_i(J)| ≤ ‖F‖₂ ≤ ‖F‖_F (Weyl). A shared error is a multiplicative one,
J + 1eᵀ = J (I + weᵀ) with J w = 1, and changes σ_i by at most σ_i ‖w‖ ‖e‖ (Ostrowski), where
‖w‖² = 1ᵀΘ⁻¹1 = Σ (1ᵀv_i)²/λ_i. What of 1 lies along unresolved eigenvectors counts as part of F.

Where the covariance of the errors is known, each resolved eigenvalue gets what its own vector sees;
docs/theory/numerics.md derives it.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.kernel.pass_errors import SQUARED_AWAY, PassErrors

CERTAIN = 1e-2
"""The largest error of an eigenvector's singular value, relatively, for which second-order terms
are left to `eigenvalue_errors`."""

UNIT = torch.finfo(torch.float64).eps / 2


def eigenvalue_errors(
    errors: PassErrors,
    eigenvalues: Float[Tensor, " N"],
    solver_errors: Float[Tensor, " N"],
    vectors: Float[Tensor, "N N"],
    sines: Float[Tensor, "N N"] | float = 0.0,
) -> Float[Tensor, " N"]:
    """Bound of |λ_i(computed passes) - λ_i(exact passes)| for all eigenvalues.

    Args:
        errors: Those of the passes.
        eigenvalues: Of the kernel of the computed passes.
        solver_errors: Bound of their errors, that of the kernel's rounding included.
        vectors: Eigenvectors in the columns.
        sines: Bounds of what vector i, the column, has of the exact vector j, the row; one for all.
    """
    along = vectors.sum(dim=0) ** 2
    resolved = eigenvalues > 2 * solver_errors
    inverse_norm = (along[resolved] / (eigenvalues - solver_errors)[resolved]).sum().sqrt().item()
    unresolved = along[~resolved].sum().sqrt().item()
    norms = perturbation_bound(errors, eigenvalues, solver_errors, inverse_norm, unresolved)
    if errors.covariance is None:
        return norms
    seen = _seen(errors.covariance, vectors)
    seen = seen + (sines * (seen.sum() - seen) if isinstance(sines, float) else seen @ sines)
    upper, lower = eigenvalues + solver_errors, (eigenvalues - solver_errors).clamp(min=0)
    certain = resolved & (seen < CERTAIN * lower.sqrt())
    first = len(certain) - int(certain.flip(0).cumprod(0).sum())
    if first == len(certain):
        return norms
    above = slice(first, None)
    single = _relative_errors(
        seen[above] / lower[above].sqrt(), eigenvalues[above], solver_errors[above]
    )
    # rows that are left out add at most the square of their length to each eigenvalue
    rest = (upper[:first].sqrt() + seen[:first]).square().sum()
    bounds = torch.cat((upper[:first].clamp(min=float(rest)), single * upper[above] + rest))
    return norms.minimum(bounds)


def _seen(covariance: Float[Tensor, "N N"], vectors: Float[Tensor, "N N"]) -> Float[Tensor, " N"]:
    """Bounds of ‖Eᵀv_i‖, (v_iᵀCv_i)^½, for the vectors at hand."""
    squares = (vectors * (covariance @ vectors)).sum(dim=0).clamp(min=0)
    rounding = len(vectors) * UNIT * torch.linalg.matrix_norm(covariance)
    return (squares + rounding).sqrt() + SQUARED_AWAY


def _relative_errors(
    seen: Float[Tensor, " N"],
    eigenvalues: Float[Tensor, " N"],
    solver_errors: Float[Tensor, " N"],
) -> Float[Tensor, " N"]:
    """Bounds of |λ_i(exact) - λ_i|/λ_i.

    In the basis of the eigenvectors the exact kernel is D (I + M) D, D = Λ^½, with |M_ij| ≤ z_i +
    z_j + z_i z_j, z_i = ‖Eᵀv_i‖/σ_i. T = I + K, K_ij = M_ij σ_i σ_j / (λ_j - λ_i), takes away the
    entries between eigenvalues that are well apart, up to second-order terms: with κ = ‖D K D⁻¹‖_F,
    2 ‖M‖ κ + (1 + ‖M‖) κ² + ‖K‖². The others are blocks, which change by their norms.
    """
    entries = (1 + seen[:, None]) * (1 + seen) - 1
    total = torch.linalg.matrix_norm(entries).item()
    steps = eigenvalues.diff() - solver_errors[1:] - solver_errors[:-1]
    apart = steps > total**0.5 * eigenvalues[1:]
    block = torch.cat((torch.zeros(1, dtype=torch.int64), apart.cumsum(0)))
    together = block[:, None] == block
    sums = torch.zeros(int(block[-1]) + 1, dtype=torch.float64)
    sums = sums.index_add(0, block, (entries**2 * together).sum(dim=1))
    gaps = (eigenvalues[:, None] - eigenvalues).abs() - solver_errors[:, None] - solver_errors
    ratios = (entries / gaps).masked_fill(together, 0)
    upper = eigenvalues + solver_errors
    turned = torch.linalg.matrix_norm(ratios * upper[:, None]).item()
    angles = torch.linalg.matrix_norm(ratios * torch.outer(upper.sqrt(), upper.sqrt())).item()
    second = 2 * total * turned + (1 + total) * turned**2 + angles**2
    return sums.sqrt()[block] * (1 + second) + second


def perturbation_bound(
    errors: PassErrors,
    eigenvalues: Float[Tensor, " n"],
    solver_errors: Float[Tensor, " n"],
    inverse_norm: float | None,
    unresolved: float = 0.0,
) -> Float[Tensor, " n"]:
    """The bound of `eigenvalue_errors` for some eigenvalues only.

    Args:
        errors: Those of the passes.
        eigenvalues: Of the kernel of the computed passes.
        solver_errors: Bound of their errors.
        inverse_norm: ‖w‖ over the resolved eigenvectors; None if it is not known.
        unresolved: The length of 1 along the others.
    """
    shared, rows = float(errors.shared), float(errors.rows.norm())
    relative, absolute = 0.0, shared * len(errors.rows) ** 0.5
    if inverse_norm is not None and shared * inverse_norm <= 0.5:
        relative, absolute = shared * inverse_norm, shared * unresolved
    root = (eigenvalues + solver_errors).sqrt()
    size = relative * root + absolute + rows
    return 2 * root * size + size**2
