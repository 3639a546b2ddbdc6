"""The store: one folder of Parquet parts a task, on a local disk or in an object store.

What every reader may rely on:

- Nothing visible is ever partial. A part is written under a hidden name (readers ignore names that begin with ``.`` or
  ``_``), synced and then renamed; an object store shows an object only when its upload is complete.
- Rows only ever appear. A writer grows its own part by replacing it with a longer one, so `pandas.read_parquet(folder)`
  works at any moment and sees each row once.
- A key says what a row is. `load_results` returns one row a key, the latest good one.
"""

from __future__ import annotations

import io
import os
import posixpath
import re
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from ntk_sweep.config import TASKS, absolute_results
from ntk_sweep.errors import StoreError
from ntk_sweep.schema import SCHEMA_VERSION, VERSION_KEY, schema

READ_SECONDS = 10.0
"""How long reading is tried again when parts vanish under it; a merge takes a fraction of a second, once a sweep."""

READ_PAUSE_SECONDS = 0.01

MARK_SECONDS = 7 * 86400
"""A mark this old was left by a sweep that was killed."""

KERNEL_FOLDER = "_kernels"

_LEFTOVER = re.compile(r"\.sweep-[0-9a-f]{32}|\.[0-9a-f]{32}\.tmp")


@dataclass(frozen=True)
class Entry:
    """What the store knows of a finished key."""

    status: str
    kernel_file: str | None


