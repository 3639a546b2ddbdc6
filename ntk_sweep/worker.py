"""What a worker does with a chunk, in whichever process it runs."""

from __future__ import annotations

import time

import torch

from ntk_sweep.chunks import ChunkSpec, Outcome, Report
from ntk_sweep.datasets import Dataset
from ntk_sweep.permits import Permit
from ntk_sweep.store import Store
from ntk_sweep.tasks import compute_row
from ntk_sweep.writing import PartWriter

_writers: dict[tuple[str, str, str], PartWriter] = {}
"""The parts that this process grows, by sweep and store: a warm worker goes on with its own."""


def run_chunk(spec: ChunkSpec, dataset: Dataset) -> Report:
    """Computes the points of a chunk and commits their rows; also those finished before an interruption.

    Raises:
        StoreError: This process does not see the folder of the sweep, or cannot write to it.
        RevokedError: The driver gave the chunk to others, since it took this process for dead.
    """
    torch.set_num_threads(spec.num_threads)
    store = Store(spec.results, spec.task)
    with Permit(store, spec.mark, spec.ticket).claimed() as permit:
        return _run_chunk(spec, dataset, store, permit)


def _run_chunk(spec: ChunkSpec, dataset: Dataset, store: Store, permit: Permit) -> Report:
    writer = _writers.setdefault((spec.mark, spec.results, spec.task), PartWriter(store))
    outcomes, seconds, rows, committed = [], 0.0, [], time.monotonic()
    try:
        for point in spec.points:
            result = compute_row(point, dataset, spec.device, spec.git_commit)
            if result.kernel is not None:
                result.row["kernel_file"] = store.save_kernel(point.key, result.kernel)
            rows.append(result.row)
            outcomes.append(Outcome(point.key, result.row["status"], result.row.get("error")))
            seconds += result.row["seconds"]
            if time.monotonic() - committed > spec.commit_seconds:
                # Let go first: interrupted in between, a batch is computed again rather than stored twice.
                batch, rows, committed = rows, [], time.monotonic()
                writer.commit(batch, permit)
    finally:
        if rows:
            writer.commit(rows, permit)
    return Report(writer.name, outcomes, seconds)
