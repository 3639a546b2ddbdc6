"""The file systems of results, and how their places are written: paths and URIs.

A file system is a local disk, or what `pyarrow.fs` opens, such as S3.
"""

from __future__ import annotations

import errno
import os
import posixpath
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


def check_writable(filesystem: fs.FileSystem, folder: str) -> None:
    """Checks without writing that a folder can be written, or made; of S3 that the bucket is there.

    Raises:
        OSError: It cannot.
    """
    if isinstance(filesystem, fs.S3FileSystem):
        bucket = folder.split("/")[0]
        if filesystem.get_file_info(bucket).type == fs.FileType.NotFound:
            raise FileNotFoundError(errno.ENOENT, "there is no such bucket", bucket)
    if not isinstance(filesystem, fs.LocalFileSystem):
        return
    there = os.path.abspath(folder)
    while not os.path.lexists(there):
        there = os.path.dirname(there)
    # A broken link is there, and no folder can be made in its place.
    if not os.path.isdir(there):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), there)
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), there)


def join_location(results: str, name: str) -> str:
    """``<results>/<name>``, also for a URI with settings.

    >>> join_location("results", "spectrum")
    'results/spectrum'
    >>> join_location("s3://bucket/prefix?region=eu-west-1", "spectrum")
    's3://bucket/prefix/spectrum?region=eu-west-1'
    """
    base, question, query = results.partition("?") if "://" in results else (results, "", "")
    return posixpath.join(base, name) + question + query


def split_location(location: str) -> tuple[str, str]:
    """The results folder or URI, and the name: the parts that `join_location` joined.

    >>> split_location("s3://bucket/prefix/spectrum?region=eu-west-1")
    ('s3://bucket/prefix?region=eu-west-1', 'spectrum')
    """
    base, question, query = location.partition("?") if "://" in location else (location, "", "")
    results, name = posixpath.split(base.rstrip("/"))
    return (results or ".") + question + query, name


def without_credentials(uri: str) -> str:
    """`uri` as it may be printed.

    >>> without_credentials("s3://user:secret@bucket/prefix")
    's3://bucket/prefix'
    """
    scheme, separator, rest = uri.partition("://")
    host, slash, path = rest.partition("/")
    return scheme + separator + host.rpartition("@")[2] + slash + path


def cause(error: BaseException) -> str:
    """The first line of what an error says."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _with_single_put(uri: str) -> str:
    """Asks Arrow to send a small object in one request.

    A multipart upload that is cut off would be kept, unseen and paid for.
    """
    if not uri.startswith("s3://") or "allow_delayed_open" in uri:
        return uri
    return uri + ("&" if "?" in uri else "?") + "allow_delayed_open=true"
