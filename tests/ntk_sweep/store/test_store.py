import multiprocessing
import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import fs

from ntk_sweep.errors import StoreError
from ntk_sweep.settings.locations import absolute_results
from ntk_sweep.store import store as store_module
from ntk_sweep.store import writer as writing
from ntk_sweep.store.columns import SCHEMA_VERSION, VERSION_KEY, schema
from ntk_sweep.store.store import Store, latest_good, load_results
from ntk_sweep.store.writer import PartWriter, merge

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


@pytest.fixture
def store(tmp_path):
    with Store(str(tmp_path / "results"), "spectrum").opened_for_writing():
        pass
    return Store(str(tmp_path / "results"), "spectrum")


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


# Rows in, rows out


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


def test_a_part_carries_schema_and_version(store):
    name = PartWriter(store).commit([make_row("a")])
    found = pq.read_schema(f"{store.folder}/{name}")
    assert found.equals(schema("spectrum"))
    assert found.metadata[VERSION_KEY] == str(SCHEMA_VERSION).encode()


def test_columns_empty_in_the_first_part_are_not_lost(store):
    commit_each(store, make_row("a"), make_row("b", lambda_min=3.0, kernel_file="_kernels/b.npy"))
    for frame in (load_results(store.folder), pd.read_parquet(store.folder)):
        assert frame.set_index("key").loc["b", "lambda_min"] == 3.0
        assert frame.set_index("key").loc["b", "kernel_file"] == "_kernels/b.npy"


@pytest.mark.parametrize("name", [field.name for field in schema("spectrum") if not field.nullable])
def test_rows_without_a_coordinate_are_not_committed(store, name):
    row = make_row("a")
    del row[name]
    with pytest.raises((pa.ArrowInvalid, ValueError, KeyError)):
        PartWriter(store).commit([row])
    assert part_names(store) == []


def test_rows_are_ordered_by_their_coordinates(store):
    rows = [
        make_row(f"{act}{width}{seed}", act=act, width=width, seed=seed)
        for act in "ba"
        for width in (100, 20)
        for seed in (1, 0)
    ]
    PartWriter(store).commit(rows)
    frame = load_results(store.folder)
    expected = sorted((row["act"], row["width"], row["seed"]) for row in rows)
    assert list(frame[["act", "width", "seed"]].itertuples(index=False, name=None)) == expected
    assert list(frame.index) == list(range(8))


def test_columns_are_chosen_in_any_order(store):
    commit_each(store, make_row("a"), make_row("b"))
    for columns in (["status", "key"], ["kernel_file", "eigenvalues", "act"]):
        assert store.read(columns).schema.names == columns
        assert store.read(columns).num_rows == 2


# What is in the folder


def test_an_empty_folder_gives_an_empty_frame_with_all_columns(store):
    frame = load_results(store.folder)
    assert len(frame) == 0
    assert list(frame.columns) == schema("spectrum").names
    assert store.finished() == {}


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"there is no folder .*nowhere/spectrum: run a sweep first"
    ):
        load_results(tmp_path / "nowhere" / "spectrum")


def test_a_file_in_place_of_the_folder_is_no_folder(tmp_path):
    (tmp_path / "spectrum").write_text("")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        load_results(tmp_path / "spectrum")


@pytest.mark.parametrize("name", ["", "results", "spectra", "spectrum/_kernels"])
def test_a_folder_of_no_task_is_refused(store, name, tmp_path):
    with pytest.raises(
        FileNotFoundError,
        match="is not the folder of a task: give <results>/<task>, with a task of spectrum",
    ):
        load_results(tmp_path / name)


def test_paths_may_end_in_a_slash_and_be_path_objects(store, tmp_path):
    PartWriter(store).commit([make_row("a")])
    assert (
        keys_of(load_results(store.folder + "/"))
        == keys_of(load_results(tmp_path / "results" / "spectrum"))
        == ["a"]
    )


