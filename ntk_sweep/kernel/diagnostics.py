"""What a kernel says beyond its eigenvalues.

Each is a pure function of Θ, its spectrum, the targets or the layers' traces; N is the number of
inputs. A quantity without a value (0/0: a zero kernel, targets all equal, a single class) is NaN,
never an error: a row of results should not be lost for it. docs/theory/diagnostics.md collects the
definitions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from ntk_sweep.arrays import without_column
from ntk_sweep.numerics.tensors import as_tensors

ROWS = 256
"""Rows of a kernel that are compared at once, lest another kernel be held."""

Matrix = Shaped[Any, "N N"] | Sequence
Vector = Shaped[Any, " N"] | Shaped[Any, "N 1"] | Sequence
"""What users pass: tensors, NumPy arrays or lists."""


def effective_rank(eigenvalues: Vector) -> float:
    """exp(-Σ p_i ln p_i) with p_i = λ_i / Σλ: between 1 (one direction) and N (all alike).

    Roy and Vetterli 2007, definition 1, for the eigenvalues of a positive matrix. Negative
    eigenvalues are rounding noise and count as 0; NaN if none is positive.

    Example:
        >>> round(effective_rank(torch.tensor([2.0, 2.0, 2.0, 2.0], dtype=torch.float64)), 12)
        4.0
    """
    (eigenvalues,) = as_tensors({"eigenvalues": eigenvalues})
    positive = without_column(eigenvalues).clamp(min=0)
    if not positive.sum() > 0:
        return math.nan
    # Scaled first: a sum of eigenvalues could overflow although each is finite.
    share = positive / positive.max()
    share = share / share.sum()
    return float(torch.special.entr(share).sum().exp())


def kernel_target_alignment(kernel: Matrix, targets: Vector) -> float:
    """⟨Θ, yyᵀ⟩_F / (‖Θ‖_F ‖yyᵀ‖_F) = yᵀΘy / (‖Θ‖_F ‖y‖²) (Cristianini et al. 2001, definition 1).

    Cristianini's y is ±1. This takes the targets as they are, so that the order of magnitude of the
    mean counts; with targets 0 and 1 only the inputs of target 1 enter the numerator, and the
    centred alignment is the better measure.

    Returns:
        A number in [0, 1] for a positive semi-definite kernel; NaN if Θ or y is zero.

    Example:
        >>> y = torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64)
        >>> round(kernel_target_alignment(torch.outer(y, y), y), 12)
        1.0
    """
    kernel, targets = _with_targets("kernel", kernel, targets)
    return _alignment(_unit(kernel), _unit(targets))


def centred_alignment(kernel: Matrix, targets: Vector) -> float:
    """The alignment of Θ_c = HΘH and y_c = Hy, H = I - 11ᵀ/N.

    Cortes, Mohri, Rostamizadeh 2012, definition 4. It does not change when a constant is added to
    the targets or they are scaled, nor when a constant is added to all of Θ.

    Returns:
        A number in [0, 1] for a positive semi-definite kernel; NaN if all targets are equal or Θ_c
        is zero (both so for N = 1).

    Example:
        >>> y = torch.tensor([0.0, 1.0, 1.0], dtype=torch.float64)
        >>> round(centred_alignment(torch.outer(y, y) + 5.0, y), 12)
        1.0
    """
    kernel, targets = _with_targets("kernel", kernel, targets)
    kernel = _unit(kernel)
    rounding = _rounding(kernel)
    # in the memory of the scaled kernel
    centred = kernel.sub_(kernel.mean(0, keepdim=True))
    centred = centred.sub_(centred.mean(1, keepdim=True))
    # What centring leaves of a constant kernel, or of constant targets, is rounding and no
    # structure.
    if not centred.norm() > rounding:
        return math.nan
    return _alignment(centred, _centred(targets))


def class_contrast(kernel: Matrix, labels: Vector) -> float:
    """Mean of Θ_ij / √(Θ_ii Θ_jj) over pairs of one class, less that over pairs of two classes.

    Pairs have i ≠ j. The two means are taken over pairs, so larger classes weigh more. It is the
    cosine between the gradients ∂f(x_i)/∂θ that is averaged: positive if gradients of one class are
    more alike. The definition is this project's own, after the within- and between-class
    similarities of Fort et al. 2019 (stiffness), sections 2 and 3.

    Returns:
        A number in [-2, 2]; NaN if there is no pair of one of the two kinds (N = 1, one class only,
        every class a single input) or if some Θ_ii is not positive.

    Example:
        >>> class_contrast(torch.eye(3, dtype=torch.float64), torch.tensor([0, 0, 1]))
        0.0
    """
    kernel, labels = _with_targets("kernel", kernel, labels, "labels")
    diagonal = kernel.diagonal()
    if not (diagonal > 0).all():
        return math.nan
    root = diagonal.sqrt()
    sums, counts = [0.0, 0.0], [0, 0]
    for top, rows in zip(range(0, len(kernel), ROWS), kernel.split(ROWS), strict=True):
        own = slice(top, top + len(rows))
        cosines = (rows / root[own, None]).div_(root)
        same = labels[own, None] == labels
        other = ~same
        same.diagonal(top).fill_(False)
        for index, pairs in enumerate((same, other)):
            sums[index] += float((cosines * pairs).sum())
            counts[index] += int(pairs.sum())
    return sums[0] / counts[0] - sums[1] / counts[1] if all(counts) else math.nan


def leading_target_shares(
    eigenvectors: Shaped[Any, "N leading"] | Sequence,
    targets: Vector,
    counts: Sequence[int] = (1, 2, 5, 10),
) -> dict[int, float]:
    """Σ_{i ≤ k} (v_iᵀ(y - ȳ))² / ‖y - ȳ‖²: the targets' part along the k leading eigenvectors.

    It is learnt first. Under gradient flow with constant Θ the component along v_i decays like
    exp(-2λ_i t/N), so leading eigenvectors come first (Arora et al. 2019).

    Args:
        eigenvectors: Orthonormal columns, in the order of ascending eigenvalues as
            `torch.linalg.eigh` returns them; all of them, or the leading ones alone.
        targets: y.
        counts: The numbers k; the default was chosen for a glance. k > N counts as N.

    Returns:
        k ↦ share in [0, 1]; NaN if all targets are equal.

    Example:
        >>> targets = torch.tensor([1.0, -1.0], dtype=torch.float64)
        >>> leading_target_shares(torch.eye(2, dtype=torch.float64), targets, counts=(1, 2))
        {1: 0.5, 2: 1.0}
    """
    eigenvectors, targets = _with_targets("eigenvectors", eigenvectors, targets)
    centred = _centred(targets)
    weights = (eigenvectors.T @ centred).square().flip(0) / centred.square().sum()
    return {
        k: float(weights[:k].sum().clamp(max=1)) if torch.isfinite(weights).all() else math.nan
        for k in counts
    }


def layer_trace_shares(traces: Shaped[Any, " D"] | Sequence) -> Float[Tensor, " D"]:
    """The shares tr Θ^l / Σ_l tr Θ^l: how much each layer would learn.

    Θ^l is the part of Θ from the weights and biases of layer l.

    Args:
        traces: tr Θ^l, none negative.

    Returns:
        Shares that add up to 1; all NaN if the kernel is zero.

    Example:
        >>> layer_trace_shares(torch.tensor([1.0, 3.0])).tolist()
        [0.25, 0.75]
    """
    (traces,) = as_tensors({"traces": traces})
    scaled = traces / traces.max()
    return scaled / scaled.sum()


def rayleigh_quotient(kernel: Matrix, vector: Vector) -> float:
    """vᵀΘv / vᵀv, between λ_min and λ_max.

    For the residual v = f - y it is the rate at which gradient flow begins: with L = ‖v‖²/N,
    -d log L/dt = (4/N) vᵀΘv / vᵀv.

    Returns:
        NaN if the vector is zero.

    Example:
        >>> rayleigh_quotient([[2.0, 0.0], [0.0, 4.0]], [1.0, 1.0])
        3.0
    """
    kernel, vector = _with_targets("kernel", kernel, vector, "vector")
    direction = _unit(vector)
    return float(direction @ kernel @ direction / direction.square().sum())


def relative_distance(kernel: Matrix, reference: Matrix) -> float:
    """‖Θ - Θ̄‖_F / ‖Θ̄‖_F.

    It is of order 1/√n at width n if Θ̄ is the infinite-width kernel (Jacot et al. 2018; Huang and
    Yau 2020).

    Returns:
        A number ≥ 0; NaN if the reference is zero.

    Example:
        >>> relative_distance(torch.eye(3) * 1.5, torch.eye(3))
        0.5
    """
    kernel, reference = as_tensors({"kernel": kernel, "reference": reference})
    largest = _largest(reference)
    pairs = zip(kernel.split(ROWS), reference.split(ROWS), strict=True)
    distances = [float((rows - others).div_(largest).norm()) for rows, others in pairs]
    lengths = [float((rows / largest).norm()) for rows in reference.split(ROWS)]
    return math.hypot(*distances) / math.hypot(*lengths)


def _with_targets(
    name: str, matrix: Any, targets: Any, called: str = "targets"
) -> tuple[Float[Tensor, "N _"], Shaped[Tensor, " N"]]:
    matrix, targets = as_tensors({name: matrix, called: targets})
    return matrix, without_column(targets)


def _alignment(kernel: Float[Tensor, "N N"], targets: Float[Tensor, " N"]) -> float:
    return float(targets @ kernel @ targets / (kernel.norm() * targets.square().sum()))


def _centred(values: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """The targets less their mean, scaled to largest entry 1; NaN if that is rounding only."""
    scaled = _unit(values)
    centred = scaled - scaled.mean()
    if not centred.norm() > _rounding(scaled):
        return torch.full_like(values, math.nan)
    return _unit(centred)


def _unit(values: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
    """Scaled to largest entry 1, so that no square over- or underflows; NaN if all are zero."""
    return values / _largest(values)


def _largest(values: Float[Tensor, "*s"]) -> Float[Tensor, ""]:
    """The greatest modulus; takes no memory beside the values."""
    least, greatest = torch.aminmax(values)
    return torch.maximum(-least, greatest)


def _rounding(values: Float[Tensor, " ..."]) -> float:
    """What centring of a constant may leave: one rounding of a mean of N terms in each entry."""
    return 4 * torch.finfo(values.dtype).eps * len(values) * float(values.norm())
