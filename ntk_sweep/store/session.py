"""Session files: each names a running sweep and its process. A session excludes nobody.

Workers recognise the results folder by the file, and other sweeps learn of this one. The next sweep
removes the file, and all that belongs to it, once the process has ended: at once if that is known,
otherwise after `OLD_SECONDS`. Workers that outlive their session store nothing.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
import shutil
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass

import psutil
from pyarrow import fs

from ntk_sweep.store.filesystems import FAILURES

OLD_SECONDS = 7 * 86400
"""A session file older than this, of a process of which nothing is known, is a leftover."""

_SESSION = re.compile(r"\.sweep-[0-9a-f]{32}")
_HIDDEN = re.compile(r"\.sweep-[0-9a-f]{32}(-\d+)?|\.[0-9a-f]{32}\.tmp")


@dataclass(frozen=True)
class Owner:
    """The process that runs the sweep of a session.

    Attributes:
        host: Its name.
        pid: The number of the process there.
        born: When the process started, in clock ticks since the boot, or in seconds since 1970
            where there is no `/proc`; tells processes of one number apart.
        machine: Identifies the boot of the host and the namespace of its process numbers; without
            `/proc` the host.
        since: When the sweep began.
    """

    host: str
    pid: int
    born: int
    machine: str
    since: float

    @classmethod
    def this(cls) -> Owner:
        """This process."""
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
        """The content of the session file; the attributes are its keys."""
        return json.dumps(asdict(self)).encode()

    @property
    def is_alive(self) -> bool | None:
        """Whether the process runs; None for a process of another machine."""
        if not self.machine or self.machine != _machine():
            return None
        return self.born == _started(self.pid)

    def __str__(self) -> str:
        began = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.since))
        return f"process {self.pid} on {self.host}, since {began}"


def hidden_files(filesystem: fs.FileSystem, folder: str) -> Iterator[tuple[str, float]]:
    """The hidden files and staging folders of a task's sessions, each with its last change.

    These are session files, staging folders, revocation files, and parts that were never renamed.
    """
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


def remove_session(filesystem: fs.FileSystem, folder: str, session: str) -> None:
    """Removes a session file and all that belongs to it."""
    for path, _ in list(hidden_files(filesystem, folder)):
        if posixpath.basename(path).startswith(session):
            _remove(filesystem, path)


def remove_leftovers(filesystem: fs.FileSystem, folder: str) -> None:
    """Removes what killed sweeps left behind."""
    found = dict(hidden_files(filesystem, folder))
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
            _remove(filesystem, path)


def other_owners(filesystem: fs.FileSystem, folder: str, session: str) -> list[str]:
    """The owners of other sessions, in words."""
    owners = [
        _owner(filesystem, path)
        for path, _ in hidden_files(filesystem, folder)
        if posixpath.basename(path) != session
    ]
    return [str(owner) for owner in owners if owner]


def _remove(filesystem: fs.FileSystem, path: str) -> None:
    """Removes a file or folder; one that cannot be removed stays."""
    if isinstance(filesystem, fs.LocalFileSystem) and os.path.isdir(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(*FAILURES):
            filesystem.delete_file(path)


def _owner(filesystem: fs.FileSystem, path: str) -> Owner | None:
    if not _SESSION.fullmatch(posixpath.basename(path)):
        return None
    with suppress(*FAILURES), filesystem.open_input_file(path) as file:
        return Owner.parse(file.read())
    return None


def _machine() -> str:
    """See `Owner.machine`; empty where it cannot be told."""
    if not _has_proc():
        number = uuid.getnode()
        is_random = number >> 40 & 1  # this process's own number, where there is no network card
        return "" if is_random else f"{number:012x}"
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _started(pid: int) -> int:
    """When a process started; 0 if there is none of this number, or it cannot be told."""
    try:
        if not _has_proc():
            process = psutil.Process(pid)
            return 0 if process.status() == psutil.STATUS_ZOMBIE else int(process.create_time())
        with open(f"/proc/{pid}/stat") as file:
            # The name, in parentheses, may hold blanks; a zombie has ended.
            state, *fields = file.read().rpartition(") ")[2].split()
            return 0 if state == "Z" else int(fields[18])
    except (OSError, ValueError, IndexError, psutil.Error):
        return 0


def _has_proc() -> bool:
    """Whether the system shows its processes as files, as Linux does."""
    return os.access("/proc/self/stat", os.R_OK)
