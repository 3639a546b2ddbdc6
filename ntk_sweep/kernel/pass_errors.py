"""What rounding in the passes can do to each eigenvalue of the kernel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.kernel.centred_passes import CentredTrace, Factor

SAFETY = 4
"""Factor on the root mean square estimates of `ntk_sweep.kernel.centred_passes`: they are norms of vectors with
many independent components, which keep within a few per cent of their mean, so it covers what the
error model leaves out. Tuned: the estimates exceed the actual errors without it in all tests."""


@dataclass(frozen=True)
class PassErrors:
    """The Jacobian of the traced kernel is J + 1 eᵀ + F.

    Attributes:
        shared: Bound of ‖e‖, the error that all rows have in common, (1,), float64.
        rows: Bound of the norm of each row of F, (N,), float64.
    """

    shared: Float[Tensor, "*b 1"]
    rows: Float[Tensor, "*b N"]

    def __getitem__(self, index: tuple[int, ...]) -> PassErrors:
        """Those of one of several networks."""
        return PassErrors(self.shared[index], self.rows[index])

    def cpu(self) -> PassErrors:
        """The same on the CPU."""
        return PassErrors(self.shared.cpu(), self.rows.cpu())


def pass_errors(trace: CentredTrace) -> PassErrors:
    """Collects the errors of the factors into errors of the Jacobian.

    J_l = δ ⊗ [c a, 1] with δ = δ̄ + d, a = ā + g, and errors ε of each. To first order, the shared
    part of the error of row i is ε_δ̄ ⊗ [c ā, 1] + c δ̄ ⊗ ε_ā, and its own part ε_d ⊗ [c a, 1] + c
    δ ⊗ ε_g + c ε_δ̄ ⊗ g + c d ⊗ ε_ā. Errors of different layers and terms are taken as independent,
    so that squares add.
    """
    shared, rows = (
        trace.gradients[-1].centre_error * 0,
        torch.zeros_like(trace.gradients[-1].row_errors),
    )
    for a, delta, c in zip(trace.inputs, trace.gradients, trace.factors, strict=True):
        rows = (
            rows
            + delta.row_errors**2 * (c * c * _squares(a.total) + 1)
            + c * c * _squares(delta.total) * a.row_errors**2
        )
        if a.centre is not None:
            rows = rows + c * c * delta.row_norms**2 * a.centre_error**2
        if delta.centre is not None:
            rows = rows + delta.centre_error**2 * c * c * a.row_norms**2
        shared = (
            shared
            + delta.centre_error**2 * (c * c * _centre_square(a) + 1)
            + c * c * _centre_square(delta) * a.centre_error**2
        )
    return PassErrors(SAFETY * shared.sqrt(), SAFETY * rows.sqrt())


def eigenvalue_errors(
    errors: PassErrors,
    eigenvalues: Float[Tensor, " N"],
    traced_errors: Float[Tensor, " N"],
    vectors: Float[Tensor, "N N"],
) -> Float[Tensor, " N"]:
    """Bound of |λ_i(traced) - λ_i(exact)|.

    With σ_i = √λ_i the singular values of J, |σ_i(J + F) - σ_i(J)| ≤ ‖F‖₂ ≤ ‖F‖_F (Weyl). A shared
    error is a multiplicative one, J + 1eᵀ = J (I + weᵀ) with J w = 1, and changes σ_i by at most
    σ_i ‖w‖ ‖e‖ (Ostrowski), where ‖w‖² = 1ᵀΘ⁻¹1 = Σ (1ᵀv_i)²/λ_i. What of 1 lies along unresolved
    eigenvectors is counted as part of F instead.

    Args:
        errors: From `pass_errors`.
        eigenvalues: Of the traced kernel.
        traced_errors: Bound of their errors.
        vectors: Eigenvectors in the columns.
    """
    along = vectors.sum(dim=0) ** 2
    resolved = eigenvalues > 2 * traced_errors
    inverse = (along[resolved] / (eigenvalues - traced_errors)[resolved]).sum().sqrt().item()
    return change(errors, eigenvalues, traced_errors, inverse, along[~resolved].sum().sqrt().item())


def change(
    errors: PassErrors,
    eigenvalues: Tensor,
    traced_errors: Tensor,
    inverse: float | None,
    unresolved: float = 0.0,
) -> Float[Tensor, " n"]:
    """`eigenvalue_errors` for some eigenvalues only.

    Args:
        errors: From `pass_errors`.
        eigenvalues: Of the traced kernel.
        traced_errors: Bound of their errors.
        inverse: ‖w‖ over the resolved eigenvectors; None if it is not known.
        unresolved: The length of 1 along the others.
    """
    shared, rows = float(errors.shared), float(errors.rows.norm())
    relative, absolute = (0.0, 0.0) if inverse is None else (shared * inverse, shared * unresolved)
    if inverse is None or relative > 0.5:
        relative, absolute = 0.0, shared * len(errors.rows) ** 0.5
    root = (eigenvalues + traced_errors).sqrt()
    size = relative * root + absolute + rows
    return 2 * root * size + size**2


def _squares(rows: Tensor) -> Tensor:
    return torch.linalg.vector_norm(rows, dim=-1, dtype=torch.float64) ** 2


def _centre_square(factor: Factor) -> Tensor:
    return factor.centre_error * 0 if factor.centre is None else _squares(factor.centre)
