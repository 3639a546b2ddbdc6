"""Permits: a worker commits the rows of a chunk under one, and the driver takes it back before
others compute the chunk again.

A machine that is cut off from the network is taken for dead, but may well go on computing, and
still reach the results. Without a permit its rows would come on top of those of the worker that
took its place.

On a disk the permit is a folder in the sweep's workshop, in which a part is written and out of
which it is renamed. The driver renames the folder itself away, so that a commit either is visible
before the driver looks for what is missing, or fails. An object store has no renames, and a task's
folder that is a mount of its own has no workshop: there the worker looks for a file by which the
driver takes the permit back, just before it commits; what is committed in the moment between the
two is a second row with the same numbers.
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


class RevokedError(StoreError):
    """A worker that was taken for dead wants to commit rows that others compute by now."""


@dataclass(frozen=True)
class Permit:
    """The right to commit the rows of one chunk.

    Attributes:
        store: Where the rows go.
        mark: The mark of the sweep in the store.
        ticket: The number of the chunk in the sweep.
    """

    store: Store
    mark: str
    ticket: int

    @property
    def _is_folder(self) -> bool:
        return self.store.is_local and os.path.isdir(self.store.workshop(self.mark))

    @property
    def _folder(self) -> str:
        return posixpath.join(self.store.workshop(self.mark), str(self.ticket))

    @property
    def _blocker(self) -> str:
        return f"{self.mark}-{self.ticket}"

    @contextmanager
    def claimed(self) -> Iterator[Permit]:
        """The worker's side, while it is at work on the chunk.

        Raises:
            StoreError: This process does not see the folder of the sweep, or cannot write to it.
            RevokedError: The chunk was given to others before this worker began.
        """
        self.store.check_mark(self.mark)
        if not self._is_folder:
            yield self
            return
        try:
            os.mkdir(self._folder)
        except FileExistsError as error:
            raise self._revoked() from error
        except OSError as error:
            raise self.store.unwritable(error) from error
        try:
            yield self
        finally:
            with suppress(OSError):
                os.rmdir(self._folder)

    def write(self, name: str, content: bytes) -> None:
        """Makes `content` appear under `name` in the store, wholly or not at all.

        Raises:
            StoreError: It cannot be written.
            RevokedError: The driver took the permit back.
        """
        if not self._is_folder:
            self.store.check_mark(self.mark)
            if self.store.has(self._blocker):
                raise self._revoked()
            self.store.write(name, content)
            return
        try:
            self.store.write(name, content, workshop=self._folder)
        except StoreError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                self.store.check_mark(self.mark)
                if not os.path.isdir(self._folder):
                    raise self._revoked() from error
            raise

    def revoke(self) -> None:
        """The driver's side: after this the worker commits nothing more.

        Raises:
            StoreError: The results cannot be written any more.
        """
        self.store.check_mark(self.mark)
        if not self._is_folder:
            self.store.write(self._blocker, b"")
            return None
        away = self._folder + ".revoked"
        try:
            while True:
                # A worker that has not begun never will.
                with suppress(FileExistsError):
                    return os.mkdir(self._folder)
                # One that has ends here; one that has just ended removed the folder itself.
                with suppress(FileNotFoundError):
                    os.rename(self._folder, away)
                    return shutil.rmtree(away, ignore_errors=True)
        except OSError as error:
            raise self.store.unwritable(error) from error

    def _revoked(self) -> RevokedError:
        return RevokedError(
            "the driver took the worker on this machine for dead and gave its points to others, so "
            f"its rows are not written to {self.store.location} a second time"
        )
