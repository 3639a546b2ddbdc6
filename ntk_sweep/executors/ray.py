"""Chunks on Ray: in a private one on this machine, or in a cluster that is joined.

Ray is imported when a sweep on it starts, not before.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

import ntk_sweep
from ntk_sweep.data.dataset import Dataset
from ntk_sweep.errors import ConfigError, SweepError
from ntk_sweep.executors import ray_nodes as whereabouts
from ntk_sweep.executors.messages import ChunkSpec, Lost, Report
from ntk_sweep.executors.protocol import cuda_devices
from ntk_sweep.executors.ray_limits import SharedLimits
from ntk_sweep.settings.schema import ComputeConfig
from ntk_sweep.store.filesystems import cause
from ntk_sweep.tasks.limit_request import LimitRequest

PACKAGE = str(Path(ntk_sweep.__file__).parent)
"""Shipped to the workers of a cluster."""

RAY_FOLDER = "ntk-sweep-"
"""What the temporary folder of a private Ray is called, followed by the process that it belongs
to."""

RAY_JOB_VARIABLE = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set by `ray job submit` in the process that it starts."""

NOWHERE = "http://127.0.0.1:9"
"""Where nothing listens."""

CONNECT_SECONDS = 10
"""Longer than any network takes to open a connection, shorter than Ray's own minute of silence."""

LOOK_SECONDS = 1
"""Between two looks at which machines of a cluster have fallen silent."""


class ClusterError(SweepError):
    """Ray cannot be started or joined, or was lost."""