def test_relative_and_home_paths_are_found(store, tmp_path, monkeypatch):
    PartWriter(store).commit([make_row("a")])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in ("results/spectrum", "./results/spectrum", "~/results/spectrum"):
        assert keys_of(load_results(path)) == ["a"]
    monkeypatch.chdir(tmp_path / "results")
    assert keys_of(load_results("spectrum")) == ["a"]
    assert (
        Store("~/results", "spectrum").folder
        == Store("../results", "spectrum").folder
        == store.folder
    )


def test_file_uris_are_folders(store):
    PartWriter(store).commit([make_row("a")])
    other = Store("file://" + store.results, "spectrum")
    assert other.is_local
    PartWriter(other).commit([make_row("b")])
    assert (
        keys_of(load_results("file://" + store.folder))
        == keys_of(load_results(store.folder))
        == ["a", "b"]
    )


@pytest.mark.parametrize("uri", ["nonsense://bucket", "file://relative", "://"])
def test_uris_that_cannot_be_opened_are_named(uri):
    with pytest.raises(
        StoreError, match=f"results={uri} is not a folder or URI that can be opened"
    ):
        Store(uri, "spectrum")


@pytest.mark.parametrize(
    "name",
    [
        ".0123.tmp",
        ".part-0.parquet",
        "_part-0.parquet",
        "notes.txt",
        "part-0.parquet.crc",
        "part-0.tmp",
    ],
)
def test_leftovers_and_other_files_are_ignored(store, name):
    PartWriter(store).commit([make_row("a")])
    with open(f"{store.folder}/{name}", "wb") as file:
        file.write(b"half a part")
    assert keys_of(load_results(store.folder)) == ["a"]
    assert set(store.finished()) == {"a"}
    if name[0] in "._":
        assert keys_of(pd.read_parquet(store.folder)) == ["a"]


def test_a_folder_with_a_parts_name_is_ignored(store):
    PartWriter(store).commit([make_row("a")])
    os.mkdir(f"{store.folder}/part-x.parquet")
    assert keys_of(load_results(store.folder)) == ["a"]


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
    for version, message in (
        (SCHEMA_VERSION + 1, "newer than the .*update ntk-sweep"),
        (SCHEMA_VERSION - 1, "older than the .*compute its"),
    ):
        other = good.with_metadata(metadata | {VERSION_KEY: str(version).encode()})
        yield (
            f"version-{version}",
            written(other.empty_table()),
            f"has schema version {version}, {message}",
        )
    yield (
        "no-number",
        written(good.with_metadata(metadata | {VERSION_KEY: b"one"}).empty_table()),
        "is not a readable part",
    )
    yield "lacking", written(good.remove(0).empty_table()), "is not a readable part"
    other = good.set(
        good.get_field_index("status"), pa.field("status", pa.struct([("text", pa.string())]))
    )
    yield "other-types", written(other.empty_table()), "is not a readable part"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    list(broken_parts()),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_part_is_named(store, name, content, message):
    PartWriter(store).commit([make_row("a")])
    path = f"{store.folder}/part-{name}.parquet"
    with open(path, "wb") as file:
        file.write(content)
    for read in (lambda: load_results(store.folder), store.finished, store.read):
        with pytest.raises(StoreError, match=message) as caught:
            read()
        assert path in str(caught.value)
    os.unlink(path)
    assert keys_of(load_results(store.folder)) == ["a"]


def test_a_folder_below_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(
            StoreError,
            match=r"the results folder .*file/results/spectrum cannot be written .*give another with results=",
        ),
        Store(str(tmp_path / "file" / "results"), "spectrum").opened_for_writing(),
    ):
        pytest.fail("opened")


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="there is no /proc")
def test_a_read_only_file_system_cannot_be_written():
    with (
        pytest.raises(
            StoreError, match=r"the results folder /proc/results/spectrum cannot be written"
        ),
        Store("/proc/results", "spectrum").opened_for_writing(),
    ):
        pytest.fail("opened")


