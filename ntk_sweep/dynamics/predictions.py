"""The training loss that a fixed kernel predicts: gradient flow, gradient descent, linearised SGD.

f is the vector of the N outputs, y that of the targets, r = f - y the residual. The loss of a batch
of B samples is (1/B) Σ (f_i - y_i)², and a step of SGD is θ ← θ - η ∇(loss of the batch). L = (1/N)
‖r‖² is the loss over all samples.

The kernel Θ stays fixed, as in the network linearised in its parameters, f + J (θ - θ_0) with Θ = J
Jᵀ. Predictions are exact for that model. For the network itself they are the better the wider it is
(Jacot et al. 2018; Lee et al. 2019). A loss that overflows is infinite. `docs/theory/training.md`
derives the equations.

Dimension letters in the annotations: N samples, T points in time, B samples of a batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Integer

from ntk_sweep.dynamics.arguments import (
    Matrix,
    Times,
    Vector,
    non_negative,
    permutation,
    square_matrix,
    vector,
    whole_numbers,
)
from ntk_sweep.dynamics.training_time import TrainingTime

ROUNDING = float(np.finfo(np.float32).eps)
"""Times N, the relative rounding forgiven in a kernel, its eigenvalues and its eigenvectors.

It is that of a kernel in single precision. What is further from symmetric, positive or orthonormal
is a mistake."""


def gradient_flow_losses(
    eigenvalues: Vector,
    eigenvectors: Matrix,
    residual: Vector,
    times: Times,
) -> Float[np.ndarray, " T"]:
    """L(t) = (1/N) Σ_i exp(-(4/N) λ_i t) (v_iᵀ r_0)² under gradient flow.

    It is the exact solution of dr/dt = -(2/N) Θ r (Jacot et al. 2018, section 5; Lee et al. 2019).

    Args:
        eigenvalues: λ_i. They may come from a more accurate method than the eigenvectors. Negative
            ones within rounding count as 0, since Θ is positive semi-definite.
        eigenvectors: v_i in the columns, orthonormal to rounding; column i belongs to eigenvalue i.
        residual: r_0 = f_0 - y at the start.
        times: t ≥ 0, in units of `TrainingTime.flow_time`.

    Raises:
        ValueError: Shapes do not fit, something is not finite, or a value is out of range.

    Example:
        >>> theta, residual = np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([1.0, 0.0])
        >>> gradient_flow_losses(*np.linalg.eigh(theta), residual, np.array([0.0, 1.0])).round(4)
        array([0.5   , 0.0345])
    """
    rates, components = _modes(eigenvalues, eigenvectors, residual)
    times = vector("times", non_negative("times", times))
    with np.errstate(over="ignore"):
        return _losses(-(2 / len(rates)) * np.outer(times, rates), components)


def gradient_descent_losses(
    eigenvalues: Vector,
    eigenvectors: Matrix,
    residual: Vector,
    step_size: float,
    steps: Times,
) -> Float[np.ndarray, " T"]:
    """L_k = (1/N) Σ_i (1 - 2ηλ_i/N)^{2k} (v_iᵀ r_0)² of full-batch gradient descent.

    A step is r_{k+1} = (I - (2η/N) Θ) r_k. It diverges along every v_i with ηλ_i > N. The source is
    Arora et al. 2019; their loss is ½‖r‖², their η our 2η/N.

    Args:
        eigenvalues: λ_i, as for `gradient_flow_losses`.
        eigenvectors: v_i in the columns, likewise.
        residual: r_0 = f_0 - y at the start.
        step_size: η.
        steps: k, whole numbers.

    Raises:
        ValueError: Shapes do not fit, something is not finite, or a value is out of range.

    Example:
        >>> theta, residual = np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([1.0, 0.0])
        >>> modes = np.linalg.eigh(theta)
        >>> gradient_descent_losses(*modes, residual, step_size=0.2, steps=np.array([0, 1, 2]))
        array([0.5   , 0.2   , 0.1088])
    """
    rates, components = _modes(eigenvalues, eigenvectors, residual)
    steps = vector("steps", whole_numbers("steps", steps))
    time = TrainingTime(len(rates), len(rates), step_size)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        shrinkage = (2 / time.n_samples) * time.step_size * rates
        # log|1 - a|, accurate also for small a since it is multiplied by k; at a = 1 it is -∞, and
        # one step is enough.
        growth = np.where(shrinkage < 1, np.log1p(-shrinkage), np.log(shrinkage - 1))
        return _losses(np.where(steps[:, None] == 0, 0.0, np.outer(steps, growth)), components)


def linearised_sgd_losses(
    theta: Matrix,
    residual: Vector,
    orders: Iterable[Integer[Any, " N"] | Sequence],
    step_size: float,
    batch_size: int,
    stop_at_loss: float = 0.0,
) -> Float[np.ndarray, " T"]:
    """L before training and after every epoch of SGD of the linearised network.

    A step with the batch b of B samples is θ ← θ - (2η/B) J_bᵀ r_b, and so r ← r - (2η/B) Θ[:, b]
    r[b]. The last batch of an epoch may be smaller. A step costs B·N multiplications, whatever the
    size of the network.

    Args:
        theta: Θ.
        residual: r_0 = f_0 - y at the start.
        orders: One permutation of 0..N-1 an epoch, as training takes them.
        step_size: η.
        batch_size: B, from 1 to N.
        stop_at_loss: The loss at which the run ends early.

    Returns:
        One loss more than there are orders: the first is that before training. It is infinite once
            the residual has overflowed.

    Raises:
        ValueError: Shapes do not fit, something is not finite, Θ is not symmetric, or an order is
            no permutation.

    Example:
        >>> theta, residual = np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([1.0, 0.0])
        >>> orders = [np.array([0, 1]), np.array([1, 0])]
        >>> linearised_sgd_losses(theta, residual, orders, step_size=0.1, batch_size=1).round(4)
        array([0.5   , 0.212 , 0.1003])
    """
    residual = vector("residual", residual)
    size = len(residual)
    # the order in memory decides that of additions
    theta, residual = np.ascontiguousarray(_kernel(theta, size)), np.ascontiguousarray(residual)
    time = TrainingTime(size, batch_size, step_size)
    with np.errstate(over="ignore", invalid="ignore"):
        losses = [np.mean(residual**2)]
        for epoch, order in enumerate(orders, start=1):
            if losses[-1] <= stop_at_loss:
                break
            order = permutation(f"the order of epoch {epoch}", order, size)
            if np.isfinite(residual).all():
                residual = _epoch(theta, residual, order, time)
            losses.append(np.mean(residual**2) if np.isfinite(residual).all() else math.inf)
    return np.array(losses)


def _epoch(
    theta: Float[np.ndarray, "N N"],
    residual: Float[np.ndarray, " N"],
    order: Integer[np.ndarray, " N"],
    time: TrainingTime,
) -> Float[np.ndarray, " N"]:
    """The residual after one epoch.

    The error e_i of a sample just before its own step solves e_i = r_i - Σ_j (2η/B_j) Θ_ij e_j,
    where j runs over the samples of earlier batches: a triangular system. All steps together lead
    to r_i - Σ_j (2η/B_j) Θ_ij e_j, where j runs over all samples.
    """
    from scipy.linalg import solve_triangular

    size, batch_size = time.n_samples, time.batch_size
    sizes = np.full(size, batch_size)
    sizes[size - size % batch_size :] = size % batch_size
    rates = 2 * time.step_size / sizes
    earlier = theta[order][:, order]
    earlier *= rates
    # the diagonal is not read
    for start in range(0, size, batch_size) if batch_size > 1 else ():
        earlier[start : start + batch_size, start : start + batch_size] = 0
    errors = solve_triangular(
        earlier, residual[order], lower=True, unit_diagonal=True, check_finite=False
    )
    steps = np.empty_like(residual)
    steps[order] = rates * errors
    return residual - theta @ steps


def _losses(
    log_factors: Float[np.ndarray, "T N"], components: Float[np.ndarray, " N"]
) -> Float[np.ndarray, " T"]:
    """(1/N) Σ_i (exp(log_factors_i) components_i)².

    Products are sums of logarithms, so that only a result too large for float64 overflows.
    """
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        amplitudes = np.exp(log_factors + np.log(np.abs(components)))
        # 0 · ∞ is 0 here: a direction without residual stays so, however unstable.
        return np.mean(np.where(components == 0, 0.0, amplitudes) ** 2, axis=1)


def _kernel(theta: Any, size: int) -> Float[np.ndarray, "N N"]:
    """The kernel in float64, if it is symmetric."""
    theta = square_matrix("theta", theta, size)
    if not np.abs(theta - theta.T).max() <= size * ROUNDING * np.abs(theta).max():
        raise ValueError(
            "theta is not symmetric, but a kernel is: pass Θ itself, not the Jacobian or a factor "
            "of it"
        )
    return theta


def _modes(
    eigenvalues: Any, eigenvectors: Any, residual: Any
) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, " N"]]:
    """The rates λ_i ≥ 0 and the components v_iᵀ r, checked."""
    residual = vector("residual", residual)
    size = len(residual)
    values, vectors = (
        vector("eigenvalues", eigenvalues),
        square_matrix("eigenvectors", eigenvectors, size),
    )
    if len(values) != size:
        raise ValueError(
            f"there are {len(values)} eigenvalues but {size} residuals: all of them are needed, "
            "one a sample"
        )
    if values.min() < -size * ROUNDING * np.abs(values).max():
        raise ValueError(
            f"an eigenvalue is {values.min():.3g} where the largest is {values.max():.3g}: more "
            "negative than rounding makes it, and a kernel has none below 0"
        )
    if np.abs(vectors.T @ vectors - np.eye(size)).max() > size * ROUNDING:
        raise ValueError(
            "the eigenvectors are not orthonormal: pass them as the columns that eigh returns, not "
            "scaled"
        )
    return values.clip(min=0), vectors.T @ residual
