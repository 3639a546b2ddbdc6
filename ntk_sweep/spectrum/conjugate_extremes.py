"""The smallest and the greatest eigenvalue of the conjugate kernel, from its factor.

K = BBᵀ with B = [c a^{D-1}, β] (`ntk_sweep.kernel.conjugate`). Its condition number is often 1e15
and more, so that its small eigenvalues are lost in K; they are squares of singular values of B.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.kernel.centred_passes import CentredPasses
from ntk_sweep.kernel.conjugate import conjugate_passes
from ntk_sweep.kernel.pass_errors import PassErrors, pass_errors
from ntk_sweep.network.architecture import Architecture
from ntk_sweep.network.linear_layer import LayerScale
from ntk_sweep.numerics.thresholds import LIMIT_SAMPLES
from ntk_sweep.spectrum.extremes import Extremes
from ntk_sweep.spectrum.jacobian_svd import UNDERFLOW
from ntk_sweep.spectrum.perturbation import perturbation_bound


@dataclass(frozen=True)
class ConjugateFactor:
    """What K is made of, for one network or several side by side.

    Attributes:
        rows: a^{D-1}, float64.
        scale: c and β.
        pass_errors: The errors of B.
    """

    rows: Float[Tensor, "*b N n"]
    scale: LayerScale
    pass_errors: PassErrors

    @classmethod
    def of(cls, passes: CentredPasses, architecture: Architecture) -> ConjugateFactor:
        """That of the networks of some passes."""
        own = conjugate_passes(passes, architecture)
        return cls(own.inputs[0].total, own.scales[0], pass_errors(own))


def conjugate_extremes(factor: ConjugateFactor) -> Extremes | None:
    """λ_min and λ_max of K for one network, with the errors of its passes.

    With Bᵀ = QR they are s² for the singular values s of R. One errs by p ε ‖B‖_F: QR and SVD are
    backward stable (Higham 2002, theorem 19.4, with independent roundings: p = √n + 2N, as in
    `ntk_sweep.spectrum.jacobian_svd`), and B itself is rounded by ε ‖B‖_F / 2. For more inputs than
    B has columns, n + 1 with a bias, λ_min is 0 exactly. The vector 1 = B w has ‖w‖ ≤ 1/β, which
    makes errors that all rows share relative ones (`ntk_sweep.spectrum.perturbation`).

    Returns:
        Both ends; None for more than `LIMIT_SAMPLES` inputs, or where K or a bound overflows.
    """
    scale, errors = factor.scale, factor.pass_errors.cpu()
    size, width = factor.rows.shape
    if size > LIMIT_SAMPLES:
        return None
    columns = scale.derivatives(factor.rows.cpu())
    if not scale.bias:
        columns = columns[:, :-1]
    if not math.isfinite(float(torch.linalg.matrix_norm(columns)) ** 2):
        return None
    singular = torch.linalg.svdvals(torch.linalg.qr(columns.T, mode="r").R)
    units = width**0.5 + 2 * size + 1
    error = torch.finfo(torch.float64).eps * units * float(singular.norm()) + UNDERFLOW
    ends = singular[[-1, 0]]
    own = 2 * ends * error + error**2
    shared = 1 / scale.bias if scale.bias else None
    bounds = own + perturbation_bound(errors, ends**2, own, shared)
    least, least_error = float(ends[0] ** 2), float(bounds[0])
    if size > columns.shape[1]:
        least = least_error = 0.0
    found = Extremes(least, least_error, float(ends[1] ** 2), float(bounds[1]))
    finite = math.isfinite(found.lambda_min_error + found.lambda_max_error)
    return found if finite else None
