"""The limit kernels of a sweep: they depend on no weights, so each is computed once, by whoever needs it first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ntk_sweep.chunks import LimitSpec, limit_depths
from ntk_sweep.datasets import Dataset
from ntk_sweep.limit import limit_kernel_spectrum, limit_ntks
from ntk_sweep.points import Point

ARCHITECTURES_KEPT = 16
"""A process keeps the limit kernels of so many (activation, width); a sweep runs through all activations before it changes the width."""


@dataclass(frozen=True)
class Limit:
    """What a row says of the limit kernel of its architecture.

    Attributes:
        kernel: Θ̄, (N, N).
        lambda_min: Its smallest eigenvalue.
        lambda_min_error: A bound of its absolute error.
    """

    kernel: np.ndarray
    lambda_min: float
    lambda_min_error: float


def compute_limits(spec: LimitSpec, dataset: Dataset) -> dict[int, Limit]:
    """The limits of an architecture, by depth.

    Raises:
        ValueError: The inputs are not finite, or the kernel overflows.
    """
    kernels = limit_ntks(torch.from_numpy(dataset.x), spec.act, spec.width, spec.depths, spec.parametrisation)
    limits = {}
    for depth, limit in kernels.items():
        spectrum = limit_kernel_spectrum(limit)
        limits[depth] = Limit(limit.kernel.numpy(), float(spectrum.eigenvalues[0]), float(spectrum.errors[0]))
    return limits


class LimitShelf:
    """Limits that this process has computed, or was handed."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, int, str], dict[int, Limit] | Exception] = {}

    def put(self, spec: LimitSpec, dataset: Dataset, limits: dict[int, Limit] | Exception) -> None:
        """Keeps limits that another process has computed, or the exception that it met."""
        architecture = (dataset.fingerprint, spec.act, spec.width, spec.parametrisation)
        earlier = self._known.pop(architecture, {})
        if isinstance(limits, dict) and isinstance(earlier, dict):
            limits = earlier | limits
        while len(self._known) >= ARCHITECTURES_KEPT:
            del self._known[next(iter(self._known))]
        self._known[architecture] = limits

    def of(self, point: Point, dataset: Dataset) -> Limit:
        """The limit of a point's architecture."""
        known = self._known.get((dataset.fingerprint, point.act, point.width, point.parametrisation), {})
        if isinstance(known, Exception):
            raise known
        if point.depth not in known:
            depths = limit_depths(range(2, point.depth + 1), point.depth, len(dataset.x))
            spec = LimitSpec(point.act, point.width, point.parametrisation, tuple(depths))
            known = compute_limits(spec, dataset)
            self.put(spec, dataset, known)
        return known[point.depth]


shelf = LimitShelf()
"""That of this process."""
