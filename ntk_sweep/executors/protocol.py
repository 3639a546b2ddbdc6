"""The interface of an executor: submit a chunk, wait for chunks that end, close."""

from __future__ import annotations

from collections.abc import Set
from typing import Protocol

from ntk_sweep.data.dataset import Dataset
from ntk_sweep.executors.messages import ChunkSpec, Lost, Report
from ntk_sweep.settings.schema import ComputeConfig


class Executor(Protocol):
    """Computes chunks, each under a number that the caller chooses.

    Args:
        compute: Resources, and where they are.
    """

    interruptible: bool
    """Whether an exception that a signal handler raises may leave `wait`."""

    def __init__(self, compute: ComputeConfig) -> None: ...

    @staticmethod
    def check(compute: ComputeConfig, devices: Set[str]) -> None:
        """Finds before the start what would keep the sweep from being computed.

        Args:
            compute: Resources, and where they are.
            devices: The settings `device` of all points.

        Raises:
            ConfigError: With what to change.
        """
        ...

    @staticmethod
    def local_workers(compute: ComputeConfig) -> int | None:
        """How many workers share this machine's memory; None if they run elsewhere."""
        ...

    @property
    def slots(self) -> int:
        """How many chunks are computed at once, as of now."""
        ...

    @property
    def capacity(self) -> int:
        """How many chunks it takes, with those that wait for a worker."""
        ...

    def describe(self) -> str:
        """Where the chunks are computed, in words."""
        ...

    def waiting_for(self) -> str:
        """What keeps every chunk waiting; empty if nothing does."""
        ...

    def submit(self, number: int, spec: ChunkSpec, dataset: Dataset) -> None:
        """Hands over a chunk under this number."""
        ...

    def wait(self, seconds: float) -> list[tuple[int, Report | Lost]]:
        """Waits about this long for a chunk to end, and returns all that have ended.

        An exception of a chunk is raised here.
        """
        ...

    def close(self) -> None:
        """Cancels the running chunks and releases everything held."""
        ...
