"""What becomes of the jobs of a lost chunk: tried again, or given up.

A chunk is lost when its worker dies or its node goes away. Its jobs are tried again alone, so that
a job that kills its worker harms no other. A worker that runs out of memory may be the victim of
others on its machine. A job that was alone in such a chunk waits until all others are done, and
then has the executor to itself.
"""

from __future__ import annotations

from collections import Counter, deque

from ntk_sweep.dispatch.plan import Job
from ntk_sweep.dispatch.queue import Chunk, ChunkQueue
from ntk_sweep.executors.messages import Lost

MAX_WORKER_DEATHS = 3
"""A point whose worker died this often while it computed nothing else is recorded as failed."""

MAX_NODE_LOSSES = 20
"""The same for losses that are not the point's fault.

A cluster that loses one point so often will not finish it.
"""


class Retries:
    """Counts the losses of each job, and puts it back until there are too many.

    Its length is the number of jobs that wait to have the executor to themselves.

    Args:
        queue: Where jobs go that may run beside others.
    """

    def __init__(self, queue: ChunkQueue) -> None:
        self._queue = queue
        self._worker_deaths: Counter[str] = Counter()
        self._node_losses: Counter[str] = Counter()
        self._waiting: deque[Job] = deque()
        self._exclusive = False

    def __len__(self) -> int:
        return len(self._waiting)

    def next_exclusive(self) -> Chunk:
        """Takes a job that has the executor to itself; from now on all have."""
        self._exclusive = True
        return Chunk((self._waiting.popleft(),))

    def put_back(self, job: Job, lost: Lost, alone: bool) -> str | None:
        """Has a job tried again; returns the error to record if it is given up instead.

        Args:
            job: An unfinished job of the chunk.
            lost: How the chunk was lost.
            alone: Whether the chunk held no other job; only then the loss counts.
        """
        losses, limit = (
            (self._worker_deaths, MAX_WORKER_DEATHS)
            if lost.worker_died
            else (self._node_losses, MAX_NODE_LOSSES)
        )
        # Beside others it may be their memory that was missing.
        beside_others = lost.out_of_memory and not self._exclusive
        losses[job.point.key] += alone and not beside_others
        if losses[job.point.key] >= limit:
            return (
                f"{limit} workers were lost while they computed this point; the last time: "
                f"{lost.reason}"
            )
        if self._exclusive or (alone and beside_others):
            self._waiting.append(job)
        else:
            self._queue.put_back_alone(job)
        return None