def test_marks_are_seen_by_the_same_folder_only_and_go_in_the_end(store, tmp_path):
    with store.opened_for_writing() as mark:
        Store(store.results, "spectrum").check_mark(mark)
        assert mark in os.listdir(store.folder)
        assert len(load_results(store.folder)) == 0
        with pytest.raises(StoreError, match="is not the one that the sweep was started with"):
            Store(str(tmp_path / "other"), "spectrum").check_mark(mark)
    assert os.listdir(store.folder) == []


def test_a_mark_goes_also_after_an_error(store):
    with pytest.raises(KeyError), store.opened_for_writing():
        raise KeyError
    assert os.listdir(store.folder) == []


def test_a_failed_write_leaves_nothing_and_loses_nothing(store, monkeypatch):
    writer = PartWriter(store)
    writer.commit([make_row("a")])

    def fail(source, target):
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(StoreError, match="no space left"):
            writer.commit([make_row("b")])
    assert len(os.listdir(store.folder)) == 1
    assert keys_of(load_results(store.folder)) == ["a"]
    writer.commit([make_row("c")])
    assert keys_of(load_results(store.folder)) == ["a", "c"]


# One row a key


OUTCOMES = [
    (["ok", "failed"], 0),
    (["failed", "ok"], 1),
    (["failed", "failed"], 1),
    (["ok", "ok"], 1),
    (["ok", "diverged"], 1),
    (["diverged", "ok"], 1),
    (["diverged", "failed"], 0),
    (["failed", "diverged", "failed"], 1),
    (["ok", "failed", "ok", "failed", "failed"], 2),
]


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("backwards", [True, False])
@pytest.mark.parametrize(("statuses", "expected"), OUTCOMES)
def test_the_latest_good_row_is_returned(store, statuses, expected, together, backwards):
    rows = [make_row("a", status, minutes=i, seconds=float(i)) for i, status in enumerate(statuses)]
    rows = rows[::-1] if backwards else rows
    if together:
        PartWriter(store).commit(rows)
    else:
        commit_each(store, *rows)
    frame = load_results(store.folder)
    assert frame["seconds"].tolist() == [expected]
    assert frame["status"].tolist() == [statuses[expected]]
    assert set(store.finished()) == (set() if set(statuses) == {"failed"} else {"a"})


@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from("abc"), st.sampled_from(["ok", "failed", "diverged"]), st.integers(0, 5)
        ),
        max_size=12,
    )
)
def test_latest_good_is_one_row_a_key_by_rank(rows):
    table = pa.Table.from_pylist(
        [make_row(*row, seconds=float(i)) for i, row in enumerate(rows)], schema=schema("spectrum")
    )
    best = {}
    for i, (key, status, minutes) in enumerate(rows):
        best[key] = max(best.get(key, (-1, -1, -1)), (status != "failed", minutes, i))
    found = {row["key"]: row["seconds"] for row in latest_good(table).to_pylist()}
    assert found == {key: float(rank[2]) for key, rank in best.items()}
    assert latest_good(table).num_rows == len(found)


def test_finished_tells_status_and_kernel_of_the_latest_result(store):
    commit_each(
        store,
        make_row("a", "ok", 0, kernel_file="_kernels/a.npy"),
        make_row("b", "ok", 0),
        make_row("b", "ok", 1, kernel_file="_kernels/b.npy"),
        make_row("b", "failed", 2),
        make_row("c", "failed", 0),
        make_row("d", "diverged", 0),
    )
    finished = store.finished()
    assert {key: (entry.status, entry.kernel_file) for key, entry in finished.items()} == {
        "a": ("ok", "_kernels/a.npy"),
        "b": ("ok", "_kernels/b.npy"),
        "d": ("diverged", None),
    }


