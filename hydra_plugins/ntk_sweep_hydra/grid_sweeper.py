"""The grid sweeper: all combinations of the values given, handed to the launcher in one piece."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from hydra_plugins.ntk_sweep_hydra.combinations import combinations, refuse_too_many
from hydra_plugins.ntk_sweep_hydra.composition import compose_all
from ntk_sweep import exit_status
from ntk_sweep.errors import ConfigError
from ntk_sweep.settings.help import settings_help
from ntk_sweep.settings.schema import SweepConfig
from ntk_sweep.settings.tasks import TASKS
from ntk_sweep.settings.validation import Reader


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
        self._best: dict[tuple[object, ...], list[list[str]]] = {}

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
            ConfigError: As `expand`.
        """
        assert self.launcher and self.hydra_context and self.config
        jobs = self.expand(arguments)
        returns = self.launcher.launch(jobs, initial_job_idx=0)
        if any(job.status == JobStatus.FAILED for job in returns):
            # Hydra calls them after a sweep that returns; this one is over as well.
            name = self.config.hydra.job.config_name
            self.hydra_context.callbacks.on_multirun_end(config=self.config, config_name=name)
            sys.exit(exit_status.FAILED)
        return returns

    def expand(self, arguments: Sequence[str]) -> list[list[str]]:
        """The overrides of each job.

        Raises:
            ConfigError: There is no combination, or there are too many; or what is zipped does not
            fit.
        """
        grid = combinations(self._parsed(arguments), self.zips)
        if not grid:
            raise ConfigError(f"the sweep is empty: {self._without_value(arguments)}")
        points = [_lines(point) for point in self.points]
        refuse_too_many(len(grid) * (len(points) + len(self.winners)))
        if not self.winners:
            return [[*point, *job] for point in points or [[]] for job in grid]
        assert self.hydra_context is not None and self.config is not None
        composed = compose_all(self.hydra_context.config_loader, self.config, grid)
        configs = map(Reader().read, composed)
        return [
            [*point, *job]
            for job, config in zip(grid, configs, strict=True)
            for point in points + self._best_networks(config)
        ]

    def _parsed(self, arguments: Sequence[str]) -> list[Override]:
        """The sweeps of the config, and what was typed."""
        lines = [_line(key, value) for key, value in self.params.items()]
        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        return parser.parse_overrides([*lines, *arguments])

    def _without_value(self, arguments: Sequence[str]) -> str:
        """Names the settings that leave a sweep without points."""
        empty = [
            override
            for override in self._parsed(arguments)
            if override.is_sweep_override() and not any(override.sweep_string_iterator())
        ]
        names = " and ".join(str(override.input_line) for override in empty)
        globs = "; glob chooses among the files of a config group" if "glob(" in names else ""
        return f"{names} {'has' if len(empty) == 1 else 'have'} no value{globs}"

    def _best_networks(self, config: SweepConfig) -> list[list[str]]:
        """The best networks on the data, and under the other settings, of a job."""
        from ntk_sweep.commands.best_networks import best_networks

        scaling = (config.parametrisation, config.weight_std, config.bias_std)
        asked = (repr(config.data), config.results, *scaling, config.dtype)
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
