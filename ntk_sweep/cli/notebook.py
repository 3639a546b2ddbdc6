"""`ntk-sweep run -m` as a function, for Python and notebooks: rows in place of a printed table."""

from __future__ import annotations

import logging
import os
import signal
import warnings
from typing import Any

import pandas as pd
from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from hydra_plugins.ntk_sweep_hydra.composition import compose_all
from ntk_sweep.cli.messages import explain
from ntk_sweep.cli.run import CONF
from ntk_sweep.commands.dry_run import print_estimate
from ntk_sweep.dispatch.driver import SweepResult
from ntk_sweep.dispatch.estimate import estimate
from ntk_sweep.dispatch.signals import Interrupted
from ntk_sweep.dispatch.sweep import run_sweep
from ntk_sweep.errors import ConfigError
from ntk_sweep.executors.registry import load_executor
from ntk_sweep.settings.overrides import override
from ntk_sweep.settings.schema import SweepConfig
from ntk_sweep.settings.validation import Reader
from ntk_sweep.store.reading import load_results


def sweep(
    *settings: str, results: str | os.PathLike[str] | None = None, launcher: str = "ray"
) -> pd.DataFrame:
    """Computes a sweep, as ``ntk-sweep run -m`` does with the same settings.

    A bar shows how far it is. What the results hold already is not computed again. Hydra's
    callbacks are not called.

    >>> from contextlib import redirect_stdout
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as results, redirect_stdout(None):
    ...     frame = sweep(
    ...         *("act=relu,elu", "width=5,10", "data=digits", "data.n_per_class=3"),
    ...         results=results,
    ...         launcher="serial",
    ...     )
    >>> [f"{act} {width}" for act, width in zip(frame.act, frame.width)]
    ['elu 5', 'elu 10', 'relu 5', 'relu 10']

    Args:
        settings: As on the command line, ``name=value,value``.
        results: The results folder or URI, as it is: nothing in it needs quotes. None for the one
            among the settings, or else the default.
        launcher: "ray", or "serial" for this process alone; a ``hydra/launcher=`` among the
            settings wins.

    Returns:
        The rows of the sweep's points, as `ntk_sweep.load_results` gives them: of failed points
        too, of which a warning tells. After ``dry_run=true``, which prints what it would do, none.

    Raises:
        ConfigError, DataError, StoreError: As on the command line; nothing was computed, or rows
            can no longer be written.
        ClusterError: Ray cannot be started, or was lost.
        KeyboardInterrupt: What was finished is in the store; the same call goes on from there.
    """
    logging.getLogger("ray.widgets").setLevel(logging.WARNING)  # else it asks for ipywidgets
    place = [] if results is None else [override("results", os.fspath(results))]
    configs, executor_class = _composed([f"hydra/launcher={launcher}", *settings, *place])
    console = Console(highlight=False, soft_wrap=True)
    if any(config.dry_run for config in configs):
        print_estimate(estimate(configs, executor_class), console)
        return pd.DataFrame()
    try:
        result = run_sweep(configs, executor_class, console)
    except Interrupted as interrupt:
        if interrupt.signal_number != signal.SIGINT:
            raise
        raise KeyboardInterrupt(
            "finished points are in the store; the same call goes on from there"
        ) from None
    if result.failed:
        warnings.warn(
            f"{len(result.failed)} of {len(result.plan.points)} points failed; the column `error` "
            "of their rows holds the traceback",
            stacklevel=2,
        )
    return _rows(result)


def _composed(settings: list[str]) -> tuple[list[SweepConfig], Any]:
    """The settings of each point, and the executor's class.

    Raises:
        ConfigError: A setting is unknown or malformed, or has no value.
    """
    # Like the command line, and unlike Hydra's `compose`, it takes several values of a setting.
    try:
        with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
            hydra = GlobalHydra.instance().hydra
            assert hydra is not None
            master = hydra.compose_config("config", settings, RunMode.MULTIRUN, from_shell=False)
            jobs = _jobs(hydra.config_loader, master)
            values = list(compose_all(hydra.config_loader, master, jobs))
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error)) from error
    except ValueError as error:  # Hydra's answer to a few malformed overrides
        raise ConfigError(f"{' '.join(settings[1:])}: {error}") from error
    executor_class = load_executor(OmegaConf.select(master, "hydra.launcher.executor") or "")
    return list(map(Reader().read, values)), executor_class


def _jobs(loader: Any, master: DictConfig) -> list[list[str]]:
    """The overrides of each point."""
    sweeper: Any = Plugins.instance().instantiate_sweeper(
        config=master,
        hydra_context=HydraContext(config_loader=loader, callbacks=Callbacks()),
        task_function=lambda config: None,
    )
    return sweeper.expand(OmegaConf.to_container(master.hydra.overrides.task, resolve=False))


def _rows(result: SweepResult) -> pd.DataFrame:
    keys = {point.key for point in result.plan.points}
    frames = [load_results(store.location) for store in result.plan.stores.values()]
    together = pd.concat([frame[frame["key"].isin(keys)] for frame in frames], ignore_index=True)
    return together if len(frames) > 1 else together[frames[0].columns]
