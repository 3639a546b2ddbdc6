"""What a process knows of the Ray job that it is, if `ray job submit` started it."""

from __future__ import annotations

import os

JOB_VARIABLE = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set by `ray job submit` in the process that it starts."""


def is_job() -> bool:
    """Whether `ray job submit` started this process."""
    return JOB_VARIABLE in os.environ
