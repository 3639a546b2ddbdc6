"""Commits of rows: a writer grows a part of its own."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from ntk_sweep.store.columns import schema
from ntk_sweep.store.lease import Lease
from ntk_sweep.store.row_arrays import row_table
from ntk_sweep.store.store import Store

FULL_PART_ROWS = 2000
"""A longer part is left alone and a new one begun: rewriting one this long takes 20 ms."""

GROW_SECONDS = 600
"""A writer grows a part for this long at most; `compaction` waits longer before it merges one."""


class PartWriter:
    """Commits rows to a store by growing a part; in an object store, one part a commit."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._begin()

    def _begin(self) -> None:
        self.name = f"part-{uuid.uuid4().hex}.parquet"
        self._table = row_table([], schema(self._store.task))
        self._begun = time.time()

    def commit(self, rows: Sequence[dict[str, Any]], lease: Lease | None = None) -> str:
        """Makes `rows` durable and visible, and returns the name of the part that holds them.

        Args:
            rows: New ones.
            lease: The lease of a worker; the driver commits without one.

        Raises:
            StoreError: They cannot be written; those of earlier commits stay.
            LeaseLost: The driver revoked the lease.
        """
        if (
            self._table.num_rows >= FULL_PART_ROWS
            or not 0 <= time.time() - self._begun <= GROW_SECONDS
            or not self._store.is_local
        ):
            self._begin()
        columns = schema(self._store.task)
        unknown = {name for row in rows for name in row} - set(columns.names)
        assert not unknown, f"no column of `ntk_sweep.store.columns` takes {sorted(unknown)}"
        new = row_table(rows, columns)
        table = pa.concat_tables([self._table, new])
        (lease or self._store).write(self.name, self._store.serialise(table))
        self._table = table
        return self.name
