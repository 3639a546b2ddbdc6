"""Where chunks are computed: in this process, or on Ray (`ntk_sweep.executors.ray`), both by the
same verbs: submit, wait, close."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from ntk_sweep.data.dataset import Dataset
from ntk_sweep.errors import ConfigError
from ntk_sweep.executors.messages import ChunkSpec, Lost, Report
from ntk_sweep.settings.schema import ComputeConfig

if TYPE_CHECKING:
    from ntk_sweep.executors.worker import Worker


class Executor(Protocol):
    """Computes chunks, each under a ticket that the caller chooses.

    Args:
        compute: Resources, and where they are.
    """

    interruptible: bool
    """Whether `wait` may be left by an exception that a signal handler raises."""

    def __init__(self, compute: ComputeConfig) -> None: ...

    @staticmethod
    def check(compute: ComputeConfig, devices: set[str]) -> None:
        """Finds before the start whether chunks could be computed on these devices.

        Raises:
            ConfigError: They could not.
        """
        ...

    @staticmethod
    def workers_here(compute: ComputeConfig) -> int | None:
        """How many workers share this machine's memory; None if they are elsewhere."""
        ...

    @property
    def slots(self) -> int:
        """How many chunks are computed at once, as of now."""
        ...

    @property
    def capacity(self) -> int:
        """How many chunks it takes, those that wait for a worker included."""
        ...

    def describe(self) -> str:
        """Where the chunks are computed, in words."""
        ...

    def waiting_for(self) -> str:
        """What keeps every chunk waiting, if anything does."""
        ...

    def submit(self, ticket: int, spec: ChunkSpec, dataset: Dataset) -> None:
        """Hands over a chunk."""
        ...

    def wait(self, seconds: float) -> list[tuple[int, Report | Lost]]:
        """Chunks that have ended, waiting for one at most about this long. What a chunk raises is
        raised here."""
        ...

    def close(self) -> None:
        """Gives up what is under way and everything held."""
        ...


class SerialExecutor:
    """Computes the chunks one after the other in this process."""

    slots = 1
    interruptible = True

    @property
    def capacity(self) -> int:
        """One at work and one waiting for each worker: none idles, and little is lost when all is
        stopped."""
        return 2 * self.slots

    def __init__(self, compute: ComputeConfig) -> None:
        self._queue: deque[tuple[int, ChunkSpec, Dataset]] = deque()
        self._worker: Worker | None = None

    @staticmethod
    def check(compute: ComputeConfig, devices: set[str]) -> None:
        """Asks torch for CUDA where device=cuda."""
        if "cuda" in devices and cuda_devices() == 0:
            raise ConfigError(
                "device=cuda, but torch finds no CUDA device in this process: use device=auto or "
                "device=cpu"
            )

    @staticmethod
    def workers_here(compute: ComputeConfig) -> int:
        """This process."""
        return 1

    def describe(self) -> str:
        """Where the chunks are computed, in words."""
        return "in this process"

    def waiting_for(self) -> str:
        """Nothing."""
        return ""

    def submit(self, ticket: int, spec: ChunkSpec, dataset: Dataset) -> None:
        """Hands over a chunk."""
        self._queue.append((ticket, spec, dataset))

    def wait(self, seconds: float) -> list[tuple[int, Report | Lost]]:
        """Computes the next chunk."""
        if self._worker is None:
            from ntk_sweep.executors.worker import Worker  # here, since it loads torch

            self._worker = Worker()
        ticket, spec, dataset = self._queue.popleft()
        return [(ticket, self._worker.run_chunk(spec, dataset))]

    def close(self) -> None:
        """Drops what has not been begun."""
        self._queue.clear()


def cuda_devices() -> int:
    """How many CUDA devices torch finds in this process."""
    import torch

    return torch.cuda.device_count()
