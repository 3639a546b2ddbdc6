"""The queue of a sweep: jobs packed into chunks for the workers."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from ntk_sweep.dispatch.cost import expected_seconds
from ntk_sweep.dispatch.plan import Job, StoreId


@dataclass(frozen=True)
class Chunk:
    """Jobs of one batch that a worker computes in one go."""

    jobs: tuple[Job, ...]

    @property
    def cost(self) -> float:
        """Expected seconds of one worker."""
        return sum(map(expected_seconds, self.jobs))

    @property
    def store_id(self) -> StoreId:
        """Names the store that its rows go to."""
        return self.jobs[0].store_id


class ChunkQueue:
    """Jobs that wait for a worker, the most expensive first, in chunks of about equal time.

    Chunks become smaller towards the end. Jobs on the same draws (equal seed, width and depth)
    stand together, and among them those of equal scales.

    Args:
        jobs: What is to be computed.
        chunk_seconds: The time of a chunk that is aimed at.
    """

    def __init__(self, jobs: Sequence[Job], chunk_seconds: float) -> None:
        self._jobs = deque(sorted(jobs, key=_order))
        self._alone: deque[Job] = deque()
        self._chunk_seconds = chunk_seconds
        self._remaining = sum(map(expected_seconds, jobs))
        self._measured = 0.0
        self._expected = 0.0

    def __len__(self) -> int:
        return len(self._jobs) + len(self._alone)

    @property
    def slowness(self) -> float:
        """Measured over expected seconds, so far."""
        return self._measured / self._expected if self._expected else 1.0

    def next(self, slots: int) -> Chunk:
        """Takes the next chunk, for one of `slots` workers."""
        if self._alone and not self._jobs:
            return Chunk((self._alone.popleft(),))
        # Half of an equal share at the most, so that no worker is left with a long chunk while the
        # others idle.
        budget = min(self._chunk_seconds / self.slowness, self._remaining / (2 * slots))
        jobs = [self._jobs.popleft()]
        spent = expected_seconds(jobs[0])
        while self._jobs and self._jobs[0].batch == jobs[0].batch:
            cost = expected_seconds(self._jobs[0])
            if spent + cost > budget:
                break
            jobs.append(self._jobs.popleft())
            spent += cost
        self._remaining -= spent
        return Chunk(tuple(jobs))

    def observe(self, expected: float, measured: float) -> None:
        """Learns from a finished chunk how fast the workers really are."""
        self._expected += expected
        self._measured += measured

    def put_back_alone(self, job: Job) -> None:
        """Takes a job of a lost chunk back, for a chunk of its own after all others.

        A job that kills its worker harms no other then.
        """
        self._alone.append(job)


def _order(job: Job) -> tuple[object, ...]:
    point = job.point
    network = point.architecture
    scales = (network.weight_std, -1.0 if network.bias_std is None else network.bias_std)
    draw = (-network.width, -network.depth, point.seed, network.parametrisation)
    return (job.batch, *draw, *scales, network.activation)
