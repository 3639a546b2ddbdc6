"""Leases: a worker commits the rows of a chunk under a lease, and the driver can revoke it.

A node that is cut off from the network counts as dead. Its worker may go on computing, and may
still reach the results. The driver gives the chunk to another worker, but first it revokes the
lease: a worker that loses its lease stores nothing.

On a disk the lease is a folder in the session's staging folder. The worker writes a part there and
renames it into the task's folder. The driver renames the lease's folder away. So each commit is
either visible before the driver looks for what is missing, or it fails.

Warning:
    A lease is no fencing token. Storage does not check it at the moment of the write where there
    is no staging folder: in an object store, or where the task's folder is a mount of its own.
    There the worker looks for the revocation just before it commits. A commit in the moment
    between look and write succeeds, and its rows stand twice, with the same numbers; readers keep
    one row a key. A lease does not stop a worker from computing, does not expire by itself, and
    does not exclude a second sweep: two sweeps may compute the same point.
"""

from __future__ import annotations

import os
import posixpath
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from ntk_sweep.errors import StoreError
from ntk_sweep.store.store import Store


class LeaseLost(StoreError):
    """The worker lost its lease: another worker is computing these points."""


@dataclass(frozen=True)
class Lease:
    """The right to commit the rows of one chunk.

    Attributes:
        store: Where the rows go.
        session: The name of the sweep's session file.
        chunk: The number of the chunk in the sweep.
    """

    store: Store
    session: str
    chunk: int

    @property
    def _is_folder(self) -> bool:
        return self.store.is_local and os.path.isdir(self.store.staging(self.session))

    @property
    def _folder(self) -> str:
        return posixpath.join(self.store.staging(self.session), str(self.chunk))

    @property
    def _revocation(self) -> str:
        return f"{self.session}-{self.chunk}"

    @contextmanager
    def acquired(self) -> Iterator[Lease]:
        """Holds the lease while a worker computes the chunk.

        Raises:
            StoreError: This process does not see the folder of the sweep, or cannot write to it.
            LeaseLost: The driver revoked the lease before this worker began.
        """
        self.store.check_session(self.session)
        if not self._is_folder:
            yield self
            return
        try:
            os.mkdir(self._folder)
        except FileExistsError as error:
            raise self._lost() from error
        except OSError as error:
            raise self.store.write_error(error) from error
        try:
            yield self
        finally:
            with suppress(OSError):
                os.rmdir(self._folder)

    def write(self, name: str, content: bytes) -> None:
        """Makes `content` appear under `name` in the store, wholly or not at all.

        Raises:
            StoreError: It cannot be written.
            LeaseLost: The driver revoked the lease.
        """
        if not self._is_folder:
            self.store.check_session(self.session)
            if self.store.has(self._revocation):
                raise self._lost()
            self.store.write(name, content)
            return
        try:
            self.store.write(name, content, staging=self._folder)
        except StoreError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                self.store.check_session(self.session)
                if not os.path.isdir(self._folder):
                    raise self._lost() from error
            raise

    def revoke(self) -> None:
        """Revokes the lease for the driver: from now on the worker commits nothing.

        Raises:
            StoreError: The results cannot be written any more.
        """
        self.store.check_session(self.session)
        if not self._is_folder:
            self.store.write(self._revocation, b"")
            return None
        away = self._folder + ".revoked"
        try:
            while True:
                # A worker that has not begun never will.
                with suppress(FileExistsError):
                    return os.mkdir(self._folder)
                # A worker that has begun ends here; one that has just ended removed its folder.
                with suppress(FileNotFoundError):
                    os.rename(self._folder, away)
                    return shutil.rmtree(away, ignore_errors=True)
        except OSError as error:
            raise self.store.write_error(error) from error

    def _lost(self) -> LeaseLost:
        return LeaseLost(
            "the worker lost its lease: another worker is computing these points, so that nothing "
            f"more is written to {self.store.location}"
        )
