"""Runs a plan on an executor: chunks out, reports in, progress, and what to do when a worker
dies."""

from __future__ import annotations

import signal
import time
from collections import Counter, deque
from collections.abc import Iterable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, replace

from rich.console import Console

from ntk_sweep.dispatch.plan import (
    Chunk,
    ChunkQueue,
    Job,
    LimitPlan,
    Plan,
    git_commit,
    greediest,
    make_plan,
    open_stores,
)
from ntk_sweep.dispatch.progress import SweepProgress
from ntk_sweep.dispatch.signals import Interrupted, SignalGuard
from ntk_sweep.errors import ConfigError, StoreError
from ntk_sweep.executors.messages import ChunkSpec, Lost
from ntk_sweep.executors.protocol import Executor
from ntk_sweep.settings.locations import absolute_results
from ntk_sweep.settings.schema import ComputeConfig, SweepConfig
from ntk_sweep.settings.validation import validate_data_files
from ntk_sweep.store.compaction import merge
from ntk_sweep.store.lease import Lease
from ntk_sweep.store.reading import finished
from ntk_sweep.store.writer import PartWriter
from ntk_sweep.tasks.memory import available_memory, not_enough

MAX_DEATHS = 3
"""A point that takes its worker down this often, travelling alone, is recorded as failed."""

MAX_LOSSES = 20
"""The same for losses that are not the point's fault; a cluster that loses one point so often will
not finish it."""

WORTH_MENTIONING = 2**30
"""Bytes of a point from which on its memory is spoken of."""

POLL_SECONDS = 0.5
"""How long to wait for a report before redrawing the progress."""


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
    parts: dict[tuple[str, str], set[str]] = field(default_factory=dict)


def run_sweep(
    configs: Iterable[SweepConfig],
    executor_class: type[Executor],
    console: Console,
    announcements: Console | None = None,
) -> SweepResult:
    """Computes every point that the stores do not have yet.

    Everything that can be wrong with settings, results folder or data is found, in this order,
    before the executor is started.

    Args:
        configs: The settings of each point.
        executor_class: Where to compute; started only if there is something to compute.
        console: Where to show progress.
        announcements: Where to say how much memory a large point takes; by default on `console`.

    Raises:
        ConfigError, DataError, StoreError: Before anything starts, or when rows can no longer be
            written.
        ClusterError: Ray cannot be started, or was lost.
        Interrupted: By SIGINT or SIGTERM; what was finished is in the store.
    """
    # One folder has many spellings, but its points must meet in one store.
    configs = [replace(config, results=absolute_results(config.results)) for config in configs]
    compute = _single_compute(configs)
    validate_data_files(configs)
    _refuse_passing_folders(configs)
    executor_class.check(compute, {config.device for config in configs})
    stores = open_stores(configs)
    with ExitStack() as stack:
        guard = stack.enter_context(SignalGuard())
        marks = {home: stack.enter_context(store.open_session()) for home, store in stores.items()}
        for home, store in stores.items():
            for owner in store.other_sessions(marks[home]):
                console.print(
                    f"another sweep is at work in {store.location} ({owner}), unless it was "
                    "killed; a point that both compute is stored twice, with the same numbers"
                )
        with guard.immediate():
            result = SweepResult(make_plan(configs, stores))
        if result.plan.jobs:
            _check_memory(result.plan, executor_class, compute, announcements or console)
            start = time.monotonic()
            _Run(result, compute, marks, guard).drive(executor_class, console)
            result.seconds = time.monotonic() - start
        for home, store in stores.items():
            try:
                merge(store, own=result.parts.get(home, ()))
            except StoreError as error:  # the rows are safe in their parts
                console.print(f"the parts in {store.location} were not merged: {error}")
    return result


