"""What a sweep would take: a dry run, which checks what a sweep checks and computes nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console

from ntk_sweep.dispatch.cost import SIZES, TRAINING, expected_seconds, seconds_of
from ntk_sweep.dispatch.plan import Job, Plan, located, make_plan, open_stores
from ntk_sweep.dispatch.sweep import check_memory, check_samples, check_settings, largest_job
from ntk_sweep.executors.protocol import Executor
from ntk_sweep.settings.schema import SweepConfig
from ntk_sweep.store.columns import schema
from ntk_sweep.store.filesystems import FAILURES, check_writable
from ntk_sweep.store.store import Store
from ntk_sweep.tasks.memory import MemoryPlan, available_memory

CALIBRATION_ROWS = 1000
"""How many of the latest rows tell the speed: enough for every size of a grid."""


@dataclass(frozen=True)
class Speed:
    """How long points take, compared with `ntk_sweep.dispatch.cost`.

    Attributes:
        factor: Measured over expected seconds; 1 where nothing was measured.
        rows: How many rows of the store it was measured on.
        here: Whether this machine computed them.
    """

    factor: float = 1.0
    rows: int = 0
    here: bool = True


@dataclass(frozen=True)
class Load:
    """What is left to compute, as expected.

    Attributes:
        seconds: Of one worker.
        longest: Seconds of the point that takes longest.
        speed: What the times rest on.
        largest: The point that needs the most memory.
        memory: What it needs.
        free: Bytes that are free on this machine.
    """

    seconds: float
    longest: float
    speed: Speed
    largest: Job
    memory: MemoryPlan
    free: int


@dataclass(frozen=True)
class Estimate:
    """What a sweep would do.

    Attributes:
        plan: Its points and what is left of them.
        workers: How many would compute it: None if a cluster decides that, which is not asked.
        here: Whether they would share this machine's memory.
        load: What is left to compute; None if nothing is.
    """

    plan: Plan
    workers: int | None
    here: bool
    load: Load | None

    @property
    def seconds(self) -> float | None:
        """Expected seconds of all workers together; None if their number is not known."""
        if self.load is None or self.workers is None:
            return None
        return max(self.load.seconds / self.workers, self.load.longest)


def estimate(configs: Iterable[SweepConfig], executor_class: type[Executor]) -> Estimate:
    """What `ntk_sweep.dispatch.sweep.run_sweep` would do; nothing is started, made or written.

    Args:
        configs: The settings of each point.
        executor_class: Where a sweep would compute.

    Raises:
        ConfigError, DataError, StoreError: A sweep would be refused; or the data are not here, and
            a sweep would download them.
    """
    configs = located(configs)
    compute = check_settings(configs, executor_class)
    stores = open_stores(configs)
    for store in stores.values():
        _check_folder(store)
    plan = make_plan(configs, stores)
    local = executor_class.local_workers(compute)
    workers = local or compute.num_workers
    if not plan.jobs:
        return Estimate(plan, workers, local is not None, None)
    check_samples(plan)
    check_memory(plan, executor_class, compute, Console(quiet=True))
    if workers is not None:
        workers = min(workers, len(plan.jobs))
    return Estimate(plan, workers, local is not None, _load(plan))


def _check_folder(store: Store) -> None:
    """Refuses a results folder that cannot be written, as far as that shows without writing."""
    try:
        check_writable(store.filesystem, store.folder)
    except FAILURES as error:
        raise store.write_error(error) from error


def _load(plan: Plan) -> Load:
    speeds = {store_id: _speed(store) for store_id, store in plan.stores.items()}
    # What is slow at one task is slow at another, too.
    known = max(speeds.values(), key=lambda speed: speed.rows)
    costs = []
    for job in plan.jobs:
        own = speeds[job.store_id]
        costs.append(expected_seconds(job) * (own if own.rows else known).factor)
    largest, memory = largest_job(plan.jobs)
    return Load(sum(costs), max(costs), known, largest, memory, available_memory())


def _speed(store: Store) -> Speed:
    """The speed of the latest rows of a store: those of this machine, if there are any."""
    columns = [name for name in (*SIZES, *TRAINING) if name in schema(store.task).names]
    rows = store.read([*columns, "status", "seconds", "finished_at", "host"]).to_pandas()
    rows = rows[(rows["status"] == "ok") & (rows["seconds"] > 0)]
    own = rows[rows["host"] == socket.gethostname()]
    here = not own.empty
    rows = (own if here else rows).sort_values("finished_at").tail(CALIBRATION_ROWS)
    if rows.empty:
        return Speed()
    expected = seconds_of({name: rows[name].astype(float) for name in columns})
    return Speed(float(rows["seconds"].sum() / expected.sum()), len(rows), here)