class RayExecutor:
    """Computes the chunks on Ray: in a private one on this machine, or in a cluster that is joined
    and left as it was.

    Raises:
        ClusterError: Ray cannot be started or joined.
    """

    interruptible = False

    def __init__(self, compute: ComputeConfig) -> None:
        # Read by Ray when it is imported: no usage statistics, no report that they are off either,
        # and CUDA_VISIBLE_DEVICES left to Ray on workers without a GPU.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_USAGE_STATS_REPORT_URL", NOWHERE)
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")
        self._compute = compute
        self._address = compute.address or os.environ.get("RAY_ADDRESS")
        if not self._address:
            # Without it the servers of a private Ray listen to the network, on every system but
            # those that the variable is named after.
            os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        import ray

        _silence(ray)
        self._ray = ray
        self._temporary: str | None = None
        self._datasets: dict[str, Any] = {}
        self._tickets: dict[Any, int] = {}
        self._specs: dict[int, ChunkSpec] = {}
        self._marks: set[str] = set()
        self._watch = whereabouts.Watch()
        self._looked = time.monotonic()
        try:
            self._start()
        except BaseException as error:
            self.close()
            if isinstance(error, Exception):
                raise ClusterError(self._cannot_start(error)) from error
            raise
        resources = ray.remote(num_cpus=compute.num_cpus, num_gpus=compute.num_gpus, max_retries=0)
        self._run_chunk = resources(_run_chunk)
        limits = ray.remote(num_cpus=compute.num_cpus, max_retries=0)(_compute_limits)
        self._limits = SharedLimits(
            lambda wanted, sent: limits.remote(wanted, sent, compute.num_threads),
            compute.object_store_mb * 1e6,
        )

    @staticmethod
    def check(compute: ComputeConfig, devices: set[str]) -> None:
        """Compares devices and resources; on a cluster, which GPUs there are is only known to
        Ray."""
        if "cuda" in devices and compute.num_gpus == 0:
            raise ConfigError(
                "device=cuda, but workers have no GPU: give them one, or a part, with "
                "compute.num_gpus=1 or compute.num_gpus=0.25"
            )
        if compute.num_gpus and _is_private(compute) and cuda_devices() < compute.num_gpus:
            raise ConfigError(
                f"compute.num_gpus={compute.num_gpus:g}, but torch finds {cuda_devices()} CUDA "
                "devices on this machine: use compute.num_gpus=0, or join a cluster that has GPUs "
                "with compute=cluster"
            )

    @staticmethod
    def workers_here(compute: ComputeConfig) -> int | None:
        """As many as a private Ray will have, by its count of cores and GPUs."""
        if not _is_private(compute):
            return None
        gpus = cuda_devices() if compute.num_gpus else 0
        room = max(_room(compute, {"CPU": os.cpu_count() or 1, "GPU": gpus}), 1)
        return min(room, compute.num_workers or room)

    def _start(self) -> None:
        _remove_orphans()
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if self._address:
            _knock(self._address)
            runtime_env: dict[str, Any] = {"py_modules": [PACKAGE]}
            with tempfile.TemporaryDirectory(
                prefix=f"{RAY_FOLDER}{os.getpid()}-", dir="/tmp"
            ) as empty:
                if RAY_JOB_VARIABLE not in os.environ:
                    # Without a working folder of its own, a worker looks first where this script
                    # lies here, and would take whatever checkout lies there on its machine. A
                    # submitted job has one.
                    runtime_env["working_dir"] = empty
                self._ray.init(address=self._address, runtime_env=runtime_env, **quiet)
        else:
            # Under /tmp, since Ray's sockets lie in it and their paths may not be longer than 107
            # characters.
            self._temporary = tempfile.mkdtemp(prefix=f"{RAY_FOLDER}{os.getpid()}-", dir="/tmp")
            self._ray.init(
                address="local",
                include_dashboard=False,
                object_store_memory=self._compute.object_store_mb * 10**6,
                _temp_dir=self._temporary,
                **quiet,
            )
        if self.slots == 0 and not self._address:
            total = self._ray.cluster_resources()
            raise ClusterError(
                f"a worker wants {self._compute.num_cpus:g} CPUs and {self._compute.num_gpus:g} "
                f"GPUs, but this machine has {total.get('CPU', 0):g} and {total.get('GPU', 0):g}: "
                "lower compute.num_cpus or compute.num_gpus"
            )

    def _cannot_start(self, error: Exception) -> str:
        if isinstance(error, ClusterError):
            return str(error)
        if not self._address:
            return (
                f"Ray cannot be started on this machine ({type(error).__name__}: {error}); "
                "hydra/launcher=serial does without it"
            )
        return (
            f"the Ray cluster at {self._address} cannot be joined ({type(error).__name__}: "
            f"{error}): check compute.address or $RAY_ADDRESS; where the cluster asks for a token, "
            "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN. compute=local with RAY_ADDRESS unset does "
            "without a cluster"
        )

    @property
    def slots(self) -> int:
        """How many workers the machines of the cluster have room for at present."""
        room = self._all_room()
        return min(room, self._compute.num_workers or room)

    @property
    def capacity(self) -> int:
        """One chunk at work and one waiting for each worker; none waiting where Ray has room for
        more workers than are wanted."""
        room, wanted = self._all_room(), self._compute.num_workers
        return 2 * room if wanted is None or wanted >= room else wanted

    def _all_room(self) -> int:
        return sum(
            _room(self._compute, node["Resources"]) for node in self._ray.nodes() if node["Alive"]
        )

    def describe(self) -> str:
        """Where the chunks are computed, in words."""
        place = (
            f"on the Ray cluster at {self._address}" if self._address else "on Ray on this machine"
        )
        return f"{place}, {self.slots} workers"

    def waiting_for(self) -> str:
        """Says so if no machine of a cluster has room for a worker; an autoscaler may bring one."""
        if self.slots:
            return ""
        return (
            f"waiting for a machine with {self._compute.num_cpus:g} CPUs and "
            f"{self._compute.num_gpus:g} GPUs (compute.num_*)"
        )

    def submit(self, ticket: int, spec: ChunkSpec, dataset: Dataset) -> None:
        """Hands over a chunk; the data set itself is sent the first time only."""
        if dataset.fingerprint not in self._datasets:
            self._datasets[dataset.fingerprint] = self._ray.put(dataset)
        sent = self._datasets[dataset.fingerprint]
        limits = [self._limits.reference(wanted, dataset, sent) for wanted in spec.limits]
        reference = self._run_chunk.remote(spec, sent, bool(self._address), *limits)
        self._tickets[reference] = ticket
        self._specs[ticket] = spec
        if self._address:
            self._marks.add(spec.session)

    def wait(self, seconds: float) -> list[tuple[int, Report | Lost]]:
        """Chunks that have ended, waiting for one at most this long. What a chunk raises is raised
        here."""
        references = list(self._tickets)
        self._ray.wait(references, num_returns=1, timeout=seconds)
        ready, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
        reports = [(self._pop(reference), self._collect(reference)) for reference in ready]
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._looked = time.monotonic()
            reports += self._given_up()
        if any(isinstance(report, Lost) for _, report in reports):
            self._limits.forget()
        return reports

    def _pop(self, reference: Any) -> int:
        ticket = self._tickets.pop(reference)
        del self._specs[ticket]
        return ticket

    def _given_up(self) -> list[tuple[int, Report | Lost]]:
        """Chunks of machines that have fallen silent, which Ray itself would wait for much
        longer."""
        if not self._address:
            return []
        lost = self._watch.lost(self._ray.nodes(), self._specs, time.monotonic())
        for reference in [
            reference for reference, ticket in self._tickets.items() if ticket in lost
        ]:
            self._ray.cancel(reference)
            self._pop(reference)
        return [(ticket, Lost(reason, worker_died=False)) for ticket, reason in lost.items()]

    def _collect(self, reference: Any) -> Report | Lost:
        errors = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except errors.RayTaskError as error:
            if isinstance(error.cause, errors.RayError):
                return self._lost(
                    error.cause
                )  # not the chunk, but the limits that it waited for, with their worker
            # The cause itself, since Ray's stand-in for it prints the worker's traceback in
            # colours.
            raise (
                error.cause if isinstance(error.cause, SweepError) else error.as_instanceof_cause()
            ) from None
        except errors.RayError as error:
            return self._lost(error)

    def _lost(self, error: Exception) -> Lost:
        """Why there is no report."""
        errors = self._ray.exceptions
        if isinstance(error, errors.OutOfMemoryError):
            return Lost(
                cause(error), worker_died=True, out_of_memory=True
            )  # fifty lines of figures and advice follow
        if isinstance(error, errors.WorkerCrashedError):
            return Lost(str(error), worker_died=True)
        if not isinstance(error, errors.NodeDiedError) and not self._ray.is_initialized():
            raise ClusterError(
                f"the Ray cluster was lost ({error}): start the same command again to go on"
            ) from error
        return Lost(str(error), worker_died=False)

    def close(self) -> None:
        """Cancels what is under way; stops a private Ray and removes its files, or leaves the
        cluster."""
        if self._ray.is_initialized():
            for reference in self._tickets:
                self._ray.cancel(reference, force=True)
            if self._marks:
                whereabouts.forget(self._marks)
            self._ray.shutdown()
        self._tickets.clear()
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None


