"""A point in, a row out: the one place where data, network, kernel, spectrum, limit and diagnostics meet."""

from __future__ import annotations

import platform
import socket
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ntk_sweep import __version__
from ntk_sweep.config import NUMERICS_VERSION, Point
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
from ntk_sweep.factored import traced_kernel
from ntk_sweep.limit import limit_kernel_spectrum, limit_ntks
from ntk_sweep.network import Network
from ntk_sweep.passes import centred_trace
from ntk_sweep.spectrum import Spectrum, ntk_spectrum, traced_spectrum

LIMITS_KEPT_BELOW = 1000
"""Number of inputs up to which the limit kernels of all depths are kept: at most 8 MB each."""

ARCHITECTURES_KEPT = 12
"""Limit kernels of so many (activation, width) are kept; a sweep runs through all activations before it changes the width."""


@dataclass(frozen=True)
class Result:
    """What a point yields.

    Attributes:
        row: One value a column of `ntk_sweep.schema`.
        kernel: Θ, (N, N), where the point asks for it.
    """

    row: dict[str, Any]
    kernel: np.ndarray | None = None


def compute_row(point: Point, dataset: Dataset, device: str, git_commit: str | None) -> Result:
    """Computes a point; an exception becomes a row with ``status=failed`` and its traceback.

    Args:
        point: What to compute.
        dataset: The data whose fingerprint the point names.
        device: "auto", "cpu" or "cuda".
        git_commit: The commit of the code, for the record.
    """
    assert point.data_fingerprint == dataset.fingerprint
    start = time.perf_counter()
    try:
        used = torch_device(device)
        results, kernel = _TASKS[point.task](point, dataset, used)
        if used.type == "cuda":
            torch.cuda.synchronize(used)
        results |= {"status": "ok", "device": torch.cuda.get_device_name(used) if used.type == "cuda" else used.type}
    except Exception:  # noqa: BLE001 - whatever a point raises becomes its row; the sweep goes on
        results, kernel = {"status": "failed", "error": traceback.format_exc()}, None
    results["seconds"] = time.perf_counter() - start
    return Result(_coordinates(point, dataset) | results | _provenance(git_commit), kernel)


def failed_row(point: Point, dataset: Dataset, error: str, git_commit: str | None) -> dict[str, Any]:
    """The row of a point that could not even be tried to its end, because it took its worker down with it."""
    return _coordinates(point, dataset) | {"status": "failed", "error": error} | _provenance(git_commit)


def torch_device(name: str) -> torch.device:
    """The device that `name` stands for in this process: "auto" takes a GPU if this process may use one.

    Raises:
        RuntimeError: "cuda" was asked for, but there is no CUDA device.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise RuntimeError(
            "device=cuda, but this process sees no CUDA device: use device=auto, or give workers one with compute.num_gpus"
        )
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def _spectrum(point: Point, dataset: Dataset, device: torch.device) -> tuple[dict[str, Any], np.ndarray | None]:
    inputs = torch.from_numpy(dataset.x)
    x = inputs.to(device, getattr(torch, point.dtype))
    network = Network.initialise(
        x.shape[1], point.width, point.depth, point.act, point.parametrisation, point.seed, dtype=x.dtype, device=device
    )
    trace = centred_trace(network, x)
    kernel = traced_kernel(trace)
    if point.method == "jacobian":
        spectrum = ntk_spectrum(network, x, point.method, point.target)
    else:
        spectrum = traced_spectrum(trace, kernel, point.method, point.target)
    theta = kernel.theta.cpu()
    results = _eigenvalue_columns(spectrum)
    results |= {"trace": float(theta.trace()), "layer_trace_shares": layer_trace_shares(kernel.layer_traces.cpu()).numpy()}
    results |= _limit_columns(point, dataset, theta)
    results |= _diagnostic_columns(spectrum, theta, torch.from_numpy(dataset.y))
    return results, theta.numpy() if point.save_kernel else None


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
    limit = _limits.of(point, dataset)
    return {
        "limit_lambda_min": float(limit.spectrum.eigenvalues[0]),
        "limit_lambda_min_error": float(limit.spectrum.errors[0]),
        "limit_distance": relative_distance(theta, limit.kernel),
    }


def _diagnostic_columns(spectrum: Spectrum, theta: Tensor, y: Tensor) -> dict[str, Any]:
    vectors = torch.linalg.eigh(theta)[1] if spectrum.eigenvectors is None else spectrum.eigenvectors
    shares = leading_target_shares(vectors, y)
    return {
        "effective_rank": effective_rank(spectrum.eigenvalues),
        "alignment": kernel_target_alignment(theta, y),
        "centred_alignment": centred_alignment(theta, y),
        "class_contrast": class_contrast(theta, y),
    } | {f"target_share_{count}": share for count, share in shares.items()}


@dataclass(frozen=True)
class _Limit:
    kernel: Tensor
    spectrum: Spectrum


class _Limits:
    """The limit kernels of the architecture at hand; they depend on neither the seed nor the drawn weights.

    The recursion passes through all smaller depths, so these are kept too where they are small: a sweep wants them next.
    """

    def __init__(self) -> None:
        self._known: dict[tuple, dict[int, _Limit]] = {}

    def of(self, point: Point, dataset: Dataset) -> _Limit:
        architecture = (dataset.fingerprint, point.act, point.width, point.parametrisation)
        known = self._known.get(architecture, {})
        if point.depth not in known:
            depths = range(2, point.depth + 1) if len(dataset.x) <= LIMITS_KEPT_BELOW else (point.depth,)
            kernels = limit_ntks(torch.from_numpy(dataset.x), point.act, point.width, depths, point.parametrisation)
            known = {depth: _Limit(limit.kernel, limit_kernel_spectrum(limit)) for depth, limit in kernels.items()}
            while len(self._known) >= ARCHITECTURES_KEPT:
                del self._known[next(iter(self._known))]
            self._known[architecture] = known
        return known[point.depth]


_limits = _Limits()


_TASKS: dict[str, Callable[[Point, Dataset, torch.device], tuple[dict[str, Any], np.ndarray | None]]] = {"spectrum": _spectrum}


def _coordinates(point: Point, dataset: Dataset) -> dict[str, Any]:
    return {
        "key": point.key,
        "task": point.task,
        "act": point.act,
        "width": point.width,
        "depth": point.depth,
        "seed": point.seed,
        "parametrisation": point.parametrisation,
        "dtype": point.dtype,
        "numerics_version": NUMERICS_VERSION,
        "data": dataset.name,
        "data_fingerprint": dataset.fingerprint,
        "data_classes": dataset.classes,
        "n_samples": dataset.x.shape[0],
        "n_inputs": dataset.x.shape[1],
    }


def _provenance(git_commit: str | None) -> dict[str, Any]:
    return {
        "finished_at": datetime.now(UTC),
        "host": socket.gethostname(),
        "version": __version__,
        "torch_version": str(torch.__version__),
        "python_version": platform.python_version(),
        "git_commit": git_commit,
    }
