"""The launchers: compose all jobs, check them, and hand them to the dispatcher with an executor."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_plugins.ntk_sweep_hydra.composition import compose_all
from ntk_sweep.commands.run import compute_many
from ntk_sweep.executors.protocol import Executor, SerialExecutor
from ntk_sweep.executors.ray import RayExecutor


class SweepLauncher(Launcher):
    """Computes jobs as points of one sweep; the task function, which computes a single point, is
    not called."""

    executor_class: type[Executor]

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keeps what composing needs."""
        self.hydra_context = hydra_context
        self.config = config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Computes all jobs; each ends as a row. Ends the process if the sweep is refused or
        interrupted."""
        composed = compose_all(self.hydra_context.config_loader, self.config, job_overrides)
        status, result = compute_many(composed, self.executor_class)
        if result is None:
            sys.exit(status)
        returns = []
        for overrides, point in zip(job_overrides, result.plan.points, strict=True):
            failure = result.failed.get(point.key)
            job = JobReturn(
                overrides=overrides, status=JobStatus.FAILED if failure else JobStatus.COMPLETED
            )
            job.return_value = RuntimeError(failure) if failure else point.key
            returns.append(job)
        return returns


class SerialLauncher(SweepLauncher):
    """Computes the points one after the other in this process."""

    executor_class = SerialExecutor


class RayLauncher(SweepLauncher):
    """Computes the points on Ray, as the config group `compute` says."""

    executor_class = RayExecutor


@dataclass
class SerialLauncherConf:
    """The serial launcher has no settings."""

    _target_: str = "hydra_plugins.ntk_sweep_hydra.launchers.SerialLauncher"


@dataclass
class RayLauncherConf:
    """The Ray launcher's settings are the config group `compute`."""

    _target_: str = "hydra_plugins.ntk_sweep_hydra.launchers.RayLauncher"


for name, node in (("serial", SerialLauncherConf), ("ray", RayLauncherConf)):
    ConfigStore.instance().store(group="hydra/launcher", name=name, node=node, provider="ntk_sweep")
