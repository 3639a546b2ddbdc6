"""Limit kernels: they depend on no weights, so a process computes each of them once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from ntk_sweep.data.dataset import Dataset
from ntk_sweep.limit.extremes import limit_extremes
from ntk_sweep.limit.kernel import limits_of
from ntk_sweep.limit.recursion import LimitKernels
from ntk_sweep.limit.smallest_eigenvalues import sharp_limits
from ntk_sweep.network.architecture import Architecture
from ntk_sweep.numerics.dominated_eigenvalue import SmallestEigenvalue
from ntk_sweep.numerics.tensors import all_finite
from ntk_sweep.numerics.thresholds import EXTENDED_SAMPLES
from ntk_sweep.spectrum.extremes import Extremes
from ntk_sweep.tasks.limit_request import LimitRequest, limit_request
from ntk_sweep.tasks.memory import LIMIT_CACHE_BYTES

TARGET = 1e-6
"""The relative error of λ_min beyond which it is computed once more, with more digits. A choice:
draws deviate by a tenth and more."""


@dataclass(frozen=True)
class Limit:
    """What a row says of the limit kernel of its architecture.

    Attributes:
        kernel: Θ̄, (N, N).
        lambda_min: Its smallest eigenvalue.
        lambda_min_error: A bound of its absolute error.
        nngp: Of the covariance of the outputs; None where that overflows.
    """

    kernel: np.ndarray
    lambda_min: float
    lambda_min_error: float
    nngp: Extremes | None


def compute_limits(request: LimitRequest, dataset: Dataset) -> dict[int, Limit]:
    """The limits of an architecture, by depth.

    Raises:
        ValueError: The inputs are not finite, or the kernel overflows.
    """
    limits: dict[int, Limit] = {}
    sharp: dict[int, Limit] | None = None
    x = torch.from_numpy(dataset.x)
    for depth, kernels in limits_of(x, request.architecture, request.depths):
        limits[depth] = _limit(kernels)
        if sharp is None and not _is_sharp(limits[depth]) and len(x) <= EXTENDED_SAMPLES:
            # what float64 does not determine at one depth it hardly does at greater ones
            left = [other for other in request.depths if other >= depth]
            found = sharp_limits(x, request.architecture, left, TARGET)
            sharp = {other: _limit(one.kernels, one.lambda_min) for other, one in found.items()}
            if len(sharp) == len(left) and all(map(_is_sharp, sharp.values())):
                return limits | sharp
        if sharp and depth in sharp:
            limits[depth] = min(limits[depth], sharp[depth], key=lambda one: one.lambda_min_error)
    return limits


def _limit(kernels: LimitKernels, least: SmallestEigenvalue | None = None) -> Limit:
    """What is said of these kernels; λ_min is that of the float64 entries if it is not given."""
    if least is None:
        ends = limit_extremes(kernels.ntk)
        least = SmallestEigenvalue(ends.lambda_min, ends.lambda_min_error)
    nngp = kernels.nngp
    known = math.isfinite(nngp.error_norm) and all_finite(nngp.kernel)
    return Limit(
        kernels.ntk.kernel.numpy(),
        least.value,
        least.error,
        limit_extremes(nngp) if known else None,
    )


def _is_sharp(limit: Limit) -> bool:
    return limit.lambda_min_error <= TARGET * limit.lambda_min


_Key = tuple[str, Architecture]
"""The data set's fingerprint, and the network."""


class LimitCache:
    """Limits that a process has computed or was handed.

    It keeps those handed over last, and `LIMIT_CACHE_BYTES` of others at most.
    """

    def __init__(self) -> None:
        self._known: dict[_Key, Limit | Exception] = {}

    def put(
        self, dataset: Dataset, found: Mapping[LimitRequest, Mapping[int, Limit] | Exception]
    ) -> None:
        """Keeps limits, or the exception that was met instead.

        Of earlier ones it keeps those that came last and for which there is room.
        """
        latest = {
            (dataset.fingerprint, request.at(depth)): limits
            if isinstance(limits, Exception)
            else limits[depth]
            for request, limits in found.items()
            for depth in request.depths
        }
        room, kept = LIMIT_CACHE_BYTES - sum(map(_size, latest.values())), {}
        for key, limit in reversed(self._known.items()):
            room -= 0 if key in latest else _size(limit)
            if room < 0:
                break
            kept[key] = limit
        self._known = {key: kept[key] for key in reversed(kept) if key not in latest} | latest

    def of(self, architecture: Architecture, dataset: Dataset) -> Limit:
        """The limit of an architecture; what was met in its stead is raised."""
        key = (dataset.fingerprint, architecture)
        if key not in self._known:
            depths = range(2, architecture.depth + 1)
            request = limit_request(architecture, depths, len(dataset.x))
            self.put(dataset, {request: compute_limits(request, dataset)})
        known = self._known[key]
        if isinstance(known, Exception):
            raise known
        return known


def _size(limit: Limit | Exception) -> int:
    return 0 if isinstance(limit, Exception) else limit.kernel.nbytes
