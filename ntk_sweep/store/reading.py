"""Reading results: one row a key, the latest good one.

The rows of a key are deduplicated here and nowhere else.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ntk_sweep.settings.point import BY_PRODUCTS
from ntk_sweep.settings.tasks import TASKS
from ntk_sweep.store.columns import GROUP, NETWORK, RUN
from ntk_sweep.store.filesystems import split_location, without_credentials
from ntk_sweep.store.store import Store

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


RANK = ("key", "status", "finished_at")
"""The columns by which `latest_good` chooses."""


@dataclass(frozen=True)
class Entry:
    """What the store knows of a finished point.

    Attributes:
        status: Of its row.
        files: The columns in which the row names a file.
    """

    status: str
    files: frozenset[str]

    def serves(self, wanted: frozenset[str]) -> bool:
        """Whether nothing is left to compute of a point with these files beside its row."""
        return wanted <= self.files


def load_results(path: str | os.PathLike[str]) -> pd.DataFrame:
    """The rows of a task as a frame: one row a point, the latest good one.

    A point that only failed has its latest failure. Where several versions of the numerics computed
    a network, or trained it the same way, the rows of the newest with a result are kept.

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
    store = _store(path)
    if not store.exists():
        shown = without_credentials(os.fspath(path))
        raise FileNotFoundError(
            f"there is no folder {shown}: run a sweep first, for example `ntk-sweep run act=relu`"
        )
    frame = latest_good(store.read()).to_pandas()
    # spectra are not trained, and have none of the columns that say how
    same = [name for name in (*GROUP, *RUN, "test_fingerprint") if name in frame]
    version = frame["numerics_version"]
    kinds = frame.assign(_good=version.where(frame["status"] != "failed")).groupby(
        same, dropna=False
    )
    newest = kinds["_good"].transform("max").fillna(kinds["numerics_version"].transform("max"))
    return frame[version == newest].sort_values([*GROUP, *NETWORK, "key"], ignore_index=True)


def load_array(path: str | os.PathLike[str], name: str) -> np.ndarray:
    """An array that was saved beside a row: Θ, the kernels of its layers, or eigenvectors.

    >>> import numpy as np
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as results:
    ...     name = Store(results, "spectrum").save_kernel("0a1b", np.eye(2))
    ...     load_array(f"{results}/spectrum", name)
    array([[1., 0.],
           [0., 1.]])

    Args:
        path: The task's folder or URI, as in `load_results`.
        name: What the row holds in `kernel_file`, `layer_kernels_file` or `eigenvectors_file`.

    Raises:
        FileNotFoundError: The path is not that of a task's folder.
        ValueError: The row names no file: the array was not saved.
        StoreError: The file is missing, unreadable or outside the folder of kernels.
    """
    if not isinstance(name, str):
        raise ValueError(
            f"the name of the file is {name!r}: this row has none, since its array was not saved; "
            f"compute the point with {', '.join(f'task.{name}=true' for name in BY_PRODUCTS)}"
        )
    return _store(path).load_kernel(name)


def finished(store: Store) -> dict[str, Entry]:
    """The points with a result, by key: they need not be computed again.

    Raises:
        StoreError: A part is truncated, foreign or of a newer version; the message names it.
    """
    columns = tuple(BY_PRODUCTS.values())
    table = latest_good(store.read([*RANK, *columns]))
    names = ("key", "status", *columns)
    found: dict[str, Entry] = {}
    for key, status, *files in zip(*(table[name].to_pylist() for name in names), strict=True):
        if status != "failed":
            known = frozenset(name for name, file in zip(columns, files, strict=True) if file)
            found[key] = Entry(status, known)
    return found


def _store(path: str | os.PathLike[str]) -> Store:
    """The store of a task's folder or URI."""
    results, task = split_location(os.fspath(path))
    if task not in TASKS:
        raise FileNotFoundError(
            f"{without_credentials(os.fspath(path))} is not the folder of a task: give "
            f"<results>/<task>, with a task of {', '.join(TASKS)}"
        )
    return Store(results, task)


def row_of(store: Store, key: str, columns: Sequence[str] | None = None) -> dict[str, Any]:
    """The row of a point that the store has.

    Args:
        store: Where.
        key: Of the point.
        columns: What of it; by default all.

    Raises:
        StoreError: A part is truncated, foreign or of another version; the message names it.
    """
    table = latest_good(store.read(columns and list(dict.fromkeys([*RANK, *columns]))))
    place = table["key"].to_pylist().index(key)
    (row,) = table.select(columns or table.column_names).slice(place, 1).to_pylist()
    return row


def latest_good(table: pa.Table) -> pa.Table:
    """One row a key: a result before a failure, then a later row before an earlier one.

    >>> rows = pa.table(
    ...     {"key": ["a", "a"], "status": ["ok", "failed"], "finished_at": [1, 2], "seed": [3, 3]}
    ... )
    >>> latest_good(rows)["status"].to_pylist()
    ['ok']
    """
    # In Python: asked for NumPy's arrays, Arrow imports pandas, a third of the start of a command.
    keys, states = table["key"].to_pylist(), table["status"].to_pylist()
    times = ticks(table["finished_at"])
    last: dict[str, tuple[tuple[bool, int], int]] = {}
    for place, (key, status, time) in enumerate(zip(keys, states, times, strict=True)):
        rank = (status != "failed", time)
        if key not in last or rank >= last[key][0]:
            last[key] = rank, place
    if len(last) == len(keys):
        return table
    return rows_at(table, sorted(place for _, place in last.values()))


def ticks(times: pa.ChunkedArray) -> list[int]:
    """Times in microseconds since 1970.

    Asked for Python's times, Arrow imports pandas; asked to cast, all its functions on columns.
    """
    chunks = (chunk.view(pa.int64()) for chunk in times.chunks if len(chunk))
    return [time for chunk in chunks for time in chunk.to_pylist()]


def rows_at(table: pa.Table, places: Sequence[int]) -> pa.Table:
    """The rows at these places; of a list of numbers, Arrow imports pandas to make an array."""
    buffer = pa.py_buffer(array("q", places))
    return table.take(pa.Array.from_buffers(pa.int64(), len(places), [None, buffer]))
