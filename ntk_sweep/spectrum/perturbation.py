"""What the errors of the passes do to the eigenvalues of the kernel.

The exact Jacobian J becomes J + 1eᵀ + F. With σ_i = √λ_i the singular values of J,
|σ_i(J + F) - σ_i(J)| ≤ ‖F‖₂ ≤ ‖F‖_F (Weyl). A shared error is a multiplicative one,
J + 1eᵀ = J (I + weᵀ) with J w = 1, and changes σ_i by at most σ_i ‖w‖ ‖e‖ (Ostrowski), where
‖w‖² = 1ᵀΘ⁻¹1 = Σ (1ᵀv_i)²/λ_i. What of 1 lies along unresolved eigenvectors counts as part of F.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from ntk_sweep.kernel.pass_errors import PassErrors


def eigenvalue_errors(
    errors: PassErrors,
    eigenvalues: Float[Tensor, " N"],
    solver_errors: Float[Tensor, " N"],
    vectors: Float[Tensor, "N N"],
) -> Float[Tensor, " N"]:
    """Bound of |λ_i(computed passes) - λ_i(exact passes)| for all eigenvalues.

    Args:
        errors: Those of the passes.
        eigenvalues: Of the kernel of the computed passes.
        solver_errors: Bound of their errors, that of the kernel's rounding included.
        vectors: Eigenvectors in the columns.
    """
    along = vectors.sum(dim=0) ** 2
    resolved = eigenvalues > 2 * solver_errors
    inverse_norm = (along[resolved] / (eigenvalues - solver_errors)[resolved]).sum().sqrt().item()
    unresolved = along[~resolved].sum().sqrt().item()
    return perturbation_bound(errors, eigenvalues, solver_errors, inverse_norm, unresolved)


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
