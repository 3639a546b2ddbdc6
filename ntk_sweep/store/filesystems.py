"""The file systems of results: a local disk, or what `pyarrow.fs` opens, such as S3.

A file appears under its name wholly or not at all, also when the writer is killed or interrupted.
"""

from __future__ import annotations

import os
import posixpath
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs

from ntk_sweep.errors import StoreError

FAILURES = (OSError, pa.ArrowException)
"""What a file system that cannot be read or written raises."""


def open_filesystem(results: str) -> tuple[fs.FileSystem, str]:
    """The file system of a results folder or URI, and the path of the results in it.

    Endpoint, region and credentials of an object store come from where its own tools look for them:
    for S3 ``AWS_ENDPOINT_URL``, ``AWS_REGION``, ``AWS_ACCESS_KEY_ID`` and their like, the files in
    ``~/.aws``, or the role of the machine.

    Raises:
        StoreError: It is no URI that can be opened, or it holds credentials.
    """
    if "://" not in results:
        return fs.LocalFileSystem(), results
    try:
        if urlsplit(results).username is not None:
            # It would be printed, sent to the workers and written into reports.
            raise ValueError(
                "it holds credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use "
                "~/.aws/credentials"
            )
        filesystem, root = fs.FileSystem.from_uri(_with_single_put(results))
        if not root:
            raise ValueError("it names no bucket or folder")
        return filesystem, root
    except (ValueError, *FAILURES) as error:
        raise StoreError(
            f"results={without_credentials(results)} is not a folder or URI that can be opened "
            f"({cause(error)})"
        ) from error


def below(results: str, name: str) -> str:
    """``<results>/<name>``, also for a URI with settings such as ``?endpoint_override=…``."""
    base, question, query = results.partition("?") if "://" in results else (results, "", "")
    return posixpath.join(base, name) + question + query


def above(location: str) -> tuple[str, str]:
    """What `below` joined: the results folder or URI, and the name."""
    base, question, query = location.partition("?") if "://" in location else (location, "", "")
    results, name = posixpath.split(base.rstrip("/"))
    return (results or ".") + question + query, name


def without_credentials(uri: str) -> str:
    """`uri` as it may be printed."""
    scheme, separator, rest = uri.partition("://")
    host, slash, path = rest.partition("/")
    return scheme + separator + host.rpartition("@")[2] + slash + path


def write_file(
    filesystem: fs.FileSystem, target: str, content: bytes, staging: str | None = None
) -> None:
    """Makes `content` appear under `target`, wholly or not at all.

    Args:
        filesystem: Where.
        target: The path in it.
        content: Of the file.
        staging: On a disk, the folder to write it in before it appears; must be there. By default
            that of the target, which is made.

    Raises:
        OSError, pa.ArrowException: It cannot be written.
    """
    if isinstance(filesystem, fs.LocalFileSystem):
        if staging is None:
            os.makedirs(posixpath.dirname(target), exist_ok=True)
        replace_file(target, content, staging)
        return
    # Object stores have no folders to be made; others do.
    if not isinstance(filesystem, fs.S3FileSystem):
        filesystem.create_dir(posixpath.dirname(target), recursive=True)
    # What a signal handler raises between opening and writing would close an empty stream, and so
    # make an empty object. It is raised in the main thread only; the upload goes on to its end in
    # another, which the interpreter waits for.
    with ThreadPoolExecutor(1) as uploads:
        uploads.submit(_upload, filesystem, target, content).result()


def cause(error: BaseException) -> str:
    """The first line of what an error says."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _upload(filesystem: fs.FileSystem, target: str, content: bytes) -> None:
    with filesystem.open_output_stream(target) as stream:
        stream.write(content)


def _with_single_put(uri: str) -> str:
    """Asks Arrow to send a small object in one request.

    A multipart upload that is cut off would be kept, unseen and paid for.
    """
    if not uri.startswith("s3://") or "allow_delayed_open" in uri:
        return uri
    return uri + ("&" if "?" in uri else "?") + "allow_delayed_open=true"


def replace_file(
    target: str, content: bytes, staging: str | None = None, durable: bool = True
) -> None:
    """Writes a local file under a hidden name, and renames it.

    Args:
        target: The file's path.
        content: Of the file.
        staging: The folder of the hidden name; by default that of the target.
        durable: Whether file and name are synced, so that they outlive a power cut.
    """
    folder = posixpath.dirname(target)
    hidden = posixpath.join(staging or folder, f".{uuid.uuid4().hex}.tmp")
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
    if not durable:
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
