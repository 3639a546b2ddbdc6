"""What a kernel predicts of training: the loss under gradient flow, gradient descent and SGD of the
linearised network, and bounds.

The conventions, once for all: f is the vector of the N outputs, y that of the targets, r = f - y
the residual. The loss of a batch of B samples is (1/B) Σ (f_i - y_i)², a step of SGD is θ ← θ - η
∇(loss of the batch), and L = (1/N) ‖r‖² is the loss over the whole set. Everything here keeps the
kernel Θ fixed, as in the network linearised in its parameters, f + J (θ - θ_0) with Θ = J Jᵀ: exact
for that model, and for the network itself the better the wider it is (Jacot et al. 2018; Lee et al.
2019). A loss that overflows is infinite. `docs/theory/training.md` derives the equations. Dimension
letters in the annotations: N samples, T points in time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float, Integer
from jaxtyping import Real as Numbers

from ntk_sweep.dynamics.arguments import (
    amounts,
    check_integer,
    check_number,
    counts,
    permutation,
    row,
    square,
)

Count = TypeVar("Count", int, np.ndarray)
Amount = TypeVar("Amount", float, np.ndarray)

ROUNDING = float(np.finfo(np.float32).eps)
"""Times N, the relative rounding that is forgiven in a kernel, its eigenvalues and its
eigenvectors: theirs where they were computed in single precision. What is further from symmetric,
positive or orthonormal is a mistake."""


@dataclass(frozen=True)
class TrainingTime:
    """Steps, epochs and flow time of one training run: the one place where they are converted.

    An epoch visits every sample once, in ⌈N/B⌉ steps. Whatever the size of its batch, a step moves
    by -η∇L in expectation over random orders, and so stands for the time η of the gradient flow
    dθ/dt = -∇L. (If B does not divide N, the samples of the last, smaller batch weigh more; in an
    order that is always the same this does not average out.)

    Attributes:
        n_samples: N ≥ 1.
        batch_size: B, from 1 to N; N is full-batch gradient descent.
        step_size: η > 0.

    Raises:
        ValueError: One is out of range.
    """

    n_samples: int
    batch_size: int
    step_size: float

    def __post_init__(self) -> None:
        check_integer("n_samples", self.n_samples)
        check_integer("batch_size", self.batch_size)
        if self.batch_size > self.n_samples:
            raise ValueError(
                f"batch_size is {self.batch_size}, but there are {self.n_samples} samples only: "
                f"full-batch gradient descent has batch_size={self.n_samples}"
            )
        check_number("step_size", self.step_size, positive=True)

    @property
    def steps_per_epoch(self) -> int:
        """⌈N/B⌉."""
        return -(-self.n_samples // self.batch_size)

    def steps(self, epochs: Count) -> Count:
        """The number of steps after whole numbers of epochs.

        Raises:
            ValueError: `epochs` are not whole numbers, or one is negative.
        """
        return _product(counts("epochs", epochs), self.steps_per_epoch)

    def epochs(self, steps: Amount) -> Amount:
        """The epochs that have passed after so many steps, fractions of one included.

        Raises:
            ValueError: One of `steps` is negative or not finite.
        """
        return _product(amounts("steps", steps), 1 / self.steps_per_epoch)

    def flow_time(self, steps: Amount) -> Amount:
        """The time t = ηk of the gradient flow after k steps.

        Raises:
            ValueError: One of `steps` is negative or not finite.
        """
        return _product(amounts("steps", steps), self.step_size)


def gradient_flow_losses(
    eigenvalues: Float[np.ndarray, " N"],
    eigenvectors: Float[np.ndarray, "N N"],
    residual: Float[np.ndarray, " N"],
    times: Numbers[np.ndarray, " T"],
) -> Float[np.ndarray, " T"]:
    """L(t) = (1/N) Σ_i exp(-(4/N) λ_i t) (v_iᵀ r_0)² under gradient flow: dr/dt = -(2/N) Θ r,
    solved exactly.

    Sources: Jacot et al. 2018, section 5; Lee et al. 2019, section 2.2.

    Args:
        eigenvalues: λ_i. They may come from a more accurate method than the eigenvectors. Negative
            ones within rounding count as 0, since Θ is positive semi-definite.
        eigenvectors: v_i in the columns, orthonormal to rounding; column i belongs to eigenvalue i.
        residual: r_0 = f_0 - y at the start.
        times: t ≥ 0, in units of `TrainingTime.flow_time`.

    Raises:
        ValueError: Shapes do not fit, something is not finite, or a value is out of range.
    """
    rates, components = _modes(eigenvalues, eigenvectors, residual)
    times = row("times", amounts("times", times))
    with np.errstate(over="ignore"):
        return _losses(-(2 / len(rates)) * np.outer(times, rates), components)


def gradient_descent_losses(
    eigenvalues: Float[np.ndarray, " N"],
    eigenvectors: Float[np.ndarray, "N N"],
    residual: Float[np.ndarray, " N"],
    step_size: float,
    steps: Numbers[np.ndarray, " T"],
) -> Float[np.ndarray, " T"]:
    """L_k = (1/N) Σ_i (1 - 2ηλ_i/N)^{2k} (v_iᵀ r_0)² of full-batch gradient descent (Arora et al.
    2019, theorem 4.1).

    r_{k+1} = (I - (2η/N) Θ) r_k, which diverges along every v_i with ηλ_i > N. Arora et al.'s loss
    is ½‖r‖², their η our 2η/N.

    Args:
        eigenvalues: λ_i, as for `gradient_flow_losses`.
        eigenvectors: v_i in the columns, likewise.
        residual: r_0 = f_0 - y at the start.
        step_size: η.
        steps: k, whole numbers.

    Raises:
        ValueError: Shapes do not fit, something is not finite, or a value is out of range.
    """
    rates, components = _modes(eigenvalues, eigenvectors, residual)
    steps = row("steps", counts("steps", steps))
    time = TrainingTime(len(rates), len(rates), step_size)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        shrinkage = (2 / time.n_samples) * time.step_size * rates
        # log|1 - a|, accurate also for small a, of which there are k; at a = 1 it is -∞, and one
        # step is enough.
        growth = np.where(shrinkage < 1, np.log1p(-shrinkage), np.log(shrinkage - 1))
        return _losses(np.where(steps[:, None] == 0, 0.0, np.outer(steps, growth)), components)


def linearised_sgd_losses(
    theta: Float[np.ndarray, "N N"],
    residual: Float[np.ndarray, " N"],
    orders: Iterable[Integer[np.ndarray, " N"]],
    step_size: float,
    batch_size: int,
) -> Float[np.ndarray, " T"]:
    """L before training and after every epoch of SGD of the linearised network, with the given
    order of samples.

    A step with the batch b (B samples; the last one of an epoch may be smaller) is θ ← θ - (2η/B)
    J_bᵀ r_b, and so r ← r - (2η/B) Θ[:, b] r[b]: N numbers are updated, with B·N multiplications,
    whatever the size of the network.

    Args:
        theta: Θ.
        residual: r_0 = f_0 - y at the start.
        orders: One permutation of 0..N-1 an epoch, as training takes them.
        step_size: η.
        batch_size: B, from 1 to N.

    Returns:
        One loss more than there are orders: the first is that before training. Infinite once the
            residual has overflowed.

    Raises:
        ValueError: Shapes do not fit, something is not finite, Θ is not symmetric, or an order is
            no permutation.
    """
    residual = row("residual", residual)
    size = len(residual)
    theta = square("theta", theta, size)
    if not np.abs(theta - theta.T).max() <= size * ROUNDING * np.abs(theta).max():
        raise ValueError(
            "theta is not symmetric, but a kernel is: pass Θ itself, not the Jacobian or a factor "
            "of it"
        )
    time = TrainingTime(size, batch_size, step_size)
    with np.errstate(over="ignore", invalid="ignore"):
        losses = [np.mean(residual**2)]
        for epoch, order in enumerate(orders, start=1):
            order = permutation(f"the order of epoch {epoch}", order, size)
            if np.isfinite(residual).all():
                residual = _epoch(theta[np.ix_(order, order)], residual[order], time)[
                    np.argsort(order)
                ]
            losses.append(np.mean(residual**2) if np.isfinite(residual).all() else math.inf)
    return np.array(losses)


def flow_bound(
    initial_loss: float, lambda_min: float, n_samples: int, times: Numbers[np.ndarray, " T"]
) -> Float[np.ndarray, " T"]:
    """L(t) ≤ L(0) exp(-(4/N) λ_min t) under gradient flow, as long as λ_min is a lower bound of the
    kernel's smallest eigenvalue.

    It follows from dL/dt = -(4/N²) rᵀΘr ≤ -(4/N) λ_min L, for Θ fixed, and as well for a kernel
    that moves but whose smallest eigenvalue stays at λ_min or above. With t = ηk it also holds for
    full-batch gradient descent of the linearised network if ηλ_max ≤ N/2, since then 0 ≤ 1 -
    2ηλ_i/N ≤ exp(-2ηλ_min/N). For SGD with smaller batches it is no bound but a guide.

    Args:
        initial_loss: L(0).
        lambda_min: A lower bound of the smallest eigenvalue: the eigenvalue less its error, and 0
            where that is negative.
        n_samples: N.
        times: t ≥ 0, in units of `TrainingTime.flow_time`.

    Raises:
        ValueError: A value is out of range.
    """
    _check_bound(initial_loss, lambda_min, n_samples)
    times = row("times", amounts("times", times))
    with np.errstate(over="ignore"):
        return initial_loss * np.exp(-(4 / n_samples) * lambda_min * times)


def du_bound(
    initial_loss: float,
    lambda_min: float,
    n_samples: int,
    step_size: float,
    steps: Numbers[np.ndarray, " T"],
) -> Float[np.ndarray, " T"]:
    """L_k ≤ (1 - ηλ_min/N)^k L_0, the rate of Du et al. 2019, theorem 4.1, in this module's
    conventions.

    Du et al. have the loss ½Σ(f_i - y_i)² and the bound (1 - η'λ_0/2)^k, k counting steps of
    full-batch gradient descent. The gradient of their loss is N/2 times that of L, so that η' =
    2η/N. Their theorem supposes

    - a two-layer ReLU network f(x) = (1/√m) Σ a_r σ(w_rᵀx) without biases, w_r ~ N(0, I), a_r = ±1,
      trained in the first layer only;
    - inputs with ‖x_i‖ = 1 of which no two are parallel, and bounded targets;
    - a huge width, m = Ω(N⁶/(λ_0⁴δ³)), to hold with probability 1 - δ over the draw of the weights;
    - a small step, η' = O(λ_0/N²);
    - λ_0 the smallest eigenvalue of that first layer's kernel at infinite width.

    For other networks it is a reference line. For the linearised network it is a theorem again:
    full-batch gradient descent on a fixed Θ obeys it with λ_min(Θ) if η (λ_max + λ_min/2) ≤ N,
    which is all but the last of the stable steps η λ_max < N.

    Args:
        initial_loss: L_0.
        lambda_min: A lower bound of the smallest eigenvalue, as for `flow_bound`.
        n_samples: N.
        step_size: η.
        steps: k, whole numbers, and not epochs.

    Raises:
        ValueError: A value is out of range, or ηλ_min > N, where gradient descent diverges.
    """
    _check_bound(initial_loss, lambda_min, n_samples)
    steps = row("steps", counts("steps", steps))
    shrinkage = TrainingTime(n_samples, n_samples, step_size).step_size * lambda_min / n_samples
    if shrinkage > 1:
        raise ValueError(
            f"step_size * lambda_min / n_samples is {shrinkage:.3g}, but gradient descent diverges "
            "above 1: take a smaller step"
        )
    return initial_loss * np.power(1 - shrinkage, steps)


def _epoch(theta: np.ndarray, residual: np.ndarray, time: TrainingTime) -> np.ndarray:
    """The residual after one epoch in which the samples come as they stand."""
    residual = residual.copy()
    for start in range(0, time.n_samples, time.batch_size):
        batch = slice(start, start + time.batch_size)
        errors = residual[batch]
        # rows in place of columns, Θ being symmetric: they lie together in memory
        residual -= (2 * time.step_size / len(errors)) * errors @ theta[batch]
    return residual


def _losses(log_factors: np.ndarray, components: np.ndarray) -> np.ndarray:
    """(1/N) Σ_i (exp(log_factors_i) components_i)², (T,); in logarithms, so that nothing overflows
    but what is too large in the end."""
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        amplitudes = np.exp(log_factors + np.log(np.abs(components)))
        # 0 · ∞ is 0 here: a direction without residual stays so, however unstable.
        return np.mean(np.where(components == 0, 0.0, amplitudes) ** 2, axis=1)


def _modes(eigenvalues: Any, eigenvectors: Any, residual: Any) -> tuple[np.ndarray, np.ndarray]:
    """The rates λ_i ≥ 0 and the components v_iᵀ r, checked."""
    residual = row("residual", residual)
    size = len(residual)
    values, vectors = row("eigenvalues", eigenvalues), square("eigenvectors", eigenvectors, size)
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


def _check_bound(initial_loss: float, lambda_min: float, n_samples: int) -> None:
    check_integer("n_samples", n_samples)
    check_number("initial_loss", initial_loss)
    if isinstance(lambda_min, Real) and lambda_min < 0:
        raise ValueError(
            f"lambda_min is {lambda_min!r}, but no kernel has an eigenvalue below 0: pass "
            "max(lambda_min - its error, 0)"
        )
    check_number("lambda_min", lambda_min)


def _product(values: np.ndarray, factor: float) -> Any:
    """An array for an array, a plain number for a number."""
    product = values * factor
    return product if product.ndim else product.item()
