"""The store: one folder of Parquet parts a task, on a local disk or in an object store.

Readers may rely on this:

- The task's folder holds parts and nothing else: kernels, sessions and files that are not yet
  whole lie beside it. Only where the task's folder is a mount of its own, out of which no file can
  be renamed, hidden files lie in it.
- Nothing visible is partial. A part is written under a hidden name, synced and renamed. An object
  store shows an object when its upload is complete.
- Rows only appear. A writer replaces its own part by a longer one, so
  `pandas.read_parquet(folder)` works at any moment and sees each row once.
- A key identifies a point. `ntk_sweep.store.reading` returns one row a key, the latest good one.
"""

from __future__ import annotations

import os
import posixpath
import socket
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

import numpy as np
import pyarrow as pa
from pyarrow import fs

from ntk_sweep.errors import StoreError
from ntk_sweep.settings.locations import absolute_results
from ntk_sweep.store import part_file
from ntk_sweep.store import session as sessions
from ntk_sweep.store.atomic_write import write_file
from ntk_sweep.store.columns import schema
from ntk_sweep.store.filesystems import FAILURES, cause, join_location, open_filesystem
from ntk_sweep.store.kernel_file import KERNELS, kernel_name, read_kernel, serialise_kernel

READ_SECONDS = 10.0
"""How long reading is tried again when parts vanish; a merge takes a fraction of a second."""

READ_PAUSE_SECONDS = 0.01


