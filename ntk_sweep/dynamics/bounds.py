"""Upper bounds of the training loss from the smallest eigenvalue of the kernel.

The loss is L = (1/N) Σ (f_i - y_i)², as in `ntk_sweep.dynamics.predictions`;
`docs/theory/training.md` derives the bounds. Dimension letter in the annotations: T points in time.
"""

from __future__ import annotations

from numbers import Real

import numpy as np
from jaxtyping import Float

from ntk_sweep.dynamics.arguments import (
    Times,
    check_integer,
    check_number,
    non_negative,
    vector,
    whole_numbers,
)
from ntk_sweep.dynamics.training_time import TrainingTime


def flow_bound(
    initial_loss: float, lambda_min: float, n_samples: int, times: Times
) -> Float[np.ndarray, " T"]:
    """L(t) ≤ L(0) exp(-(4/N) λ_min t) under gradient flow.

    It follows from dL/dt = -(4/N²) rᵀΘr ≤ -(4/N) λ_min L. It holds for a fixed kernel, and for a
    moving one whose smallest eigenvalue stays at λ_min or above. With t = ηk it also holds for
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

    Example:
        >>> flow_bound(1.0, lambda_min=2.0, n_samples=4, times=np.array([0.0, 0.5, 1.0])).round(4)
        array([1.    , 0.3679, 0.1353])
    """
    _check_bound(initial_loss, lambda_min, n_samples)
    times = vector("times", non_negative("times", times))
    with np.errstate(over="ignore"):
        return initial_loss * np.exp(-(4 / n_samples) * lambda_min * times)


def du_bound(
    initial_loss: float,
    lambda_min: float,
    n_samples: int,
    step_size: float,
    steps: Times,
) -> Float[np.ndarray, " T"]:
    """L_k ≤ (1 - ηλ_min/N)^k L_0, the rate of Du et al. 2019, theorem 4.1, in our conventions.

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
    full-batch gradient descent on a fixed Θ obeys it with λ_min(Θ) if η (λ_max + λ_min/2) ≤ N.
    These are all but the last of the stable steps η λ_max < N.

    Args:
        initial_loss: L_0.
        lambda_min: A lower bound of the smallest eigenvalue, as for `flow_bound`.
        n_samples: N.
        step_size: η.
        steps: k, whole numbers, and not epochs.

    Raises:
        ValueError: A value is out of range, or ηλ_min > N, where gradient descent diverges.

    Example:
        >>> du_bound(1.0, lambda_min=2.0, n_samples=4, step_size=0.2, steps=np.array([0, 1, 2]))
        array([1.  , 0.9 , 0.81])
    """
    _check_bound(initial_loss, lambda_min, n_samples)
    steps = vector("steps", whole_numbers("steps", steps))
    shrinkage = TrainingTime(n_samples, n_samples, step_size).step_size * lambda_min / n_samples
    if shrinkage > 1:
        raise ValueError(
            f"step_size * lambda_min / n_samples is {shrinkage:.3g}, but gradient descent diverges "
            "above 1: take a smaller step"
        )
    return initial_loss * np.power(1 - shrinkage, steps)


def _check_bound(initial_loss: float, lambda_min: float, n_samples: int) -> None:
    check_integer("n_samples", n_samples)
    check_number("initial_loss", initial_loss)
    if isinstance(lambda_min, Real) and lambda_min < 0:
        raise ValueError(
            f"lambda_min is {lambda_min!r}, but no kernel has an eigenvalue below 0: pass "
            "max(lambda_min - its error, 0)"
        )
    check_number("lambda_min", lambda_min)
