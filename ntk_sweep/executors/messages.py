"""What driver and workers tell each other: plain records that travel between processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ntk_sweep.settings.point import Point
from ntk_sweep.tasks.limit_request import LimitRequest


@dataclass(frozen=True)
class ChunkSpec:
    """What a worker is told about a chunk, apart from the data.

    Attributes:
        points: What to compute.
        limits: The limit kernels that they need.
        results: The results folder or URI.
        task: The task of all the points.
        mark: The mark of the sweep in the store; names the sweep.
        ticket: The number of the chunk in the sweep.
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
    mark: str
    ticket: int
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
    """What a worker tells of a finished chunk.

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
        blamed: Whether the chunk may be the cause (its process died or ran out of memory), rather
            than a machine that went away.
        crowded: Whether it was ended for want of memory, which others on the same machine may have
            taken.
    """

    reason: str
    blamed: bool
    crowded: bool = False
