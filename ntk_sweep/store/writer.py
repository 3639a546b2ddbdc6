"""Commits of rows: a writer grows a part of its own, and parts whose writers have ended are
merged."""

from __future__ import annotations

import os
import posixpath
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pyarrow as pa
from pyarrow import fs

from ntk_sweep.store.columns import schema
from ntk_sweep.store.lease import Permit
from ntk_sweep.store.store import Store, latest_good

FULL_PART_ROWS = 2000
"""A part this long is left alone and a new one begun: rewriting 2000 rows of 200 eigenvalues takes
about 20 ms."""

GROW_SECONDS = 600
"""A writer grows a part for this long at the most, ..."""

SEALED_SECONDS = 3600
"""... so a part untouched for this long has no writer any more and may be merged with others."""

MAX_PARTS = 32
"""`merge` acts above this number of parts. Reading 36 parts takes 0.04 s, reading 720 takes 0.7
s."""


class PartWriter:
    """Commits rows to a store, growing a part of its own (in an object store: one part a
    commit)."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._begin()

    def _begin(self) -> None:
        self.name = f"part-{uuid.uuid4().hex}.parquet"
        self._table = schema(self._store.task).empty_table()
        self._begun = time.time()

    def commit(self, rows: Sequence[dict[str, Any]], permit: Permit | None = None) -> str:
        """Makes `rows` durable and visible, and returns the name of the part that holds them.

        Args:
            rows: New ones.
            permit: What a worker commits them under.

        Raises:
            StoreError: They cannot be written; those of earlier commits stay.
            RevokedError: The permit was taken back.
        """
        if (
            self._table.num_rows >= FULL_PART_ROWS
            or not 0 <= time.time() - self._begun <= GROW_SECONDS
            or not self._store.is_local
        ):
            self._begin()
        new = pa.Table.from_pylist(list(rows), schema=schema(self._store.task))
        table = pa.concat_tables([self._table, new])
        (permit or self._store).write(self.name, self._store.serialise(table))
        self._table = table
        return self.name


def merge(store: Store, own: Iterable[str] = ()) -> None:
    """Merges small parts into one, if there are more than `MAX_PARTS`; rows superseded by later
    ones of their key go.

    Args:
        own: Names of parts whose writers are known to have ended. Of the others only those
            untouched for an hour are taken, since a writer may still replace a younger one; none in
            an object store, where no lock keeps a second merge out.

    Raises:
        StoreError: The merged part cannot be written.
    """
    parts = store.parts()
    if len(parts) <= MAX_PARTS:
        return
    with _merge_lock(store) as locked:
        if locked:
            own, now = set(own), time.time()
            _merge(
                store,
                [
                    part
                    for part in parts
                    if part.base_name in own
                    or (store.is_local and _age(part, now) > SEALED_SECONDS)
                ],
            )


def _merge(store: Store, sealed: list[fs.FileInfo]) -> None:
    try:
        tables = {part.path: store.read_part(part.path) for part in sealed}
    except FileNotFoundError:
        return  # another sweep has just merged the same parts
    small = [part for part in sealed if tables[part.path].num_rows < FULL_PART_ROWS]
    if len(small) < 2:
        return
    merged = latest_good(pa.concat_tables(tables[part.path] for part in small))
    store.write(f"part-{uuid.uuid4().hex}.parquet", store.serialise(merged))
    for part in small:
        # A part that has changed has a writer after all: it stays, and with it every row.
        if _same(part, store.filesystem.get_file_info(part.path)):
            with suppress(FileNotFoundError):
                store.filesystem.delete_file(part.path)


@contextmanager
def _merge_lock(store: Store) -> Iterator[bool]:
    """Whether this process alone may merge; the lock of a killed process is broken after an
    hour."""
    if not store.is_local:
        yield True
        return
    lock = posixpath.join(store.folder, ".merge")
    with suppress(FileNotFoundError):
        if time.time() - os.stat(lock).st_mtime > SEALED_SECONDS:
            os.unlink(lock)
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
    except OSError:
        yield False
        return
    try:
        yield True
    finally:
        with suppress(FileNotFoundError):
            os.unlink(lock)


def _age(part: fs.FileInfo, now: float) -> float:
    return now - part.mtime.timestamp() if part.mtime is not None else 0.0


def _same(before: fs.FileInfo, after: fs.FileInfo) -> bool:
    return (before.size, before.mtime) == (after.size, after.mtime)
