"""A store that is looked at again and again: only what is new in it is read."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pyarrow as pa
from pyarrow import fs

from ntk_sweep.store import session as sessions
from ntk_sweep.store.session import Owner
from ntk_sweep.store.store import Store

READERS = 8
"""Parts that are read at once. An object store answers each request after a while, and has a part a
commit."""


class WatchedStore(Store):
    """A store whose parts and sessions are read once, as long as they do not change.

    Args:
        results: A folder or URI.
        task: The name of the task.
        columns: What is read of the rows.
    """

    def __init__(self, results: str, task: str, columns: Sequence[str]) -> None:
        super().__init__(results, task)
        self._columns = list(columns)
        self._tables: dict[tuple[str, int, int], pa.Table] = {}
        self._stamps: dict[str, tuple[str, int, int]] = {}
        self._owners: dict[tuple[str, float], Owner] = {}

    def rows(self) -> pa.Table:
        """The columns of all visible rows; raises as `Store.read` does."""
        return self.read(self._columns)

    def owners(self) -> list[Owner]:
        """The owners of all sessions, those of killed sweeps too; the oldest first.

        Raises:
            StoreError: They cannot be read.
        """
        with self._reading_errors():
            return sessions.owners(self.filesystem, self._places, self.task, self._owners)

    def parts(self) -> list[fs.FileInfo]:
        """The visible parts; new ones are read, and those that have gone are forgotten."""
        found = super().parts()
        self._stamps = {part.path: (part.path, part.size, part.mtime_ns) for part in found}
        stamps = set(self._stamps.values())
        self._tables = {known: self._tables[known] for known in stamps & self._tables.keys()}
        new = [part.path for part in found if self._stamps[part.path] not in self._tables]
        if new:
            with ThreadPoolExecutor(READERS) as pool:
                list(pool.map(self._read_ahead, new))
        return found

    def read_part(self, path: str, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of one part, if need be from the last time."""
        if columns == self._columns and self._stamps.get(path) in self._tables:
            return self._tables[self._stamps[path]]
        return super().read_part(path, columns)

    def _read_ahead(self, path: str) -> None:
        # One that has just gone is missed by `read`, which then lists the parts again.
        with suppress(FileNotFoundError):
            self._tables[self._stamps[path]] = super().read_part(path, self._columns)