class _Run:
    """The state of a sweep under way."""

    def __init__(
        self,
        result: SweepResult,
        compute: ComputeConfig,
        marks: dict[tuple[str, str], str],
        guard: SignalGuard,
    ) -> None:
        self.result = result
        self.plan = result.plan
        self.compute = compute
        self.marks = marks
        self.guard = guard
        self.commit = git_commit()
        self.queue = ChunkQueue(self.plan.jobs, compute.chunk_seconds)
        self.limits = LimitPlan(self.plan.jobs)
        self.chunks: dict[int, Chunk] = {}
        self.deaths: Counter[str] = Counter()
        self.losses: Counter[str] = Counter()
        self.crowded: deque[Job] = deque()
        self.solitary = False
        self.writers: dict[tuple[str, str], PartWriter] = {}

    def drive(self, executor_class: type[Executor], console: Console) -> None:
        """Starts the executor, computes all jobs on it and closes it."""
        cost = sum(job.cost for job in self.plan.jobs)
        total = len(self.plan.jobs) + self.plan.skipped
        with console.status("starting the workers") if console.is_terminal else nullcontext():
            try:
                executor = executor_class(self.compute)
            except SystemExit as error:
                # Ray's own handler of SIGTERM, which is in force while it starts.
                self.guard.check()
                raise Interrupted(signal.SIGTERM) from error
        try:
            console.print(f"{len(self.plan.jobs)} points to compute {executor.describe()}")
            self.guard.install()  # Ray set handlers of its own when it started
            with SweepProgress(console, total, self.plan.skipped, cost) as progress:
                self._loop(executor, progress)
        finally:
            executor.close()

    def _loop(self, executor: Executor, progress: SweepProgress) -> None:
        tickets = iter(range(2**62))
        while self.queue or self.chunks or self.crowded:
            slots = max(executor.slots, 1)
            capacity = max(executor.capacity, 1)
            while self.queue and len(self.chunks) < capacity:
                self._submit(executor, next(tickets), self.queue.next(slots))
            if self.crowded and not self.chunks:
                self.solitary = True
                self._submit(executor, next(tickets), Chunk((self.crowded.popleft(),)))
            self.guard.check()
            with self.guard.immediate() if executor.interruptible else nullcontext():
                reports = executor.wait(POLL_SECONDS)
            progress.tick(executor.waiting_for())
            for ticket, report in reports:
                chunk = self.chunks.pop(ticket)
                if isinstance(report, Lost):
                    self._recover(ticket, chunk, report, progress)
                    continue
                self.result.parts.setdefault(chunk.jobs[0].home, set()).add(report.part)
                failures = {
                    outcome.key: outcome.error or ""
                    for outcome in report.outcomes
                    if outcome.status == "failed"
                }
                self.result.failed.update(failures)
                self.queue.observe(chunk.cost, report.seconds)
                progress.advance(len(chunk.jobs), len(failures), chunk.cost)

    def _submit(self, executor: Executor, ticket: int, chunk: Chunk) -> None:
        self.chunks[ticket] = chunk
        executor.submit(ticket, self._spec(ticket, chunk), chunk.jobs[0].dataset)

    def _spec(self, ticket: int, chunk: Chunk) -> ChunkSpec:
        job = chunk.jobs[0]
        return ChunkSpec(
            points=tuple(job.point for job in chunk.jobs),
            limits=self.limits.of(chunk),
            results=job.results,
            task=job.point.task,
            session=self.marks[job.home],
            number=ticket,
            device=job.device,
            device_share=min(self.compute.num_gpus, 1.0) or 1.0,
            num_threads=self.compute.num_threads,
            commit_seconds=self.compute.chunk_seconds,
            git_commit=self.commit,
        )

    def _recover(self, ticket: int, chunk: Chunk, lost: Lost, progress: SweepProgress) -> None:
        """Sends the unfinished points of a lost chunk out again, alone, and gives up on those that
        kill every worker.

        A point that was alone and lost for want of memory waits until all others are done, and then
        has the machines to itself.
        """
        home = chunk.jobs[0].home
        store = self.plan.stores[home]
        # First, since a worker that was only cut off may still be about to commit.
        Lease(store, self.marks[home], ticket).revoke()
        done = finished(store)
        counter, limit = (
            (self.deaths, MAX_DEATHS) if lost.worker_died else (self.losses, MAX_LOSSES)
        )
        # Among others it may be their memory that was missing, so a death counts only when the
        # point has the machines to itself.
        alone, crowded, tried_again = (
            len(chunk.jobs) == 1,
            lost.out_of_memory and not self.solitary,
            0,
        )
        for job in chunk.jobs:
            key = job.point.key
            entry = done.get(key)
            if entry is not None and entry.serves(job.point.save_kernel) and not job.force:
                progress.advance(1, 0, job.cost)
                continue
            counter[key] += alone and not crowded
            if counter[key] >= limit:
                self._give_up(
                    job,
                    (
                        f"{limit} workers were lost while they computed this point; the last time: "
                        f"{lost.reason}"
                    ),
                )
                progress.advance(1, 1, job.cost)
                continue
            tried_again += 1
            if self.solitary or (alone and crowded):
                self.crowded.append(job)
            else:
                self.queue.put_back_alone([job])
        progress.lose(lost.reason, tried_again)

    def _give_up(self, job: Job, error: str) -> None:
        from ntk_sweep.tasks.rows import failed_row

        if job.home not in self.writers:
            self.writers[job.home] = PartWriter(self.plan.stores[job.home])
        part = self.writers[job.home].commit(
            [failed_row(job.point, job.dataset, error, self.commit)]
        )
        self.result.parts.setdefault(job.home, set()).add(part)
        self.result.failed[job.point.key] = error


def _check_memory(
    plan: Plan, executor_class: type[Executor], compute: ComputeConfig, console: Console
) -> None:
    """Says what the largest point needs if that is much, and refuses it where this machine has not
    got it.

    On a cluster each worker compares for itself, and a point that does not fit becomes a failed
    row.
    """
    job, need = greediest(plan.jobs)
    if need.peak < WORTH_MENTIONING:
        return
    console.print(f"memory of the largest point, {job.point}: {need.describe()}", soft_wrap=True)
    workers = executor_class.workers_here(compute)
    if workers is None:
        return
    free = available_memory()
    if need.peak > free:
        raise ConfigError(
            f"{job.point} cannot be computed on this machine: {not_enough(need, free)}"
        )
    if need.peak * min(workers, len(plan.jobs)) > free:
        raise ConfigError(
            f"{min(workers, len(plan.jobs))} workers at {need.peak / 2**30:.1f} GiB each need more "
            f"than the {free / 2**30:.1f} GiB that are free: use "
            f"compute.num_workers={free // need.peak}"
        )


def _refuse_passing_folders(configs: list[SweepConfig]) -> None:
    """Rows in the folder that Ray unpacks a job's files into would go with the job."""
    for config in configs:
        if "/runtime_resources/working_dir_files/" in config.results:
            raise ConfigError(
                f"results={config.results} lies in the working folder of a Ray job, which Ray "
                "removes: give a folder that all machines share, with its whole path, or an object "
                "store (results=s3://bucket/prefix)"
            )


def _single_compute(configs: list[SweepConfig]) -> ComputeConfig:
    if not configs:
        raise ConfigError("the sweep is empty: there is no combination of the values given")
    compute = configs[0].compute
    if any(config.compute != compute for config in configs):
        raise ConfigError(
            "compute must be the same for all points of a sweep: where it runs cannot be swept over"
        )
    return compute