# Growing parts


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
    monkeypatch.setattr(writing, "FULL_PART_ROWS", 4)
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
    monkeypatch.setattr(writing, "GROW_SECONDS", -1)
    assert writer.commit([make_row("b")]) != first
    assert len(load_results(store.folder)) == 2
    assert writing.SEALED_SECONDS > 600, (
        "a part may be merged by others only when its writer has certainly left it"
    )


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


# Merging


@pytest.fixture
def merging(monkeypatch):
    """Merges whatever may be merged, however few parts there are."""
    monkeypatch.setattr(writing, "MAX_PARTS", 1)


def test_few_parts_are_left_alone(store):
    names = commit_each(store, *(make_row(f"{i}") for i in range(writing.MAX_PARTS)))
    merge(store, own=names)
    assert part_names(store) == sorted(names)
    names += commit_each(store, make_row("one more"))
    merge(store, own=names)
    assert len(part_names(store)) == 1
    assert len(pd.read_parquet(store.folder)) == writing.MAX_PARTS + 1


@pytest.mark.usefixtures("merging")
def test_merging_keeps_every_key_and_drops_what_is_superseded(store):
    rows = [
        make_row("a", "ok", 0, seconds=1.0),
        make_row("a", "failed", 1),
        make_row("b", "failed", 0),
        make_row("c", "ok", 0, seconds=2.0),
    ]
    rows += [make_row("c", "ok", 5, seconds=3.0), make_row("d", "diverged", 0)]
    names = commit_each(store, *rows)
    before = load_results(store.folder)
    merge(store, own=names)
    assert len(part_names(store)) == 1
    pd.testing.assert_frame_equal(load_results(store.folder), before)
    assert keys_of(pd.read_parquet(store.folder)) == ["a", "b", "c", "d"]


@pytest.mark.usefixtures("merging")
def test_young_parts_of_others_are_left_alone(store):
    own = commit_each(store, make_row("a"), make_row("b"))
    other = PartWriter(store)
    other.commit([make_row("c")])
    merge(store, own=own)
    assert other.name in part_names(store)
    assert len(part_names(store)) == 2
    other.commit([make_row("d")])
    assert keys_of(pd.read_parquet(store.folder)) == ["a", "b", "c", "d"]


@pytest.mark.usefixtures("merging")
def test_a_result_is_not_dropped_for_a_row_that_stays_in_another_part(store):
    own = commit_each(store, make_row("a", "ok", 0), make_row("b", "ok", 0))
    commit_each(store, make_row("a", "failed", 5))
    merge(store, own=own)
    assert load_results(store.folder)["status"].tolist() == ["ok", "ok"]


@pytest.mark.usefixtures("merging")
def test_old_parts_of_others_are_merged(store):
    commit_each(store, *(make_row(f"{i}") for i in range(5)))
    make_old(store)
    merge(store)
    assert len(part_names(store)) == 1
    assert len(pd.read_parquet(store.folder)) == 5


@pytest.mark.usefixtures("merging")
def test_full_parts_are_not_rewritten(store, monkeypatch):
    monkeypatch.setattr(writing, "FULL_PART_ROWS", 3)
    full = PartWriter(store).commit([make_row(f"{i}") for i in range(3)])
    names = [full, *commit_each(store, make_row("a"), make_row("b"))]
    merge(store, own=names)
    assert full in part_names(store)
    assert len(part_names(store)) == 2
    assert len(pd.read_parquet(store.folder)) == 5


