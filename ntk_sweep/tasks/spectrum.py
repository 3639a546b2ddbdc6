"""The task `spectrum`: the spectrum of the kernel at initialisation, the infinite-width prediction,
and diagnostics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ntk_sweep.data.dataset import Dataset
from ntk_sweep.kernel.centred_kernel import TracedKernel, traced_kernel
from ntk_sweep.kernel.centred_passes import (
    Factor,
    FirstLayer,
    centred_trace,
    exact_factor,
    first_layer,
)
from ntk_sweep.kernel.diagnostics import (
    centred_alignment,
    class_contrast,
    effective_rank,
    kernel_target_alignment,
    layer_trace_shares,
    leading_target_shares,
    relative_distance,
)
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.network.streamed import StreamedNetwork
from ntk_sweep.numerics.thresholds import LIMIT_SAMPLES, REFINED_SAMPLES
from ntk_sweep.settings.point import Point
from ntk_sweep.settings.schema import SpectrumConfig
from ntk_sweep.spectrum.extreme_eigenvalues import kernel_extremes
from ntk_sweep.spectrum.spectrum import ORDERS, Spectrum, ntk_spectrum, traced_spectrum
from ntk_sweep.tasks.limit_cache import shelf
from ntk_sweep.tasks.memory import available_memory, not_enough, point_memory

EXTREME = "extreme"

CHECKED_FROM = 2**30
"""Bytes below which a point does not ask how much memory is free."""


@dataclass(frozen=True)
class InitialKernel:
    """A point's network, its kernel, and what a row says of it.

    Attributes:
        network: At initialisation.
        x: The inputs in the network's dtype and on its device, (N, n_in).
        theta: Θ, (N, N), float64 on the CPU.
        spectrum: Its eigenvalues.
        columns: The columns of the task `spectrum`.
    """

    network: Network | StreamedNetwork
    x: Tensor
    theta: Tensor
    spectrum: Spectrum
    columns: dict[str, Any]


def compute_spectrum(
    point: Point, dataset: Dataset, device: torch.device
) -> tuple[dict[str, Any], np.ndarray | None]:
    """The columns of the task, and Θ where the point asks for it.

    Raises:
        ValueError: The kernel is not finite.
        MemoryError: There is not enough memory.
    """
    settings = point.settings
    assert isinstance(settings, SpectrumConfig)
    if settings.method == EXTREME:
        _, _, kernel = _kernel(point, dataset, device, EXTREME)
        theta, columns = kernel.theta, _extreme_columns(point, dataset, kernel, settings.target)
    else:
        initial = initial_kernel(point, dataset, device, settings.method, settings.target)
        theta, columns = initial.theta, initial.columns
    return columns, theta.numpy() if point.save_kernel else None


def initial_kernel(
    point: Point, dataset: Dataset, device: torch.device, method: str, target: float
) -> InitialKernel:
    """The network of a point at initialisation, and all that is known of its kernel.

    Raises:
        ValueError: The kernel is not finite.
        MemoryError: There is not enough memory.
    """
    network, x, kernel = _kernel(point, dataset, device, method)
    if method == "jacobian":
        assert isinstance(network, Network)
        spectrum = ntk_spectrum(network, x, method, target)
    else:
        spectrum = traced_spectrum(kernel, method, target)
    return InitialKernel(
        network, x, kernel.theta, spectrum, spectrum_columns(point, dataset, kernel, spectrum)
    )


def _kernel(
    point: Point, dataset: Dataset, device: torch.device, method: str
) -> tuple[Network | StreamedNetwork, Tensor, TracedKernel]:
    """The network of a point, the inputs in its dtype and on its device, and its kernel."""
    plan = point_memory(point, *dataset.x.shape)
    if plan.peak > CHECKED_FROM and plan.peak > (free := available_memory()):
        raise MemoryError(not_enough(plan, free))
    inputs = _draws.inputs(dataset, getattr(torch, point.dtype), device)
    network, first = _draws.network(point, inputs, plan.held)
    refinable = method in ORDERS or (method == "auto" and len(dataset.x) <= REFINED_SAMPLES)
    return (
        network,
        inputs.rows,
        traced_kernel(centred_trace(network, inputs.rows, first), refinable),
    )


def spectrum_columns(
    point: Point, dataset: Dataset, kernel: TracedKernel, spectrum: Spectrum
) -> dict[str, Any]:
    """The columns of the task, from a point's kernel and its spectrum."""
    vectors = eigenvectors(spectrum, kernel.theta)
    columns = _eigenvalue_columns(spectrum) | {
        "effective_rank": effective_rank(spectrum.eigenvalues)
    }
    return columns | _kernel_columns(point, dataset, kernel, vectors)


