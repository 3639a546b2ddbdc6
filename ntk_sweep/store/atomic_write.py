"""Atomic writes: a file appears under its name wholly or not at all.

That holds when the writer is killed or interrupted, too.
"""

from __future__ import annotations

import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from pyarrow import fs


def write_file(
    filesystem: fs.FileSystem, target: str, content: bytes, staging: str | None = None
) -> None:
    """Makes `content` appear under `target`, wholly or not at all.

    Args:
        filesystem: Where.
        target: The path in it.
        content: Of the file.
        staging: On a disk, an existing folder to write the file in before it appears. By default
            the file is written beside the target, in a folder that is made.

    Raises:
        OSError, pa.ArrowException: It cannot be written.
    """
    folder = os.path.dirname(target)
    if isinstance(filesystem, fs.LocalFileSystem):
        if staging is None:
            os.makedirs(folder, exist_ok=True)
        replace_file(target, content, staging)
        return
    # Object stores have no folders to be made; others do.
    if not isinstance(filesystem, fs.S3FileSystem):
        filesystem.create_dir(folder, recursive=True)
    # What a signal handler raises between opening and writing would close an empty stream, and so
    # make an empty object. It is raised in the main thread only; the upload goes on to its end in
    # another, which the interpreter waits for.
    with ThreadPoolExecutor(1) as uploads:
        uploads.submit(_upload, filesystem, target, content).result()


def replace_file(
    target: str | os.PathLike[str], content: bytes, staging: str | None = None, durable: bool = True
) -> None:
    """Writes a local file under a hidden name, and renames it.

    Args:
        target: The path of the file; its folder exists.
        content: Of the file.
        staging: The folder of the hidden name, on the same mount; by default that of the target.
        durable: Whether file and name are synced, to survive a power cut. Each sync takes
            milliseconds.

    Raises:
        OSError: It cannot be written.
    """
    folder = os.path.dirname(target) or os.curdir
    hidden = os.path.join(staging or folder, f".{uuid.uuid4().hex}.tmp")
    try:
        with open(hidden, "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(hidden, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(hidden)
        raise
    if durable:
        _sync_folder(folder)


def clock_of(folder: str) -> float:
    """The time of the clock that stamps the files of a local folder: on a network, a server's.

    Raises:
        OSError: The folder cannot be written.
    """
    hidden = os.path.join(folder, f".{uuid.uuid4().hex}.tmp")
    with open(hidden, "xb") as file:
        os.unlink(hidden)
        return os.fstat(file.fileno()).st_mtime


def _sync_folder(folder: str) -> None:
    """Makes a rename in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _upload(filesystem: fs.FileSystem, target: str, content: bytes) -> None:
    with filesystem.open_output_stream(target) as stream:
        stream.write(content)
