"""What a task computes from: a point, its data, a device, and what the process keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from ntk_sweep.data.dataset import Dataset
from ntk_sweep.settings.point import Point
from ntk_sweep.tasks.draws import LastDraw
from ntk_sweep.tasks.limit_cache import LimitCache


@dataclass(frozen=True)
class Caches:
    """What a process keeps from one point for the next ones; no number depends on it.

    Attributes:
        limits: Limit kernels.
        draw: The network drawn last.
    """

    limits: LimitCache = field(default_factory=LimitCache)
    draw: LastDraw = field(default_factory=LastDraw)


@dataclass(frozen=True)
class Computation:
    """A point that is computed.

    Attributes:
        point: What to compute.
        dataset: The data whose fingerprint the point names.
        device: Where passes and kernels are computed.
        caches: What this process keeps.
    """

    point: Point
    dataset: Dataset
    device: torch.device
    caches: Caches


Computed = tuple[dict[str, Any], dict[str, np.ndarray]]
"""The columns of a task, and what the point wants in files, by the column that names the file."""
