"""The grid sweeper: all combinations of the values given, handed to the launcher in one piece."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from ntk_sweep.config import CHOICES, SweepConfig
from ntk_sweep.errors import ConfigError


@dataclass
class GridSweeperConf:
    """Settings of the sweeper.

    Attributes:
        params: Sweeps that a config file brings, key to sweep syntax, such as ``width: range(50,1001,50)``; the command line wins.
        points: Points that are not a product, each a mapping of settings; each is combined with every combination of the others.
    """

    _target_: str = "hydra_plugins.ntk_sweep_hydra.grid_sweeper.GridSweeper"
    params: dict[str, Any] = field(default_factory=dict)
    points: list[dict[str, Any]] = field(default_factory=list)


class GridSweeper(Sweeper):
    """Expands sweeps as Hydra's basic sweeper does, and writes no files of its own."""

    def __init__(self, params: dict[str, Any] | None = None, points: Sequence[dict[str, Any]] = ()) -> None:
        self.params = params or {}
        self.points = points
        self.launcher: Launcher | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Makes the launcher."""
        self.hydra_context = hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Sequence[JobReturn]:
        """Launches every combination; ends the process with status 1 if a job failed.

        Raises:
            ConfigError: There is no combination.
        """
        assert self.launcher is not None
        jobs = self.expand(arguments)
        if not jobs:
            raise ConfigError(f"the sweep is empty: one of {' '.join(arguments)} has no value")
        returns = self.launcher.launch(jobs, initial_job_idx=0)
        if any(job.status == JobStatus.FAILED for job in returns):
            sys.exit(1)
        return returns

    def expand(self, arguments: Sequence[str]) -> list[list[str]]:
        """The overrides of each job."""
        lines = [_line(key, value) for key, value in self.params.items()]
        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*lines, *arguments])
        (grid,) = BasicSweeper.split_arguments(overrides, max_batch_size=None)
        points = [[_line(key, value) for key, value in point.items()] for point in self.points] or [[]]
        return [[*point, *job] for point in points for job in grid]


def _line(key: str, value: Any) -> str:
    """An override as it would be typed."""
    words = {None: "null", True: "true", False: "false"}
    return f"{key}={words[value] if value is None or isinstance(value, bool) else value}"


def register() -> None:
    """Tells Hydra of the sweeper's settings, of the schema of `conf/`, and of the choices that the help page lists."""
    OmegaConf.register_new_resolver("choices", lambda name: ", ".join(CHOICES[name]), replace=True)
    store = ConfigStore.instance()
    store.store(group="hydra/sweeper", name="grid", node=GridSweeperConf, provider="ntk_sweep")
    store.store(name="sweep_schema", node=SweepConfig, provider="ntk_sweep")


register()
