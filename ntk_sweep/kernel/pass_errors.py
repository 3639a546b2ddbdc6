"""The errors of the centred passes, as errors of the Jacobian."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.kernel.centred_passes import CentredPasses
from ntk_sweep.kernel.centred_rows import CentredRows
from ntk_sweep.kernel.rounding import row_norms

SAFETY = 4
"""Factor on the root mean square estimates of `ntk_sweep.kernel.rounding`: they are norms of
vectors with many independent components, which keep within a few per cent of their mean, so it
covers what the error model leaves out. Tuned: the estimates exceed the actual errors without it in
all tests."""

ROOT_TWO = 2**0.5
"""An entry of a symmetric matrix and its mirror image err alike."""

SQUARED_AWAY = 1e-160
"""Errors below it have squares that underflow."""


def spread_error(entries: Float[Tensor, " N"]) -> float:
    """What errors of a kernel's entries do to an eigenvalue whose eigenvector is spread evenly.

    Args:
        entries: w, such that entry (i, j) errs by (w_i w_j)^½ in root mean square.
    """
    return SAFETY * ROOT_TWO * float(entries.mean())


@dataclass(frozen=True)
class PassErrors:
    """The Jacobian of the passes is J + 1 eᵀ + F, with J the exact one.

    Attributes:
        shared: Bound of ‖e‖, the error that all rows have in common, (1,), float64.
        rows: Bound of the norm of each row of F, (N,), float64.
        covariance: C, (N, N), float64, with ‖Eᵀv‖² ≤ vᵀCv for E = 1eᵀ + F and a v that does not
            depend on the roundings; None if it is not known.
    """

    shared: Float[Tensor, "*e 1"]
    rows: Float[Tensor, "*b N"]
    covariance: Float[Tensor, "*b N N"] | None = None

    def __getitem__(self, index: tuple[int, ...]) -> PassErrors:
        """Those of one of several networks."""
        covariance = None if self.covariance is None else self.covariance[index]
        return PassErrors(self.shared[index], self.rows[index], covariance)

    def cpu(self) -> PassErrors:
        """The same on the CPU."""
        covariance = None if self.covariance is None else self.covariance.cpu()
        return PassErrors(self.shared.cpu(), self.rows.cpu(), covariance)


def add_common_covariance(
    total: Float[Tensor, "*b m p"],
    a: CentredRows,
    delta: CentredRows,
    factor: float,
    inputs: Float[Tensor, "*a m p"],
    gradients: Float[Tensor, "*d m p"],
) -> None:
    """Adds what a layer's centres bring to C, without the safety factor: ‖ε_δ̄‖² K + c² ‖ε_ā‖² Δ.

    An error ε of δ̄ adds ε ⊗ [c a_i, β] to each row i of J_l, and Σ_i v_i of these is of length ‖ε‖
    ‖Σ_i v_i [c a_i, β]‖; likewise an error of ā.

    Args:
        total: What it is added to.
        a: a^{l-1}.
        delta: δ^l.
        factor: c.
        inputs: K = c² a aᵀ + β².
        gradients: Δ = δδᵀ.
    """
    if delta.centre is not None:
        total.addcmul_((delta.centre_error**2)[..., None], inputs)
    if a.centre is not None:
        total.addcmul_((factor * a.centre_error)[..., None] ** 2, gradients)


def pass_errors(passes: CentredPasses, common: Float[Tensor, "*b N N"] | None = None) -> PassErrors:
    """Collects the errors of all layers into errors of the Jacobian.

    J_l = δ ⊗ [c a, β] with δ = δ̄ + d, a = ā + g, and errors ε of each. To first order, the shared
    part of the error of row i is ε_δ̄ ⊗ [c ā, β] + c δ̄ ⊗ ε_ā, and its own part ε_d ⊗ [c a, β] + c
    δ ⊗ ε_g + c ε_δ̄ ⊗ g + c d ⊗ ε_ā. Errors of different layers and terms are taken as independent,
    so that squares add.

    Rows round independently, unless their inputs are equal: then (Σ_i |v_i| f_i)² over k of them is
    at most k Σ_i v_i² f_i².

    Args:
        passes: The passes.
        common: The sum of `add_common_covariance` over the layers, if it is known.
    """
    shared = passes.gradients[-1].centre_error * 0
    rows = torch.zeros_like(passes.gradients[-1].row_errors)
    mixed = torch.zeros_like(rows)
    for a, delta, scale in zip(passes.inputs, passes.gradients, passes.scales, strict=True):
        square = scale.square
        rows = (
            rows
            + delta.row_errors**2 * scale.gram(a.total_squares)
            + square * delta.total_squares * a.row_errors**2
        )
        if a.centre is not None:
            mixed = mixed + square * delta.row_norms**2 * a.centre_error**2
        if delta.centre is not None:
            mixed = mixed + delta.centre_error**2 * scale.factor * scale.factor * a.row_norms**2
        shared = (
            shared
            + delta.centre_error**2 * scale.gram(_centre_square(a))
            + square * _centre_square(delta) * a.centre_error**2
        )
    covariance = None
    if common is not None:
        multiplicities = passes.network_inputs.multiplicities
        covariance = SAFETY**2 * (common + torch.diag_embed(multiplicities * rows))
    rows = (rows + mixed).sqrt()
    return PassErrors(SAFETY * shared.sqrt(), SAFETY * rows + SQUARED_AWAY, covariance)


def seen_errors(
    passes: CentredPasses, errors: PassErrors, vectors: Float[Tensor, "N k"]
) -> Float[Tensor, " k"]:
    """Bounds of ‖Eᵀv‖ for some v: (vᵀCv)^½ without C, for so many inputs that it is not formed.

    Args:
        passes: The passes of one network.
        errors: Theirs.
        vectors: Unit vectors in the columns, on the CPU.
    """
    v = vectors.to(passes.outputs.device)
    sums = v.sum(dim=0) ** 2
    common = torch.zeros_like(sums)
    for a, delta, scale in zip(passes.inputs, passes.gradients, passes.scales, strict=True):
        along, across = (_lengths(rows.total, v) ** 2 for rows in (a, delta))
        common += delta.centre_error**2 * (scale.square * along + scale.bias**2 * sums)
        common += scale.square * a.centre_error**2 * across
    own = (passes.network_inputs.multiplicities * errors.rows.to(v.device) ** 2) @ v**2
    return (SAFETY**2 * common + own).sqrt().cpu() + SQUARED_AWAY


def _lengths(rows: Float[Tensor, "N n"], v: Float[Tensor, "N k"]) -> Float[Tensor, " k"]:
    """Bounds of ‖rowsᵀv‖."""
    unit = len(v) ** 0.5 * torch.finfo(torch.float64).eps
    return torch.linalg.vector_norm(rows.mT @ v, dim=0) + unit * torch.linalg.matrix_norm(rows)


def _centre_square(rows: CentredRows) -> Float[Tensor, "*e 1"]:
    return rows.centre_error * 0 if rows.centre is None else row_norms(rows.centre) ** 2
