"""The task `spectrum` on a GPU: many networks at a time.

Their eigenvalues are computed on the CPU while the device goes on with the next networks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ntk_sweep.data.dataset import Dataset
from ntk_sweep.kernel.centred_kernel import CentredKernel
from ntk_sweep.kernel.centred_passes import CentredPasses, centred_passes
from ntk_sweep.kernel.centred_rows import ExactInputs
from ntk_sweep.kernel.double_double_kernel import rounded_kernel
from ntk_sweep.kernel.pass_errors import PassErrors, pass_errors
from ntk_sweep.kernel.pre_activations import first_layer
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.network.linear_layer import LayerScale
from ntk_sweep.network.stacked import NetworkStack
from ntk_sweep.numerics.double_double import DoubleDouble
from ntk_sweep.numerics.thresholds import TILE_ROWS
from ntk_sweep.settings.point import Point
from ntk_sweep.settings.schema import SpectrumConfig
from ntk_sweep.spectrum.conjugate_extremes import ConjugateFactor, conjugate_extremes
from ntk_sweep.spectrum.inverse_form import inverse_form
from ntk_sweep.spectrum.spectrum import ORDERS, kernel_spectrum
from ntk_sweep.tasks.computation import Caches, Computation, Computed
from ntk_sweep.tasks.draws import initialisation_of
from ntk_sweep.tasks.memory import point_memory
from ntk_sweep.tasks.saved import saved_arrays
from ntk_sweep.tasks.spectrum import spectrum_columns

MEMORY_SHARE = 0.3
"""Of the device's memory that one stack may take; the next one is under way while the last one's
factors are still needed. An estimate: no more than a third each, and some for the libraries."""

CPU_BYTES = 2**28
"""What a stack may take where the device is a CPU, which is of use in tests only."""

TEMPORARIES = 8
"""Arrays of the size of a layer's activations that the passes hold at once beside the four that
they keep a layer. Counted in `ntk_sweep.kernel.centred_passes`."""

ORDERS_AT_ONCE = ORDERS["compensated"].kernel
"""Θ is taken so far for all networks of a stack; the few that need more come back one by one."""


@dataclass(frozen=True)
class _Launched:
    """A stack that the device is at work on.

    Attributes:
        points: By draw and activation.
        results: What the device computes, in memory of the CPU; to be read after `ready`.
        passes: The passes, for networks that need more.
        draws: The networks of each draw, which those that need still more are made of.
        conjugate: The scale of the last layer in the conjugate kernel.
        ready: Waits for `results`; None where they are there already.
    """

    points: list[list[Point]]
    results: list[Tensor]
    passes: CentredPasses
    draws: list[Network]
    conjugate: LayerScale
    ready: Any

    def kernels(self) -> Iterator[tuple[Point, CentredKernel, ConjugateFactor]]:
        """The kernel of each point, not checked for overflow, and the factor of its conjugate."""
        if self.ready is not None:
            self.ready.synchronize()
        theta, traces, error, entries, hi, lo, shared, rows, covariance, *last = self.results
        conjugate, shared_errors, row_errors = last
        for draw, points in enumerate(self.points):
            for act, point in enumerate(points):
                index = (draw, act)
                yield (
                    point,
                    CentredKernel(
                        theta=theta[index],
                        layer_traces=traces[index],
                        error=float(error[index]),
                        pass_errors=PassErrors(shared[index], rows[index], covariance[index]),
                        passes=self.passes[index],
                        entry_errors=entries[index],
                        known={ORDERS_AT_ONCE: DoubleDouble(hi[index], lo[index])},
                        network=self.draws[draw].with_architecture(point.architecture),
                    ),
                    ConjugateFactor(
                        conjugate[index],
                        self.conjugate,
                        PassErrors(shared_errors[index], row_errors[index]),
                    ),
                )


def can_be_stacked(point: Point, dataset: Dataset) -> bool:
    """Whether `compute_stacked` does this point; a large one fills the device by itself."""
    settings = point.settings
    small = len(dataset.x) <= TILE_ROWS and point_memory(point, *dataset.x.shape).held
    methods = ("auto", "eigh", *ORDERS)
    return small and isinstance(settings, SpectrumConfig) and settings.method in methods


def compute_stacked(
    points: Sequence[Point],
    dataset: Dataset,
    device: torch.device,
    share: float,
    caches: Caches,
) -> Iterator[tuple[Point, Computed | None]]:
    """What `compute_spectrum` returns for each point; None for one to be computed alone.

    Args:
        points: Points for which `can_be_stacked` holds, in any order.
        dataset: Their data set.
        device: Where passes and kernels are computed.
        share: The part of the device's memory that this process may use.
        caches: What this process keeps.
    """

    def finish(launched: _Launched) -> Iterator[tuple[Point, Computed | None]]:
        for point, kernel, factor in launched.kernels():
            yield point, _finish(Computation(point, dataset, device, caches), kernel, factor)

    waiting: _Launched | None = None
    for stack in _stacks(points, dataset, _room(device, share)):
        try:
            launched = _launch(stack, dataset, device)
        except Exception:  # noqa: BLE001 - out of memory, most likely; each point alone finds out why
            launched = None
        if waiting is not None:
            yield from finish(waiting)
        waiting = launched
        if launched is None:
            # here, where nothing of the stack is on the device any more
            yield from ((point, None) for row in stack for point in row)
    if waiting is not None:
        yield from finish(waiting)


def _finish(work: Computation, kernel: CentredKernel, factor: ConjugateFactor) -> Computed | None:
    """The columns of a point, from its kernel and the factor of its conjugate kernel."""
    settings = work.point.settings
    assert isinstance(settings, SpectrumConfig)
    with suppress(Exception):  # as above
        if not torch.isfinite(kernel.theta).all():
            raise ValueError("the kernel is not finite")
        spectrum = kernel_spectrum(kernel, settings.method, settings.target)
        inverse, conjugate = inverse_form(kernel, spectrum), conjugate_extremes(factor)
        columns = spectrum_columns(work, kernel, conjugate, spectrum, inverse)
        return columns, saved_arrays(work.point, kernel, spectrum)
    return None


def _launch(points: list[list[Point]], dataset: Dataset, device: torch.device) -> _Launched:
    """Queues the work of a stack on the device; nothing here waits for it."""
    dtype = getattr(torch, points[0][0].dtype)
    inputs = ExactInputs(torch.from_numpy(dataset.x).to(device, dtype))
    draws = [Network.from_initialisation(initialisation_of(row[0], inputs)) for row in points]
    stack = NetworkStack(draws, [point.architecture.activation for point in points[0]])
    passes = centred_passes(stack, inputs.rows, first_layer(stack, inputs))
    plain, (refined, _) = rounded_kernel(passes, ORDERS_AT_ONCE)
    errors = pass_errors(passes, plain.common)
    assert errors.covariance is not None
    # what does not depend on the draw or the activation is still wanted for each
    shape = passes.outputs.shape[:2]
    last = ConjugateFactor.of(passes, points[0][0].architecture)
    results = [*plain[:4], *refined, errors.shared, errors.rows, errors.covariance]
    results += [last.rows, last.pass_errors.shared, last.pass_errors.rows]
    results = [_to_cpu(result.expand(*shape, *result.shape[2:])) for result in results]
    ready = None
    if device.type == "cuda":
        ready = torch.cuda.Event()
        ready.record()
    return _Launched(points, results, passes, draws, last.scale, ready)


def _to_cpu(tensor: Tensor) -> Tensor:
    """A copy in the CPU's memory, made when the device comes to it."""
    if not tensor.is_cuda:
        return tensor.contiguous()
    copy = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return copy.copy_(tensor, non_blocking=True)


