"""The task `spectrum`: the spectrum of the kernel at initialisation, the infinite-width prediction, and diagnostics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ntk_sweep.config import SpectrumConfig
from ntk_sweep.datasets import Dataset
from ntk_sweep.diagnostics import (
    centred_alignment,
    class_contrast,
    effective_rank,
    kernel_target_alignment,
    layer_trace_shares,
    leading_target_shares,
    relative_distance,
)
from ntk_sweep.factored import TracedKernel, traced_kernel
from ntk_sweep.limits import shelf
from ntk_sweep.network import Network
from ntk_sweep.passes import Factor, FirstLayer, centred_trace, exact_factor, first_layer
from ntk_sweep.points import Point
from ntk_sweep.spectrum import Spectrum, ntk_spectrum, traced_spectrum


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

    network: Network
    x: Tensor
    theta: Tensor
    spectrum: Spectrum
    columns: dict[str, Any]


def compute_spectrum(point: Point, dataset: Dataset, device: torch.device) -> tuple[dict[str, Any], np.ndarray | None]:
    """The columns of the task, and Θ where the point asks for it."""
    assert isinstance(point.settings, SpectrumConfig)
    initial = initial_kernel(point, dataset, device, point.settings.method, point.settings.target)
    return initial.columns, initial.theta.numpy() if point.save_kernel else None


def initial_kernel(point: Point, dataset: Dataset, device: torch.device, method: str, target: float) -> InitialKernel:
    """The network of a point at initialisation, and all that is known of its kernel.

    Raises:
        ValueError: The kernel is not finite.
    """
    inputs = _draws.inputs(dataset, getattr(torch, point.dtype), device)
    x = inputs.rows
    network, first = _draws.network(point, inputs)
    kernel = traced_kernel(centred_trace(network, x, first))
    spectrum = ntk_spectrum(network, x, method, target) if method == "jacobian" else traced_spectrum(kernel, method, target)
    return InitialKernel(network, x, kernel.theta, spectrum, spectrum_columns(point, dataset, kernel, spectrum))


def spectrum_columns(point: Point, dataset: Dataset, kernel: TracedKernel, spectrum: Spectrum) -> dict[str, Any]:
    """The columns of the task, from a point's kernel and its spectrum."""
    columns = _eigenvalue_columns(spectrum)
    columns |= {"trace": float(kernel.theta.trace()), "layer_trace_shares": layer_trace_shares(kernel.layer_traces).numpy()}
    columns |= _limit_columns(point, dataset, kernel.theta)
    columns |= _diagnostic_columns(spectrum, kernel.theta, torch.from_numpy(dataset.y))
    return columns


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


def _diagnostic_columns(spectrum: Spectrum, theta: Tensor, y: Tensor) -> dict[str, Any]:
    shares = leading_target_shares(eigenvectors(spectrum, theta), y)
    return {
        "effective_rank": effective_rank(spectrum.eigenvalues),
        "alignment": kernel_target_alignment(theta, y),
        "centred_alignment": centred_alignment(theta, y),
        "class_contrast": class_contrast(theta, y),
    } | {f"target_share_{count}": share for count, share in shares.items()}


def eigenvectors(spectrum: Spectrum, theta: Tensor) -> Tensor:
    """Eigenvectors of Θ in the columns, (N, N), in the order of the eigenvalues."""
    return torch.linalg.eigh(theta)[1] if spectrum.eigenvectors is None else spectrum.eigenvectors


class _Draws:
    """The inputs and the network drawn last; the next point most often wants the same weights with another activation."""

    def __init__(self) -> None:
        self._inputs: tuple[Dataset, Any, Factor] | None = None
        self._network: tuple[Any, Network, FirstLayer] | None = None

    def inputs(self, dataset: Dataset, dtype: torch.dtype, device: torch.device) -> Factor:
        """The inputs of a data set."""
        if self._inputs is None or self._inputs[0] is not dataset or self._inputs[1] != (dtype, device):
            x = torch.from_numpy(dataset.x).to(device, dtype)
            self._inputs = dataset, (dtype, device), exact_factor(x, shared=True)
        return self._inputs[2]

    def network(self, point: Point, inputs: Factor) -> tuple[Network, FirstLayer]:
        """The network of a point, and its first layer on these inputs."""
        x, key = inputs.rows, (point.seed, point.width, point.depth, point.parametrisation)
        if self._network is None or self._network[0] != key or self._network[2].inputs is not inputs:
            self._network = None  # before the next one takes its room
            network = Network.initialise(
                x.shape[1], point.width, point.depth, point.act, point.parametrisation, point.seed, dtype=x.dtype, device=x.device
            )
            self._network = key, network, first_layer(network, inputs)
        _, network, first = self._network
        return network.with_activation(point.act), first


_draws = _Draws()
