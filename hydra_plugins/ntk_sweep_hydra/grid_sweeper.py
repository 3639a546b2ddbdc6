"""The grid sweeper: all combinations of the values given, handed to the launcher in one piece."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from hydra_plugins.ntk_sweep_hydra.combinations import combinations
from hydra_plugins.ntk_sweep_hydra.composition import compose_all
from ntk_sweep.errors import ConfigError
from ntk_sweep.settings.help import settings_help
from ntk_sweep.settings.schema import SweepConfig
from ntk_sweep.settings.tasks import TASKS
from ntk_sweep.settings.validation import from_dict


@dataclass
class GridSweeperConf:
    """Settings of the sweeper.

    Attributes:
        params: Sweeps that a config file brings, key to sweep syntax, such as ``width:
            range(50,1001,50)``; the command line wins.
        points: Points that are not a product, each a mapping of settings; each is combined with
            every combination of the others. For values that advance together there is `zip`.
        winners: Activations; the network of each with the greatest mean λ_min in the results is a
            point, as those under `points`.
        zip: Groups of settings whose values advance together rather than being combined, such as
            ``[[width, depth], [act, seed]]``; on the command line, ``zip=width,depth``.
    """

    _target_: str = "hydra_plugins.ntk_sweep_hydra.grid_sweeper.GridSweeper"
    params: dict[str, Any] = field(default_factory=dict)
    points: list[dict[str, Any]] = field(default_factory=list)
    winners: list[str] = field(default_factory=list)
    zip: list[Any] = field(default_factory=list)


class GridSweeper(Sweeper):
    """Expands sweeps as Hydra's basic sweeper does, and writes no files of its own."""

    def __init__(
        self,
        params: dict[str, Any] | None = None,
        points: Sequence[dict[str, Any]] = (),
        winners: Sequence[str] = (),
        zip: Sequence[Any] = (),  # noqa: A002 - the name of the setting
    ) -> None:
        self.params = params or {}
        self.points = points
        self.winners = list(winners)
        self.zips: Any = OmegaConf.to_container(zip) if OmegaConf.is_config(zip) else zip
        self.launcher: Launcher | None = None
        self._best: dict[tuple[str, ...], list[list[str]]] = {}

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Makes the launcher."""
        self.hydra_context = hydra_context
        self.config = config
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
        grid = combinations(overrides, self.zips)
        points = [_lines(point) for point in self.points]
        if not self.winners:
            return [[*point, *job] for point in points or [[]] for job in grid]
        return [[*point, *job] for job in grid for point in points + self._best_networks(job)]

    def _best_networks(self, job: Sequence[str]) -> list[list[str]]:
        """The best networks on the data, and under the other settings, of a job."""
        from ntk_sweep.commands.best_networks import best_networks

        assert self.hydra_context is not None and self.config is not None
        (values,) = compose_all(self.hydra_context.config_loader, self.config, [job])
        config = from_dict(values)
        asked = (repr(config.data), config.results, config.parametrisation, config.dtype)
        if asked not in self._best:
            self._best[asked] = [_lines(point) for point in best_networks(config, self.winners)]
        return self._best[asked]


def _lines(point: Mapping[str, Any]) -> list[str]:
    return [_line(key, value) for key, value in point.items()]


def _line(key: str, value: Any) -> str:
    """An override as it would be typed."""
    words = {None: "null", True: "true", False: "false"}
    return f"{key}={words[value] if value is None or isinstance(value, bool) else value}"


def register() -> None:
    """Tells Hydra of the sweeper's settings, the schema of `conf/` and the settings of the help."""
    OmegaConf.register_new_resolver("settings", settings_help, replace=True)
    store = ConfigStore.instance()
    store.store(group="hydra/sweeper", name="grid", node=GridSweeperConf, provider="ntk_sweep")
    schema = OmegaConf.structured(SweepConfig)
    schema.task = "???"  # of any task, until one is chosen
    store.store(name="sweep_schema", node=schema, provider="ntk_sweep")
    # Under hydra/, where the help page does not list them as choices of their own.
    for name, task in TASKS.items():
        store.store(
            group="hydra/ntk_sweep_task", name=name, node=task.settings, provider="ntk_sweep"
        )


register()
