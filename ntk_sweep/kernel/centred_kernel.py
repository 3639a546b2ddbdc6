"""The kernel of a centred trace, in float64 or in double-double, with a bound of its own rounding.

Θ = Σ_l (δ^l δ^lᵀ) ∘ (c_l² a^{l-1} a^{l-1}ᵀ + 1), with the factors of `ntk_sweep.kernel.centred_passes` taken as
exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.kernel.centred_passes import CentredTrace, Factor
from ntk_sweep.kernel.pass_errors import PassErrors, pass_errors
from ntk_sweep.numerics.double_double import (
    UNIT,
    Doubled,
    add,
    gram,
    gram_error,
    multiply,
    symmetric,
    symmetric_product,
    two_prod,
)
from ntk_sweep.numerics.thresholds import TILE_ROWS

EPS = torch.finfo(torch.float64).eps

T = TypeVar("T")


@dataclass(frozen=True)
class TracedKernel:
    """Θ of the traced factors of one network, and what a more accurate Θ would be computed from.

    Attributes:
        theta: Θ in float64, exactly symmetric, on the CPU.
        layer_traces: tr Θ_l for each layer, (D,), float64 on the CPU: the share of each layer in
            the trace.
        error: Estimate of ‖Θ - Θ(traced)‖_F.
        passes: The errors of the factors.
        trace: The factors; None where they are not kept.
        doubles: Θ in double-double, on the CPU, by the orders for which it has been computed.
    """

    theta: Float[Tensor, "N N"]
    layer_traces: Float[Tensor, " D"]
    error: float
    passes: PassErrors
    trace: CentredTrace | None
    doubles: dict[int, Doubled] = field(default_factory=dict)

    def doubled(self, orders: int) -> Doubled:
        """Θ in double-double on the CPU, up to `doubled_error`; `orders` as in
        `ntk_sweep.numerics.double_double.gram`."""
        assert self.trace is not None
        return (
            self.doubles[orders]
            if orders in self.doubles
            else doubled_kernel(self.trace, orders).to("cpu")
        )

    def doubled_error(self, orders: int) -> float:
        """Bound of ‖Θ - Θ(traced)‖_F for Θ of `doubled`; known before that is computed."""
        assert self.trace is not None
        return float(doubled_error(self.trace, orders))


def traced_kernel(trace: CentredTrace, refinable: bool = True) -> TracedKernel:
    """Θ in float64, whatever the dtype of the passes.

    Args:
        trace: From `ntk_sweep.kernel.centred_passes.centred_trace`.
        refinable: Whether Θ in double-double may be asked for; if not, the factors are not kept.

    Raises:
        ValueError: The network's output or Θ is not finite.
    """
    theta, traces, error = plain_kernel(trace)
    dtype = trace.outputs.dtype
    if not torch.isfinite(trace.outputs).all():
        raise ValueError(
            "the network's output is not finite: the input holds NaN or infinity, or it overflows "
            f"{dtype}; scale the inputs down or use float64"
        )
    if not torch.isfinite(theta).all():
        raise ValueError(
            f"the kernel is not finite: it overflows {dtype}; scale the inputs down or use float64"
        )
    return TracedKernel(
        theta.cpu(),
        traces.cpu(),
        float(error),
        pass_errors(trace).cpu(),
        trace if refinable else None,
    )


def plain_kernel(
    trace: CentredTrace,
) -> tuple[Float[Tensor, "*b N N"], Float[Tensor, "*b D"], Float[Tensor, "*b"]]:
    """Θ in float64, tr Θ_l for each layer, and an estimate of ‖Θ - Θ(traced)‖_F.

    An entry of a Gram matrix errs by about √n u ‖a_i‖ ‖a_j‖ (Higham and Mary 2019, theorem 3.1:
    independent roundings, u = ε/2), and eight u cover centre + row and the elementwise operations;
    the Frobenius norm of such errors of layer l is at most tr Θ_l.
    """
    traces, theta, error = [], None, trace.outputs.new_zeros((), dtype=torch.float64)
    for a, delta, c in zip(trace.inputs, trace.gradients, trace.factors, strict=True):
        if trace.outputs.ndim == 1 and len(trace.outputs) > TILE_ROWS:
            theta = (
                torch.zeros(2 * trace.outputs.shape, dtype=torch.float64, device=a.rows.device)
                if theta is None
                else theta
            )
            traces.append(_add_in_tiles(theta, a, delta, c))
        else:
            layer = _plain_gram(delta) * (c * c * _plain_gram(a) + 1)
            theta = layer if theta is None else theta + layer
            traces.append(layer.diagonal(dim1=-2, dim2=-1).sum(-1))
        error = (
            error
            + EPS / 2 * (a.rows.shape[-1] ** 0.5 + delta.rows.shape[-1] ** 0.5 + 8) * traces[-1]
        )
    assert theta is not None
    return theta, torch.stack(traces, dim=-1), error


def _add_in_tiles(theta: Tensor, a: Factor, delta: Factor, c: float) -> Tensor:
    """Adds Θ_l to Θ tile by tile, those below the diagonal as mirror images, and returns tr Θ_l."""
    inputs, gradients, trace = a.total, delta.total, theta.new_zeros(())
    for top in range(0, len(theta), TILE_ROWS):
        rows = slice(top, top + TILE_ROWS)
        layer = symmetric_product(gradients[rows]) * (
            symmetric_product(inputs[rows]).mul_(c * c).add_(1)
        )
        theta[rows, rows] += layer
        trace = trace + layer.diagonal().sum()
        for left in range(top + TILE_ROWS, len(theta), TILE_ROWS):
            columns = slice(left, left + TILE_ROWS)
            layer = (
                (inputs[rows] @ inputs[columns].T)
                .mul_(c * c)
                .add_(1)
                .mul_(gradients[rows] @ gradients[columns].T)
            )
            theta[rows, columns] += layer
            theta[columns, rows] += layer.T
    return trace


def doubled_kernel(trace: CentredTrace, orders: int = 2) -> Doubled:
    """Θ in double-double, up to `doubled_error`; `orders` as in `ntk_sweep.numerics.double_double.gram`.

    Θ = Σ_c c² Σ_l (δ^l δ^lᵀ) ∘ (a^{l-1} a^{l-1}ᵀ) + Σ_l δ^l δ^lᵀ, where c runs over the different
    factors and l over their layers.
    """
    size = trace.outputs.shape[-1]
    theta: Doubled | None = None
    weights: dict[float, Doubled] = {}
    for a, delta, c in zip(trace.inputs, trace.gradients, trace.factors, strict=True):
        gradients, inputs = _doubled_gram(delta, orders), _doubled_gram(a, orders)
        product = multiply(gradients, inputs)
        theta = gradients if theta is None else add(theta, gradients)
        weights[c] = add(weights[c], product) if c in weights else product
    assert theta is not None
    for c, product in weights.items():
        factor = theta.hi.new_tensor(c)
        theta = add(theta, multiply(product, two_prod(factor, factor)))
    return Doubled(symmetric(theta.hi, size), symmetric(theta.lo, size))


def doubled_error(trace: CentredTrace, orders: int = 2) -> Float[Tensor, "*b"]:
    """Bound of ‖Θ - Θ(traced)‖_F for Θ of `doubled_kernel`, without computing it.

    ‖P ∘ Q‖_F ≤ max|P| ‖Q‖_F, and the entries of a Gram matrix are bounded by the greatest square of
    a row's norm.
    """
    error = trace.inputs[0].row_norms.new_zeros(())
    for a, delta, c in zip(trace.inputs, trace.gradients, trace.factors, strict=True):
        inputs, gradients = c * c * _largest_square(a) + 1, _largest_square(delta)
        error = (
            error + _gram_error(delta, orders) * inputs + c * c * _gram_error(a, orders) * gradients
        )
        error = (
            error
            + (8 + 2 * len(trace.factors)) * UNIT * trace.outputs.shape[-1] * inputs * gradients
        )
    return error


def _largest_square(factor: Factor) -> Tensor:
    """An upper bound of the greatest ‖centre + row‖²."""
    largest = factor.row_norms.amax(dim=-1)
    if factor.centre is not None:
        largest = largest + torch.linalg.vector_norm(
            factor.centre, dim=(-2, -1), dtype=torch.float64
        )
    return largest**2


def _plain_gram(factor: Factor) -> Tensor:
    return _once(factor, "plain", lambda: symmetric_product(factor.total))


def _doubled_gram(factor: Factor, orders: int) -> Doubled:
    return _once(factor, orders, lambda: gram(*_doubles(factor), orders))


def _gram_error(factor: Factor, orders: int) -> Tensor:
    return gram_error(*_doubles(factor), orders)


def _doubles(factor: Factor) -> tuple[Tensor, Tensor | None]:
    return factor.rows.double(), None if factor.centre is None else factor.centre.double()


def _once(factor: Factor, name: str | int, compute: Callable[[], T]) -> T:
    """What `compute` returns, computed once where the factor keeps its Gram matrices."""
    if factor.grams is None:
        return compute()
    if name not in factor.grams:
        factor.grams[name] = compute()
    return factor.grams[name]
