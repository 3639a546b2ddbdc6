"""Protects commits: a writer grows its own part, and readers see each row once."""

import math
import multiprocessing
import time
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ntk_sweep.settings.tasks import TASKS
from ntk_sweep.store import compaction
from ntk_sweep.store import writer as writer_module
from ntk_sweep.store.columns import schema
from ntk_sweep.store.part_file import serialise
from ntk_sweep.store.reading import load_results
from ntk_sweep.store.row_arrays import row_table
from ntk_sweep.store.writer import PartWriter
from tests.helpers.store_rows import keys_of, make_row, part_names, write_many


def test_rows_come_back_with_their_values_and_types(any_store):
    values = np.array([1e-300, np.nextafter(1.0, 2), 7e4])
    given = make_row(
        "a",
        seed=2**63 - 1,
        eigenvalues=values,
        eigenvalue_errors=values / 3,
        lambda_min=1e-300,
        lambda_min_error=5e-324,
        lambda_min_resolved=True,
        lambda_max=7e4,
        method="eigh",
        seconds=0.25,
    )
    PartWriter(any_store).commit([given])
    for frame in (load_results(any_store.location), pd.read_parquet(any_store.location)):
        assert list(frame.columns) == schema("spectrum").names
        (row,) = frame.to_dict("records")
        assert row["eigenvalues"].tolist() == values.tolist()
        assert row["eigenvalue_errors"].tolist() == (values / 3).tolist()
        assert row["data_classes"].tolist() == [0, 9]
        for name in (
            "key",
            "seed",
            "lambda_min",
            "lambda_min_error",
            "lambda_min_resolved",
            "lambda_max",
            "method",
            "seconds",
            "status",
        ):
            assert row[name] == given[name]
        assert row["finished_at"] == given["finished_at"]
        assert row["finished_at"].tzinfo is not None
        assert pd.isna(row["error"])
        assert pd.isna(row["condition_number"])
        assert row["eigenvalues"].dtype == np.float64
        assert frame["seed"].dtype == frame["width"].dtype == np.int64


@pytest.mark.parametrize("task", list(TASKS))
def test_rows_become_the_table_that_arrow_makes_of_them(task):
    columns = schema(task)
    values = {
        pa.string(): "λ_min",
        pa.int64(): -(2**63),
        pa.float64(): math.nan,
        pa.bool_(): np.True_,
        pa.timestamp("us", "UTC"): datetime(1969, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
        pa.list_(pa.int64()): (1, 2),
        pa.list_(pa.float64()): np.array([0.1, -0.0, np.inf]),
    }
    full = {field.name: values[field.type] for field in columns}
    bare = {field.name: full[field.name] for field in columns if not field.nullable}
    whole = bare | {field.name: 1 for field in columns if field.type == pa.float64()}
    for rows in ([], [full], [bare, full, whole] * 5):
        made, plain = row_table(rows, columns), pa.Table.from_pylist(rows, schema=columns)
        made.validate(full=True)
        assert serialise(made, task) == serialise(plain, task)


@pytest.mark.parametrize(("column", "value"), [("width", 1.0), ("seconds", "1"), ("seed", 2**63)])
def test_a_value_of_another_type_is_refused(store, column, value):
    with pytest.raises((TypeError, OverflowError)):
        PartWriter(store).commit([make_row("a", **{column: value})])


def test_a_writer_grows_one_part(store):
    writer = PartWriter(store)
    names = {writer.commit([make_row(f"{i}{j}") for j in range(3)]) for i in range(5)}
    assert names == set(part_names(store))
    assert len(names) == 1
    assert len(load_results(store.folder)) == len(pd.read_parquet(store.folder)) == 15


def test_writers_take_no_rows_from_each_other(any_store):
    first, second = PartWriter(any_store), PartWriter(any_store)
    for i in range(3):
        first.commit([make_row(f"first{i}")])
        second.commit([make_row(f"second{i}")])
    assert len(any_store.parts()) == (2 if any_store.is_local else 6)
    frame = pd.read_parquet(any_store.location)
    assert keys_of(frame) == [f"{name}{i}" for name in ("first", "second") for i in range(3)]


def test_a_full_part_is_left_alone(store, monkeypatch):
    monkeypatch.setattr(writer_module, "FULL_PART_ROWS", 4)
    writer = PartWriter(store)
    names = [writer.commit([make_row(f"{i}{j}") for j in range(2)]) for i in range(5)]
    assert names[0] == names[1] != names[2] == names[3] != names[4]
    assert sorted(
        pq.read_metadata(f"{store.folder}/{name}").num_rows for name in part_names(store)
    ) == [2, 4, 4]
    assert len(load_results(store.folder)) == 10


def test_an_old_part_is_left_alone(store, monkeypatch):
    writer, now = PartWriter(store), time.time()
    first = writer.commit([make_row("a")])
    monkeypatch.setattr(time, "time", lambda: now + writer_module.GROW_SECONDS - 60)
    assert writer.commit([make_row("b")]) == first
    monkeypatch.setattr(time, "time", lambda: now + writer_module.GROW_SECONDS + 60)
    second = writer.commit([make_row("c")])
    assert second != first
    monkeypatch.setattr(time, "time", lambda: now - 60)  # the clock was set back
    assert writer.commit([make_row("d")]) not in (first, second)
    assert len(load_results(store.folder)) == 4


def test_others_merge_a_part_only_when_its_writer_has_left_it():
    assert compaction.SEALED_SECONDS > 2 * writer_module.GROW_SECONDS


def test_a_value_without_a_column_is_not_dropped_silently(store):
    with pytest.raises(AssertionError, match=r"takes \['lambda'\]"):
        PartWriter(store).commit([make_row("a") | {"lambda": 1.0}])
    assert part_names(store) == []


ROWS = 120


def test_readers_never_fail_lose_rows_or_see_a_key_twice_while_writers_grow(store):
    PartWriter(store).commit([make_row("first")])
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=write_many, args=(store.results, name, ROWS, 3))
        for name in ("x", "y")
    ]
    for process in writers:
        process.start()
    seen, sizes = {"first"}, set()
    while any(process.is_alive() for process in writers):
        for frame in (pd.read_parquet(store.folder), load_results(store.folder)):
            keys = set(frame["key"])
            assert len(keys) == len(frame)
            assert keys >= seen
            assert all(len(values) == 200 for values in frame["eigenvalues"] if values is not None)
            seen |= keys
            sizes.add(len(keys))
    for process in writers:
        process.join()
        assert process.exitcode == 0
    assert len(sizes) > 3, "the reader saw no state in between"
    expected = {"first"} | {f"{name}{i}" for name in "xy" for i in range(ROWS)}
    frame = pd.read_parquet(store.folder)
    assert set(frame["key"]) == expected
    assert len(frame) == 2 * ROWS + 1
    assert len(part_names(store)) == 3
