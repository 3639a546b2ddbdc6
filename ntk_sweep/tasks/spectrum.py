"""The task `spectrum`: the kernel at initialisation, its limit at infinite width, diagnostics."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ntk_sweep.kernel.centred_kernel import CentredKernel, centred_kernel
from ntk_sweep.kernel.centred_passes import centred_passes
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
from ntk_sweep.settings.point import LAYER_KERNELS
from ntk_sweep.settings.schema import LEADING_EIGENVALUES, SpectrumConfig
from ntk_sweep.spectrum.conjugate_extremes import ConjugateFactor, conjugate_extremes
from ntk_sweep.spectrum.extremes import Extremes, extreme_columns
from ntk_sweep.spectrum.inverse_form import InverseForm, inverse_form
from ntk_sweep.spectrum.methods import CERTIFIED, EXTREME
from ntk_sweep.spectrum.spectrum import (
    ORDERS,
    Spectrum,
    asked_of_float64,
    kernel_spectrum,
    ntk_spectrum,
)
from ntk_sweep.tasks.computation import Computation, Computed
from ntk_sweep.tasks.memory import (
    CHECKED_FROM,
    available_memory,
    give_back,
    not_enough,
    point_memory,
)
from ntk_sweep.tasks.saved import eigenvectors, saved_arrays


@dataclass(frozen=True)
class InitialKernel:
    """A point's network, its kernel, and what a row says of it.

    Attributes:
        network: At initialisation.
        x: The inputs in the network's dtype and on its device, (N, n_in).
        theta: Θ, (N, N), float64 on the CPU.
        spectrum: Its eigenvalues.
        inverse: v ↦ vᵀΘ⁻¹v.
        columns: The columns of the task `spectrum`.
        arrays: What the point wants in files, by column.
    """

    network: Network | StreamedNetwork
    x: Tensor
    theta: Tensor
    spectrum: Spectrum
    inverse: InverseForm
    columns: dict[str, Any]
    arrays: dict[str, np.ndarray]


def compute_spectrum(work: Computation) -> Computed:
    """The columns of the task, and what the point wants in files.

    Raises:
        ValueError: The kernel is not finite.
        MemoryError: There is not enough memory.
    """
    settings = work.point.settings
    assert isinstance(settings, SpectrumConfig)
    if settings.method == EXTREME:
        _, _, kernel, conjugate = _kernel(work, EXTREME, settings.target)
        columns = _extreme_columns(work, kernel, conjugate, settings.target)
        return columns, saved_arrays(work.point, kernel)
    initial = initial_kernel(work, settings.method, settings.target)
    return initial.columns, initial.arrays


def initial_kernel(work: Computation, method: str, target: float) -> InitialKernel:
    """The network of a point at initialisation, and all that is known of its kernel.

    Raises:
        ValueError: The kernel is not finite.
        MemoryError: There is not enough memory.
    """
    network, x, kernel, conjugate = _kernel(work, method, target)
    if method in ("jacobian", CERTIFIED):
        assert isinstance(network, Network)
        spectrum = ntk_spectrum(network, x, method, target)
    else:
        spectrum = kernel_spectrum(kernel, method, target)
    inverse = inverse_form(kernel, spectrum)
    columns = spectrum_columns(work, kernel, conjugate, spectrum, inverse)
    arrays = saved_arrays(work.point, kernel, spectrum)
    return InitialKernel(network, x, kernel.theta, spectrum, inverse, columns, arrays)


def _kernel(
    work: Computation, method: str, target: float
) -> tuple[Network | StreamedNetwork, Tensor, CentredKernel, Extremes | None]:
    """The network of a point, the inputs in its dtype and on its device, and its kernel.

    And the extreme eigenvalues of its conjugate kernel.
    """
    point, dataset, draw = work.point, work.dataset, work.caches.draw
    plan = point_memory(point, *dataset.x.shape, n_test=dataset.n_test)
    large = plan.peak > CHECKED_FROM
    if large:
        give_back()
        if plan.peak > (free := available_memory()):
            raise MemoryError(not_enough(plan, free))
    inputs = draw.inputs(dataset, getattr(torch, point.dtype), work.device)
    network, first = draw.network(point, inputs, plan.held)
    refinable = method in (EXTREME, *ORDERS) or (
        method in ("auto", "jacobian", CERTIFIED) and len(dataset.x) <= REFINED_SAMPLES
    )
    passes = centred_passes(network, inputs.rows, first)
    if large:
        # kernels are too large for the blocks that the passes free
        give_back()
    kept = refinable or LAYER_KERNELS in point.files
    asked = asked_of_float64(method, target)
    kernel = centred_kernel(passes, kept, network if refinable else None, asked)
    conjugate = conjugate_extremes(ConjugateFactor.of(passes, point.architecture))
    if large:
        del passes, first
        give_back()
    return network, inputs.rows, kernel, conjugate


def spectrum_columns(
    work: Computation,
    kernel: CentredKernel,
    conjugate: Extremes | None,
    spectrum: Spectrum,
    inverse: InverseForm,
) -> dict[str, Any]:
    """The columns of the task, from a point's kernels and their eigenvalues."""
    vectors = eigenvectors(spectrum, kernel.theta)
    values, ends = spectrum.eigenvalues, Extremes.of(spectrum)
    columns = _end_columns(ends, spectrum.method, spectrum.target, spectrum.meets_target)
    columns |= {
        "eigenvalues": values.numpy(),
        "eigenvalue_errors": spectrum.errors.numpy(),
        "effective_rank": effective_rank(values),
    }
    columns |= {
        f"lambda_{count}": float(values[-count]) if count <= len(values) else None
        for count in LEADING_EIGENVALUES
    }
    complexity = complexity_columns("target", inverse, torch.from_numpy(work.dataset.y))
    return columns | complexity | _kernel_columns(work, kernel, conjugate, vectors)


