"""A point in, a row out; what a row holds is up to its task."""

from __future__ import annotations

import platform
import socket
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch

from ntk_sweep._version import __version__
from ntk_sweep.data.dataset import Dataset
from ntk_sweep.settings.point import NUMERICS_VERSION, Point
from ntk_sweep.settings.schema import TrainingConfig
from ntk_sweep.tasks.spectrum import compute_spectrum
from ntk_sweep.tasks.stacked import can_be_stacked, compute_stacked
from ntk_sweep.tasks.training import compute_training, setting_columns


@dataclass(frozen=True)
class Result:
    """What a point yields.

    Attributes:
        row: One value a column of `ntk_sweep.store.columns`.
        kernel: Θ, (N, N), where the point asks for it.
    """

    row: dict[str, Any]
    kernel: np.ndarray | None = None


def compute_rows(
    points: Sequence[Point],
    dataset: Dataset,
    device: str,
    git_commit: str | None,
    share: float = 1.0,
) -> Iterator[Result]:
    """Computes points; an exception becomes a row with ``status=failed`` and its traceback.

    On a GPU many networks are computed at once, and their rows come in another order.

    Args:
        points: What to compute, all of one task.
        dataset: The data whose fingerprint the points name.
        device: "auto", "cpu" or "cuda".
        git_commit: The commit of the code, for the record.
        share: The part of a GPU's memory that this process may use.
    """
    alone, stacked = list(points), []
    if _is_cuda(device):
        stacked = [point for point in points if can_be_stacked(point, dataset)]
        alone = [point for point in points if not can_be_stacked(point, dataset)]
    yield from stacked_rows(stacked, dataset, device, git_commit, share)
    for point in alone:
        yield compute_row(point, dataset, device, git_commit)


def stacked_rows(
    points: Sequence[Point],
    dataset: Dataset,
    device: str,
    git_commit: str | None,
    share: float = 1.0,
) -> Iterator[Result]:
    """`compute_rows` for points that can be stacked. One that fails in company is computed again
    alone, which finds out why."""
    if not points:
        return
    used, start = torch_device(device), time.perf_counter()
    for point, outcome in compute_stacked(points, dataset, used, share):
        if outcome is None:
            yield compute_row(point, dataset, device, git_commit)
        else:
            columns, kernel = outcome
            columns |= {
                "status": "ok",
                "device": _device_name(used),
                "seconds": time.perf_counter() - start,
            }
            yield Result(_coordinates(point, dataset) | columns | _provenance(git_commit), kernel)
        start = time.perf_counter()


def compute_row(point: Point, dataset: Dataset, device: str, git_commit: str | None) -> Result:
    """Computes one point; takes the arguments of `compute_rows`."""
    assert point.data_fingerprint == dataset.fingerprint
    start = time.perf_counter()
    try:
        used = torch_device(device)
        results, kernel = _TASKS[point.task](point, dataset, used)
        if used.type == "cuda":
            torch.cuda.synchronize(used)
        results = {"status": "ok"} | results | {"device": _device_name(used)}
    except Exception:  # noqa: BLE001 - whatever a point raises becomes its row; the sweep goes on
        results, kernel = {"status": "failed", "error": traceback.format_exc()}, None
    results["seconds"] = time.perf_counter() - start
    return Result(_coordinates(point, dataset) | results | _provenance(git_commit), kernel)


def failed_row(
    point: Point, dataset: Dataset, error: str, git_commit: str | None
) -> dict[str, Any]:
    """The row of a point that could not even be tried to its end, because it took its worker down
    with it."""
    return (
        _coordinates(point, dataset)
        | {"status": "failed", "error": error}
        | _provenance(git_commit)
    )


def torch_device(name: str) -> torch.device:
    """The device that `name` stands for in this process: "auto" takes a GPU if this process may use
    one.

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


_TASKS: dict[
    str, Callable[[Point, Dataset, torch.device], tuple[dict[str, Any], np.ndarray | None]]
] = {
    "spectrum": compute_spectrum,
    "training": compute_training,
}


def _coordinates(point: Point, dataset: Dataset) -> dict[str, Any]:
    settings = (
        setting_columns(point.settings, len(dataset.x))
        if isinstance(point.settings, TrainingConfig)
        else {}
    )
    return settings | {
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
