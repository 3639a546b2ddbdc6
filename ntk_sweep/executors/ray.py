"""The Ray executor: chunks as Ray tasks, on a private Ray or on a cluster that is joined."""

from __future__ import annotations

import time
from collections.abc import Set
from types import ModuleType
from typing import Any

from ntk_sweep.cores import available_cores
from ntk_sweep.data.dataset import Dataset
from ntk_sweep.deferred import defer_parts_of_torch
from ntk_sweep.errors import ClusterError, ConfigError, SweepError
from ntk_sweep.executors import ray_nodes
from ntk_sweep.executors.devices import cuda_devices
from ntk_sweep.executors.messages import ChunkSpec, Lost, Report
from ntk_sweep.executors.ray_address import address_of, refuse_no_cluster
from ntk_sweep.executors.ray_cluster import RayCluster, workers_on
from ntk_sweep.executors.ray_limits import SharedLimits
from ntk_sweep.settings.schema import ComputeConfig
from ntk_sweep.store.filesystems import cause
from ntk_sweep.tasks.limit_request import LimitRequest

LOOK_SECONDS = 1
"""Between two looks at which nodes of a cluster have died."""


class RayExecutor:
    """Computes the chunks on a private Ray on this machine, or on a cluster that is joined.

    Raises:
        ClusterError: Ray cannot be started or joined.
    """

    interruptible = False

    def __init__(self, compute: ComputeConfig) -> None:
        self._compute = compute
        self._cluster = RayCluster(compute)
        self._ray = self._cluster.ray
        self._datasets: dict[tuple[str, str | None], Any] = {}
        self._running: dict[Any, int] = {}
        self._specs: dict[int, ChunkSpec] = {}
        self._sessions: set[str] = set()
        self._watch = ray_nodes.NodeWatch()
        self._looked = time.monotonic()
        resources = self._ray.remote(
            num_cpus=compute.num_cpus, num_gpus=compute.num_gpus, max_retries=0
        )
        self._run_chunk = resources(_run_chunk)
        limits = self._ray.remote(num_cpus=compute.num_cpus, max_retries=0)(_compute_limits)
        if not self._cluster.address:
            # All at once: chunks that wait for limit kernels would have one worker load torch, and
            # the others only then.
            for _ in range(self.slots):
                resources(_get_ready).remote(compute.num_threads)
        self._limits = SharedLimits(
            lambda wanted, sent: limits.remote(wanted, sent, compute.num_threads),
            compute.object_store_mb * 1e6,
        )

    @staticmethod
    def check(compute: ComputeConfig, devices: Set[str]) -> None:
        """Compares devices and resources; which GPUs a cluster has, only Ray knows.

        Raises:
            ConfigError: Workers have not got the devices, or there can be no cluster to join.
        """
        refuse_no_cluster(compute)
        if "cuda" in devices and compute.num_gpus == 0:
            raise ConfigError(
                "device=cuda, but workers have no GPU: give them one, or a part, with "
                "compute.num_gpus=1 or compute.num_gpus=0.25"
            )
        is_private = not address_of(compute)
        if compute.num_gpus and is_private and cuda_devices() < compute.num_gpus:
            raise ConfigError(
                f"compute.num_gpus={compute.num_gpus:g}, but torch finds {cuda_devices()} CUDA "
                "devices on this machine: use compute.num_gpus=0, or join a cluster that has GPUs "
                "with compute=cluster"
            )
        if is_private and workers_on(_resources_here(compute), compute) == 0:
            raise ConfigError(
                f"a worker wants compute.num_cpus={compute.num_cpus:g}, but this process may use "
                f"{_resources_here(compute)['CPU']:g} CPUs: lower it"
            )

    @staticmethod
    def local_workers(compute: ComputeConfig) -> int | None:
        """As many as a private Ray will have, by its count of cores and GPUs."""
        if address_of(compute):
            return None
        room = max(workers_on(_resources_here(compute), compute), 1)
        return min(room, compute.num_workers or room)

    @property
    def slots(self) -> int:
        """How many workers the nodes have room for at present, up to the number wanted."""
        room = self._cluster.room
        return min(room, self._compute.num_workers or room)

    @property
    def capacity(self) -> int:
        """Twice the slots: one chunk at work and one waiting for each worker.

        Where Ray has room for more workers than are wanted, none waits: Ray would begin it.
        """
        room, wanted = self._cluster.room, self._compute.num_workers
        return 2 * room if wanted is None or wanted >= room else wanted

    def describe(self) -> str:
        """Where the chunks are computed, in words."""
        address = self._cluster.address
        place = f"on the Ray cluster at {address}" if address else "on Ray on this machine"
        return f"{place}, {self.slots} workers"

    def waiting_for(self) -> str:
        """A node with room for a worker, if there is none; an autoscaler may bring one."""
        if self.slots:
            return ""
        return (
            f"waiting for a machine with {self._compute.num_cpus:g} CPUs and "
            f"{self._compute.num_gpus:g} GPUs (compute.num_*)"
        )

    def submit(self, number: int, spec: ChunkSpec, dataset: Dataset) -> None:
        """Hands over a chunk; a data set is sent with its first chunk only."""
        if dataset.fingerprints not in self._datasets:
            self._datasets[dataset.fingerprints] = self._ray.put(dataset)
        sent, is_joined = self._datasets[dataset.fingerprints], bool(self._cluster.address)
        limits = [self._limits.reference(wanted, dataset, sent) for wanted in spec.limits]
        reference = self._run_chunk.remote(spec, sent, is_joined, *limits)
        self._running[reference] = number
        self._specs[number] = spec
        if is_joined:
            self._sessions.add(spec.session)

    def wait(self, seconds: float) -> list[tuple[int, Report | Lost]]:
        """Waits at most this long for a chunk to end, and returns all that have ended.

        An exception of a chunk is raised here.
        """
        references = list(self._running)
        self._ray.wait(references, num_returns=1, timeout=seconds)
        ready, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
        reports = [(self._remove(reference), self._report_of(reference)) for reference in ready]
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._looked = time.monotonic()
            reports += self._lost_with_nodes()
        if any(isinstance(report, Lost) for _, report in reports):
            self._limits.forget()
        return reports

    def close(self) -> None:
        """Stops a private Ray; or cancels what is running on the cluster, and leaves it."""
        if self._cluster.address and self._cluster.is_connected:
            for reference in self._running:
                self._ray.cancel(reference, force=True)
            if self._sessions:
                ray_nodes.forget_sessions(self._sessions)
        self._running.clear()
        self._cluster.leave()

    def _remove(self, reference: Any) -> int:
        number = self._running.pop(reference)
        del self._specs[number]
        return number

    def _lost_with_nodes(self) -> list[tuple[int, Report | Lost]]:
        """Chunks of nodes that have died, for which Ray itself would wait much longer."""
        if not self._cluster.address:
            return []
        lost = self._watch.lost_chunks(self._ray.nodes(), self._specs, time.monotonic())
        for reference in [known for known, number in self._running.items() if number in lost]:
            self._ray.cancel(reference)
            self._remove(reference)
        return [(number, Lost(reason, worker_died=False)) for number, reason in lost.items()]

    def _report_of(self, reference: Any) -> Report | Lost:
        errors = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except errors.RayTaskError as error:
            if isinstance(error.cause, errors.RayError):
                # Not the chunk was lost, but the limits that it waited for, with their worker.
                return self._lost(error.cause)
            # The cause itself: Ray's stand-in for it prints the worker's traceback in colours.
            raise (
                error.cause if isinstance(error.cause, SweepError) else error.as_instanceof_cause()
            ) from None
        except errors.RayError as error:
            return self._lost(error)

    def _lost(self, error: Exception) -> Lost:
        """Why there is no report."""
        errors = self._ray.exceptions
        if isinstance(error, errors.OutOfMemoryError):
            # Its first line: fifty of figures and advice follow.
            return Lost(cause(error), worker_died=True, out_of_memory=True)
        if isinstance(error, errors.WorkerCrashedError):
            return Lost(str(error), worker_died=True)
        if not isinstance(error, errors.NodeDiedError) and not self._cluster.is_connected:
            raise ClusterError(
                f"the Ray cluster was lost ({error}): start the same command again to go on"
            ) from error
        return Lost(str(error), worker_died=False)


