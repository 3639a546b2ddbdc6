"""Hydra's callbacks `on_job_start` and `on_job_end`, called in the driver for each computed point.

Both are called when the row of the point is in the store, one directly after the other: logging
tools open a run in the first and close it in the second, and know one open run at a time. Points
that the store had before are not told of: a sweep that goes on logs each point once.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.config_loader import ConfigLoader
from hydra.core.utils import run_job
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from hydra_plugins.ntk_sweep_hydra.composition import Splitter
from ntk_sweep.dispatch.driver import Observer
from ntk_sweep.dispatch.plan import Job
from ntk_sweep.errors import PointFailed


class JobConfigs:
    """The whole configs of jobs, as Hydra's own launchers make them.

    Args:
        loader: Hydra's config loader.
        master: The config of the multirun.
    """

    def __init__(self, loader: ConfigLoader, master: DictConfig) -> None:
        self._loader = loader
        self._master = master
        self._splitter = Splitter(loader)
        self._bases: dict[tuple[str, ...], DictConfig] = {}

    def compose(self, overrides: Sequence[str], number: int) -> DictConfig:
        """The config of a job, with the node `hydra`.

        Args:
            overrides: Those of the job, as Hydra's sweepers make them.
            number: Of the job.

        Raises:
            HydraException: An override does not fit the config.
        """
        composed, values = self._splitter.split(overrides)
        if composed not in self._bases:
            self._bases[composed] = self._loader.load_sweep_config(self._master, list(composed))
        config = copy.deepcopy(self._bases[composed])
        ConfigLoaderImpl._apply_overrides_to_config(values, config)
        if values:  # else Hydra composed all of it, and has noted the overrides
            self._note(overrides, config)
        with open_dict(config.hydra):
            config.hydra.job.id = config.hydra.job.num = number
        return config

    def _note(self, overrides: Sequence[str], config: DictConfig) -> None:
        """Has a config name its overrides, as Hydra does where it composes."""
        parsed = [self._splitter.parse(line) for line in overrides]
        task = [override for override in parsed if not override.is_hydra_override()]
        names = config.hydra.job.config.override_dirname
        with open_dict(config.hydra):
            config.hydra.overrides.task = [override.input_line for override in task]
            config.hydra.job.override_dirname = get_overrides_dirname(
                task, names.exclude_keys, names.item_sep, names.kv_sep
            )


def job_callbacks(
    context: HydraContext,
    master: DictConfig,
    task_function: TaskFunction,
    job_overrides: Sequence[Sequence[str]],
    first: int,
) -> Observer | None:
    """Tells Hydra's callbacks of each computed point; None if none is configured.

    A callback that raises is warned of, and harms nothing.

    Args:
        context: Holds the callbacks.
        master: The config of the multirun.
        task_function: Of the program; it is not called.
        job_overrides: The overrides of all points of the sweep.
        first: The number of the first of them.
    """
    if not context.callbacks.callbacks:
        return None
    configs = JobConfigs(context.config_loader, master)

    def tell(job: Job, row: dict[str, Any]) -> None:
        try:
            # Hydra's own way to run a job, which calls both.
            run_job(
                task_function=wraps(task_function)(_ends_with(row)),
                config=configs.compose(job_overrides[job.index], first + job.index),
                job_dir_key="hydra.sweep.dir",
                job_subdir_key="hydra.sweep.subdir",
                hydra_context=context,
                configure_logging=False,
            )
        except Exception as error:  # noqa: BLE001 - the sweep goes on without its log
            warnings.warn(
                f"callbacks were not told of {job.point}: {type(error).__name__}: {error}",
                stacklevel=2,
            )

    return tell


def _ends_with(row: dict[str, Any]) -> Callable[[DictConfig], dict[str, Any]]:
    """What Hydra takes for the job."""

    def job(config: DictConfig) -> dict[str, Any]:
        if row["status"] == "failed":
            raise PointFailed(row)
        return row

    return job
