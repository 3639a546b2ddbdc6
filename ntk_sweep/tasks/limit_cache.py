"""The limit kernels of a sweep: they depend on no weights, so each is computed once, by whoever
needs it first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from ntk_sweep.data.dataset import Dataset
from ntk_sweep.limit.kernel import limit_kernel_spectrum, limit_ntks
from ntk_sweep.numerics.thresholds import SHELF_BYTES
from ntk_sweep.settings.point import Point
from ntk_sweep.tasks.limit_request import LimitSpec, limit_depths


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
    kernels = limit_ntks(
        torch.from_numpy(dataset.x), spec.act, spec.width, spec.depths, spec.parametrisation
    )
    limits = {}
    for depth, limit in kernels.items():
        spectrum = limit_kernel_spectrum(limit)
        limits[depth] = Limit(
            limit.kernel.numpy(), float(spectrum.eigenvalues[0]), float(spectrum.errors[0])
        )
    return limits


_Key = tuple[str, str, int, str, int]


class LimitShelf:
    """Limits that this process has computed, or was handed; besides those handed over last,
    `SHELF_BYTES` of them at most."""

    def __init__(self) -> None:
        self._known: dict[_Key, Limit | Exception] = {}

    def put(
        self, dataset: Dataset, found: Mapping[LimitSpec, Mapping[int, Limit] | Exception]
    ) -> None:
        """Keeps limits, or the exception that was met instead; of earlier ones, those that came
        last and for which there is room."""
        latest = {
            _key(dataset, spec, depth): limits if isinstance(limits, Exception) else limits[depth]
            for spec, limits in found.items()
            for depth in spec.depths
        }
        room, kept = SHELF_BYTES - sum(map(_size, latest.values())), {}
        for key, limit in reversed(self._known.items()):
            room -= 0 if key in latest else _size(limit)
            if room < 0:
                break
            kept[key] = limit
        self._known = {key: kept[key] for key in reversed(kept) if key not in latest} | latest

    def of(self, point: Point, dataset: Dataset) -> Limit:
        """The limit of a point's architecture."""
        depths = limit_depths(range(2, point.depth + 1), point.depth, len(dataset.x))
        spec = LimitSpec(point.act, point.width, point.parametrisation, tuple(depths))
        key = _key(dataset, spec, point.depth)
        if key not in self._known:
            self.put(dataset, {spec: compute_limits(spec, dataset)})
        known = self._known[key]
        if isinstance(known, Exception):
            raise known
        return known


def _key(dataset: Dataset, spec: LimitSpec, depth: int) -> _Key:
    return (dataset.fingerprint, spec.act, spec.width, spec.parametrisation, depth)


def _size(limit: Limit | Exception) -> int:
    return 0 if isinstance(limit, Exception) else limit.kernel.nbytes


shelf = LimitShelf()
"""That of this process."""
