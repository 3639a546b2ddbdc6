"""Messages between driver and workers: plain records that travel between processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ntk_sweep.settings.point import Point
from ntk_sweep.tasks.limit_request import LimitRequest


@dataclass(frozen=True)
class ChunkSpec:
    """A chunk for a worker, apart from the data.

    Attributes:
        points: What to compute.
        limits: The limit kernels that they need.
        results: The results folder or URI.
        task: The task of all the points.
        session: The name of the sweep's session file in the store; names the sweep.
        number: The number of the chunk in the sweep.
        device: "auto", "cpu" or "cuda".
        device_share: The part of a GPU that the worker has, from 0 to 1.
        num_threads: BLAS threads.
        commit_seconds: Rows are committed at least this often, when a point ends.
        git_commit: For the record.
    """

    points: tuple[Point, ...]
    limits: tuple[LimitRequest, ...]
    results: str
    task: str
    session: str
    number: int
    device: str
    device_share: float
    num_threads: int
    commit_seconds: float
    git_commit: str | None


@dataclass(frozen=True)
class Outcome:
    """How a point ended."""

    key: str
    status: str
    error: str | None


@dataclass(frozen=True)
class Report:
    """A finished chunk.

    Attributes:
        part: The part that holds its rows.
        outcomes: One a point.
        seconds: Computing time.
    """

    part: str
    outcomes: Sequence[Outcome]
    seconds: float


@dataclass(frozen=True)
class Lost:
    """A chunk whose worker died.

    Attributes:
        reason: What is known of it.
        worker_died: Whether its process died, so that the chunk may be the cause; otherwise the
            node went away.
        out_of_memory: Whether the process was ended for want of memory, which others on the node
            may have taken.
    """

    reason: str
    worker_died: bool
    out_of_memory: bool = False
