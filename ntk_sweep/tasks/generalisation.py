"""What kernels at initialisation predict for inputs that are not trained on.

docs/theory/regression.md has the equations. Dimension letters in the annotations: M test inputs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.limit.kernel import limits_of
from ntk_sweep.limit.recursion import LimitKernel
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.numerics.thresholds import LIMIT_REGRESSION
from ntk_sweep.spectrum.kernel_regression import KernelRegression, Predictions
from ntk_sweep.tasks.computation import Computation
from ntk_sweep.tasks.spectrum import InitialKernel
from ntk_sweep.training.held_out_course import HeldOutCourse
from ntk_sweep.training.outcomes import accuracy, loss


def held_out_course(work: Computation, x: Tensor, centred: bool) -> HeldOutCourse | None:
    """The record of a run at the test inputs, if the point has any; x are those it trains on."""
    test = work.dataset.test
    if test is None or work.point.test_fingerprint is None:
        return None
    inputs, targets = (torch.from_numpy(part).to(x) for part in (test.x, test.y))
    return HeldOutCourse(inputs, targets, centred, work.dataset.labelling.midpoint)


def course_columns(course: HeldOutCourse) -> dict[str, Any]:
    """What a run did at the test inputs."""
    return {
        "test_losses": course.losses,
        "test_accuracies": course.accuracies,
        "final_test_loss": course.losses[-1],
        "final_test_accuracy": course.accuracies[-1],
        "initial_test_outputs": course.initial_outputs.astype(np.float64),
        "test_outputs": course.outputs.astype(np.float64),
    }


def prediction_columns(
    work: Computation,
    initial: InitialKernel,
    outputs: np.ndarray,
    course: HeldOutCourse | None,
    times: Iterable[float],
) -> dict[str, Any]:
    """What the kernel at initialisation and its limits predict of a run.

    Args:
        work: The point.
        initial: Its network and kernel.
        outputs: What is trained, f or f - f_0, before training, (N,).
        course: The record at the test inputs, if there are any.
        times: Those of the recorded losses, in units of `TrainingTime.flow_time`.
    """
    y = work.dataset.y
    if course is None:
        regression = KernelRegression.from_inverse_form(initial.inverse)
    else:
        assert isinstance(initial.network, Network)
        regression = KernelRegression.from_network(initial.network, initial.x, course.x)
    left_out = regression.leave_one_out(y, outputs)
    value, error = _loss(left_out, torch.zeros(len(y), dtype=torch.float64))
    columns: dict[str, Any] = {"leave_one_out_loss": value, "leave_one_out_loss_error": error}
    if course is None or work.dataset.test is None:
        return columns
    targets, middle = torch.from_numpy(work.dataset.test.y), work.dataset.labelling.midpoint
    start = course.initial_outputs
    flow = regression.course((*times, math.inf), y, outputs, start)
    figures = [_figures(one, targets, middle) for one in flow]
    names = ("flow_test_losses", "flow_test_loss_errors", "flow_test_accuracies")
    columns |= dict(zip(names, map(list, zip(*figures[:-1], strict=True)), strict=True))
    ends = {"ntk": figures[-1]}
    if (limits := _limit_regressions(work)) is not None:
        of_ntk, of_nngp = limits
        ends["limit"] = _figures(of_ntk.predictions(y, outputs, start), targets, middle)
        # a posterior mean, whose prior has mean 0
        ends["nngp"] = _figures(of_nngp.predictions(y), targets, middle)
    for kernel, end in ends.items():
        quantities = ("loss", "loss_error", "accuracy")
        columns |= {f"{kernel}_test_{name}": own for name, own in zip(quantities, end, strict=True)}
    return columns


def _limit_regressions(work: Computation) -> tuple[KernelRegression, KernelRegression] | None:
    """Regression with Θ̄ and with the NNGP kernel; None where the inputs are too many."""
    dataset, architecture = work.dataset, work.point.architecture
    assert dataset.test is not None
    together = torch.from_numpy(np.concatenate([dataset.x, dataset.test.x]))
    if len(together) > LIMIT_REGRESSION:
        return None
    ((_, kernels),) = limits_of(together, architecture, (architecture.depth,))
    return _regression(kernels.ntk, len(dataset.x)), _regression(kernels.nngp, len(dataset.x))


def _regression(limit: LimitKernel, count: int) -> KernelRegression:
    """That of a kernel of training and test inputs together, the first `count` being trained on."""
    own, cross = limit.kernel[:count, :count], limit.kernel[count:, :count]
    return KernelRegression.from_kernels(own, cross, limit.error_norm, limit.error_norm)


def _figures(
    predictions: Predictions, targets: Float[Tensor, " M"], middle: float
) -> tuple[float, float, float]:
    """The loss, a bound of its error, and the accuracy; NaN where a prediction is unknown."""
    value, error = _loss(predictions, targets)
    share = accuracy(predictions.values, targets, middle) if math.isfinite(value) else math.nan
    return value, error, share


def _loss(predictions: Predictions, targets: Float[Tensor, " M"]) -> tuple[float, float]:
    """(1/M) Σ (p - y)², and what the errors e of the p make of it: (1/M) Σ e (2 |p - y| + e)."""
    errors = predictions.errors
    if not bool(torch.isfinite(errors).all()):
        return math.nan, math.inf
    off = (predictions.values - targets).abs()
    return loss(predictions.values, targets), float((errors * (2 * off + errors)).mean())
