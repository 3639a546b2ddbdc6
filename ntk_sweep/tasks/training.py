"""The task `training`: a run of stochastic gradient descent, and what the kernel at initialisation
predicts of it."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import torch

from ntk_sweep.data.dataset import Dataset
from ntk_sweep.dynamics.predictions import (
    gradient_descent_losses,
    gradient_flow_losses,
    linearised_sgd_losses,
)
from ntk_sweep.dynamics.training_time import TrainingTime
from ntk_sweep.kernel.centred_kernel import traced_kernel
from ntk_sweep.kernel.centred_passes import centred_trace
from ntk_sweep.kernel.diagnostics import kernel_target_alignment, relative_distance
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.settings.point import Point
from ntk_sweep.settings.schema import TrainingConfig
from ntk_sweep.spectrum.spectrum import TARGET, traced_spectrum
from ntk_sweep.tasks.spectrum import InitialKernel, eigenvectors, initial_kernel
from ntk_sweep.training.gradient_descent import GradientDescent
from ntk_sweep.training.sgd import sample_orders, train

METHOD = "auto"
"""How the spectra of a run are computed: as the task `spectrum` does by default."""


def compute_training(
    point: Point, dataset: Dataset, device: torch.device
) -> tuple[dict[str, Any], None]:
    """The columns of the task; a run whose loss overflows is a result too, of status "diverged".

    Raises:
        ValueError: The kernel at initialisation is not finite.
    """
    settings = point.settings
    assert isinstance(settings, TrainingConfig)
    initial = initial_kernel(point, dataset, device, METHOD, TARGET)
    assert isinstance(initial.network, Network)
    n_samples = len(dataset.x)
    batch_size = _batch_size(settings, n_samples)
    clock = TrainingTime(n_samples, batch_size, _step_size(settings, initial))
    history = _KernelHistory(initial, dataset)
    start = time.perf_counter()
    y = torch.from_numpy(dataset.y).to(initial.x)
    run = train(
        GradientDescent(initial.network, initial.x, y, clock.step_size, batch_size),
        sample_orders(n_samples, settings.epochs, point.seed, settings.shuffle),
        observe=history if settings.record_kernel_every else None,
        observe_every=settings.record_kernel_every or 1,
    )
    seconds = time.perf_counter() - start - history.seconds
    columns = initial.columns | {
        "step_size": clock.step_size,
        "steps": run.steps,
        "steps_per_epoch": clock.steps_per_epoch,
        "losses": run.losses,
        "running_losses": run.running_losses,
        "accuracies": run.accuracies,
        "initial_loss": run.losses[0],
        "final_loss": run.losses[-1],
        "final_accuracy": run.accuracies[-1],
        "initial_outputs": run.initial_outputs.astype(np.float64),
        "outputs": run.outputs.astype(np.float64),
        "training_seconds": seconds,
    }
    residual = columns["initial_outputs"] - dataset.y
    if np.isfinite(residual).all():
        columns |= _predictions(point, settings, initial, residual, clock)
    if settings.record_kernel_every:
        columns |= history.columns
    if run.diverged:
        columns |= {
            "status": "diverged",
            "error": f"the loss overflowed in epoch {len(run.losses) - 1} of {settings.epochs}",
        }
    return columns, None


def setting_columns(settings: TrainingConfig, n_samples: int) -> dict[str, Any]:
    """The columns that say how a network is trained, which a failed run has too."""
    return {
        "learning_rate": settings.learning_rate,
        "learning_rate_unit": settings.learning_rate_unit,
        "batch_size": _batch_size(settings, n_samples),
        "epochs": settings.epochs,
        "shuffle": settings.shuffle,
        "record_kernel_every": settings.record_kernel_every,
    }


def _batch_size(settings: TrainingConfig, n_samples: int) -> int:
    return min(settings.batch_size or n_samples, n_samples)


def _step_size(settings: TrainingConfig, initial: InitialKernel) -> float:
    if settings.learning_rate_unit == "inverse_lambda_max":
        return settings.learning_rate / float(initial.spectrum.eigenvalues[-1])
    return settings.learning_rate


def _predictions(
    point: Point,
    settings: TrainingConfig,
    initial: InitialKernel,
    residual: np.ndarray,
    clock: TrainingTime,
) -> dict[str, Any]:
    """The loss before training and after every epoch that Θ at initialisation predicts in three
    ways."""
    values, vectors = (
        initial.spectrum.eigenvalues.numpy(),
        eigenvectors(initial.spectrum, initial.theta).numpy(),
    )
    steps = clock.steps(np.arange(settings.epochs + 1))
    orders = sample_orders(clock.n_samples, settings.epochs, point.seed, settings.shuffle)
    return {
        "flow_losses": gradient_flow_losses(values, vectors, residual, clock.flow_time(steps)),
        "descent_losses": gradient_descent_losses(
            values, vectors, residual, clock.step_size, steps
        ),
        "linearised_losses": linearised_sgd_losses(
            initial.theta.numpy(), residual, orders, clock.step_size, clock.batch_size
        ),
    }


class _KernelHistory:
    """Computes the kernel anew in the course of a run, and compares it with the one at
    initialisation."""

    def __init__(self, initial: InitialKernel, dataset: Dataset) -> None:
        self._initial = initial
        self._y = torch.from_numpy(dataset.y)
        self.seconds = 0.0
        names = ("epochs", "changes", "lambda_min", "lambda_min_errors", "lambda_max", "alignments")
        self.columns: dict[str, list[float]] = {f"kernel_{name}": [] for name in names}

    def __call__(self, epoch: int, network: Network) -> None:
        """Appends one entry to each column; where the kernel overflows while the loss does not,
        NaN."""
        start = time.perf_counter()
        figures = self._figures(network) if epoch else self._first()
        for name, value in zip(self.columns, (epoch, *figures), strict=True):
            self.columns[name].append(value)
        self.seconds += time.perf_counter() - start

    def _first(self) -> tuple[float, ...]:
        known = self._initial.columns
        return (
            0.0,
            *(
                known[name]
                for name in ("lambda_min", "lambda_min_error", "lambda_max", "alignment")
            ),
        )

    def _figures(self, network: Network) -> tuple[float, ...]:
        try:
            kernel = traced_kernel(centred_trace(network, self._initial.x))
        except ValueError:
            return (math.nan,) * 5
        spectrum, theta = traced_spectrum(kernel, METHOD, TARGET), kernel.theta
        values, errors = spectrum.eigenvalues, spectrum.errors
        change, alignment = (
            relative_distance(theta, self._initial.theta),
            kernel_target_alignment(theta, self._y),
        )
        return (change, float(values[0]), float(errors[0]), float(values[-1]), alignment)
