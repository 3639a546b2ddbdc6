"""The store: one folder of Parquet parts a task, on a local disk or in an object store.

Readers may rely on this:

- Nothing visible is partial. A part is written under a hidden name, synced and renamed. Readers
  ignore names that begin with ``.`` or ``_``. An object store shows an object when its upload is
  complete.
- Rows only appear. A writer replaces its own part by a longer one, so
  `pandas.read_parquet(folder)` works at any moment and sees each row once.
- A key identifies a point. `ntk_sweep.store.reading` returns one row a key, the latest good one.
"""

from __future__ import annotations

import io
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
from ntk_sweep.store.filesystems import (
    FAILURES,
    cause,
    join_location,
    open_filesystem,
)

READ_SECONDS = 10.0
"""How long reading is tried again when parts vanish; a merge takes a fraction of a second."""

READ_PAUSE_SECONDS = 0.01

KERNEL_FOLDER = "_kernels"
"""Holds kernel matrices; readers of the rows ignore it."""


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
        self.filesystem, root = open_filesystem(self.results)
        self.folder = posixpath.join(root, task)

    @property
    def is_local(self) -> bool:
        """Whether rows lie in a file system of this machine."""
        return isinstance(self.filesystem, fs.LocalFileSystem)

    @property
    def location(self) -> str:
        """Where the rows lie, as a user would type it."""
        return join_location(self.results, self.task)

    @contextmanager
    def open_session(self) -> Iterator[str]:
        """Keeps a session file and a staging folder while a sweep runs.

        What killed sweeps left behind is removed.

        Yields:
            The name of the session file. Workers on other machines recognise the folder by it.

        Raises:
            StoreError: The folder cannot be written.
        """
        session = self.write(f".sweep-{uuid.uuid4().hex}", sessions.Owner.this().content)
        sessions.remove_leftovers(self.filesystem, self.folder)
        if self.is_local:
            self._make_staging_folder(session)
        try:
            yield session
        finally:
            with suppress(*FAILURES):
                sessions.remove_session(self.filesystem, self.folder, session)

    def announce(self, session: str, keys: Iterable[str], cost: float) -> None:
        """Says in the session file which points the sweep computes, and in how many seconds."""
        self.write(session, sessions.Owner.this().computing(keys, cost).content)

    def other_sessions(self, session: str) -> list[str]:
        """The owners of sessions other than `session`, in words."""
        return sessions.other_owners(self.filesystem, self.folder, session)

    def staging_folder(self, session: str) -> str:
        """The folder in which the workers of a sweep write parts before these appear.

        It lies beside the task's folder. In that folder readers would stumble over folders that
        come and go, hidden ones too.
        """
        return posixpath.join(posixpath.dirname(self.folder), session)

    def _make_staging_folder(self, session: str) -> None:
        """Makes the staging folder, unless the task's folder is a mount of its own.

        No part could be renamed from one mount into another.
        """
        with suppress(OSError):
            os.mkdir(self.staging_folder(session))
            if os.stat(self.staging_folder(session)).st_dev != os.stat(self.folder).st_dev:
                os.rmdir(self.staging_folder(session))

    def check_session(self, session: str) -> None:
        """Checks that this process sees the results of the sweep.

        Raises:
            StoreError: It does not, or they cannot be read.
        """
        if not self.has_file(session):
            raise StoreError(
                f"the results folder {self.location} was removed, or is not the one that the sweep "
                "was started with: workers on other machines need a shared folder or an object "
                "store (results=s3://bucket/prefix)"
            )

    def has_file(self, name: str) -> bool:
        """Whether there is a file of this name.

        Raises:
            StoreError: The folder cannot be read.
        """
        with self._reading_errors():
            return (
                self.filesystem.get_file_info(posixpath.join(self.folder, name)).type
                == fs.FileType.File
            )

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

        Raises:
            StoreError: It cannot be read.
        """
        with self._reading_errors():
            return self.filesystem.get_file_info(self.folder).type == fs.FileType.Directory

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
            StoreError: A part is truncated, foreign or of another version; the message names it.
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
        empty = schema(self.task).empty_table()
        return pa.concat_tables([empty.select(columns) if columns else empty, *tables])

    def save_kernel(self, key: str, kernel: np.ndarray) -> str:
        """Stores a kernel matrix, and returns its name relative to the task's folder.

        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as results:
        ...     store = Store(results, "spectrum")
        ...     store.load_kernel(store.save_kernel("key", np.eye(2)))
        array([[1., 0.],
               [0., 1.]])

        Raises:
            StoreError: It cannot be written.
            ValueError: It is an array of objects.
        """
        buffer = io.BytesIO()
        np.save(buffer, kernel, allow_pickle=False)
        return self.write(f"{KERNEL_FOLDER}/{key}.npy", buffer.getvalue())

    def load_kernel(self, kernel_file: str) -> np.ndarray:
        """The kernel matrix that a row names in `kernel_file`.

        Raises:
            StoreError: It is missing, unreadable or outside the folder of kernels.
        """
        path = posixpath.join(self.folder, kernel_file)
        if posixpath.dirname(posixpath.normpath(kernel_file)) != KERNEL_FOLDER:
            raise StoreError(
                f"a row names the kernel {kernel_file}, which does not lie in {KERNEL_FOLDER}: "
                "ntk-sweep did not write the part of that row"
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
        """The rows of one part; raises what `part_file.read_part` raises."""
        return part_file.read_part(self.filesystem, path, self.task, columns)

    def serialise(self, table: pa.Table) -> bytes:
        """A table of rows as the bytes of a part."""
        return part_file.serialise(table, self.task)

    def write(self, name: str, content: bytes, staging: str | None = None) -> str:
        """Makes `content` appear under `name`, wholly or not at all, and returns the name.

        Args:
            name: Relative to the task's folder.
            content: Of the file.
            staging: As of `write_file`.

        Raises:
            StoreError: It cannot be written.
        """
        target = posixpath.join(self.folder, name)
        try:
            write_file(self.filesystem, target, content, staging)
        except FAILURES as error:
            raise self.write_error(error) from error
        return name

    def write_error(self, error: BaseException) -> StoreError:
        """The error for results that cannot be written: why, and what to do."""
        return StoreError(
            f"the results folder {self.location} cannot be written ({cause(error)}): mend that, or "
            "give another with results=…; rows that are there stay, and the same command again "
            "computes what is missing"
        )
