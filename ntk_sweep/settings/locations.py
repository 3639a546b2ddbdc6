"""Where results lie."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ntk_sweep.errors import ConfigError

_JOB_FOLDERS = "/runtime_resources/working_dir_files/"
"""Part of the path of the folder into which Ray unpacks the files of a submitted job."""


def absolute_results(results: str) -> str:
    """`results` as a URI unchanged, or as an absolute path: the same in every process."""
    return results if "://" in results else os.path.abspath(os.path.expanduser(results))


def refuse_job_folders(results: Iterable[str]) -> None:
    """Refuses results in the working folder of a Ray job, whatever computes them there.

    Args:
        results: Absolute paths and URIs.

    Raises:
        ConfigError: A results folder lies there.
    """
    for folder in results:
        if _JOB_FOLDERS in folder:
            raise ConfigError(
                f"results={folder} lies in the working folder of a Ray job, which Ray removes: "
                "give a folder that all machines share, with its whole path, or an object store "
                "(results=s3://bucket/prefix)"
            )
