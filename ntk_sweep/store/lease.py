"""Leases: a worker commits the rows of a chunk under a lease, and the driver can revoke it.

A node that is cut off from the network counts as dead. Its worker may go on computing, and may
still reach the results. The driver gives the chunk to another worker, but first it revokes the
lease: a worker that loses its lease stores no rows.

On a disk the lease is a folder in the session's staging folder. The worker writes a part there and
renames it into the task's folder. The driver renames the lease's folder away. So each commit is
either visible before the driver looks for what is missing, or it fails. In an object store, and
where the task's folder is a mount of its own, there is no staging folder. There the driver writes a
revocation file, and the worker looks for that file before each commit.

Warning:
    What a lease does not guarantee:

    - It is no fencing token. Without a staging folder the storage accepts every write, whoever
      holds the lease. A worker may pause, or its upload may hang, after it looked and before its
      rows appear. The lease may be revoked meanwhile, and the rows appear all the same. The points
      then have two rows with the same numbers; `load_results` returns one.
    - It has no term. No clock ends it, and a slow worker keeps it. Only the driver revokes it. If
      the driver dies, nobody does, and workers that outlive it go on committing until another sweep
      removes the session.
    - It does not stop the worker. A worker without a lease computes on, and notices at its next
      commit. Kernel matrices are written without a lease; those of one key are equal.
    - It excludes no other sweep. Two sweeps may compute the same point.
    - It trusts the file system. The promise of the disk holds where a rename is atomic and is seen
      by all hosts at once. A network file system that serves a stale cache may break it.
    - It orders nothing by time. Which of two rows is the later one is decided by `finished_at`, the
      clock of the worker's host.
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
    """The driver revoked the worker's lease: another worker computes these points."""


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
    def _has_folder(self) -> bool:
        return self.store.is_local and os.path.isdir(self.store.staging_folder(self.session))

    @property
    def _folder(self) -> str:
        return posixpath.join(self.store.staging_folder(self.session), str(self.chunk))

    @property
    def _revocation(self) -> str:
        return f"{self.session}-{self.chunk}"

    @contextmanager
    def acquired(self) -> Iterator[Lease]:
        """Holds the lease while a worker computes the chunk.

        Raises:
            StoreError: This process does not see the results of the sweep, or cannot write them.
            LeaseLost: The driver revoked the lease before this worker began.
        """
        self.store.check_session(self.session)
        if not self._has_folder:
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
        if not self._has_folder:
            self.store.check_session(self.session)
            if self.store.has_hidden(self._revocation):
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
        if not self._has_folder:
            self.store.write_hidden(self._revocation, b"")
            return None
        away = self._folder + ".revoked"
        try:
            while True:
                # Either no worker holds the lease, and now none can acquire it ...
                with suppress(FileExistsError):
                    return os.mkdir(self._folder)
                # ... or one does, and loses it here, unless it has just ended by itself.
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