class Store:
    """The rows of one task under a results folder or URI.

    Args:
        results: A folder, or a URI that `pyarrow.fs` understands, such as ``s3://bucket/prefix``.
        task: The name of the task; rows lie in ``<results>/<task>``.
    """

    def __init__(self, results: str, task: str) -> None:
        self.results = absolute_results(results)
        self.task = task
        self.filesystem, root = _filesystem(self.results)
        self.folder = posixpath.join(root, task)

    @property
    def is_local(self) -> bool:
        """Whether rows lie in a file system of this machine."""
        return isinstance(self.filesystem, fs.LocalFileSystem)

    @property
    def location(self) -> str:
        """Where the rows lie, as a user would type it."""
        base, question, query = self.results.partition("?") if "://" in self.results else (self.results, "", "")
        return posixpath.join(base, self.task) + question + query

    @contextmanager
    def opened_for_writing(self) -> Iterator[str]:
        """Makes sure that the folder can be written, and marks it while a sweep is under way.

        Yields:
            The name of the mark, by which a worker on another machine can tell whether it sees the same folder.

        Raises:
            StoreError: The folder cannot be written, or holds a part that cannot be read.
        """
        mark = self.write(f".sweep-{uuid.uuid4().hex}", b"")
        self._remove_leftovers()
        try:
            yield mark
        finally:
            with suppress(OSError):
                self.filesystem.delete_file(posixpath.join(self.folder, mark))

    def _remove_leftovers(self) -> None:
        """Removes marks and half-written files of processes that were killed long ago."""
        if self.is_local:
            for name in os.listdir(self.folder):
                path = posixpath.join(self.folder, name)
                with suppress(OSError):
                    if (
                        re.fullmatch(r"\.sweep-[0-9a-f]{32}|\.[0-9a-f]{32}\.tmp", name)
                        and time.time() - os.stat(path).st_mtime > MARK_SECONDS
                    ):
                        os.unlink(path)

    def check_mark(self, mark: str) -> None:
        """Raises a StoreError if this process does not see the folder in which the sweep was started."""
        if self.filesystem.get_file_info(posixpath.join(self.folder, mark)).type != fs.FileType.File:
            raise StoreError(
                f"the results folder {self.location} was removed, or is not the one that the sweep was started with: workers on "
                "other machines need a shared folder or an object store (results=s3://bucket/prefix)"
            )

    def parts(self) -> list[fs.FileInfo]:
        """The visible parts, by name; none if the folder does not exist."""
        if not self.is_local:
            found = self.filesystem.get_file_info(fs.FileSelector(self.folder, allow_not_found=True))
            return sorted((f for f in found if f.type == fs.FileType.File and _is_part(f.base_name)), key=lambda f: f.base_name)
        # Arrow's own listing silently leaves out what a merge removes between its listing of names and its look at each, whereas
        # the merged part is not yet among the names; here the names are listed again.
        while True:
            try:
                names = sorted(name for name in os.listdir(self.folder) if _is_part(name))
            except (FileNotFoundError, NotADirectoryError):
                return []
            found = self.filesystem.get_file_info([posixpath.join(self.folder, name) for name in names])
            if all(f.type != fs.FileType.NotFound for f in found):
                break
        return [f for f in found if f.type == fs.FileType.File]

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All visible rows, several a key if it was computed several times.

        Raises:
            StoreError: A part is truncated, foreign or of another version; the message names it.
        """
        deadline = time.monotonic() + READ_SECONDS
        while True:
            try:
                tables = [self.read_part(part.path, columns) for part in self.parts()]
                break
            except FileNotFoundError as error:
                # A merge removed a part between the listing and the reading: its rows are in a newer part.
                if time.monotonic() > deadline:
                    raise StoreError(f"parts of {self.location} vanish while they are read ({_cause(error)}): try again") from error
                time.sleep(READ_PAUSE_SECONDS)
        empty = schema(self.task).empty_table()
        return pa.concat_tables([empty.select(columns) if columns else empty, *tables])

    def finished(self) -> dict[str, Entry]:
        """Key → what is known of it, for all points that need not be computed again: those with a result."""
        table = self.read(["key", "status", "kernel_file", "finished_at"])
        table = table.filter(pc.field("status") != "failed").sort_by("finished_at")
        entries: dict[str, Entry] = {}
        for row in table.to_pylist():
            entries[row["key"]] = Entry(row["status"], row["kernel_file"])
        return entries

    def save_kernel(self, key: str, kernel: np.ndarray) -> str:
        """Stores a kernel matrix beside the rows, and returns its name relative to the task's folder."""
        buffer = io.BytesIO()
        np.save(buffer, kernel, allow_pickle=False)
        return self.write(f"{KERNEL_FOLDER}/{key}.npy", buffer.getvalue())

    def load_kernel(self, kernel_file: str) -> np.ndarray:
        """The kernel matrix that a row names in `kernel_file`.

        Raises:
            StoreError: It is missing or unreadable.
        """
        path = posixpath.join(self.folder, kernel_file)
        if posixpath.dirname(posixpath.normpath(kernel_file)) != KERNEL_FOLDER:
            raise StoreError(
                f"a row names the kernel {kernel_file}, which does not lie in {KERNEL_FOLDER}: its part is not ours to trust"
            )
        try:
            with self.filesystem.open_input_file(path) as file:
                return np.lib.format.read_array(io.BytesIO(file.read()), allow_pickle=False)
        except (OSError, ValueError) as error:
            raise StoreError(f"the kernel {path} cannot be read ({_cause(error)}): recompute its point with force=true") from error

    def read_part(self, path: str, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of one part.

        Raises:
            FileNotFoundError: It is not there, or not any more.
            StoreError: It is truncated, foreign or of another version.
        """
        try:
            with self.filesystem.open_input_file(path) as file:
                parquet = pq.ParquetFile(file)
                self._check_version(path, (parquet.schema_arrow.metadata or {}).get(VERSION_KEY))
                return parquet.read(columns=columns).replace_schema_metadata(None).cast(_plain(self.task, columns))
        except FileNotFoundError:
            raise
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise StoreError(
                f"{path} is not a readable part of a sweep ({_cause(error)}): move it out of the folder; the points whose rows "
                "it held are computed again when the sweep is started again"
            ) from error

    def _check_version(self, path: str, version: bytes | None) -> None:
        if version is None:
            raise StoreError(f"{path} was not written by ntk-sweep (it carries no schema version): move it out of the folder")
        if int(version) > SCHEMA_VERSION:
            raise StoreError(
                f"{path} has schema version {int(version)}, newer than the {SCHEMA_VERSION} known here: update ntk-sweep, or choose "
                "another folder with results=…"
            )
        if int(version) < SCHEMA_VERSION:
            raise StoreError(
                f"{path} has schema version {int(version)}, older than the {SCHEMA_VERSION} written here: read it with the version of "
                "ntk-sweep that wrote it, or choose another folder with results=… to compute its points anew"
            )

    def serialise(self, table: pa.Table) -> bytes:
        """A table of rows as the bytes of a part."""
        sink = pa.BufferOutputStream()
        pq.write_table(table.cast(schema(self.task)), sink, compression="zstd")
        return sink.getvalue().to_pybytes()

    def write(self, name: str, content: bytes) -> str:
        """Makes `content` appear under `name`, wholly or not at all, and returns the name.

        Raises:
            StoreError: It cannot be written.
        """
        target = posixpath.join(self.folder, name)
        try:
            self.filesystem.create_dir(posixpath.dirname(target), recursive=True)
            if self.is_local:
                _replace_file(target, content)
            else:
                with self.filesystem.open_output_stream(target) as stream:
                    stream.write(content)
        except (OSError, pa.ArrowException) as error:
            raise StoreError(
                f"the results folder {self.location} cannot be written ({_cause(error)}): mend that, or give another with results=…; "
                "rows that are there stay, and the same command again computes what is missing"
            ) from error
        return name


def load_results(path: str | os.PathLike[str]) -> pd.DataFrame:
    """The rows of a task as a frame: one row a key, the latest good one, or the latest failure where there is none.

    Args:
        path: The task's folder or URI, ``<results>/<task>``.

    Returns:
        The columns of `ntk_sweep.schema`, ordered by data, parametrisation, activation, width, depth and seed; empty before the
        first commit of a sweep.

    Raises:
        FileNotFoundError: There is no such folder, or it is not a task's folder.
        StoreError: A part is truncated, foreign or of another version; the message names it.
    """
    base, question, query = os.fspath(path).partition("?") if "://" in os.fspath(path) else (os.fspath(path), "", "")
    results, task = posixpath.split(base.rstrip("/"))
    if task not in TASKS:
        raise FileNotFoundError(f"{path} is not the folder of a task: give <results>/<task>, with a task of {', '.join(TASKS)}")
    store = Store((results or ".") + question + query, task)
    if store.filesystem.get_file_info(store.folder).type != fs.FileType.Directory:
        raise FileNotFoundError(f"there is no folder {path}: run a sweep first, for example `python launch.py act=relu`")
    frame = latest_good(store.read()).to_pandas()
    point = ["data", "data_fingerprint", "parametrisation", "dtype", "act", "width", "depth", "seed"]
    newest = frame.groupby(point)["numerics_version"].transform("max")
    return frame[frame["numerics_version"] == newest].sort_values([*point, "key"], ignore_index=True)


def latest_good(table: pa.Table) -> pa.Table:
    """One row a key: a result before a failure, then a later row before an earlier one."""
    rank = pd.DataFrame(
        {
            "key": table["key"].to_pandas(),
            "good": table["status"].to_pandas() != "failed",
            "finished_at": table["finished_at"].to_pandas(),
        }
    )
    last = rank.sort_values(["good", "finished_at"], kind="stable").drop_duplicates("key", keep="last")
    return table.take(pa.array(np.sort(last.index.to_numpy())))


def _is_part(name: str) -> bool:
    return name.endswith(".parquet") and name[0] not in "._"


def _plain(task: str, columns: Sequence[str] | None) -> pa.Schema:
    fields = schema(task).remove_metadata()
    return fields if columns is None else pa.schema([fields.field(name) for name in columns])


def _filesystem(results: str) -> tuple[fs.FileSystem, str]:
    if "://" not in results:
        return fs.LocalFileSystem(), results
    try:
        filesystem, root = fs.FileSystem.from_uri(results)
        if not root:
            raise ValueError("it names no bucket or folder")
        return filesystem, root
    except (ValueError, OSError, pa.ArrowException) as error:
        raise StoreError(f"results={results} is not a folder or URI that can be opened ({_cause(error)})") from error


def _replace_file(target: str, content: bytes) -> None:
    """Writes a file under a hidden name, syncs it, and renames it."""
    folder = posixpath.dirname(target)
    hidden = posixpath.join(folder, f".{uuid.uuid4().hex}.tmp")
    try:
        with open(hidden, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(hidden, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(hidden)
        raise
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # makes the rename durable
    finally:
        os.close(descriptor)


def _cause(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
