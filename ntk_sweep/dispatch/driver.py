"""The driver: submits the chunks of a plan to an executor, waits for them, recovers lost ones."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import count
from typing import Any

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
from ntk_sweep.store.columns import stored_form
from ntk_sweep.store.lease import Lease
from ntk_sweep.store.reading import finished, row_of
from ntk_sweep.store.writer import PartWriter
from ntk_sweep.tasks.allowance import overtime
from ntk_sweep.tasks.common_columns import failed_row

POLL_SECONDS = 0.5
"""How long to wait for a report before the progress is drawn again."""


Observer = Callable[[Job, dict[str, Any]], None]
"""Is told of each job that ends, in the driver, with its row as the store has it."""


@dataclass
class SweepResult:
    """How a sweep ended.

    Attributes:
        plan: What was to be done.
        seconds: From the start of the executor to the last commit.
        failed: Key → traceback of the points that failed.
        left: What was not computed, since a point failed before and `compute.fail_fast` is set.
        parts: Per store, the names of the parts written.
    """

    plan: Plan
    seconds: float = 0.0
    failed: dict[str, str] = field(default_factory=dict)
    left: list[Job] = field(default_factory=list)
    parts: dict[StoreId, set[str]] = field(default_factory=dict)


class Driver:
    """Has all jobs of a plan computed.

    Args:
        result: Holds the plan, and receives what comes of it.
        compute: Resources, and where they are.
        sessions: The session of the sweep in each store.
        guard: Tells of signals.
        observer: Is told of each job that ends; None costs nothing.
    """

    def __init__(
        self,
        result: SweepResult,
        compute: ComputeConfig,
        sessions: dict[StoreId, str],
        guard: SignalGuard,
        observer: Observer | None = None,
    ) -> None:
        self._result = result
        self._plan = result.plan
        self._compute = compute
        self._sessions = sessions
        self._guard = guard
        self._observer = observer
        self._git_commit = git_commit()
        self._queue = ChunkQueue(self._plan.jobs, compute.chunk_seconds)
        self._retries = Retries(self._queue)
        self._limits = LimitPlan(self._plan.jobs)
        self._numbers = count()
        self._running: dict[int, Chunk] = {}
        self._left = {(job.store_id, job.point.key): job for job in self._plan.jobs}
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
            many = len(self._plan.jobs)
            points = "1 point" if many == 1 else f"{many} points"
            console.print(f"{points} to compute {executor.describe()}")
            self._guard.install()  # Ray set handlers of its own when it started
            with SweepProgress(console, total, self._plan.skipped, cost) as progress:
                self._loop(executor, progress)
        finally:
            executor.close()
        self._result.left = list(self._left.values())

    def _start(self, executor_class: type[Executor], console: Console) -> Executor:
        with console.status("starting the workers") if console.is_terminal else nullcontext():
            try:
                return executor_class(self._compute)
            except SweepError:
                self._guard.check()  # The signal may be why it does not start.
                raise

    @property
    def _stopped(self) -> bool:
        """Whether nothing more is begun."""
        return self._compute.fail_fast and bool(self._result.failed)

    def _loop(self, executor: Executor, progress: SweepProgress) -> None:
        while self._running or (not self._stopped and (self._queue or self._retries)):
            self._guard.check()
            if not self._stopped:
                self._submit_waiting(executor)
            with self._guard.immediate() if executor.interruptible else nullcontext():
                reports = executor.wait(POLL_SECONDS)
            ending = "a point failed: the sweep ends with what is at work"
            progress.refresh(ending if self._stopped else executor.waiting_for())
            for number, report in reports:
                chunk = self._running.pop(number)
                if isinstance(report, Lost):
                    self._recover(number, chunk, report, progress)
                else:
                    self._record(chunk, report, progress)

    def _submit_waiting(self, executor: Executor) -> None:
        """Submits as many chunks as the executor takes; with `fail_fast`, none that would wait."""
        slots = max(executor.slots, 1)
        capacity = slots if self._compute.fail_fast else max(executor.capacity, 1)
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
            time_limit=self._compute.time_limit,
            fail_fast=self._compute.fail_fast,
            send_rows=self._observer is not None,
        )

    def _record(self, chunk: Chunk, report: Report, progress: SweepProgress) -> None:
        """Takes note of a finished chunk."""
        self._result.parts.setdefault(chunk.store_id, set()).add(report.part)
        jobs = {job.point.key: job for job in chunk.jobs}
        ended = [(jobs[outcome.key], outcome) for outcome in report.outcomes]
        failures = {
            outcome.key: outcome.error or "" for _, outcome in ended if outcome.status == "failed"
        }
        self._result.failed.update(failures)
        cost = sum(expected_seconds(job) for job, _ in ended)
        self._queue.observe(cost, report.seconds)
        progress.advance(len(ended), len(failures), cost)
        for job, outcome in ended:
            self._end(job, outcome.row)

    def _recover(self, number: int, chunk: Chunk, lost: Lost, progress: SweepProgress) -> None:
        """Has the unfinished jobs of a lost chunk tried again, or gives them up."""
        store = self._plan.stores[chunk.store_id]
        lease = Lease(store, self._sessions[chunk.store_id], number)
        late = lease.given_up()
        # First, since a worker that was only cut off may still be about to commit.
        lease.revoke()
        done = finished(store)
        retried = 0
        reason = lost.reason if late is None else overtime(self._compute.time_limit or 0)
        for job in chunk.jobs:
            entry = done.get(job.point.key)
            if entry is not None and entry.serves(job.point.files) and not job.force:
                progress.advance(1, 0, expected_seconds(job))
                self._end(job, row_of(store, job.point.key) if self._observer else None)
                continue
            alone = len(chunk.jobs) == 1
            is_late = job.point.key == late
            error = reason if is_late else self._retries.put_back(job, lost, alone)
            if error is None:
                retried += 1
            else:
                progress.advance(1, 1, expected_seconds(job))
                self._give_up(job, error)
        progress.worker_lost(reason, retried)

    def _give_up(self, job: Job, error: str) -> None:
        """Records a job as failed."""
        if job.store_id not in self._writers:
            self._writers[job.store_id] = PartWriter(self._plan.stores[job.store_id])
        row = failed_row(job.point, job.dataset, error, self._git_commit)
        part = self._writers[job.store_id].commit([row])
        self._result.parts.setdefault(job.store_id, set()).add(part)
        self._result.failed[job.point.key] = error
        self._end(job, row)

    def _end(self, job: Job, row: dict[str, Any] | None) -> None:
        """Takes note of a job whose row is in the store, and tells the observer."""
        del self._left[job.store_id, job.point.key]
        if self._observer and row is not None:
            with self._guard.immediate():  # an observer may wait for a server that does not answer
                self._observer(job, stored_form(row, job.point.task))
