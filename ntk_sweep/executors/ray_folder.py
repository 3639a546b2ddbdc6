"""Temporary folders of Ray, which no end leaves behind.

A file in each is locked while its process lives, and the system unlocks it when that is killed. So
the next start knows what was left behind, also where process numbers do not tell: in containers
that share a folder.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from ntk_sweep.errors import ClusterError

PREFIX = "ntk-ray-"
"""How the name of a temporary folder begins; eight random characters follow."""

LOCK = "lock"
"""The locked file in it; a folder without one is somebody else's."""

INNER = "r"
"""The folder in it that Ray gets, and opens to all users; the outer one stays this user's."""

SOCKETS = "/session_2000-01-01_00-00-00_000000_{process}/sockets/plasma_store"
"""The longest path of a socket in a private Ray's folder."""

SOCKET_PATH = 103 if sys.platform == "darwin" else 107
"""How many bytes the path of a socket may have: `sun_path` in unix(7), less the end."""


@contextmanager
def temporary_folder(for_sockets: bool = False) -> Iterator[str]:
    """A temporary folder, removed at the end.

    Args:
        for_sockets: Whether a private Ray's sockets will lie in it.

    Raises:
        ClusterError: There is no place for it.
    """
    name = f"/{PREFIX}12345678/{INNER}"
    room = SOCKET_PATH - len(name + SOCKETS.format(process=os.getpid()))
    refused = []
    for place in _places():
        if for_sockets and len(os.fsencode(place)) > room:
            refused.append(f"{place} has more than {room} characters, too many for Ray's sockets")
            continue
        try:
            folder, lock = _make(place)
        except OSError as error:
            refused.append(f"{place} cannot be used ({error.strerror})")
            continue
        try:
            yield os.path.join(folder, INNER)
        finally:
            _remove(folder)
            os.close(lock)
        return
    raise ClusterError(
        f"Ray needs a folder for its files: {'; '.join(refused)}. Set TMPDIR to a folder that can "
        f"be written, of at most {room} characters; hydra/launcher=serial needs none"
    )


def remove_left_behind() -> None:
    """Ends the processes and removes the folders of Rays whose driver was killed."""
    for place in _places():
        for folder in map(str, Path(place).glob(PREFIX + "?" * 8)):
            # Not through a link, which anybody may have put there.
            with suppress(OSError):  # not one of ours, or its process lives
                if os.path.islink(folder) or os.lstat(folder).st_uid != os.geteuid():
                    continue
                lock = _lock(folder, os.O_RDWR)
                _end_processes(folder)
                _remove(folder)
                os.close(lock)


def _places() -> list[str]:
    """Where folders are made: `/tmp`, whose short path leaves room for sockets, or `TMPDIR`."""
    wanted = os.environ.get("TMPDIR")
    return list(dict.fromkeys(["/tmp", *([os.path.abspath(wanted)] if wanted else [])]))


def _make(place: str) -> tuple[str, int]:
    """A new folder with its inner one, and the descriptor that keeps it locked."""
    while True:
        folder = tempfile.mkdtemp(prefix=PREFIX, dir=place)
        try:
            lock = _lock(folder, os.O_RDWR | os.O_CREAT)
            os.mkdir(os.path.join(folder, INNER))
        except (BlockingIOError, FileNotFoundError):
            continue  # Before it was locked, another start took it for one that was left behind.
        except OSError:
            _remove(folder)
            raise
        return folder, lock


def _lock(folder: str, flags: int) -> int:
    """The descriptor that locks a folder, which children do not inherit.

    Raises:
        OSError: The process whose folder it is lives; or the lock cannot be opened.
    """
    descriptor = os.open(os.path.join(folder, LOCK), flags | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _remove(folder: str) -> None:
    """Its lock goes last, so that what cannot finish is found again."""
    shutil.rmtree(os.path.join(folder, INNER), ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def _end_processes(folder: str) -> None:
    """Kills the processes of a Ray that name its folder, or still write to it.

    The system ends most of them with their driver, where it can; agents wait a minute for an
    answer.
    """
    left = []
    for number in psutil.pids():
        with suppress(psutil.Error):
            # Not from `process_iter`, which remembers a process after another got its number.
            process = psutil.Process(number)
            words = process.cmdline()
            is_ray = any(word.startswith("ray::") or "/ray/" in word for word in words)
            if is_ray and (_names(words, folder) or _writes(process, folder)):
                process.kill()
                left.append(process)
    psutil.wait_procs(left, timeout=5)


def _names(words: Sequence[str], folder: str) -> bool:
    return any(f"{folder}/" in word for word in words)


def _writes(process: psutil.Process, folder: str) -> bool:
    return any(file.path.startswith(f"{folder}/") for file in process.open_files())
