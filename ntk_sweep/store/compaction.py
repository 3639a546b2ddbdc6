"""Compaction: small parts whose writers have ended are merged into one."""

from __future__ import annotations

import os
import posixpath
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import pyarrow as pa
from pyarrow import fs

from ntk_sweep.store.atomic_write import clock_of
from ntk_sweep.store.reading import latest_good
from ntk_sweep.store.store import Store
from ntk_sweep.store.writer import FULL_PART_ROWS

SEALED_SECONDS = 3600
"""A part untouched for this long has no writer any more: a writer grows one for `GROW_SECONDS`."""

MAX_PARTS = 32
"""`merge` acts above this number. Reading 36 parts takes 0.04 s, reading 720 takes 0.7 s."""


def merge(store: Store, own: Iterable[str] = ()) -> None:
    """Merges small parts into one if there are more than `MAX_PARTS`.

    Rows superseded by later rows of their key are dropped.

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
    own = set(own)
    with _merge_lock(store) as now:
        if now is not None:
            _merge(store, [p for p in parts if p.base_name in own or _age(p, now) > SEALED_SECONDS])


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
def _merge_lock(store: Store) -> Iterator[float | None]:
    """The lock under which this process alone may merge; that of a killed one ends after an hour.

    Yields:
        The time by the clock of the parts' file system, or None if another process merges. In an
        object store 0: no part is old there.
    """
    if not store.is_local:
        yield 0.0
        return
    lock = posixpath.join(store.hidden_folder, f".merge-{store.task}")
    try:
        now = clock_of(store.hidden_folder)
        with suppress(FileNotFoundError):
            if now - os.stat(lock).st_mtime > SEALED_SECONDS:
                os.unlink(lock)
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
    except OSError:
        yield None
        return
    try:
        yield now
    finally:
        with suppress(FileNotFoundError):
            os.unlink(lock)


def _age(part: fs.FileInfo, now: float) -> float:
    return now - part.mtime.timestamp() if part.mtime is not None else 0.0


def _same(before: fs.FileInfo, after: fs.FileInfo) -> bool:
    return (before.size, before.mtime) == (after.size, after.mtime)
