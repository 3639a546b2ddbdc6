"""A point in, a row out; what a row holds is up to its task."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from ntk_sweep.data.dataset import Dataset
from ntk_sweep.settings.point import Point
from ntk_sweep.settings.tasks import TASKS, resolve
from ntk_sweep.tasks.allowance import UNLIMITED, Allowance, Overtime
from ntk_sweep.tasks.common_columns import coordinates, provenance
from ntk_sweep.tasks.computation import Caches, Computation, Computed
from ntk_sweep.tasks.stacked import can_be_stacked, compute_stacked


@dataclass(frozen=True)
class Result:
    """What a point yields.

    Attributes:
        row: One value a column of `ntk_sweep.store.columns`.
        arrays: What the point wants beside the row, by the column that names the file.
    """

    row: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def compute_rows(
    points: Sequence[Point],
    dataset: Dataset,
    device: str,
    git_commit: str | None,
    allowance: Allowance = UNLIMITED,
    caches: Caches | None = None,
) -> Iterator[Result]:
    """Computes points; an exception becomes a row with ``status=failed`` and its traceback.

    So does a point that takes too long. On a GPU many networks are computed at once, and their rows
    come in another order.

    Args:
        points: What to compute, all of one task.
        dataset: The data whose fingerprint the points name.
        device: "auto", "cpu" or "cuda".
        git_commit: The commit of the code, for the record.
        allowance: What each point may take.
        caches: What the process keeps for later calls; None keeps nothing beyond this one.
    """
    alone, stacked, caches = list(points), [], caches or Caches()
    if _is_cuda(device):
        stacked = [point for point in points if can_be_stacked(point, dataset)]
        alone = [point for point in points if not can_be_stacked(point, dataset)]
    yield from stacked_rows(stacked, dataset, device, git_commit, allowance, caches)
    for point in alone:
        yield compute_row(point, dataset, device, git_commit, caches, allowance)


def stacked_rows(
    points: Sequence[Point],
    dataset: Dataset,
    device: str,
    git_commit: str | None,
    allowance: Allowance = UNLIMITED,
    caches: Caches | None = None,
) -> Iterator[Result]:
    """`compute_rows` for points that can be stacked.

    One that fails in company is computed again alone, which finds out why. Where a point comes too
    late, so are all that are left: it may have waited for others of its stack.
    """
    if not points:
        return
    caches = caches or Caches()
    used, start = torch_device(device), time.perf_counter()
    left = {point.key: point for point in points}
    computed = compute_stacked(points, dataset, used, allowance.share, caches)
    with suppress(Overtime):
        while (found := allowance.within(lambda: next(computed, None))) is not None:
            point, results = found
            del left[point.key]
            if results is None:
                yield compute_row(point, dataset, device, git_commit, caches, allowance)
            else:
                columns, arrays = results
                columns |= {
                    "status": "ok",
                    "device": _device_name(used),
                    "seconds": time.perf_counter() - start,
                }
                row = coordinates(point, dataset) | columns | provenance(git_commit)
                yield Result(row, arrays)
            start = time.perf_counter()
    for point in left.values():
        yield compute_row(point, dataset, device, git_commit, caches, allowance)


def compute_row(
    point: Point,
    dataset: Dataset,
    device: str,
    git_commit: str | None,
    caches: Caches | None = None,
    allowance: Allowance = UNLIMITED,
) -> Result:
    """Computes one point; takes the arguments of `compute_rows`."""
    assert point.data_fingerprint == dataset.fingerprint
    assert point.test_fingerprint in (None, dataset.fingerprints[1])
    start = time.perf_counter()

    def compute() -> Computed:
        used = torch_device(device)
        columns, arrays = task(Computation(point, dataset, used, caches or Caches()))
        if used.type == "cuda":
            torch.cuda.synchronize(used)
        return {"status": "ok"} | columns | {"device": _device_name(used)}, arrays

    try:
        # Loads modules, which does not count as the point's time, and of which none may be left
        # half loaded.
        task = resolve(TASKS[point.task].compute)
        results, arrays = allowance.within(compute, point.key)
    except (Exception, Overtime):  # noqa: BLE001 - whatever a point raises becomes its row
        results, arrays = {"status": "failed", "error": traceback.format_exc()}, {}
    results["seconds"] = time.perf_counter() - start
    return Result(coordinates(point, dataset) | results | provenance(git_commit), arrays)


def torch_device(name: str) -> torch.device:
    """The device that `name` stands for here: "auto" takes a GPU if this process may use one.

    Raises:
        RuntimeError: "cuda" was asked for, but there is no CUDA device.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise RuntimeError(
            "device=cuda, but this process sees no CUDA device: use device=auto, or give workers "
            "one with compute.num_gpus"
        )
    return torch.device("cuda" if _is_cuda(name) else "cpu")


def _is_cuda(name: str) -> bool:
    return name != "cpu" and torch.cuda.is_available()


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