def _resources_here(compute: ComputeConfig) -> dict[str, float]:
    """What a private Ray offers: what this process may use."""
    gpus = cuda_devices() if compute.num_gpus else 0
    return {"CPU": available_cores(), "GPU": gpus}


def _worker_module() -> ModuleType:
    """What computes on a Ray worker; torch is imported there."""
    defer_parts_of_torch()
    from ntk_sweep.executors import worker

    return worker


def _get_ready(num_threads: int) -> None:
    """Runs on a Ray worker before its first chunk."""
    _worker_module().prepare_process(num_threads)


def _run_chunk(spec: ChunkSpec, dataset: Dataset, is_joined: bool, *limits: Any) -> Report:
    """Runs on a Ray worker."""
    if is_joined:
        ray_nodes.record_node(spec)
    return _worker_module().worker_of_this_process().run_chunk(spec, dataset, limits)


def _compute_limits(spec: LimitRequest, dataset: Dataset, num_threads: int) -> Any:
    """Runs on a Ray worker; an exception is a result.

    The points that wait for it become rows with its traceback.
    """
    _worker_module().prepare_process(num_threads)
    from ntk_sweep.tasks.limit_cache import compute_limits

    try:
        return compute_limits(spec, dataset)
    except Exception as error:  # noqa: BLE001 - as for a point
        return error
