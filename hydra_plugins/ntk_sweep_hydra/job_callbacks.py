"""Hydra's callbacks `on_job_start` and `on_job_end`, called in the driver for each computed point.

Both are called when the row of the point is in the store, one directly after the other: logging
tools open a run in the first and close it in the second, and know one open run at a time. Points
that the store had before are not told of: a sweep that goes on logs each point once.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from hydra.core.utils import run_job
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_plugins.ntk_sweep_hydra.composition import Composer
from ntk_sweep.dispatch.driver import Observer
from ntk_sweep.dispatch.plan import Job
from ntk_sweep.errors import PointFailed


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
    composer = Composer(context.config_loader, master)

    def tell(job: Job, row: dict[str, Any]) -> None:
        try:
            # Hydra's own way to run a job, which calls both.
            run_job(
                task_function=wraps(task_function)(_ends_with(row)),
                config=composer.compose_whole(job_overrides[job.index], first + job.index),
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
