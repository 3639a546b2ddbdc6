"""A Ray to compute on: a private one that is started and stopped, or a cluster that is joined.

Ray is imported when one is made, not before.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ntk_sweep
from ntk_sweep.errors import SweepError
from ntk_sweep.executors.ray_job import is_job
from ntk_sweep.settings.schema import ComputeConfig

PACKAGE = str(Path(ntk_sweep.__file__).parent)
"""The whole package `ntk_sweep`, shipped to the workers of a cluster that is joined.

Not the folder of this file: a worker imports tasks, store and settings too.
"""

TEMPORARY = "ntk-sweep-"
"""How the temporary folder of a private Ray begins; the number of its process follows."""

NOWHERE = "http://127.0.0.1:9"
"""Where nothing listens."""

CONNECT_SECONDS = 10
"""Longer than any network takes to connect, shorter than Ray's own minute of silence."""

QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
"""Arguments of `ray.init` that keep Ray's logs out of our output."""


class ClusterError(SweepError):
    """Ray cannot be started or joined, or was lost."""


class RayCluster:
    """A private Ray on this machine, or a cluster that is joined and left as it was.

    Args:
        compute: Resources, and where they are.

    Raises:
        ClusterError: Ray cannot be started or joined.

    Attributes:
        ray: The module.
        address: Of the cluster that is joined; None for a private Ray.
    """

    def __init__(self, compute: ComputeConfig) -> None:
        self._compute = compute
        self._temporary: str | None = None
        self.address = address_of(compute)
        _set_environment(private=not self.address)
        import ray

        _silence_raylet(ray)
        self.ray = ray
        try:
            self._start()
        except BaseException as error:
            self.leave()
            if isinstance(error, ClusterError) or not isinstance(error, Exception):
                raise
            raise ClusterError(self._cannot_start(error)) from error

    @property
    def is_connected(self) -> bool:
        """Whether Ray is there to talk to."""
        return self.ray.is_initialized()

    @property
    def room(self) -> int:
        """How many workers the living nodes have room for."""
        alive = (node for node in self.ray.nodes() if node["Alive"])
        return sum(workers_on(node["Resources"], self._compute) for node in alive)

    def leave(self) -> None:
        """Stops a private Ray and removes its files, or leaves the cluster as it is."""
        if self.is_connected:
            self.ray.shutdown()
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None

    def _start(self) -> None:
        _remove_orphans()
        if self.address:
            self._join(self.address)
        else:
            self._start_private()

    def _join(self, address: str) -> None:
        _try_connection(address)
        runtime_env: dict[str, Any] = {"py_modules": [PACKAGE]}
        with tempfile.TemporaryDirectory(prefix=_own_prefix(), dir="/tmp") as empty:
            if not is_job():
                # Without a working folder of its own, a worker looks first where this script lies
                # here, and would take whatever checkout lies there on its machine. A submitted job
                # has one.
                runtime_env["working_dir"] = empty
            self.ray.init(address=address, runtime_env=runtime_env, **QUIET)

    def _start_private(self) -> None:
        # Under /tmp: Ray's sockets lie in it, and their paths may have 107 characters at most.
        self._temporary = tempfile.mkdtemp(prefix=_own_prefix(), dir="/tmp")
        self.ray.init(
            address="local",
            include_dashboard=False,
            object_store_memory=self._compute.object_store_mb * 10**6,
            _temp_dir=self._temporary,
            **QUIET,
        )
        if self.room == 0:
            total = self.ray.cluster_resources()
            raise ClusterError(
                f"a worker wants {self._compute.num_cpus:g} CPUs and {self._compute.num_gpus:g} "
                f"GPUs, but this machine has {total.get('CPU', 0):g} and {total.get('GPU', 0):g}: "
                "lower compute.num_cpus or compute.num_gpus"
            )

    def _cannot_start(self, error: Exception) -> str:
        if not self.address:
            return (
                f"Ray cannot be started on this machine ({type(error).__name__}: {error}); "
                "hydra/launcher=serial does without it"
            )
        return (
            f"the Ray cluster at {self.address} cannot be joined ({type(error).__name__}: "
            f"{error}): check compute.address or $RAY_ADDRESS; where the cluster asks for a token, "
            "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN. compute=local with RAY_ADDRESS unset does "
            "without a cluster"
        )


def address_of(compute: ComputeConfig) -> str | None:
    """The address of the cluster to join; None if a private Ray is wanted."""
    return compute.address or os.environ.get("RAY_ADDRESS")


def workers_on(resources: Mapping[str, float], compute: ComputeConfig) -> int:
    """How many workers fit on one machine with these resources."""
    room = resources.get("CPU", 0) / compute.num_cpus
    if compute.num_gpus:
        room = min(room, resources.get("GPU", 0) / compute.num_gpus)
    return int(room + 1e-9)


def _set_environment(private: bool) -> None:
    """Sets what Ray reads when it is imported, where the user has not."""
    # No usage statistics, and no report that they are off either.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_USAGE_STATS_REPORT_URL", NOWHERE)
    # Ray decides on CUDA_VISIBLE_DEVICES of workers without a GPU.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")
    if private:
        # Without it the servers of a private Ray listen to the network, on every system but those
        # that the variable is named after.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")


def _silence_raylet(ray: Any) -> None:
    """Keeps the raylet's words on a dead worker, with their colour codes, out of our output.

    Ray has no option for that; `log_to_driver` is for workers. `Lost` says what is lost, and Ray's
    own logs say it in full.
    """
    worker = ray._private.worker
    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = lambda *args, **kwargs: None


def _try_connection(address: str) -> None:
    """Raises an OSError if nothing listens at HOST:PORT.

    Ray would end the process with a core dump's worth of messages.
    """
    host, _, port = address.split("//")[-1].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()


def _own_prefix() -> str:
    return f"{TEMPORARY}{os.getpid()}-"


def _remove_orphans() -> None:
    """Removes the temporary folders of processes that were killed."""
    for folder in Path("/tmp").glob(f"{TEMPORARY}*-*"):
        owner = folder.name.removeprefix(TEMPORARY).split("-")[0]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)
