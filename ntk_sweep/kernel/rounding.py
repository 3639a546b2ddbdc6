"""The model of rounding errors in a pass: independent roundings, whose squares add up.

docs/theory/numerics.md derives the formulas and says what they leave out.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

ELEMENTWISE = 8
"""Units of rounding charged to an activation, its derivative or their differences: a dozen
operations at most, each with half a unit, plus two units for each library exponential."""

TAIL = 8
"""How many standard deviations a pre-activation must lie from a kink for its side to be taken as
certain; with 1e7 units and errors that are sums of many roundings, fewer than 1e-8 units are
expected beyond."""


def unit_of(dtype: torch.dtype) -> float:
    """The unit of rounding u = ε/2."""
    return torch.finfo(dtype).eps / 2


def least_of(dtype: torch.dtype) -> float:
    """The smallest normal number: what underflow costs a result at most, some of them in a row."""
    return torch.finfo(dtype).tiny


def row_norms(rows: Float[Tensor, "*b m n"]) -> Float[Tensor, "*b m"]:
    """Euclidean norm of each row, float64."""
    # torch takes twice as long where the dtype is named, even if it is that of the rows
    wider = None if rows.dtype == torch.float64 else torch.float64
    return torch.linalg.vector_norm(rows, dim=-1, dtype=wider)


def root_sum(*errors: Float[Tensor, ...]) -> Float[Tensor, ...]:
    """√(Σ errors²): independent errors."""
    return torch.stack(torch.broadcast_tensors(*errors)).square().sum(dim=0).sqrt()


def product_errors(
    rows: Float[Tensor, "*r m n"],
    norms: Float[Tensor, "*r m"],
    errors: Float[Tensor, "*r m"],
    results: Float[Tensor, "*q m"],
    squares: Float[Tensor, "*s n 1"],
) -> Float[Tensor, "*q m"]:
    """Norm of the error of each row of c · rows · Wᵀ: its own rounding, and what the rows bring.

    A sum of n terms in any order has the variance Σ_k (u s_k)² over its partial sums s_k, roundings
    taken as independent with mean zero (Higham and Mary 2019). If the order is not related to the
    values, E s_k² = (k/n)² s_n² + (k/n)(1 - k/n) Q with Q the sum of the squared terms, which adds
    up to n (s_n²/3 + Q/6); summed over the outputs, s_n² gives ‖product‖² and Q gives Σ_k rows_k²
    c² ‖W_k‖². Blocked sums and fused operations round less.

    The rows' errors are amplified like an isotropic vector, by the root mean square of c ‖W_k‖, or
    like the rows themselves if that is more (they may lie along leading singular vectors of W, and
    so may their errors).

    Args:
        rows: The rows; their dtype is that of the pass.
        norms: Their norms.
        errors: The norms of their errors.
        results: The norms of the products.
        squares: c² ‖W_k‖².
    """
    terms, unit = rows.shape[-1], unit_of(rows.dtype)
    spread = (rows.double().square() @ squares)[..., 0]
    rounding = unit * (terms * (results**2 / 3 + spread / 6) + 2 * results**2).sqrt()
    rounding = rounding + least_of(rows.dtype) * terms**1.5  # terms that underflow
    mean = squares.mean(dim=(-2, -1), keepdim=True)[..., 0]
    gain = (results / norms).nan_to_num(0.0, 0.0, 0.0).maximum(mean.sqrt())
    return torch.hypot(rounding, gain * errors)
