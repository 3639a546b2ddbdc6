"""Rows and parts for the tests of the store."""

import os
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ntk_sweep.store.columns import SCHEMA_VERSION, VERSION_KEY, WRITER_KEY, schema
from ntk_sweep.store.store import Store
from ntk_sweep.store.writer import PartWriter

START = datetime(2024, 5, 17, 12, tzinfo=UTC)


def make_row(key, status="ok", minutes=0.0, **values):
    """A row with all that must be there; `minutes` after `START`."""
    return {
        "key": key,
        "task": "spectrum",
        "act": "relu",
        "width": 50,
        "depth": 3,
        "seed": 0,
        "parametrisation": "thesis",
        "weight_std": 1.0,
        "bias_std": 1.0,
        "dtype": "float64",
        "numerics_version": 2,
        "data": "digits",
        "data_fingerprint": "f" * 64,
        "data_classes": (0, 9),
        "n_samples": 3,
        "n_inputs": 2,
        "status": status,
        "finished_at": START + timedelta(minutes=minutes),
        "host": "here",
        "version": "0.1.0",
        "python_version": "3.11.0",
    } | values


def part_names(store):
    return sorted(name for name in os.listdir(store.folder) if name.endswith(".parquet"))


def make_old(store, hours=2):
    for name in part_names(store):
        then = time.time() - 3600 * hours
        os.utime(f"{store.folder}/{name}", (then, then))


def commit_each(store, *rows):
    """Every row in a part of its own."""
    return [PartWriter(store).commit([row]) for row in rows]


def keys_of(frame):
    return sorted(frame["key"])


def broken_parts():
    """Name → bytes that are no part of ours."""
    good = schema("spectrum")

    def written(table):
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
        return sink.getvalue().to_pybytes()

    whole = written(pa.Table.from_pylist([make_row("a")], schema=good))
    yield "empty", b"", "is not a readable part"
    yield "text", b"hello", "is not a readable part"
    for size in (4, 20, len(whole) // 2, len(whole) - 4):
        yield f"truncated-{size}", whole[:size], "is not a readable part"
    yield "foreign", written(pa.table({"x": [1, 2]})), "was not written by ntk-sweep"
    metadata = good.metadata
    newer = {VERSION_KEY: str(SCHEMA_VERSION + 1).encode()}
    for name, writer, wanted in (
        ("newer", {WRITER_KEY: b"9.8.7"}, r"install ntk-sweep 9\.8\.7 or later, or"),
        ("newer-foreign", {}, "install ntk-sweep in a newer version, or"),
    ):
        other = good.with_metadata(newer | writer)
        yield name, written(other.empty_table()), f"newer than the {SCHEMA_VERSION} known.*{wanted}"
    later = good.append(pa.field("later", pa.float64()))
    yield "unknown-column", written(later.empty_table()), r"columns that are not known .*\(later\)"
    for version in (b"one", b"0", b"-1"):
        other = good.with_metadata(metadata | {VERSION_KEY: version})
        yield f"no-number-{version!r}", written(other.empty_table()), "is not a readable part"
    yield "lacking", written(good.remove(0).empty_table()), "is not a readable part"
    other = good.set(
        good.get_field_index("status"), pa.field("status", pa.struct([("text", pa.string())]))
    )
    yield "other-types", written(other.empty_table()), "is not a readable part"


def write_many(results, name, n_rows, chunk):
    """In a process of its own: commits rows, a few at a time."""
    writer = PartWriter(Store(results, "spectrum"))
    for start in range(0, n_rows, chunk):
        writer.commit(
            [
                make_row(f"{name}{i}", eigenvalues=np.arange(200.0))
                for i in range(start, start + chunk)
            ]
        )
