"""The columns of every row, whatever its task.

Nothing here loads torch: the driver writes the row of a point that took its worker down.
"""

from __future__ import annotations

import platform
import socket
import sys
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from ntk_sweep._version import __version__
from ntk_sweep.data.dataset import Dataset
from ntk_sweep.settings.point import NUMERICS_VERSION, Point


def failed_row(
    point: Point, dataset: Dataset, error: str, git_commit: str | None
) -> dict[str, Any]:
    """The row of a point that took its worker down with it."""
    results = {"status": "failed", "error": error}
    return coordinates(point, dataset) | results | provenance(git_commit)


def coordinates(point: Point, dataset: Dataset) -> dict[str, Any]:
    """What says which point this is, and on which data."""
    n_samples, n_inputs = dataset.x.shape
    return {
        "key": point.key,
        "task": point.task,
        **point.coordinates,
        **point.settings.columns(n_samples),
        "numerics_version": NUMERICS_VERSION,
        "data": dataset.name,
        "data_fingerprint": dataset.fingerprint,
        "data_classes": dataset.classes,
        **dataset.labelling.columns(dataset.classes is not None),
        "data_normalise": dataset.normalise,
        "n_samples": n_samples,
        "n_inputs": n_inputs,
        "test_fingerprint": point.test_fingerprint,
        "n_test_samples": dataset.n_test if point.test_fingerprint else None,
    }


def provenance(git_commit: str | None) -> dict[str, Any]:
    """What says where and with what the row was computed."""
    return {
        "finished_at": datetime.now(UTC),
        "host": socket.gethostname(),
        "version": __version__,
        "torch_version": _torch_version(),
        "python_version": platform.python_version(),
        "git_commit": git_commit,
    }


def _torch_version() -> str | None:
    """That of torch as it is loaded here, or else as it is installed."""
    if "torch" in sys.modules:
        return str(sys.modules["torch"].__version__)
    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:  # a torch on the path alone
        return None