@pytest.mark.usefixtures("merging")
def test_a_merge_that_is_cut_off_loses_nothing(store, monkeypatch):
    names = commit_each(store, *(make_row(f"{i}") for i in range(4)))
    before = load_results(store.folder)

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store, "write", interrupt)
        with pytest.raises(KeyboardInterrupt):
            merge(store, own=names)
    pd.testing.assert_frame_equal(load_results(store.folder), before)

    class Undeletable:
        def __init__(self, filesystem):
            self.filesystem = filesystem

        def __getattr__(self, name):
            return interrupt if name == "delete_file" else getattr(self.filesystem, name)

    with monkeypatch.context() as patch:
        patch.setattr(store, "filesystem", Undeletable(store.filesystem))
        with pytest.raises(KeyboardInterrupt):
            merge(store, own=names)
    pd.testing.assert_frame_equal(load_results(store.folder), before)
    assert len(store.finished()) == 4


@pytest.mark.usefixtures("merging")
@given(
    parts=st.lists(
        st.lists(
            st.tuples(
                st.sampled_from("abcd"), st.sampled_from(["ok", "failed"]), st.integers(0, 3)
            ),
            min_size=1,
            max_size=4,
        ),
        min_size=2,
        max_size=5,
    ),
    own=st.sets(st.integers(0, 4)),
)
def test_merging_any_parts_changes_no_result(tmp_path_factory, parts, own):
    store = Store(str(tmp_path_factory.mktemp("results")), "spectrum")
    os.makedirs(store.folder)
    names = [PartWriter(store).commit([make_row(*row) for row in rows]) for rows in parts]

    def results():
        # Rows of one key, status and time are the same row here.
        return load_results(store.folder)[["key", "status", "finished_at"]].sort_values(
            "key", ignore_index=True
        )

    before = results()
    merge(store, own=[name for i, name in enumerate(names) if i in own])
    pd.testing.assert_frame_equal(results(), before)
    assert len(part_names(store)) <= len(names)


@pytest.mark.usefixtures("merging")
def test_readers_lose_nothing_while_parts_are_merged(store):
    commit_each(store, *(make_row(f"start{i}") for i in range(5)))
    stop, problems = threading.Event(), []

    def write_and_merge():
        try:
            own = part_names(store)
            for i in range(60):
                own += commit_each(store, make_row(f"{i}"))
                merge(store, own=own)
        except BaseException as error:  # noqa: BLE001 - told to the test below
            problems.append(error)
        finally:
            stop.set()

    thread = threading.Thread(target=write_and_merge)
    thread.start()
    seen = {f"start{i}" for i in range(5)}
    while not stop.is_set():
        frame = load_results(store.folder)
        assert set(frame["key"]) >= seen
        assert frame["key"].is_unique
        seen |= set(frame["key"])
    thread.join()
    assert not problems
    assert len(load_results(store.folder)) == 65


def test_a_merge_during_the_listing_hides_no_rows(store, monkeypatch):
    """Names are listed, the parts behind them are merged and removed, and only then is looked at
    what they are."""
    names = commit_each(store, make_row("a"), make_row("b"))
    listdir, done = os.listdir, []

    def list_and_merge(folder):
        found = listdir(folder)
        if not done:
            done.append(True)
            monkeypatch.setattr(writing, "MAX_PARTS", 1)
            merge(Store(store.results, "spectrum"), own=names)
        return found

    monkeypatch.setattr(os, "listdir", list_and_merge)
    assert keys_of(load_results(store.folder)) == ["a", "b"]
    assert done


def test_two_merges_at_once_double_no_row(store, monkeypatch):
    monkeypatch.setattr(writing, "MAX_PARTS", 1)
    names = commit_each(store, *(make_row(f"{i}") for i in range(12)))
    plain, ran = store.write, []

    def write_and_merge(name, content):
        if not ran:
            ran.append(True)
            merge(Store(store.results, "spectrum"), own=names)
        return plain(name, content)

    monkeypatch.setattr(store, "write", write_and_merge)
    merge(store, own=names)
    assert ran
    assert len(pd.read_parquet(store.folder)) == 12
    assert len(store.parts()) == 1
    assert os.listdir(store.folder) == [store.parts()[0].base_name]


