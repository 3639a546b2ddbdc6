"""Messages between driver and workers: plain records that travel between processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
        time_limit: Seconds that a point may take; None for as many as it likes.
        fail_fast: Whether the chunk ends with the first point that fails.
        send_rows: Whether outcomes bring the rows.
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
    time_limit: float | None = None
    fail_fast: bool = False
    send_rows: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a point ended.

    Attributes:
        key: The point's.
        status: Of its row.
        error: Why it failed.
        row: Its row, if the chunk asks for it.
    """

    key: str
    status: str
    error: str | None
    row: dict[str, Any] | None = None


@dataclass(frozen=True)
class Report:
    """A finished chunk.

    Attributes:
        part: The part that holds its rows.
        outcomes: One a point that ended.
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