def _stacks(points: Sequence[Point], dataset: Dataset, room: int) -> Iterator[list[list[Point]]]:
    """Points by draw and activation, as many draws at once as there is room for.

    Draws stand together if they are of one shape and the same activations are asked of them.
    """
    draws: dict[tuple, dict[str, Point]] = {}
    for point in points:
        draws.setdefault((_kind(point), point.seed), {})[point.architecture.activation] = point
    alike: dict[tuple, list[list[Point]]] = {}
    for (kind, _), by_activation in draws.items():
        names = tuple(sorted(by_activation))
        alike.setdefault((kind, names), []).append([by_activation[name] for name in names])
    for (_, names), rows in alike.items():
        count = max(1, room // _bytes(rows[0][0], len(names), dataset))
        yield from (rows[start : start + count] for start in range(0, len(rows), count))


def _kind(point: Point) -> tuple:
    """What points of one stack have in common."""
    differences = ACTIVATIONS[point.architecture.activation].differences is not None
    network = replace(point.architecture, activation="")
    return (network, point.dtype, repr(point.settings), differences)


def _bytes(point: Point, activations: int, dataset: Dataset) -> int:
    """What a draw takes on the device."""
    n_samples, n_inputs = dataset.x.shape
    width, depth = point.architecture.width, point.architecture.depth
    weights = width * n_inputs + width * width * (depth - 2)
    layers = n_samples * width * (4 * (depth - 1) + TEMPORARIES)
    kernels = n_samples * n_samples * 30
    return 8 * (2 * weights + activations * (layers + kernels))


def _room(device: torch.device, share: float) -> int:
    if device.type != "cuda":
        return CPU_BYTES
    return int(torch.cuda.get_device_properties(device).total_memory * share * MEMORY_SHARE)
