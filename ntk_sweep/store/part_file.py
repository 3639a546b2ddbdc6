"""A part: one Parquet file of rows.

A file that is not one of ours, whole and of this version, is refused by name and never skipped.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from ntk_sweep.errors import StoreError
from ntk_sweep.store.columns import SCHEMA_VERSION, VERSION_KEY, schema
from ntk_sweep.store.filesystems import FAILURES, cause


def is_part(name: str) -> bool:
    """Whether readers see a file of this name."""
    return name.endswith(".parquet") and name[0] not in "._"


def serialise(table: pa.Table, task: str) -> bytes:
    """A table of rows as the bytes of a part."""
    sink = pa.BufferOutputStream()
    # Without checksums a byte that a disk changed would be read as another number.
    pq.write_table(table.cast(schema(task)), sink, compression="zstd", write_page_checksum=True)
    return sink.getvalue().to_pybytes()


def read_part(
    filesystem: fs.FileSystem, path: str, task: str, columns: Sequence[str] | None = None
) -> pa.Table:
    """The rows of one part.

    Raises:
        FileNotFoundError: It is not there, or not any more.
        StoreError: It is truncated, foreign or of another version.
    """
    try:
        with filesystem.open_input_file(path) as file:
            parquet = pq.ParquetFile(file, page_checksum_verification=True)
            _check_version(path, (parquet.schema_arrow.metadata or {}).get(VERSION_KEY))
            return (
                parquet.read(columns=columns)
                .replace_schema_metadata(None)
                .cast(_plain(task, columns))
            )
    except FileNotFoundError:
        raise
    except (ValueError, KeyError, *FAILURES) as error:
        raise StoreError(
            f"{path} is not a readable part of a sweep ({cause(error)}): move it out of the "
            "folder; the points whose rows it held are computed again when the sweep is started "
            "again"
        ) from error


def _plain(task: str, columns: Sequence[str] | None) -> pa.Schema:
    fields = schema(task).remove_metadata()
    return fields if columns is None else pa.schema([fields.field(name) for name in columns])


def _check_version(path: str, version: bytes | None) -> None:
    if version is None:
        raise StoreError(
            f"{path} was not written by ntk-sweep (it carries no schema version): move it out of "
            "the folder"
        )
    if int(version) > SCHEMA_VERSION:
        raise StoreError(
            f"{path} has schema version {int(version)}, newer than the {SCHEMA_VERSION} known "
            "here: update ntk-sweep, or choose another folder with results=…"
        )
    if int(version) < SCHEMA_VERSION:
        raise StoreError(
            f"{path} has schema version {int(version)}, older than the {SCHEMA_VERSION} written "
            "here: read it with the version of ntk-sweep that wrote it, or choose another folder "
            "with results=… to compute its points anew"
        )
