"""Session files: each names a running sweep and its process. A session excludes nobody.

Workers recognise the results folder by the file, and other sweeps learn of this one. If its process
is known to have ended, the file and all that belongs to it is removed at once; workers that
outlived the process then store nothing. If nothing is known of the process, that happens after
`OLD_SECONDS`.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
import shutil
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass

from pyarrow import fs

from ntk_sweep.store.filesystems import FAILURES

OLD_SECONDS = 7 * 86400
"""A killed sweep left any session file older than this."""

_SESSION = re.compile(r"\.sweep-[0-9a-f]{32}")
_HIDDEN = re.compile(r"\.sweep-[0-9a-f]{32}(-\d+)?|\.[0-9a-f]{32}\.tmp")


@dataclass(frozen=True)
class Owner:
    """The process that runs the sweep of a session.

    Attributes:
        host: Its name.
        pid: Its number there.
        born: When it started, in the clock ticks of its machine.
        machine: Names the machine since it was last started, and the set of processes that share
            their numbers.
        since: When the sweep began.
    """

    host: str
    pid: int
    born: int
    machine: str
    since: float

    @classmethod
    def this(cls) -> Owner:
        """The process that asks."""
        return cls(
            socket.gethostname(), os.getpid(), _started(os.getpid()), _machine(), time.time()
        )

    @classmethod
    def parse(cls, content: bytes) -> Owner | None:
        """The owner that a session file names; None if the file cannot be read as one."""
        with suppress(ValueError, TypeError):
            owner = cls(**json.loads(content))
            if isinstance(owner.pid, int) and isinstance(owner.since, float):
                return owner
        return None

    @property
    def content(self) -> bytes:
        """The content of the session file."""
        return json.dumps(asdict(self)).encode()

    @property
    def is_alive(self) -> bool | None:
        """None for processes of other machines, of which nothing is known."""
        if not self.machine or self.machine != _machine():
            return None
        return self.born == _started(self.pid)

    def __str__(self) -> str:
        began = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.since))
        return f"process {self.pid} on {self.host}, since {began}"


def hidden(filesystem: fs.FileSystem, folder: str) -> Iterator[tuple[str, float]]:
    """Session files, staging folders, revocations and temporary files, with their last change."""
    if isinstance(filesystem, fs.LocalFileSystem):
        for place in (folder, posixpath.dirname(folder)):
            for name in os.listdir(place):
                if _HIDDEN.fullmatch(name):
                    with suppress(FileNotFoundError):
                        yield (
                            posixpath.join(place, name),
                            os.stat(posixpath.join(place, name)).st_mtime,
                        )
    else:
        for found in filesystem.get_file_info(fs.FileSelector(folder, allow_not_found=True)):
            if _HIDDEN.fullmatch(found.base_name) and found.mtime is not None:
                yield found.path, found.mtime.timestamp()


def remove(filesystem: fs.FileSystem, paths: Iterable[str]) -> None:
    """Removes files and folders; what cannot be removed stays."""
    for path in paths:
        if isinstance(filesystem, fs.LocalFileSystem) and os.path.isdir(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(*FAILURES):
                filesystem.delete_file(path)


def remove_leftovers(filesystem: fs.FileSystem, folder: str) -> None:
    """Removes what killed sweeps left behind."""
    found = dict(hidden(filesystem, folder))
    alive = {
        posixpath.basename(path): owner.is_alive
        for path in found
        if (owner := _owner(filesystem, path))
    }
    for path, modified in found.items():
        name = posixpath.basename(path)
        session = match.group() if (match := _SESSION.match(name)) else name
        if alive.get(session) is False or (
            alive.get(session) is None and time.time() - modified > OLD_SECONDS
        ):
            remove(filesystem, [path])


def others(filesystem: fs.FileSystem, folder: str, session: str) -> list[str]:
    """The owners of other sessions, in words."""
    paths = [
        path
        for path, _ in hidden(filesystem, folder)
        if _SESSION.fullmatch(posixpath.basename(path))
    ]
    found = [
        (path, _owner(filesystem, path)) for path in paths if posixpath.basename(path) != session
    ]
    return [str(owner) for _, owner in found if owner]


def _owner(filesystem: fs.FileSystem, path: str) -> Owner | None:
    if not _SESSION.fullmatch(posixpath.basename(path)):
        return None
    with suppress(*FAILURES), filesystem.open_input_file(path) as file:
        return Owner.parse(file.read())
    return None


def _machine() -> str:
    """Empty where it cannot be told."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _started(pid: int) -> int:
    """When a process started; 0 if there is none of this number, or it cannot be told."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            # The name, in parentheses, may hold blanks; a zombie has ended.
            state, *fields = file.read().rpartition(") ")[2].split()
            return 0 if state == "Z" else int(fields[18])
    except (OSError, ValueError, IndexError):
        return 0
