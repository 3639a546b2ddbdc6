"""The store: one folder of Parquet parts a task, on a local disk or in an object store.

What every reader may rely on:

- Nothing visible is ever partial. A part is written under a hidden name (readers ignore names that
  begin with ``.`` or ``_``), synced and then renamed; an object store shows an object only when its
  upload is complete.
- Rows only ever appear. A writer grows its own part by replacing it with a longer one, so
  `pandas.read_parquet(folder)` works at any moment and sees each row once.
- A key says what a row is. `load_results` returns one row a key, the latest good one.
"""

from __future__ import annotations

import io
import os
import posixpath
import socket
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import fs

from ntk_sweep.errors import StoreError
from ntk_sweep.settings.locations import absolute_results
from ntk_sweep.settings.tasks import TASKS
from ntk_sweep.store import part_file as parts
from ntk_sweep.store import session as marks
from ntk_sweep.store.columns import schema
from ntk_sweep.store.filesystems import (
    FAILURES,
    above,
    below,
    cause,
    open_filesystem,
    without_credentials,
    write_file,
)

READ_SECONDS = 10.0
"""How long reading is tried again when parts vanish under it; a merge takes a fraction of a second,
once a sweep."""

READ_PAUSE_SECONDS = 0.01

KERNEL_FOLDER = "_kernels"


@dataclass(frozen=True)
class Entry:
    """What the store knows of a finished key."""

    status: str
    kernel_file: str | None

    def serves(self, with_kernel: bool) -> bool:
        """Whether it is all that is wanted of the key; `with_kernel` if the kernel matrix is."""
        return bool(self.kernel_file) or not with_kernel


