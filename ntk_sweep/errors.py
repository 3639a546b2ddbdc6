"""Errors that a user can mend: each message says what was seen, why it is wrong, what to do."""

from __future__ import annotations


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