def test_a_part_that_grows_during_a_merge_stays(store, monkeypatch):
    monkeypatch.setattr(writing, "MAX_PARTS", 1)
    names = commit_each(store, make_row("a"), make_row("b"))
    writer = PartWriter(store)
    names.append(writer.commit([make_row("c")]))
    plain = store.write

    def write_while_another_commits(name, content):
        monkeypatch.setattr(store, "write", plain)
        writer.commit([make_row("d")])
        return plain(name, content)

    monkeypatch.setattr(store, "write", write_while_another_commits)
    merge(store, own=names)
    assert keys_of(load_results(store.folder)) == ["a", "b", "c", "d"]


def test_the_lock_of_a_killed_merge_is_broken(store, monkeypatch):
    monkeypatch.setattr(writing, "MAX_PARTS", 1)
    names = commit_each(store, make_row("a"), make_row("b"))
    lock = Path(store.folder) / ".merge"
    lock.touch()
    merge(store, own=names)
    assert len(store.parts()) == 2
    os.utime(lock, (0, 0))
    merge(store, own=names)
    assert len(store.parts()) == 1
    assert not lock.exists()


def test_marks_and_halves_of_killed_sweeps_are_removed_in_the_end(store):
    folder = Path(store.folder)
    with store.opened_for_writing():
        old = [folder / f".sweep-{'0' * 32}", folder / f".{'1' * 32}.tmp"]
        young, foreign = folder / f".sweep-{'2' * 32}", folder / ".mine"
        for path in (*old, young, foreign):
            path.touch()
        for path in (*old, foreign):
            os.utime(path, (0, 0))
    with store.opened_for_writing():
        assert not any(path.exists() for path in old)
        assert young.exists()
        assert foreign.exists()


@pytest.mark.parametrize(
    "name", ["../outside.npy", "_kernels/../../outside.npy", "/etc/passwd", "outside.npy"]
)
def test_kernels_outside_their_folder_are_not_read(store, name):
    with pytest.raises(StoreError, match="does not lie in _kernels"):
        store.load_kernel(name)


def test_rows_of_older_numerics_give_way_to_newer_ones(store):
    PartWriter(store).commit([make_row("new") | {"numerics_version": 3}, make_row("old")])
    assert keys_of(load_results(store.folder)) == ["new"]


def test_parts_that_vanish_again_and_again_are_named(store, monkeypatch):
    commit_each(store, make_row("a"))
    ghost = fs.FileInfo(f"{store.folder}/part-ghost.parquet", fs.FileType.File)
    monkeypatch.setattr(store, "parts", lambda: [ghost])
    monkeypatch.setattr(store_module, "READ_SECONDS", 0.05)
    with pytest.raises(StoreError, match=r"vanish while they are read .*try again"):
        store.read()


# Kernels


def test_kernels_lie_beside_the_rows(store):
    kernel = np.random.default_rng(0).random((4, 4))
    name = store.save_kernel("a" * 64, kernel)
    PartWriter(store).commit([make_row("a" * 64, kernel_file=name)])
    assert name == f"_kernels/{'a' * 64}.npy"
    assert (store.load_kernel(name) == kernel).all()
    for frame in (load_results(store.folder), pd.read_parquet(store.folder)):
        assert frame["kernel_file"].tolist() == [name]
    assert (np.load(f"{store.folder}/{name}", allow_pickle=False) == kernel).all()


def test_a_kernel_is_replaced_as_a_whole(store):
    for value in (1.0, 2.0):
        name = store.save_kernel("k", np.full((2, 2), value))
        assert (store.load_kernel(name) == value).all()
    assert os.listdir(f"{store.folder}/_kernels") == ["k.npy"]


def test_object_arrays_are_never_pickled(store):
    with pytest.raises(ValueError, match=r"[Oo]bject arrays"):
        store.save_kernel("k", np.array([[object()]]))
    assert not os.path.exists(f"{store.folder}/_kernels/k.npy")


