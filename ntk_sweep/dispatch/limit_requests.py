"""Which limit kernels a sweep needs, so that each is computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from ntk_sweep.dispatch.plan import Job
from ntk_sweep.dispatch.queue import Chunk
from ntk_sweep.network.architecture import Architecture
from ntk_sweep.numerics.thresholds import LIMIT_SAMPLES
from ntk_sweep.tasks.limit_request import LimitRequest, limit_request

MANY_ARCHITECTURES = 65_536
"""More than most sweeps have; their networks differ in the seed besides."""


class LimitPlan:
    """The limit kernels that the jobs of a sweep need.

    One recursion gives all depths of an architecture, so they are asked for together.

    Args:
        jobs: All jobs of the sweep.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._depths: dict[tuple[str, Architecture], set[int]] = {}
        for job in jobs:
            depth = job.point.architecture.depth
            self._depths.setdefault(_without_depth(job), set()).add(depth)

    def of(self, chunk: Chunk) -> tuple[LimitRequest, ...]:
        """The limits of a chunk's points, each once; none where the inputs are too many for one."""
        if len(chunk.jobs[0].dataset.x) > LIMIT_SAMPLES:
            return ()
        return tuple(dict.fromkeys(map(self._request, chunk.jobs)))

    def _request(self, job: Job) -> LimitRequest:
        wanted = self._depths[_without_depth(job)]
        return limit_request(job.point.architecture, wanted, len(job.dataset.x))


def _without_depth(job: Job) -> tuple[str, Architecture]:
    """What the depths of one recursion share."""
    return (job.point.data_fingerprint, _shared(job.point.architecture))


@lru_cache(maxsize=MANY_ARCHITECTURES)
def _shared(architecture: Architecture) -> Architecture:
    return replace(architecture, depth=0)
