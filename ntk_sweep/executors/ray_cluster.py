"""A Ray to compute on: a private one that is started and stopped, or a cluster that is joined.

Ray is imported when one is made, not before.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, chdir, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import ntk_sweep
from ntk_sweep.cores import available_cores
from ntk_sweep.errors import ClusterError, SweepError
from ntk_sweep.executors.ray_address import LOCAL, address_of, try_connection
from ntk_sweep.executors.ray_environment import ray_environment
from ntk_sweep.executors.ray_folder import remove_left_behind, temporary_folder
from ntk_sweep.executors.ray_job import is_job
from ntk_sweep.settings.schema import ComputeConfig

PACKAGE = str(Path(ntk_sweep.__file__).parent)
"""The whole package `ntk_sweep`, shipped to the workers of a cluster that is joined.

Not the folder of this file: a worker imports tasks, store and settings too.
"""

QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
"""Arguments of `ray.init` that keep Ray's logs out of our output."""


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
        self.address = address_of(compute)
        with ExitStack() as stack:
            stack.enter_context(ray_environment(private=not self.address))
            import ray

            self.ray = ray
            _adapt(ray)
            remove_left_behind()
            folder = stack.enter_context(temporary_folder(for_sockets=not self.address))
            stack.callback(self._shut_down)
            self._start(folder)
            self._stack = stack.pop_all()

    @property
    def is_connected(self) -> bool:
        """Whether Ray is there to talk to."""
        return self.ray.is_initialized()

    @property
    def room(self) -> int:
        """How many workers the living nodes have room for.

        That of a private Ray is as at its start: it asks no process, which may have had the signal
        that ends the sweep too.
        """
        return self._room() if self.address else self._private_room

    def leave(self) -> None:
        """Stops a private Ray and removes its files, or leaves the cluster as it is."""
        self._stack.close()

    def _room(self) -> int:
        alive = (node for node in self.ray.nodes() if node["Alive"])
        return sum(workers_on(node["Resources"], self._compute) for node in alive)

    def _shut_down(self) -> None:
        if self.is_connected:
            self.ray.shutdown()

    def _start(self, folder: str) -> None:
        try:
            if self.address:
                self._join(self.address, folder)
            else:
                self._start_private(folder)
        except SweepError:
            raise
        except Exception as error:
            raise ClusterError(self._cannot_start(error)) from error

    def _join(self, address: str, empty: str) -> None:
        try_connection(address)
        runtime_env: dict[str, Any] = {"py_modules": [PACKAGE]}
        if not is_job():
            # Without a working folder of its own, a worker looks first where this script lies
            # here, and would take whatever checkout lies there on its machine. A submitted job has
            # one.
            runtime_env["working_dir"] = empty
        self.ray.init(address=address, runtime_env=runtime_env, **QUIET)

    def _start_private(self, folder: str) -> None:
        # Workers import first from the working folder of this moment, where a user may have a
        # folder of the package's name, then from this list.
        paths = self.ray.job_config.JobConfig(_py_driver_sys_path=[str(Path(PACKAGE).parent)])
        with chdir(folder), _without_servers(self.ray):
            self.ray.init(
                address=LOCAL,
                num_cpus=available_cores(),
                include_dashboard=False,
                object_store_memory=self._compute.object_store_mb * 10**6,
                job_config=paths,
                _temp_dir=folder,
                **QUIET,
            )
        self._private_room = self._room()
        if self._private_room == 0:
            total = self.ray.cluster_resources()
            raise ClusterError(
                f"a worker wants {self._compute.num_cpus:g} CPUs and {self._compute.num_gpus:g} "
                f"GPUs, but this process may use {total.get('CPU', 0):g} and "
                f"{total.get('GPU', 0):g}: lower compute.num_cpus or compute.num_gpus"
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
            "set RAY_AUTH_TOKEN. RAY_ADDRESS=local with compute=local does without a cluster"
        )


def workers_on(resources: Mapping[str, float], compute: ComputeConfig) -> int:
    """How many workers fit on one machine with these resources."""
    room = resources.get("CPU", 0) / compute.num_cpus
    if compute.num_gpus:
        room = min(room, resources.get("GPU", 0) / compute.num_gpus)
    return int(room + 1e-9)


@contextmanager
def _without_servers(ray: Any) -> Iterator[None]:
    """Has a Ray that starts now leave out what only users of a cluster would look at.

    A dashboard (of which Ray starts a part also where it is turned off, and waits for it), a reader
    of log files and an autoscaler take longer to start than Ray itself.
    """
    node: Any = getattr(ray._private, "node", None)
    kind = getattr(node, "Node", None)
    names = ("start_api_server", "start_log_monitor", "start_monitor")
    before = {name: getattr(kind, name) for name in names if hasattr(kind, name)}
    for name in before:
        setattr(kind, name, _nothing)
    try:
        yield
    finally:
        for name, method in before.items():
            setattr(kind, name, method)


def _adapt(ray: Any) -> None:
    """Replaces parts of Ray for which it has no option.

    The raylet's words on a dead worker, with their colour codes, stay out of our output; `Lost`
    says what is lost. Signals are for the driver, which ends Ray in order: at SIGTERM Ray would end
    it wherever it is; and a closed terminal, `timeout` or a batch system signals a whole process
    group, so that Ray's processes get groups of their own. Where the system does not end them with
    a killed driver, Ray does, by their group.
    """
    replacements: dict[tuple[str, str], Callable[..., Any]] = {
        ("worker", "print_to_stdstream"): _nothing,
        ("utils", "set_sigterm_handler"): _nothing,
    }
    if sys.platform == "linux":
        replacements["services", "ConsolePopen"] = partial(subprocess.Popen, process_group=0)
    for (module, name), replacement in replacements.items():
        place = getattr(ray._private, module, None)
        if hasattr(place, name):
            setattr(place, name, replacement)


def _nothing(*args: Any, **kwargs: Any) -> None:
    """Does nothing."""