def test_pickled_kernels_are_refused(store):
    os.makedirs(f"{store.folder}/_kernels")
    np.save(f"{store.folder}/_kernels/k.npy", np.array([[None]]), allow_pickle=True)
    with pytest.raises(StoreError, match=r"the kernel .*_kernels/k.npy cannot be read"):
        store.load_kernel("_kernels/k.npy")


def test_truncated_kernels_are_named_wherever_they_end(store):
    name = store.save_kernel("k", np.eye(6))
    path = f"{store.folder}/{name}"
    with open(path, "rb") as file:
        whole = file.read()
    for size in range(0, len(whole), 13):
        with open(path, "wb") as file:
            file.write(whole[:size])
        with pytest.raises(
            StoreError,
            match=r"the kernel .*k.npy cannot be read .*recompute its point with force=true",
        ):
            store.load_kernel(name)


@pytest.mark.parametrize("content", [b"hello", b"PK\x03\x04rest", b"\x80\x04K\x01."])
def test_files_that_are_no_kernels_are_named(store, content):
    os.makedirs(f"{store.folder}/_kernels")
    with open(f"{store.folder}/_kernels/k.npy", "wb") as file:
        file.write(content)
    with pytest.raises(StoreError, match="cannot be read"):
        store.load_kernel("_kernels/k.npy")


def test_a_missing_kernel_is_named(store):
    with pytest.raises(StoreError, match=r"_kernels/none.npy cannot be read"):
        store.load_kernel("_kernels/none.npy")


# Object stores


@pytest.fixture
def remote(tmp_path, monkeypatch):
    """A store whose file system is not the local one: all goes through `pyarrow.fs`."""
    (tmp_path / "bucket").mkdir()
    tree = fs.SubTreeFileSystem(str(tmp_path / "bucket"), fs.LocalFileSystem())
    monkeypatch.setattr(
        store_module, "open_filesystem", lambda results: (tree, results.removeprefix("mock://"))
    )
    remote = Store("mock://prefix", "spectrum")
    assert not remote.is_local
    return remote


def test_object_stores_hold_one_part_a_commit(remote):
    with remote.opened_for_writing() as mark:
        remote.check_mark(mark)
        writer = PartWriter(remote)
        names = [writer.commit([make_row(f"{i}")]) for i in range(3)]
    assert len(set(names)) == 3
    assert keys_of(load_results("mock://prefix/spectrum")) == ["0", "1", "2"]
    assert set(remote.finished()) == {"0", "1", "2"}
    assert remote.location == "mock://prefix/spectrum"
    assert absolute_results("mock://prefix") == "mock://prefix"


@pytest.mark.usefixtures("merging")
def test_object_stores_merge_and_keep_kernels(remote, tmp_path, monkeypatch):
    with remote.opened_for_writing():
        names = commit_each(remote, *(make_row(f"{i}") for i in range(4)))
        kernel = remote.save_kernel("k", np.eye(2))
        monkeypatch.setattr(writing, "MAX_PARTS", 1)
        merge(remote, own=names)
    assert len(list((tmp_path / "bucket" / "prefix" / "spectrum").glob("*.parquet"))) == 1
    assert keys_of(load_results("mock://prefix/spectrum")) == ["0", "1", "2", "3"]
    assert (remote.load_kernel(kernel) == np.eye(2)).all()
    assert not list((tmp_path / "bucket" / "prefix" / "spectrum").glob(".sweep-*"))


def test_broken_parts_in_object_stores_are_named(remote, tmp_path):
    with remote.opened_for_writing():
        PartWriter(remote).commit([make_row("a")])
    (tmp_path / "bucket" / "prefix" / "spectrum" / "part-bad.parquet").write_bytes(b"half")
    with pytest.raises(
        StoreError, match=r"prefix/spectrum/part-bad.parquet is not a readable part"
    ):
        load_results("mock://prefix/spectrum")
