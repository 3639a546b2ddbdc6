"""The launcher: composes all jobs and hands them to the dispatcher with an executor.

Each executor of the registry is a choice of ``hydra/launcher``.
"""

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
from ntk_sweep.executors.registry import EXECUTORS, load_executor


@dataclass
class SweepLauncherConf:
    """Settings of the launcher.

    Attributes:
        executor: The name of the executor in the registry.
    """

    _target_: str = "hydra_plugins.ntk_sweep_hydra.launchers.SweepLauncher"
    executor: str = "???"


class SweepLauncher(Launcher):
    """Computes jobs as points of one sweep.

    The task function, which computes a single point, is not called.

    Args:
        executor: The name of the executor in the registry.

    Raises:
        ConfigError: There is no such executor.
    """

    def __init__(self, executor: str) -> None:
        self._executor = executor

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keeps what composing needs."""
        self.hydra_context = hydra_context
        self.config = config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Computes all jobs; each ends as a row.

        Ends the process if the sweep is refused or interrupted. A dry run computes none.
        """
        executor_class = load_executor(self._executor)
        composed = compose_all(self.hydra_context.config_loader, self.config, job_overrides)
        status, result = compute_many(composed, executor_class)
        if status and result is None:
            sys.exit(status)
        if result is None:
            return []  # a dry run has no jobs
        returns = []
        for overrides, point in zip(job_overrides, result.plan.points, strict=True):
            failure = result.failed.get(point.key)
            job = JobReturn(
                overrides=overrides, status=JobStatus.FAILED if failure else JobStatus.COMPLETED
            )
            job.return_value = RuntimeError(failure) if failure else point.key
            returns.append(job)
        return returns


def register() -> None:
    """Tells Hydra of a launcher for each executor."""
    for name in EXECUTORS:
        ConfigStore.instance().store(
            group="hydra/launcher",
            name=name,
            node=SweepLauncherConf(executor=name),
            provider="ntk_sweep",
        )


register()
