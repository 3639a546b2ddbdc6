"""What a process knows of the Ray job that it is, if `ray job submit` started it."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ntk_sweep.errors import ConfigError

JOB_VARIABLE = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set by `ray job submit` in the process that it starts."""

JOB_FOLDERS = "/runtime_resources/working_dir_files/"
"""Part of the path of the folder into which Ray unpacks the files of a job."""


def is_job() -> bool:
    """Whether `ray job submit` started this process."""
    return JOB_VARIABLE in os.environ


def refuse_job_folders(results: Iterable[str]) -> None:
    """Refuses results in the working folder of a job, which Ray removes with the job.

    Raises:
        ConfigError: A results folder lies there.
    """
    for folder in results:
        if JOB_FOLDERS in folder:
            raise ConfigError(
                f"results={folder} lies in the working folder of a Ray job, which Ray removes: "
                "give a folder that all machines share, with its whole path, or an object store "
                "(results=s3://bucket/prefix)"
            )
