"""The serial executor: one chunk after the other, in this process."""

from __future__ import annotations

from collections import deque
from collections.abc import Set
from typing import TYPE_CHECKING

from ntk_sweep.data.dataset import Dataset
from ntk_sweep.errors import ConfigError
from ntk_sweep.executors.devices import cuda_devices
from ntk_sweep.executors.messages import ChunkSpec, Lost, Report
from ntk_sweep.settings.schema import ComputeConfig
from ntk_sweep.tasks.allowance import has_alarm

if TYPE_CHECKING:
    from ntk_sweep.executors.worker import Worker


class SerialExecutor:
    """Computes the chunks one after the other in this process."""

    slots = 1
    interruptible = True

    def __init__(self, compute: ComputeConfig) -> None:
        self._queue: deque[tuple[int, ChunkSpec, Dataset]] = deque()
        self._worker: Worker | None = None

    @staticmethod
    def check(compute: ComputeConfig, devices: Set[str]) -> None:
        """Asks torch for CUDA where device=cuda, and for an alarm where there is a time limit.

        Raises:
            ConfigError: There is none.
        """
        if "cuda" in devices and cuda_devices() == 0:
            raise ConfigError(
                "device=cuda, but torch finds no CUDA device in this process: use device=auto or "
                "device=cpu"
            )
        if compute.time_limit is not None and not has_alarm():
            raise ConfigError(
                f"compute.time_limit={compute.time_limit:g}, but this process can interrupt no "
                "point: that takes signal.setitimer, which Windows lacks, and the main thread; "
                "use hydra/launcher=ray, whose workers can, or compute.time_limit=null"
            )

    @staticmethod
    def local_workers(compute: ComputeConfig) -> int:
        """This process."""
        return 1

    @property
    def capacity(self) -> int:
        """Twice the slots: one chunk at work and one waiting for each worker.

        No worker idles, and little is lost when all is stopped.
        """
        return 2 * self.slots

    def describe(self) -> str:
        """Where the chunks are computed, in words."""
        return "in this process"

    def waiting_for(self) -> str:
        """Nothing."""
        return ""

    def submit(self, number: int, spec: ChunkSpec, dataset: Dataset) -> None:
        """Hands over a chunk."""
        self._queue.append((number, spec, dataset))

    def wait(self, seconds: float) -> list[tuple[int, Report | Lost]]:
        """Computes the next chunk, however long that takes; what it raises is raised here."""
        if self._worker is None:
            from ntk_sweep.executors.worker import Worker  # here, since it loads torch

            self._worker = Worker()
        number, spec, dataset = self._queue.popleft()
        return [(number, self._worker.run_chunk(spec, dataset))]

    def close(self) -> None:
        """Drops the chunks that have not begun."""
        self._queue.clear()
