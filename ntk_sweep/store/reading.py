"""Reading results: one row a key, the latest good one.

The rows of a key are deduplicated here and nowhere else.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ntk_sweep.settings.tasks import TASKS
from ntk_sweep.store.columns import GROUP, NETWORK
from ntk_sweep.store.filesystems import split_location, without_credentials
from ntk_sweep.store.store import Store

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Entry:
    """What the store knows of a finished point."""

    status: str
    kernel_file: str | None

    def serves(self, with_kernel: bool) -> bool:
        """Whether nothing is left to compute; `with_kernel` asks for the kernel matrix too."""
        return bool(self.kernel_file) or not with_kernel


def load_results(path: str | os.PathLike[str]) -> pd.DataFrame:
    """The rows of a task as a frame: one row a point, the latest good one.

    A point that only failed has its latest failure. Of points that several versions of the numerics
    computed, the rows of the newest are kept.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as results, Store(results, "spectrum").open_session():
    ...     frame = load_results(f"{results}/spectrum")
    >>> len(frame), list(frame.columns[:4])
    (0, ['key', 'task', 'act', 'width'])

    Args:
        path: The task's folder or URI, ``<results>/<task>``.

    Returns:
        The columns of `ntk_sweep.store.columns`, ordered by data, parametrisation, scales,
        activation, width, depth and seed; empty before the first commit of a sweep.

    Raises:
        FileNotFoundError: There is no such folder, or it is not a task's folder.
        StoreError: A part is truncated, foreign or of a newer version, and the message names it; or
            an object store cannot be read.
    """
    results, task = split_location(os.fspath(path))
    shown = without_credentials(os.fspath(path))
    if task not in TASKS:
        raise FileNotFoundError(
            f"{shown} is not the folder of a task: give <results>/<task>, with a task of "
            f"{', '.join(TASKS)}"
        )
    store = Store(results, task)
    if not store.exists():
        raise FileNotFoundError(
            f"there is no folder {shown}: run a sweep first, for example `ntk-sweep run act=relu`"
        )
    frame = latest_good(store.read()).to_pandas()
    point = [*GROUP, *NETWORK]
    newest = frame.groupby(point, dropna=False)["numerics_version"].transform("max")
    return frame[frame["numerics_version"] == newest].sort_values(
        [*point, "key"], ignore_index=True
    )


def finished(store: Store) -> dict[str, Entry]:
    """The points with a result, by key: they need not be computed again.

    Raises:
        StoreError: A part is truncated, foreign or of a newer version; the message names it.
    """
    table = latest_good(store.read(["key", "status", "kernel_file", "finished_at"]))
    keys, states, files = (table[name].to_pylist() for name in ("key", "status", "kernel_file"))
    return {
        key: Entry(status, file)
        for key, status, file in zip(keys, states, files, strict=True)
        if status != "failed"
    }


def row_of(store: Store, key: str) -> dict[str, Any]:
    """The row of a point that the store has.

    Raises:
        StoreError: A part is truncated, foreign or of another version; the message names it.
    """
    (row,) = latest_good(store.read().filter(pc.field("key") == key)).to_pylist()
    return row


def latest_good(table: pa.Table) -> pa.Table:
    """One row a key: a result before a failure, then a later row before an earlier one.

    >>> rows = pa.table(
    ...     {"key": ["a", "a"], "status": ["ok", "failed"], "finished_at": [1, 2], "seed": [3, 3]}
    ... )
    >>> latest_good(rows)["status"].to_pylist()
    ['ok']
    """
    keys = table["key"].combine_chunks().dictionary_encode().indices.to_numpy()
    good = table["status"].to_numpy() != "failed"
    order = np.lexsort((table["finished_at"].cast(pa.int64()).to_numpy(), good, keys))
    is_last = np.append(keys[order][1:] != keys[order][:-1], [True] * bool(len(order)))
    return table if is_last.all() else table.take(pa.array(np.sort(order[is_last])))
