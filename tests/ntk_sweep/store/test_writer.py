"""Protects commits: a writer grows its own part, and readers see each row once."""

import multiprocessing

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ntk_sweep.settings.locations import absolute_results
from ntk_sweep.store import compaction
from ntk_sweep.store import writer as writer_module
from ntk_sweep.store.columns import schema
from ntk_sweep.store.reading import finished, load_results
from ntk_sweep.store.writer import PartWriter
from tests.helpers.store_rows import keys_of, make_row, part_names, write_many


def test_rows_come_back_with_their_values_and_types(store):
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
    PartWriter(store).commit([given])
    for frame in (load_results(store.folder), pd.read_parquet(store.folder)):
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


def test_a_writer_grows_one_part(store):
    writer = PartWriter(store)
    names = {writer.commit([make_row(f"{i}{j}") for j in range(3)]) for i in range(5)}
    assert names == set(part_names(store))
    assert len(names) == 1
    assert len(load_results(store.folder)) == len(pd.read_parquet(store.folder)) == 15


def test_writers_have_parts_of_their_own(store):
    first, second = PartWriter(store), PartWriter(store)
    for i in range(3):
        first.commit([make_row(f"first{i}")])
        second.commit([make_row(f"second{i}")])
    assert len(part_names(store)) == 2
    assert len(load_results(store.folder)) == 6


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
    writer = PartWriter(store)
    first = writer.commit([make_row("a")])
    monkeypatch.setattr(writer_module, "GROW_SECONDS", -1)
    assert writer.commit([make_row("b")]) != first
    assert len(load_results(store.folder)) == 2
    assert compaction.SEALED_SECONDS > 600, (
        "a part may be merged by others only when its writer has certainly left it"
    )


def test_readers_never_fail_lose_rows_or_see_a_key_twice_while_writers_grow(store):
    PartWriter(store).commit([make_row("first")])
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=write_many, args=(store.results, name, 300, 3))
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
    expected = {"first"} | {f"{name}{i}" for name in "xy" for i in range(300)}
    frame = pd.read_parquet(store.folder)
    assert set(frame["key"]) == expected
    assert len(frame) == 601
    assert len(part_names(store)) == 3


def test_object_stores_hold_one_part_a_commit(remote):
    with remote.open_session() as session:
        remote.check_session(session)
        writer = PartWriter(remote)
        names = [writer.commit([make_row(f"{i}")]) for i in range(3)]
    assert len(set(names)) == 3
    assert keys_of(load_results("mock://prefix/spectrum")) == ["0", "1", "2"]
    assert set(finished(remote)) == {"0", "1", "2"}
    assert remote.location == "mock://prefix/spectrum"
    assert absolute_results("mock://prefix") == "mock://prefix"
