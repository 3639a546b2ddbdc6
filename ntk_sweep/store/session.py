"""Session files: each names a running sweep and its process. A session excludes nobody.

It also says what the sweep computes, once that is known. Workers recognise the results folder by
the file, and other sweeps learn of this one. The next sweep removes the file, and all that belongs
to it, once the process has ended: at once if that is known, otherwise after `OLD_SECONDS`. Workers
that outlive their session store nothing.
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
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace

from pyarrow import fs

from ntk_sweep.store.filesystems import FAILURES

OLD_SECONDS = 7 * 86400
"""A session file older than this, of a process of which nothing is known, is a leftover."""

KEY_DIGITS = 10
"""Of a point's 64 hexadecimal digits in a session file: of a hundred thousand points and as many
rows, one pair that does not belong together agrees in them once in a hundred sweeps."""

_SESSION = re.compile(r"\.sweep-[0-9a-f]{32}")
_HIDDEN = re.compile(r"\.sweep-[0-9a-f]{32}(-\d+|-staging)?|\.[0-9a-f]{32}\.tmp|\.merge(-\w+)?")


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
        since: When the sweep began, or began to compute, in seconds since 1970.
        task: That of the sweep; earlier versions named none.
        cost: Expected seconds of one worker for what it computes; None before that is known, and
            in files of earlier versions.
        keys: The first `KEY_DIGITS` of the key of each point that it computes, without a gap.
    """

    host: str
    pid: int
    born: int
    machine: str
    since: float
    task: str = ""
    cost: float | None = None
    keys: str = field(default="", repr=False)

    @classmethod
    def this(cls, task: str = "") -> Owner:
        """This process."""
        pid = os.getpid()
        return cls(socket.gethostname(), pid, _started(pid), _machine(), time.time(), task)

    @classmethod
    def parse(cls, content: bytes) -> Owner | None:
        """The owner that a session file names; None if the file cannot be read as one.

        What later versions may add to the file is left out.
        """
        with suppress(ValueError, TypeError, AttributeError):
            known = {item.name for item in fields(cls)}
            values = json.loads(content).items()
            owner = cls(**{name: value for name, value in values if name in known})
            if isinstance(owner.pid, int) and isinstance(owner.since, float):
                return owner
        return None

    @property
    def content(self) -> bytes:
        """The content of the session file; the attributes are its keys."""
        return json.dumps(asdict(self)).encode()

    def computing(self, keys: Iterable[str], cost: float) -> Owner:
        """The same process, which from now on computes the points of these keys."""
        beginnings = "".join(key[:KEY_DIGITS] for key in keys)
        return replace(self, since=time.time(), cost=cost, keys=beginnings)

    @property
    def wanted(self) -> list[str]:
        """The beginnings of the keys of the points that it computes."""
        starts = range(0, len(self.keys), KEY_DIGITS)
        return [self.keys[start : start + KEY_DIGITS] for start in starts]

    @property
    def is_alive(self) -> bool | None:
        """Whether the process runs; None for a process of another machine."""
        if not self.machine or self.machine != _machine():
            return None
        return self.born == _started(self.pid)

    def __str__(self) -> str:
        began = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.since))
        return f"process {self.pid} on {self.host}, since {began}"


def hidden_files(filesystem: fs.FileSystem, places: Iterable[str]) -> Iterator[tuple[str, float]]:
    """The hidden files and staging folders of sessions in `places`, each with its last change.

    These are session files, staging folders, revocation files, locks, and files that were never
    renamed.
    """
    for place in places:
        if isinstance(filesystem, fs.LocalFileSystem):
            with suppress(OSError):
                for name in filter(_HIDDEN.fullmatch, os.listdir(place)):
                    path = posixpath.join(place, name)
                    with suppress(FileNotFoundError):
                        yield path, os.stat(path).st_mtime
        else:
            for found in filesystem.get_file_info(fs.FileSelector(place, allow_not_found=True)):
                if _HIDDEN.fullmatch(found.base_name) and found.mtime is not None:
                    yield found.path, found.mtime.timestamp()


def remove_session(filesystem: fs.FileSystem, places: Iterable[str], session: str) -> None:
    """Removes a session file and all that belongs to it."""
    for path, _ in list(hidden_files(filesystem, places)):
        if posixpath.basename(path).startswith(session):
            _remove(filesystem, path)


def remove_leftovers(filesystem: fs.FileSystem, places: Iterable[str], session: str) -> None:
    """Removes what killed sweeps, of any task, left behind.

    Ages are told by the file system's own clock, which may differ from that of this host.

    Args:
        filesystem: Where.
        places: Folders in it.
        session: The name of a session file that has just been written.
    """
    found = dict(hidden_files(filesystem, places))
    alive = {
        posixpath.basename(path): owner.is_alive
        for path in found
        if (owner := _owner(filesystem, path))
    }
    now = max((at for path, at in found.items() if posixpath.basename(path) == session), default=0)
    for path, modified in found.items():
        name = posixpath.basename(path)
        owned = match.group() if (match := _SESSION.match(name)) else name
        if alive.get(owned) is False or (alive.get(owned) is None and now - modified > OLD_SECONDS):
            _remove(filesystem, path)


def other_owners(
    filesystem: fs.FileSystem, places: Iterable[str], task: str, session: str
) -> list[str]:
    """The owners of a task's other sessions, in words."""
    owners = [
        _owner(filesystem, path)
        for path, _ in hidden_files(filesystem, places)
        if posixpath.basename(path) != session
    ]
    return [str(owner) for owner in owners if owner and owner.task in (task, "")]


def owners(
    filesystem: fs.FileSystem,
    places: Iterable[str],
    task: str,
    known: dict[tuple[str, float], Owner],
) -> list[Owner]:
    """The owners of all sessions of a task, those of killed sweeps too; the oldest first.

    Args:
        filesystem: Where.
        places: Folders in it.
        task: That of the sweeps.
        known: Owners by path and last change of their file, which is not read again; those found
            are added. An owner that does not say yet what it computes is not kept.
    """
    found = []
    for place in hidden_files(filesystem, places):
        owner = known.get(place) or _owner(filesystem, place[0])
        if owner and owner.task in (task, ""):
            found.append(owner)
            if owner.cost is not None:
                known[place] = owner
    return sorted(found, key=lambda owner: owner.since)


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
    if not _has_proc():
        return _started_without_proc(pid)
    try:
        with open(f"/proc/{pid}/stat") as file:
            # The name, in parentheses, may hold blanks; a zombie has ended.
            state, *fields = file.read().rpartition(") ")[2].split()
            return 0 if state == "Z" else int(fields[18])
    except (OSError, ValueError, IndexError):
        return 0


def _started_without_proc(pid: int) -> int:
    import psutil

    try:
        process = psutil.Process(pid)
        return 0 if process.status() == psutil.STATUS_ZOMBIE else int(process.create_time())
    except (OSError, psutil.Error):
        return 0


def _has_proc() -> bool:
    """Whether the system shows its processes as files, as Linux does."""
    return os.access("/proc/self/stat", os.R_OK)
