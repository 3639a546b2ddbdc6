"""Which limit kernels a sweep needs, so that each is computed once."""

from __future__ import annotations

from collections.abc import Sequence

from ntk_sweep.dispatch.plan import Job
from ntk_sweep.dispatch.queue import Chunk
from ntk_sweep.numerics.thresholds import LIMIT_SAMPLES
from ntk_sweep.tasks.limit_request import LimitSpec, limit_depths


class LimitPlan:
    """The limit kernels that the jobs of a sweep need.

    One recursion gives all depths of an architecture, so they are asked for together.

    Args:
        jobs: All jobs of the sweep.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._depths: dict[tuple[str, str, int, str], set[int]] = {}
        for job in jobs:
            self._depths.setdefault(_architecture(job), set()).add(job.point.depth)

    def of(self, chunk: Chunk) -> tuple[LimitSpec, ...]:
        """The limits of a chunk's points, each once; none where the inputs are too many for one."""
        if len(chunk.jobs[0].dataset.x) > LIMIT_SAMPLES:
            return ()
        return tuple(dict.fromkeys(map(self._request, chunk.jobs)))

    def _request(self, job: Job) -> LimitSpec:
        point = job.point
        wanted = sorted(self._depths[_architecture(job)])
        depths = limit_depths(wanted, point.depth, len(job.dataset.x))
        return LimitSpec(point.act, point.width, point.parametrisation, tuple(depths))


def _architecture(job: Job) -> tuple[str, str, int, str]:
    """What the depths of one recursion share."""
    point = job.point
    return (point.data_fingerprint, point.act, point.width, point.parametrisation)