class Store:
    """The rows of one task under a results folder or URI.

    Args:
        results: A folder, or a URI that `pyarrow.fs` understands, such as ``s3://bucket/prefix``.
        task: The name of the task; rows lie in ``<results>/<task>``.

    Raises:
        StoreError: `results` is a URI that cannot be opened, or holds credentials.
    """

    def __init__(self, results: str, task: str) -> None:
        self.results = absolute_results(results)
        self.task = task
        self.filesystem, self._root = open_filesystem(self.results)
        self.folder = posixpath.join(self._root, task)

    @property
    def is_local(self) -> bool:
        """Whether rows lie in a file system of this machine."""
        return isinstance(self.filesystem, fs.LocalFileSystem)

    @property
    def location(self) -> str:
        """Where the rows lie, as a user would type it."""
        return join_location(self.results, self.task)

    @property
    def hidden_folder(self) -> str:
        """Where files lie that are no rows: beside the task's folder, or in one that is a mount.

        Readers would list them, hidden or not. But no file can be renamed from one mount into
        another, and hosts that share a mount may share nothing else.
        """
        with suppress(OSError):
            if self.is_local and os.stat(self._root).st_dev != os.stat(self.folder).st_dev:
                return self.folder
        return self._root

    @property
    def _places(self) -> list[str]:
        """The folders in which hidden files may lie; earlier versions wrote them beside parts."""
        kernels = [posixpath.join(self._root, KERNELS, self.task)] if self.is_local else []
        return [self._root, self.folder, *kernels]

    @contextmanager
    def open_session(self) -> Iterator[str]:
        """Keeps a session file and a staging folder while a sweep runs.

        What killed sweeps left behind is removed.

        Yields:
            The name of the session file. Workers on other machines recognise the folder by it.

        Raises:
            StoreError: The folder cannot be written.
        """
        if self.is_local:
            with self._writing_errors():
                os.makedirs(self.folder, exist_ok=True)
        owner = sessions.Owner.this(self.task)
        session = self.write_hidden(f".sweep-{uuid.uuid4().hex}", owner.content)
        with self._reading_errors():
            sessions.remove_leftovers(self.filesystem, self._places, session)
        if self.is_local and self.hidden_folder != self.folder:
            with suppress(OSError):
                os.mkdir(self.staging_folder(session))
        try:
            yield session
        finally:
            with suppress(*FAILURES):
                sessions.remove_session(self.filesystem, self._places, session)

    def announce(self, session: str, keys: Iterable[str], cost: float) -> None:
        """Says in the session file which points the sweep computes, and in how many seconds."""
        owner = sessions.Owner.this(self.task).computing(keys, cost)
        self.write_hidden(session, owner.content)

    def other_sessions(self, session: str) -> list[str]:
        """The owners of the task's sessions other than `session`, in words."""
        with self._reading_errors():
            return sessions.other_owners(self.filesystem, self._places, self.task, session)

    def staging_folder(self, session: str) -> str:
        """The folder in which the workers of a sweep write parts before these appear.

        There is none where the task's folder is a mount of its own.
        """
        return posixpath.join(self._root, f"{session}-staging")

    def check_session(self, session: str) -> None:
        """Checks that this process sees the results of the sweep.

        Raises:
            StoreError: It does not, or they cannot be read.
        """
        is_there = not self.is_local or os.path.isdir(self.folder)
        if not is_there or not self.has_hidden(session):
            raise StoreError(
                f"the results folder {self.location} was removed, or is not the one that the sweep "
                "was started with: workers on other machines need a shared folder or an object "
                "store (results=s3://bucket/prefix)"
            )

    def has_hidden(self, name: str) -> bool:
        """Whether `write_hidden` wrote a file of this name.

        Raises:
            StoreError: The folder cannot be read.
        """
        path = posixpath.join(self.hidden_folder, name)
        with self._reading_errors():
            return self.filesystem.get_file_info(path).type == fs.FileType.File

    @contextmanager
    def _reading_errors(self) -> Iterator[None]:
        """Raises a StoreError where the file system cannot be read."""
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
        """Whether there is a folder of the task, if only an empty one.

        An object store has no empty folders: there a sweep under way counts.

        Raises:
            StoreError: It cannot be read.
        """
        with self._reading_errors():
            if self.filesystem.get_file_info(self.folder).type == fs.FileType.Directory:
                return True
        return not self.is_local and bool(self.other_sessions(""))

    def parts(self) -> list[fs.FileInfo]:
        """The visible parts, by name; none if the folder does not exist.

        Raises:
            StoreError: An object store cannot be read.
        """
        if not self.is_local:
            with self._reading_errors():
                found = self.filesystem.get_file_info(
                    fs.FileSelector(self.folder, allow_not_found=True)
                )
            return sorted(
                (f for f in found if f.type == fs.FileType.File and part_file.is_part(f.base_name)),
                key=lambda f: f.base_name,
            )
        # Arrow lists names and then looks at each. Its listing lacks parts that a merge removes in
        # between, and the merged part too. Here the names are listed again.
        while True:
            try:
                names = sorted(name for name in os.listdir(self.folder) if part_file.is_part(name))
            except (FileNotFoundError, NotADirectoryError):
                return []
            found = self.filesystem.get_file_info(
                [posixpath.join(self.folder, name) for name in names]
            )
            if all(f.type != fs.FileType.NotFound for f in found):
                break
        return [f for f in found if f.type == fs.FileType.File]

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All visible rows: several of a key that was computed several times.

        Args:
            columns: Names of the columns to read; by default all.

        Raises:
            StoreError: A part is truncated, foreign or of a newer version; the message names it.
        """
        deadline = time.monotonic() + READ_SECONDS
        while True:
            try:
                tables = [self.read_part(part.path, columns) for part in self.parts()]
                break
            except FileNotFoundError as error:
                # A merge removed a part after it was listed: its rows are in a newer part.
                if time.monotonic() > deadline:
                    raise StoreError(
                        f"parts of {self.location} vanish while they are read ({cause(error)}): "
                        "try again"
                    ) from error
                time.sleep(READ_PAUSE_SECONDS)
        empty = pa.Table.from_batches([], schema(self.task))
        return pa.concat_tables([empty.select(columns) if columns else empty, *tables])

    def save_kernel(self, key: str, kernel: np.ndarray, column: str = "kernel_file") -> str:
        """Stores a kernel matrix, or what another column names; returns its name.

        The name is relative to the results.

        Raises:
            StoreError: It cannot be written.
            ValueError: It is an array of objects.
        """
        name = kernel_name(self.task, key, column)
        content = serialise_kernel(kernel)
        with self._writing_errors():
            write_file(self.filesystem, posixpath.join(self._root, name), content)
        return name

    def load_kernel(self, kernel_file: str) -> np.ndarray:
        """The array that a row names in `kernel_file` or the like; raises as `read_kernel` does."""
        return read_kernel(self.filesystem, self._root, self.task, kernel_file)

    def read_part(self, path: str, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of one part; raises what `part_file.read_part` raises."""
        return part_file.read_part(self.filesystem, path, self.task, columns)

    def serialise(self, table: pa.Table) -> bytes:
        """A table of rows as the bytes of a part."""
        return part_file.serialise(table, self.task)

    def write(self, name: str, content: bytes, staging: str | None = None) -> str:
        """Makes a part appear in the task's folder, wholly or not at all, and returns its name.

        Args:
            name: Of the part.
            content: Of the part.
            staging: On a disk, an existing folder to write the part in before it appears. Without
                one the task's folder is made if it is not there.

        Raises:
            StoreError: It cannot be written.
        """
        with self._writing_errors():
            if self.is_local and staging is None:
                os.makedirs(self.folder, exist_ok=True)
                staging = self.hidden_folder
            write_file(self.filesystem, posixpath.join(self.folder, name), content, staging)
        return name

    def write_hidden(self, name: str, content: bytes) -> str:
        """The same for a file that is no part, in the hidden folder."""
        with self._writing_errors():
            write_file(self.filesystem, posixpath.join(self.hidden_folder, name), content)
        return name

    @contextmanager
    def _writing_errors(self) -> Iterator[None]:
        """Raises a StoreError where the file system cannot be written."""
        try:
            yield
        except FAILURES as error:
            raise self.write_error(error) from error

    def write_error(self, error: BaseException) -> StoreError:
        """The error for results that cannot be written: why, and what to do."""
        return StoreError(
            f"the results folder {self.location} cannot be written ({cause(error)}): mend that, or "
            "give another with results=…; rows that are there stay, and the same command again "
            "computes what is missing"
        )