def complexity_columns(name: str, inverse: InverseForm, v: Tensor) -> dict[str, float]:
    """vᵀΘ⁻¹v/N with its error, of a v of this name; NaN where λ_min is unresolved."""
    value, error = inverse(v)
    return {f"{name}_complexity": value / len(v), f"{name}_complexity_error": error / len(v)}


def _extreme_columns(
    work: Computation, kernel: CentredKernel, conjugate: Extremes | None, target: float
) -> dict[str, Any]:
    """The columns that do without the whole spectrum."""
    # Few points need the sparse solvers, which take longer to load than all else here.
    from ntk_sweep.spectrum.extreme_eigenvalues import kernel_extreme_eigenvalues

    ends = kernel_extreme_eigenvalues(kernel, target)
    meets_target = (
        ends.lambda_min_error <= target * ends.lambda_min
        and ends.lambda_max_error <= target * ends.lambda_max
    )
    columns = _end_columns(ends, EXTREME, target, meets_target)
    columns |= {"target_complexity": math.nan, "target_complexity_error": math.nan}
    return columns | _kernel_columns(work, kernel, conjugate, ends.leading)


def _end_columns(ends: Extremes, method: str, target: float, meets_target: bool) -> dict[str, Any]:
    return extreme_columns("", ends) | {
        "lambda_min_resolved": ends.resolved,
        "condition_number": ends.lambda_max / ends.lambda_min if ends.resolved else None,
        "method": method,
        "target": target,
        "meets_target": meets_target,
    }


def _kernel_columns(
    work: Computation, kernel: CentredKernel, conjugate: Extremes | None, vectors: Tensor
) -> dict[str, Any]:
    columns = {
        "trace": float(kernel.theta.trace()),
        "max_diagonal": float(kernel.theta.diagonal().max()),
        "layer_trace_shares": layer_trace_shares(kernel.layer_traces).numpy(),
    }
    columns |= extreme_columns("conjugate_", conjugate)
    if len(work.dataset.x) <= LIMIT_SAMPLES:
        columns |= _limit_columns(work, kernel.theta)
    return columns | _diagnostic_columns(vectors, kernel.theta, torch.from_numpy(work.dataset.y))


def _limit_columns(work: Computation, theta: Tensor) -> dict[str, Any]:
    limit = work.caches.limits.of(work.point.architecture, work.dataset)
    return {
        "limit_lambda_min": limit.lambda_min,
        "limit_lambda_min_error": limit.lambda_min_error,
        "limit_distance": relative_distance(theta, torch.tensor(limit.kernel)),
    } | extreme_columns("nngp_", limit.nngp)


def _diagnostic_columns(vectors: Tensor, theta: Tensor, y: Tensor) -> dict[str, Any]:
    shares = leading_target_shares(vectors, y)
    return {
        "alignment": kernel_target_alignment(theta, y),
        "centred_alignment": centred_alignment(theta, y),
        "class_contrast": class_contrast(theta, y),
    } | {f"target_share_{count}": share for count, share in shares.items()}
