"""Runs a sweep: the checks, in order, then the driver, then the merge of small parts."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack

from rich.console import Console

from ntk_sweep.dispatch.cost import expected_seconds
from ntk_sweep.dispatch.driver import Driver, Observer, SweepResult
from ntk_sweep.dispatch.plan import Job, Plan, StoreId, located, make_plan, open_stores
from ntk_sweep.dispatch.progress import sign_of_life
from ntk_sweep.dispatch.signals import SignalGuard
from ntk_sweep.errors import ConfigError, StoreError
from ntk_sweep.executors.protocol import Executor
from ntk_sweep.settings.locations import refuse_job_folders
from ntk_sweep.settings.schema import ComputeConfig, SweepConfig
from ntk_sweep.settings.validation import validate_data_files
from ntk_sweep.spectrum.methods import CERTIFIED, samples_fault
from ntk_sweep.store.compaction import merge
from ntk_sweep.store.store import Store
from ntk_sweep.tasks.memory import MemoryPlan, available_memory, not_enough, point_memory

LARGE_POINT_BYTES = 2**30
"""A point that needs this much memory is announced."""


def run_sweep(
    configs: Iterable[SweepConfig],
    executor_class: type[Executor],
    console: Console,
    announcements: Console | None = None,
    observer: Observer | None = None,
) -> SweepResult:
    """Computes every point that the stores do not have yet.

    Mistakes in settings, results folder or data are found, in this order, before the executor is
    started.

    Args:
        configs: The settings of each point.
        executor_class: Where to compute; started only if there is something to compute.
        console: Where to show progress.
        announcements: Where to say how much memory a large point takes; by default on `console`.
        observer: Is told of each computed point, with its row.

    Raises:
        ConfigError, DataError, StoreError: Before anything starts, or when rows can no longer be
            written.
        ClusterError: Ray cannot be started, or was lost.
        Interrupted: By SIGINT, SIGTERM or SIGHUP; what was finished is in the store.
    """
    configs = located(configs)
    compute = check_settings(configs, executor_class)
    stores = open_stores(configs)
    with ExitStack() as stack:
        guard = stack.enter_context(SignalGuard())
        sessions = {
            store_id: stack.enter_context(store.open_session())
            for store_id, store in stores.items()
        }
        _announce_other_sweeps(stores, sessions, console)
        looked_up = sign_of_life("looked up in the store", len(configs), console)
        with guard.immediate(), looked_up as tick:
            result = SweepResult(make_plan(configs, stores, tick))
        if result.plan.jobs:
            check_samples(result.plan)
            check_memory(result.plan, executor_class, compute, announcements or console)
            _announce_work(result.plan, sessions)
            start = time.monotonic()
            Driver(result, compute, sessions, guard, observer).run(executor_class, console)
            result.seconds = time.monotonic() - start
        _merge_parts(result, console)
    return result


def check_settings(configs: Sequence[SweepConfig], executor_class: type[Executor]) -> ComputeConfig:
    """Checks what concerns the sweep as a whole, and returns where it is computed.

    Raises:
        ConfigError: The settings do not go together, or not with the executor.
    """
    if not configs:
        raise ConfigError("the sweep is empty: there is no combination of the values given")
    compute = configs[0].compute
    if any(config.compute != compute for config in configs):
        raise ConfigError(
            "compute must be the same for all points of a sweep: where it runs cannot be swept over"
        )
    if any(config.dry_run != configs[0].dry_run for config in configs):
        raise ConfigError("dry_run must be the same for all points of a sweep")
    validate_data_files(configs)
    refuse_job_folders(dict.fromkeys(config.results for config in configs))
    devices = dict.fromkeys(config.device for config in configs)
    executor_class.check(compute, devices.keys())
    return compute


def _announce_other_sweeps(
    stores: dict[StoreId, Store], sessions: dict[StoreId, str], console: Console
) -> None:
    for store_id, store in stores.items():
        for owner in store.other_sessions(sessions[store_id]):
            console.print(
                f"another sweep is at work in {store.location} ({owner}), unless it was killed; a "
                "point that both compute is stored twice, with the same numbers"
            )


def _announce_work(plan: Plan, sessions: dict[StoreId, str]) -> None:
    """Says in each store which points are computed, for `ntk-sweep status`."""
    for store_id, store in plan.stores.items():
        own = [job for job in plan.jobs if job.store_id == store_id]
        cost = sum(map(expected_seconds, own))
        store.announce(sessions[store_id], (job.point.key for job in own), cost)


def check_samples(plan: Plan) -> None:
    """Refuses points with more inputs than their method serves.

    Raises:
        ConfigError: There are some.
    """
    for job in plan.jobs:
        if job.point.settings.kernel_method != CERTIFIED:
            continue
        if fault := samples_fault(len(job.dataset.x)):
            raise ConfigError(f"task.method={CERTIFIED} {fault}")


def check_memory(
    plan: Plan, executor_class: type[Executor], compute: ComputeConfig, console: Console
) -> None:
    """Announces the largest point if it is large, and refuses it where it does not fit.

    On a cluster each worker compares for itself, and a point that does not fit becomes a failed
    row.

    Raises:
        ConfigError: It does not fit.
    """
    job, need = largest_job(plan.jobs)
    if need.peak < LARGE_POINT_BYTES:
        return
    console.print(f"memory of the largest point, {job.point}: {need.describe()}", soft_wrap=True)
    workers = executor_class.local_workers(compute)
    if workers is None:
        return
    free = available_memory()
    if need.peak > free:
        raise ConfigError(
            f"{job.point} cannot be computed on this machine: {not_enough(need, free)}"
        )
    workers, each = min(workers, len(plan.jobs)), need.peak
    if len(plan.jobs) > workers:
        # some worker computes several points, and keeps limit kernels between them
        each += need.cached
    if each * workers > free:
        raise ConfigError(
            f"{workers} workers at {each / 2**30:.1f} GiB each need more than the "
            f"{free / 2**30:.1f} GiB that are free: use "
            f"compute.num_workers={max(free // each, 1)}"
        )


def largest_job(jobs: Sequence[Job]) -> tuple[Job, MemoryPlan]:
    """The job that needs the most memory, and how much."""
    different = {
        (
            job.batch,
            job.point.architecture.width,
            job.point.architecture.depth,
            job.point.dtype,
            repr(job.point.settings),
        ): job
        for job in jobs
    }
    plans = [
        (job, point_memory(job.point, *job.dataset.x.shape, n_test=job.dataset.n_test))
        for job in different.values()
    ]
    return max(plans, key=lambda pair: pair[1].peak)


def _merge_parts(result: SweepResult, console: Console) -> None:
    for store_id, store in result.plan.stores.items():
        try:
            merge(store, own=result.parts.get(store_id, ()))
        except StoreError as error:  # the rows are safe in their parts
            console.print(f"the parts in {store.location} were not merged: {error}")
