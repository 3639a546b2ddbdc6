"""The kernel of a centred trace, in float64 or in double-double, with a bound of its own rounding.

Θ = Σ_l (δ^l δ^lᵀ) ∘ (c_l² a^{l-1} a^{l-1}ᵀ + 1), with the factors of `ntk_sweep.passes` taken as exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.doubled import UNIT, Doubled, add, add_plain, doubled, gram, gram_error, multiply, symmetrised, two_prod
from ntk_sweep.passes import CentredTrace, Factor

EPS = torch.finfo(torch.float64).eps


@dataclass(frozen=True)
class TracedKernel:
    """Θ of the traced factors in float64.

    Attributes:
        theta: Θ, exactly symmetric, float64, on the trace's device.
        layer_traces: tr Θ_l for each layer, (D,), float64 on the CPU: the share of each layer in the trace.
        error: Estimate of ‖Θ - Θ(traced)‖_F.
    """

    theta: Float[Tensor, "N N"]
    layer_traces: Float[Tensor, " D"]
    error: float


def traced_kernel(trace: CentredTrace) -> TracedKernel:
    """Θ in float64, whatever the dtype of the passes.

    An entry of a Gram matrix errs by about √n u ‖a_i‖ ‖a_j‖ (Higham and Mary 2019, theorem 3.1: independent roundings, u = ε/2),
    and eight u cover centre + row and the elementwise operations; the Frobenius norm of such errors of layer l is at most tr Θ_l.

    Raises:
        ValueError: Θ is not finite.
    """
    traces, theta, error = [], None, 0.0
    for a, delta, c in zip(trace.inputs, trace.gradients, trace.factors, strict=True):
        layer = _plain_gram(delta) * (c * c * _plain_gram(a) + 1)
        theta = layer if theta is None else theta + layer
        traces.append(layer.diagonal().sum())
        error = error + EPS / 2 * (a.rows.shape[1] ** 0.5 + delta.rows.shape[1] ** 0.5 + 8) * traces[-1]
    assert theta is not None
    if not torch.isfinite(theta).all():
        raise ValueError(f"the kernel is not finite: it overflows {trace.outputs.dtype}; scale the inputs down or use float64")
    theta = theta.triu() + theta.triu(1).T
    return TracedKernel(theta, torch.stack(traces).cpu(), float(error))


def doubled_kernel(trace: CentredTrace) -> tuple[Doubled, float]:
    """Θ in double-double and a bound of ‖Θ - Θ(traced)‖_F."""
    size = len(trace.outputs)
    theta, error = doubled(trace.outputs.new_zeros(size, size, dtype=torch.float64)), 0.0
    one = trace.outputs.new_ones((), dtype=torch.float64)
    for a, delta, c in zip(trace.inputs, trace.gradients, trace.factors, strict=True):
        gradients, gradients_error = _doubled_gram(delta)
        inputs, inputs_error = _doubled_gram(a)
        factor = one * c
        inputs = add_plain(multiply(inputs, two_prod(factor, factor)), one)
        layer = multiply(gradients, inputs)
        theta = add(theta, layer)
        # ‖P ∘ Q‖_F ≤ max|P| ‖Q‖_F; Θ_l is positive semi-definite, so its entries are bounded by its diagonal
        error += gradients_error * inputs.hi.diagonal().max().item() + c * c * inputs_error * gradients.hi.diagonal().max().item()
        error += 8 * UNIT * theta.hi.diagonal().sum().item()
    return symmetrised(theta), error


def _plain_gram(factor: Factor) -> Tensor:
    rows = factor.total
    return rows @ rows.T


def _doubled_gram(factor: Factor) -> tuple[Doubled, float]:
    """Gram matrix of centre + rows, and a bound of its error's Frobenius norm."""
    rows = factor.rows.double()
    centre = None if factor.centre is None else factor.centre.double()
    return gram(rows, centre), gram_error(rows, centre)
