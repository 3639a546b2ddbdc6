"""The driver: submits the chunks of a plan to an executor, waits for them, recovers lost ones."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import count

from rich.console import Console

from ntk_sweep.dispatch.cost import expected_seconds
from ntk_sweep.dispatch.limit_requests import LimitPlan
from ntk_sweep.dispatch.plan import Job, Plan, StoreId
from ntk_sweep.dispatch.progress import SweepProgress
from ntk_sweep.dispatch.provenance import git_commit
from ntk_sweep.dispatch.queue import Chunk, ChunkQueue
from ntk_sweep.dispatch.retries import Retries
from ntk_sweep.dispatch.signals import SignalGuard
from ntk_sweep.errors import SweepError
from ntk_sweep.executors.messages import ChunkSpec, Lost, Report
from ntk_sweep.executors.protocol import Executor
from ntk_sweep.settings.schema import ComputeConfig
from ntk_sweep.store.lease import Lease
from ntk_sweep.store.reading import finished
from ntk_sweep.store.writer import PartWriter

POLL_SECONDS = 0.5
"""How long to wait for a report before the progress is drawn again."""


@dataclass
class SweepResult:
    """How a sweep ended.

    Attributes:
        plan: What was to be done.
        seconds: From the start of the executor to the last commit.
        failed: Key → traceback of the points that failed.
        parts: Per store, the names of the parts written.
    """

    plan: Plan
    seconds: float = 0.0
    failed: dict[str, str] = field(default_factory=dict)
    parts: dict[StoreId, set[str]] = field(default_factory=dict)


class Driver:
    """Has all jobs of a plan computed.

    Args:
        result: Holds the plan, and receives what comes of it.
        compute: Resources, and where they are.
        sessions: The session of the sweep in each store.
        guard: Tells of signals.
    """

    def __init__(
        self,
        result: SweepResult,
        compute: ComputeConfig,
        sessions: dict[StoreId, str],
        guard: SignalGuard,
    ) -> None:
        self._result = result
        self._plan = result.plan
        self._compute = compute
        self._sessions = sessions
        self._guard = guard
        self._git_commit = git_commit()
        self._queue = ChunkQueue(self._plan.jobs, compute.chunk_seconds)
        self._retries = Retries(self._queue)
        self._limits = LimitPlan(self._plan.jobs)
        self._numbers = count()
        self._running: dict[int, Chunk] = {}
        self._writers: dict[StoreId, PartWriter] = {}

    def run(self, executor_class: type[Executor], console: Console) -> None:
        """Starts the executor, computes all jobs on it and closes it.

        Raises:
            StoreError: Rows can no longer be written.
            ClusterError: Ray cannot be started, or was lost.
            Interrupted: A signal came.
        """
        cost = sum(map(expected_seconds, self._plan.jobs))
        total = len(self._plan.jobs) + self._plan.skipped
        executor = self._start(executor_class, console)
        try:
            console.print(f"{len(self._plan.jobs)} points to compute {executor.describe()}")
            self._guard.install()  # Ray set handlers of its own when it started
            with SweepProgress(console, total, self._plan.skipped, cost) as progress:
                self._loop(executor, progress)
        finally:
            executor.close()

    def _start(self, executor_class: type[Executor], console: Console) -> Executor:
        with console.status("starting the workers") if console.is_terminal else nullcontext():
            try:
                return executor_class(self._compute)
            except SweepError:
                self._guard.check()  # The signal may be why it does not start.
                raise

    def _loop(self, executor: Executor, progress: SweepProgress) -> None:
        while self._queue or self._running or self._retries:
            self._guard.check()
            self._submit_waiting(executor)
            with self._guard.immediate() if executor.interruptible else nullcontext():
                reports = executor.wait(POLL_SECONDS)
            progress.refresh(executor.waiting_for())
            for number, report in reports:
                chunk = self._running.pop(number)
                if isinstance(report, Lost):
                    self._recover(number, chunk, report, progress)
                else:
                    self._record(chunk, report, progress)

    def _submit_waiting(self, executor: Executor) -> None:
        """Submits as many chunks as the executor takes."""
        slots = max(executor.slots, 1)
        capacity = max(executor.capacity, 1)
        while self._queue and len(self._running) < capacity:
            self._submit(executor, self._queue.next(slots))
        if self._retries and not self._running:
            self._submit(executor, self._retries.next_exclusive())

    def _submit(self, executor: Executor, chunk: Chunk) -> None:
        number = next(self._numbers)
        self._running[number] = chunk
        executor.submit(number, self._spec(number, chunk), chunk.jobs[0].dataset)

    def _spec(self, number: int, chunk: Chunk) -> ChunkSpec:
        job = chunk.jobs[0]
        return ChunkSpec(
            points=tuple(job.point for job in chunk.jobs),
            limits=self._limits.of(chunk),
            results=job.results,
            task=job.point.task,
            session=self._sessions[chunk.store_id],
            number=number,
            device=job.device,
            device_share=min(self._compute.num_gpus, 1.0) or 1.0,
            num_threads=self._compute.num_threads,
            commit_seconds=self._compute.chunk_seconds,
            git_commit=self._git_commit,
        )

    def _record(self, chunk: Chunk, report: Report, progress: SweepProgress) -> None:
        """Takes note of a finished chunk."""
        self._result.parts.setdefault(chunk.store_id, set()).add(report.part)
        failures = {
            outcome.key: outcome.error or ""
            for outcome in report.outcomes
            if outcome.status == "failed"
        }
        self._result.failed.update(failures)
        self._queue.observe(chunk.cost, report.seconds)
        progress.advance(len(chunk.jobs), len(failures), chunk.cost)

    def _recover(self, number: int, chunk: Chunk, lost: Lost, progress: SweepProgress) -> None:
        """Has the unfinished jobs of a lost chunk tried again, or gives them up."""
        store = self._plan.stores[chunk.store_id]
        # First, since a worker that was only cut off may still be about to commit.
        Lease(store, self._sessions[chunk.store_id], number).revoke()
        done = finished(store)
        retried = 0
        for job in chunk.jobs:
            entry = done.get(job.point.key)
            if entry is not None and entry.serves(job.point.save_kernel) and not job.force:
                progress.advance(1, 0, expected_seconds(job))
                continue
            error = self._retries.put_back(job, lost, alone=len(chunk.jobs) == 1)
            if error is None:
                retried += 1
            else:
                self._give_up(job, error)
                progress.advance(1, 1, expected_seconds(job))
        progress.worker_lost(lost.reason, retried)

    def _give_up(self, job: Job, error: str) -> None:
        """Records a job as failed."""
        from ntk_sweep.tasks.rows import failed_row

        if job.store_id not in self._writers:
            self._writers[job.store_id] = PartWriter(self._plan.stores[job.store_id])
        row = failed_row(job.point, job.dataset, error, self._git_commit)
        part = self._writers[job.store_id].commit([row])
        self._result.parts.setdefault(job.store_id, set()).add(part)
        self._result.failed[job.point.key] = error
