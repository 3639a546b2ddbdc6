"""The task `training`: descent or gradient flow, and what the initial kernel predicts of it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from ntk_sweep.dynamics.predictions import (
    gradient_descent_losses,
    gradient_flow_losses,
    linearised_sgd_losses,
)
from ntk_sweep.dynamics.training_time import TrainingTime
from ntk_sweep.kernel.centred_kernel import centred_kernel
from ntk_sweep.kernel.centred_passes import centred_passes
from ntk_sweep.kernel.diagnostics import (
    kernel_target_alignment,
    rayleigh_quotient,
    relative_distance,
)
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.numerics.tensors import overflow
from ntk_sweep.settings.point import Point
from ntk_sweep.settings.schema import TrainingConfig
from ntk_sweep.spectrum.spectrum import TARGET, asked_of_float64, kernel_spectrum
from ntk_sweep.tasks.computation import Computation, Computed
from ntk_sweep.tasks.generalisation import (
    course_columns,
    held_out_course,
    prediction_columns,
)
from ntk_sweep.tasks.saved import eigenvectors
from ntk_sweep.tasks.spectrum import InitialKernel, complexity_columns, initial_kernel
from ntk_sweep.training.gradient_descent import GradientDescent
from ntk_sweep.training.gradient_flow import STOP_AT_LOSS, FlowRun, follow
from ntk_sweep.training.held_out_course import HeldOutCourse
from ntk_sweep.training.sgd import TrainingRun, sample_orders, train


def compute_training(work: Computation) -> Computed:
    """The columns of the task; a run whose loss overflows is a result too, of status "diverged".

    Raises:
        ValueError: The kernel at initialisation is not finite, or the loss before training.
    """
    settings = work.point.settings
    assert isinstance(settings, TrainingConfig)
    initial = initial_kernel(work, settings.kernel_method, TARGET)
    own = _flow_columns if settings.is_flow else _sgd_columns
    columns = own(work, settings, initial)
    if not math.isfinite(columns["initial_loss"]):
        place = "the squares of the residuals before training"
        raise overflow("the loss", place, initial.x.dtype)
    residual = torch.from_numpy(columns["initial_outputs"] - work.dataset.y)
    columns["residual_rate"] = rayleigh_quotient(initial.theta, residual)
    columns |= complexity_columns("residual", initial.inverse, residual)
    return initial.columns | columns, initial.arrays


def _sgd_columns(
    work: Computation, settings: TrainingConfig, initial: InitialKernel
) -> dict[str, Any]:
    """The columns of a run that takes steps."""
    y = work.dataset.y
    clock = TrainingTime(len(y), settings.used_batch_size(len(y)), _step_size(settings, initial))
    history = _KernelHistory(initial, y, settings.kernel_method)
    course = held_out_course(work, initial.x, settings.centre_outputs)
    start = time.perf_counter()
    run = _train(work, settings, initial, clock, history, course)
    seconds = time.perf_counter() - start - history.seconds
    columns = _run_columns(run, clock) | {"training_seconds": seconds}
    if course is not None:
        columns |= course_columns(course)
    columns["linear_stability"] = clock.step_size * initial.columns["max_diagonal"]
    if not math.isfinite(run.losses[0]):
        return columns
    residual = columns["initial_outputs"] - y
    columns |= _predictions(work.point, settings, initial, residual, clock)
    times = clock.flow_time(clock.steps(np.arange(settings.epochs + 1)))
    columns |= prediction_columns(work, initial, columns["initial_outputs"], course, times)
    if settings.record_kernel_every:
        columns |= history.columns
    if run.diverged:
        columns |= {
            "status": "diverged",
            "error": f"the loss overflowed in epoch {len(run.losses) - 1} of {settings.epochs}",
        }
    return columns


def _flow_columns(
    work: Computation, settings: TrainingConfig, initial: InitialKernel
) -> dict[str, Any]:
    """The columns of a run along the gradient flow, and the flow that Θ predicts."""
    assert isinstance(initial.network, Network)
    y = torch.from_numpy(work.dataset.y).to(initial.x)
    course = held_out_course(work, initial.x, settings.centre_outputs)
    start = time.perf_counter()
    run = follow(
        initial.network,
        initial.x,
        y,
        settings.flow_tolerance,
        settings.flow_time,
        settings.stop_at_loss or STOP_AT_LOSS,
        settings.centre_outputs,
        work.dataset.labelling.midpoint,
        course,
    )
    seconds = time.perf_counter() - start
    values = initial.spectrum.eigenvalues.numpy()
    vectors = eigenvectors(initial.spectrum, initial.theta).numpy()
    residual = run.initial_outputs - work.dataset.y
    return {
        **_outcome_columns(run),
        **(course_columns(course) if course else {}),
        **prediction_columns(work, initial, run.initial_outputs, course, run.times),
        "training_seconds": seconds,
        "flow_steps_missed": run.missed,
        "times": run.times,
        "local_rates": run.local_rates,
        "kernel_drifts": run.kernel_drifts,
        "flow_losses": gradient_flow_losses(values, vectors, residual, run.times),
    }


def _train(
    work: Computation,
    settings: TrainingConfig,
    initial: InitialKernel,
    clock: TrainingTime,
    history: _KernelHistory,
    course: HeldOutCourse | None,
) -> TrainingRun:
    assert isinstance(initial.network, Network)
    y = torch.from_numpy(work.dataset.y).to(initial.x)
    return train(
        GradientDescent(
            initial.network,
            initial.x,
            y,
            clock.step_size,
            clock.batch_size,
            centred=settings.centre_outputs,
        ),
        _orders(work.point, settings, clock),
        observe=history if settings.record_kernel_every else None,
        observe_every=settings.record_kernel_every or 1,
        stop_at_loss=settings.stop_at_loss or 0.0,
        threshold=work.dataset.labelling.midpoint,
        test=course,
    )


def _orders(point: Point, settings: TrainingConfig, clock: TrainingTime) -> Iterable[np.ndarray]:
    """In which order the samples take their turns, epoch by epoch."""
    return sample_orders(clock.n_samples, settings.epochs, point.seed, settings.shuffle)


def _run_columns(run: TrainingRun, clock: TrainingTime) -> dict[str, Any]:
    return {
        **_outcome_columns(run),
        "step_size": clock.step_size,
        "steps_per_epoch": clock.steps_per_epoch,
        "running_losses": run.running_losses,
    }


def _outcome_columns(run: TrainingRun | FlowRun) -> dict[str, Any]:
    """What a run leaves, whichever way it went."""
    return {
        "steps": run.steps,
        "losses": run.losses,
        "accuracies": run.accuracies,
        "initial_loss": run.losses[0],
        "final_loss": run.losses[-1],
        "final_accuracy": run.accuracies[-1],
        "initial_outputs": run.initial_outputs.astype(np.float64),
        "outputs": run.outputs.astype(np.float64),
    }


def _step_size(settings: TrainingConfig, initial: InitialKernel) -> float:
    units = {
        "absolute": 1.0,
        "inverse_lambda_max": initial.columns["lambda_max"],
        "inverse_max_diagonal": initial.columns["max_diagonal"],
    }
    return settings.learning_rate / units[settings.learning_rate_unit]


def _predictions(
    point: Point,
    settings: TrainingConfig,
    initial: InitialKernel,
    residual: np.ndarray,
    clock: TrainingTime,
) -> dict[str, Any]:
    """The losses before training and after every epoch, as Θ at initialisation predicts them."""
    values = initial.spectrum.eigenvalues.numpy()
    vectors = eigenvectors(initial.spectrum, initial.theta).numpy()
    steps = clock.steps(np.arange(settings.epochs + 1))
    orders = _orders(point, settings, clock)
    return {
        "flow_losses": gradient_flow_losses(values, vectors, residual, clock.flow_time(steps)),
        "descent_losses": gradient_descent_losses(
            values, vectors, residual, clock.step_size, steps
        ),
        "linearised_losses": linearised_sgd_losses(
            initial.theta.numpy(),
            residual,
            orders,
            clock.step_size,
            clock.batch_size,
            settings.stop_at_loss or 0.0,
        ),
    }


class _KernelHistory:
    """The kernel in the course of a run, compared with the one at initialisation."""

    def __init__(self, initial: InitialKernel, y: np.ndarray, method: str) -> None:
        self._initial = initial
        self._y = torch.from_numpy(y)
        self._method = method
        self.seconds = 0.0
        names = ("epochs", "changes", "lambda_min", "lambda_min_errors", "lambda_max", "alignments")
        self.columns: dict[str, list[float]] = {f"kernel_{name}": [] for name in names}

    def __call__(self, epoch: int, network: Network) -> None:
        """Appends an entry to each column: NaN where the kernel overflows and the loss does not."""
        start = time.perf_counter()
        figures = self._figures(network) if epoch else self._first()
        for name, value in zip(self.columns, (epoch, *figures), strict=True):
            self.columns[name].append(value)
        self.seconds += time.perf_counter() - start

    def _first(self) -> tuple[float, ...]:
        names = ("lambda_min", "lambda_min_error", "lambda_max", "alignment")
        return (0.0, *(self._initial.columns[name] for name in names))

    def _figures(self, network: Network) -> tuple[float, ...]:
        try:
            passes = centred_passes(network, self._initial.x)
            asked = asked_of_float64(self._method, TARGET)
            kernel = centred_kernel(passes, network=network, target=asked)
            spectrum, theta = kernel_spectrum(kernel, self._method, TARGET), kernel.theta
        except ValueError:
            return (math.nan,) * 5
        values, errors = spectrum.eigenvalues, spectrum.errors
        change = relative_distance(theta, self._initial.theta)
        alignment = kernel_target_alignment(theta, self._y)
        return (change, float(values[0]), float(errors[0]), float(values[-1]), alignment)