def _knock(address: str) -> None:
    """Raises an OSError if nothing listens at HOST:PORT; Ray would end the process with a core
    dump's worth of messages."""
    host, _, port = address.split("//")[-1].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()


def _silence(ray: Any) -> None:
    """Keeps Ray from writing what the raylet says of a dead worker, with colour codes, into our
    output.

    It has no option for that; `log_to_driver` is for workers. What is lost is said by `Lost`, and
    in full in Ray's own logs.
    """
    worker = ray._private.worker
    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = lambda *args, **kwargs: None


def _remove_orphans() -> None:
    """Removes the temporary folders of processes that were killed."""
    for folder in Path("/tmp").glob(f"{RAY_FOLDER}*-*"):
        owner = folder.name.removeprefix(RAY_FOLDER).split("-")[0]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)


def _room(compute: ComputeConfig, resources: dict[str, float]) -> int:
    """How many workers fit on one machine."""
    room = resources.get("CPU", 0) / compute.num_cpus
    if compute.num_gpus:
        room = min(room, resources.get("GPU", 0) / compute.num_gpus)
    return int(room + 1e-9)


def _is_private(compute: ComputeConfig) -> bool:
    return not (compute.address or os.environ.get("RAY_ADDRESS"))


def _run_chunk(spec: ChunkSpec, dataset: Dataset, in_cluster: bool, *limits: Any) -> Report:
    """Runs on a Ray worker; torch is imported there."""
    if in_cluster:
        whereabouts.note(spec)
    from ntk_sweep.executors.worker import worker_of_this_process

    return worker_of_this_process().run_chunk(spec, dataset, limits)


def _compute_limits(spec: LimitRequest, dataset: Dataset, num_threads: int) -> Any:
    """Likewise. An exception is a result: the points that wait for it become rows with its
    traceback."""
    from ntk_sweep.executors.worker import prepare_process
    from ntk_sweep.tasks.limit_cache import compute_limits

    prepare_process(num_threads)
    try:
        return compute_limits(spec, dataset)
    except Exception as error:  # noqa: BLE001 - as for a point
        return error
