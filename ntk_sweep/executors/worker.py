"""What a worker does with a chunk, in whichever process it runs."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache, lru_cache, partial
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from ntk_sweep.data.dataset import Dataset
from ntk_sweep.executors.messages import ChunkSpec, Outcome, Report
from ntk_sweep.store.lease import Lease
from ntk_sweep.store.store import Store
from ntk_sweep.store.writer import PartWriter
from ntk_sweep.tasks.allowance import Allowance
from ntk_sweep.tasks.computation import Caches
from ntk_sweep.tasks.limit_cache import Limit
from ntk_sweep.tasks.memory import KEPT_BLOCK, KEPT_BYTES
from ntk_sweep.tasks.rows import compute_rows

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # from malloc.h


class Worker:
    """Computes chunks one after the other, and keeps what the next one can use.

    It keeps the parts that it grows, limit kernels and the network drawn last.

    Args:
        expendable: Whether a point that cannot be interrupted may end this process.
    """

    def __init__(self, expendable: bool = False) -> None:
        self._expendable = expendable
        self._writers: dict[str, PartWriter] = {}
        self._caches = Caches()

    def run_chunk(
        self,
        spec: ChunkSpec,
        dataset: Dataset,
        limits: Sequence[dict[int, Limit] | Exception] = (),
    ) -> Report:
        """Computes the points of a chunk and commits their rows.

        Rows that were finished before an interruption are committed too.

        Args:
            spec: The chunk.
            dataset: Its data set.
            limits: Those of `spec.limits`, or what was raised; if none are given, they are computed
                here.

        Raises:
            StoreError: This process does not see the folder of the sweep, or cannot write to it.
            LeaseLost: The driver revoked the lease: another worker is computing these points.
        """
        prepare_process(spec.num_threads)
        if limits:
            self._caches.limits.put(dataset, dict(zip(spec.limits, limits, strict=True)))
        store = Store(spec.results, spec.task)
        with Lease(store, spec.session, spec.number).acquired() as lease:
            return self._run(spec, dataset, store, lease)

    def _run(self, spec: ChunkSpec, dataset: Dataset, store: Store, lease: Lease) -> Report:
        writer = self._writer(spec, store)
        give_up = partial(_give_up, lease) if self._expendable else None
        allowance = Allowance(spec.device_share, spec.time_limit, give_up)
        outcomes, seconds, rows, committed = [], 0.0, [], time.monotonic()
        try:
            for result in compute_rows(
                spec.points, dataset, spec.device, spec.git_commit, allowance, self._caches
            ):
                key = result.row["key"]
                for column, array in result.arrays.items():
                    result.row[column] = store.save_kernel(key, array, column)
                rows.append(result.row)
                outcomes.append(_outcome(result.row, spec.send_rows))
                seconds += result.row["seconds"]
                if spec.fail_fast and result.row["status"] == "failed":
                    break
                if time.monotonic() - committed > spec.commit_seconds:
                    # Let go first: interrupted in between, a batch is computed again rather than
                    # stored twice.
                    batch, rows, committed = rows, [], time.monotonic()
                    writer.commit(batch, lease)
        finally:
            if rows:
                writer.commit(rows, lease)
        return Report(writer.name, outcomes, seconds)

    def _writer(self, spec: ChunkSpec, store: Store) -> PartWriter:
        """The part that this worker grows; a session is of one sweep in one store."""
        if spec.session not in self._writers:
            self._writers[spec.session] = PartWriter(store)
        return self._writers[spec.session]


@cache
def worker_of_this_process() -> Worker:
    """The worker of a process that Ray keeps warm: made by its first chunk, used by all others.

    Ray calls plain functions, so that what a process keeps has no other place. It replaces a
    process that ends.
    """
    return Worker(expendable=True)


def _outcome(row: dict[str, Any], with_row: bool) -> Outcome:
    return Outcome(row["key"], row["status"], row.get("error"), row if with_row else None)


def _give_up(lease: Lease, key: str) -> None:
    """Ends this process for a point that cannot be interrupted; the driver reads which it was."""
    try:
        lease.give_up(key)
    finally:
        os._exit(1)


def prepare_process(num_threads: int) -> None:
    """Sets the number of BLAS threads, and has the allocator keep its memory."""
    if torch.get_num_threads() != num_threads:
        torch.set_num_threads(num_threads)
    _limit_blas(num_threads)
    _keep_memory()


@lru_cache(maxsize=1)
def _limit_blas(num_threads: int) -> None:
    """NumPy's and SciPy's BLAS each have a pool of their own.

    That of SciPy is loaded later, where it is needed, and asks the environment then.
    """
    threadpool_limits(num_threads, user_api="blas")
    os.environ["OPENBLAS_NUM_THREADS"] = str(num_threads)


@cache
def _keep_memory() -> None:
    # Only glibc has it; Windows does not even name the libraries of a process by None.
    with suppress(TypeError, OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, KEPT_BLOCK)
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
