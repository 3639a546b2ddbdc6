"""A part: one Parquet file of rows.

A file that is not one of ours, whole and of this version or an earlier one, is refused by name and
never skipped; so is one with columns that are unknown here, which a merge would lose. One of an
earlier version stays as it is; its rows are written anew when parts are merged.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from ntk_sweep.errors import StoreError
from ntk_sweep.store.columns import BEFORE, SCHEMA_VERSION, VERSION_KEY, WRITER_KEY, schema
from ntk_sweep.store.filesystems import FAILURES, cause


def is_part(name: str) -> bool:
    """Whether readers see a file of this name."""
    return name.endswith(".parquet") and name[0] not in "._"


def serialise(table: pa.Table, task: str) -> bytes:
    """A table of rows as the bytes of a part."""
    sink = pa.BufferOutputStream()
    # Without checksums a byte that a disk changed would be read as another number.
    wanted = schema(task)
    columns = [table[name] for name in wanted.names]
    pq.write_table(_table(columns, wanted), sink, compression="zstd", write_page_checksum=True)
    return sink.getvalue().to_pybytes()


def read_part(
    filesystem: fs.FileSystem, path: str, task: str, columns: Sequence[str] | None = None
) -> pa.Table:
    """The rows of one part; columns that its version did not have yet are null.

    Raises:
        FileNotFoundError: It is not there, or not any more.
        StoreError: It is truncated, foreign, of a newer version or has unknown columns.
    """
    known = wanted = schema(task).remove_metadata()
    if columns is not None:
        wanted = pa.schema([wanted.field(name) for name in columns])
    try:
        with filesystem.open_input_file(path) as file:
            parquet = pq.ParquetFile(file, page_checksum_verification=True)
            version = _version(path, parquet.schema_arrow.metadata or {})
            there = set(parquet.schema_arrow.names)
            if unknown := sorted(there - set(known.names)):
                raise StoreError(
                    f"{path} has columns that are not known here ({', '.join(unknown)}), written "
                    "by another ntk-sweep: install that one, or choose another folder with "
                    "results=…"
                )
            rows = parquet.read(columns=[name for name in wanted.names if name in there])
            size = parquet.metadata.num_rows
            filled = [
                rows[field.name] if field.name in there else _absent(field, version, size)
                for field in wanted
            ]
            return _table(filled, wanted)
    except FileNotFoundError:
        raise
    except (ValueError, KeyError, *FAILURES) as error:
        raise StoreError(
            f"{path} is not a readable part of a sweep ({cause(error)}): move it out of the "
            "folder; the points whose rows it held are computed again when the sweep is started "
            "again"
        ) from error


def _table(columns: Sequence[pa.ChunkedArray], wanted: pa.Schema) -> pa.Table:
    """Columns as a table of a schema.

    Only what differs is cast: to cast, Arrow loads all its functions on columns, a sixteenth of the
    start of a command.
    """
    cast = []
    for field, column in zip(wanted, columns, strict=True):
        if column.null_count and not field.nullable:
            raise ValueError(f"its column {field.name} has an empty place")
        cast.append(column if column.type == field.type else column.cast(field.type))
    return pa.Table.from_arrays(cast, schema=wanted)


def _absent(field: pa.Field, version: int, size: int) -> pa.Array:
    """A column that a part of an earlier version does not have."""
    if field.name == "numerics_version" and version <= 2:
        # As long as there was no such column, both versions were raised together.
        return pa.repeat(pa.scalar(version, field.type), size)
    if field.name in BEFORE:
        return pa.repeat(pa.scalar(BEFORE[field.name], field.type), size)
    if not field.nullable:
        raise ValueError(f"it has no column {field.name}")
    return pa.nulls(size, field.type)


def _version(path: str, metadata: dict[bytes, bytes]) -> int:
    """The schema version of a part; raises a StoreError unless it can be read here."""
    if VERSION_KEY not in metadata:
        raise StoreError(
            f"{path} was not written by ntk-sweep (it carries no schema version): move it out of "
            "the folder"
        )
    version = int(metadata[VERSION_KEY])
    if version < 1:
        raise ValueError(f"there is no schema version {version}")
    if version > SCHEMA_VERSION:
        writer = metadata.get(WRITER_KEY, b"").decode()
        raise StoreError(
            f"{path} has schema version {version}, newer than the {SCHEMA_VERSION} known here: "
            f"install ntk-sweep {f'{writer} or later' if writer else 'in a newer version'}, or "
            "choose another folder with results=…"
        )
    return version
