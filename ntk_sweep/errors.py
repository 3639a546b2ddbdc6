"""Errors that a user can mend: each message says what was seen, why it is wrong, what to do."""

from __future__ import annotations

from typing import Any


class SweepError(Exception):
    """Base of the errors below; the command line prints their message without a traceback."""


class ConfigError(SweepError):
    """A setting is unknown or out of range."""


class DataError(SweepError):
    """A data set cannot be found, read or used."""


class StoreError(SweepError):
    """The results folder cannot be written, or holds a file that is not ours to read."""


class ClusterError(SweepError):
    """Ray cannot be started or joined, or was lost."""


class PointFailed(Exception):
    """A point ended as a failed row; Hydra's callbacks find it in place of the row.

    Attributes:
        row: The row.
    """

    def __init__(self, row: dict[str, Any]) -> None:
        super().__init__(row["error"])
        self.row = row