def _extreme_columns(
    point: Point, dataset: Dataset, kernel: TracedKernel, target: float
) -> dict[str, Any]:
    """The columns that do without the whole spectrum."""
    extremes = kernel_extremes(kernel)
    columns = {
        "lambda_min": extremes.lambda_min,
        "lambda_min_error": extremes.lambda_min_error,
        "lambda_min_resolved": extremes.resolved,
        "lambda_max": extremes.lambda_max,
        "lambda_max_error": extremes.lambda_max_error,
        "condition_number": extremes.lambda_max / extremes.lambda_min
        if extremes.resolved
        else None,
        "method": EXTREME,
        "target": target,
        "meets_target": extremes.lambda_min_error <= target * extremes.lambda_min
        and extremes.lambda_max_error <= target * extremes.lambda_max,
    }
    return columns | _kernel_columns(point, dataset, kernel, extremes.leading)


def _kernel_columns(
    point: Point, dataset: Dataset, kernel: TracedKernel, vectors: Tensor
) -> dict[str, Any]:
    columns = {
        "trace": float(kernel.theta.trace()),
        "layer_trace_shares": layer_trace_shares(kernel.layer_traces).numpy(),
    }
    if len(dataset.x) <= LIMIT_SAMPLES:
        columns |= _limit_columns(point, dataset, kernel.theta)
    return columns | _diagnostic_columns(vectors, kernel.theta, torch.from_numpy(dataset.y))


def _eigenvalue_columns(spectrum: Spectrum) -> dict[str, Any]:
    eigenvalues, errors = spectrum.eigenvalues.numpy(), spectrum.errors.numpy()
    resolved = bool(spectrum.resolved[0])
    return {
        "eigenvalues": eigenvalues,
        "eigenvalue_errors": errors,
        "lambda_min": float(eigenvalues[0]),
        "lambda_min_error": float(errors[0]),
        "lambda_min_resolved": resolved,
        "lambda_max": float(eigenvalues[-1]),
        "lambda_max_error": float(errors[-1]),
        "condition_number": float(eigenvalues[-1] / eigenvalues[0]) if resolved else None,
        "method": spectrum.method,
        "target": spectrum.target,
        "meets_target": spectrum.meets_target,
    }


def _limit_columns(point: Point, dataset: Dataset, theta: Tensor) -> dict[str, Any]:
    limit = shelf.of(point, dataset)
    return {
        "limit_lambda_min": limit.lambda_min,
        "limit_lambda_min_error": limit.lambda_min_error,
        "limit_distance": relative_distance(theta, torch.tensor(limit.kernel)),
    }


def _diagnostic_columns(vectors: Tensor, theta: Tensor, y: Tensor) -> dict[str, Any]:
    shares = leading_target_shares(vectors, y)
    return {
        "alignment": kernel_target_alignment(theta, y),
        "centred_alignment": centred_alignment(theta, y),
        "class_contrast": class_contrast(theta, y),
    } | {f"target_share_{count}": share for count, share in shares.items()}


def eigenvectors(spectrum: Spectrum, theta: Tensor) -> Tensor:
    """Eigenvectors of Θ in the columns, (N, N), in the order of the eigenvalues."""
    return torch.linalg.eigh(theta)[1] if spectrum.eigenvectors is None else spectrum.eigenvectors


class _Draws:
    """The inputs and the network drawn last; the next point most often wants the same weights with
    another activation."""

    def __init__(self) -> None:
        self._inputs: tuple[Dataset, Any, Factor] | None = None
        self._network: tuple[Any, Network | StreamedNetwork, FirstLayer] | None = None

    def inputs(self, dataset: Dataset, dtype: torch.dtype, device: torch.device) -> Factor:
        """The inputs of a data set."""
        if (
            self._inputs is None
            or self._inputs[0] is not dataset
            or self._inputs[1] != (dtype, device)
        ):
            x = torch.from_numpy(dataset.x).to(device, dtype)
            self._inputs = dataset, (dtype, device), exact_factor(x, shared=True)
        return self._inputs[2]

    def network(
        self, point: Point, inputs: Factor, held: bool
    ) -> tuple[Network | StreamedNetwork, FirstLayer]:
        """The network of a point, and its first layer on these inputs; `held` if its weights
        are."""
        x, key = inputs.rows, (point.seed, point.width, point.depth, point.parametrisation, held)
        if (
            self._network is None
            or self._network[0] != key
            or self._network[2].inputs is not inputs
        ):
            self._network = None  # before the next one takes its room
            create = Network.initialise if held else StreamedNetwork
            network = create(
                x.shape[1],
                point.width,
                point.depth,
                point.act,
                point.parametrisation,
                point.seed,
                x.dtype,
                x.device,
            )
            first = first_layer(network, inputs)
            # another of the same draws, since one that is streamed holds the layer that it drew
            # last
            self._network = key, network.with_activation(point.act), first
        _, network, first = self._network
        return network.with_activation(point.act), first


_draws = _Draws()