class Store:
    """The rows of one task under a results folder or URI.

    Args:
        results: A folder, or a URI that `pyarrow.fs` understands, such as ``s3://bucket/prefix``.
        task: The name of the task; rows lie in ``<results>/<task>``.
    """

    def __init__(self, results: str, task: str) -> None:
        self.results = absolute_results(results)
        self.task = task
        self.filesystem, root = open_filesystem(self.results)
        self.folder = posixpath.join(root, task)

    @property
    def is_local(self) -> bool:
        """Whether rows lie in a file system of this machine."""
        return isinstance(self.filesystem, fs.LocalFileSystem)

    @property
    def location(self) -> str:
        """Where the rows lie, as a user would type it."""
        return below(self.results, self.task)

    @contextmanager
    def opened_for_writing(self) -> Iterator[str]:
        """Makes sure that the folder can be written, and marks it while a sweep is under way.

        Yields:
            The name of the mark, by which a worker on another machine can tell whether it sees the
            same folder.

        Raises:
            StoreError: The folder cannot be written, or holds a part that cannot be read.
        """
        mark = self.write(f".sweep-{uuid.uuid4().hex}", marks.Owner.this().content)
        marks.remove_leftovers(self.filesystem, self.folder)
        if self.is_local:
            self._make_workshop(mark)
        try:
            yield mark
        finally:
            with suppress(*FAILURES):
                own = [
                    path
                    for path, _ in marks.hidden(self.filesystem, self.folder)
                    if posixpath.basename(path).startswith(mark)
                ]
                marks.remove(self.filesystem, own)

    def other_sweeps(self, mark: str) -> list[str]:
        """Whose marks there are besides `mark`, in words."""
        return marks.others(self.filesystem, self.folder, mark)

    def workshop(self, mark: str) -> str:
        """Where, on a disk, the workers of a sweep write parts before these appear.

        Beside the task's folder, since a reader of that would stumble over folders that come and
        go, hidden ones too.
        """
        return posixpath.join(posixpath.dirname(self.folder), mark)

    def _make_workshop(self, mark: str) -> None:
        """Goes without where parts cannot be renamed out of it, because the task's folder is a
        mount of its own."""
        with suppress(OSError):
            os.mkdir(self.workshop(mark))
            if os.stat(self.workshop(mark)).st_dev != os.stat(self.folder).st_dev:
                os.rmdir(self.workshop(mark))

    def check_mark(self, mark: str) -> None:
        """Raises a StoreError if this process does not see the folder in which the sweep was
        started."""
        if not self.has(mark):
            raise StoreError(
                f"the results folder {self.location} was removed, or is not the one that the sweep "
                "was started with: workers on other machines need a shared folder or an object "
                "store (results=s3://bucket/prefix)"
            )

    def has(self, name: str) -> bool:
        """Whether there is a file of this name."""
        with self._looking():
            return (
                self.filesystem.get_file_info(posixpath.join(self.folder, name)).type
                == fs.FileType.File
            )

    @contextmanager
    def _looking(self) -> Iterator[None]:
        """Turns what a file system that cannot be reached raises into a StoreError."""
        try:
            yield
        except FAILURES as error:
            where = (
                f" on host {socket.gethostname()}; an object store's endpoint and credentials are "
                "looked for there"
            )
            raise StoreError(
                f"{self.location} cannot be read ({cause(error)}){'' if self.is_local else where}: "
                "check the address, the network and the permissions"
            ) from error

    def exists(self) -> bool:
        """Whether there is a folder of the task, if only an empty one."""
        with self._looking():
            return self.filesystem.get_file_info(self.folder).type == fs.FileType.Directory

    def parts(self) -> list[fs.FileInfo]:
        """The visible parts, by name; none if the folder does not exist."""
        if not self.is_local:
            with self._looking():
                found = self.filesystem.get_file_info(
                    fs.FileSelector(self.folder, allow_not_found=True)
                )
            return sorted(
                (f for f in found if f.type == fs.FileType.File and parts.is_part(f.base_name)),
                key=lambda f: f.base_name,
            )
        # Arrow's own listing silently leaves out what a merge removes between its listing of names
        # and its look at each, whereas the merged part is not yet among the names; here the names
        # are listed again.
        while True:
            try:
                names = sorted(name for name in os.listdir(self.folder) if parts.is_part(name))
            except (FileNotFoundError, NotADirectoryError):
                return []
            found = self.filesystem.get_file_info(
                [posixpath.join(self.folder, name) for name in names]
            )
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
                # A merge removed a part between the listing and the reading: its rows are in a
                # newer part.
                if time.monotonic() > deadline:
                    raise StoreError(
                        f"parts of {self.location} vanish while they are read ({cause(error)}): "
                        "try again"
                    ) from error
                time.sleep(READ_PAUSE_SECONDS)
        empty = schema(self.task).empty_table()
        return pa.concat_tables([empty.select(columns) if columns else empty, *tables])

    def finished(self) -> dict[str, Entry]:
        """Key → what is known of it, for all points that need not be computed again: those with a
        result."""
        table = self.read(["key", "status", "kernel_file", "finished_at"])
        table = table.filter(pc.field("status") != "failed").sort_by("finished_at")
        entries: dict[str, Entry] = {}
        for row in table.to_pylist():
            entries[row["key"]] = Entry(row["status"], row["kernel_file"])
        return entries

    def save_kernel(self, key: str, kernel: np.ndarray) -> str:
        """Stores a kernel matrix beside the rows, and returns its name relative to the task's
        folder."""
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
                f"a row names the kernel {kernel_file}, which does not lie in {KERNEL_FOLDER}: its "
                "part is not ours to trust"
            )
        try:
            with self.filesystem.open_input_file(path) as file:
                return np.lib.format.read_array(io.BytesIO(file.read()), allow_pickle=False)
        except (OSError, ValueError) as error:
            raise StoreError(
                f"the kernel {path} cannot be read ({cause(error)}): recompute its point with "
                "force=true"
            ) from error

    def read_part(self, path: str, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of one part; raises as `parts.read_part`."""
        return parts.read_part(self.filesystem, path, self.task, columns)

    def serialise(self, table: pa.Table) -> bytes:
        """A table of rows as the bytes of a part."""
        return parts.serialise(table, self.task)

    def write(self, name: str, content: bytes, workshop: str | None = None) -> str:
        """Makes `content` appear under `name`, wholly or not at all, and returns the name.

        Args:
            name: Relative to the task's folder.
            content: Of the file.
            workshop: As of `write_file`.

        Raises:
            StoreError: It cannot be written.
        """
        target = posixpath.join(self.folder, name)
        try:
            write_file(self.filesystem, target, content, workshop)
        except FAILURES as error:
            raise self.unwritable(error) from error
        return name

    def unwritable(self, error: BaseException) -> StoreError:
        """What to say when the results cannot be written."""
        return StoreError(
            f"the results folder {self.location} cannot be written ({cause(error)}): mend that, or "
            "give another with results=…; rows that are there stay, and the same command again "
            "computes what is missing"
        )


def load_results(path: str | os.PathLike[str]) -> pd.DataFrame:
    """The rows of a task as a frame: one row a key, the latest good one, or the latest failure
    where there is none.

    Args:
        path: The task's folder or URI, ``<results>/<task>``.

    Returns:
        The columns of `ntk_sweep.store.columns`, ordered by data, parametrisation, activation, width,
        depth and seed; empty before the first commit of a sweep.

    Raises:
        FileNotFoundError: There is no such folder, or it is not a task's folder.
        StoreError: A part is truncated, foreign or of another version; the message names it.
    """
    results, task = above(os.fspath(path))
    shown = without_credentials(os.fspath(path))
    if task not in TASKS:
        raise FileNotFoundError(
            f"{shown} is not the folder of a task: give <results>/<task>, with a task of "
            f"{', '.join(TASKS)}"
        )
    store = Store(results, task)
    if not store.exists():
        raise FileNotFoundError(
            f"there is no folder {shown}: run a sweep first, for example `python launch.py "
            "act=relu`"
        )
    frame = latest_good(store.read()).to_pandas()
    point = [
        "data",
        "data_fingerprint",
        "parametrisation",
        "dtype",
        "act",
        "width",
        "depth",
        "seed",
    ]
    newest = frame.groupby(point)["numerics_version"].transform("max")
    return frame[frame["numerics_version"] == newest].sort_values(
        [*point, "key"], ignore_index=True
    )


def latest_good(table: pa.Table) -> pa.Table:
    """One row a key: a result before a failure, then a later row before an earlier one."""
    rank = pd.DataFrame(
        {
            "key": table["key"].to_pandas(),
            "good": table["status"].to_pandas() != "failed",
            "finished_at": table["finished_at"].to_pandas(),
        }
    )
    last = rank.sort_values(["good", "finished_at"], kind="stable").drop_duplicates(
        "key", keep="last"
    )
    return table.take(pa.array(np.sort(last.index.to_numpy())))
