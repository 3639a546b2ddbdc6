"""Protects what readers get: one row a key, in order, from any way to write the path."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import fs

from ntk_sweep.errors import StoreError
from ntk_sweep.store import store as store_module
from ntk_sweep.store.columns import schema
from ntk_sweep.store.reading import Entry, finished, latest_good, load_results
from ntk_sweep.store.store import Store
from ntk_sweep.store.writer import PartWriter
from tests.helpers.store_rows import commit_each, keys_of, make_row

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


def test_an_empty_folder_gives_an_empty_frame_with_all_columns(store):
    frame = load_results(store.folder)
    assert len(frame) == 0
    assert list(frame.columns) == schema("spectrum").names
    assert finished(store) == {}


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


@pytest.mark.parametrize("together", [True, False], ids=["one part", "many parts"])
@pytest.mark.parametrize("backwards", [True, False], ids=["backwards", "forwards"])
def test_the_latest_good_row_is_returned(store, together, backwards):
    rows = [
        make_row(f"{number}", status, minutes=i, seconds=float(i))
        for number, (statuses, _) in enumerate(OUTCOMES)
        for i, status in enumerate(statuses)
    ]
    rows = rows[::-1] if backwards else rows
    if together:
        PartWriter(store).commit(rows)
    else:
        commit_each(store, *rows)
    frame = load_results(store.folder).set_index("key")
    assert len(frame) == len(OUTCOMES)
    for number, (statuses, expected) in enumerate(OUTCOMES):
        assert frame.loc[f"{number}", "seconds"] == expected
        assert frame.loc[f"{number}", "status"] == statuses[expected]
        assert (f"{number}" in finished(store)) == (set(statuses) != {"failed"})


def test_the_latest_good_row_counts_in_any_store(any_store):
    commit_each(
        any_store,
        make_row("a", minutes=2, seconds=2.0),
        make_row("a", minutes=0, seconds=1.0),
        make_row("a", "failed", minutes=3),
        make_row("b", "failed", minutes=1),
    )
    frame = load_results(any_store.location)
    assert keys_of(frame) == ["a", "b"]
    assert frame.set_index("key").loc["a", "seconds"] == 2.0
    assert set(finished(any_store)) == {"a"}


@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from("abc"), st.sampled_from(["ok", "failed", "diverged"]), st.integers(0, 5)
        ),
        max_size=12,
    )
)
def test_latest_good_is_one_row_a_key_by_rank(rows):
    names = ["key", "status", "finished_at"]
    columns = (
        dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(names, ())
    )
    table = pa.table(columns | {"seconds": pa.array(range(len(rows)), pa.float64())})
    best = {}
    for i, (key, status, minutes) in enumerate(rows):
        best[key] = max(best.get(key, (-1, -1, -1)), (status != "failed", minutes, i))
    found = {row["key"]: row["seconds"] for row in latest_good(table).to_pylist()}
    assert found == {key: float(rank[2]) for key, rank in best.items()}
    assert latest_good(table).num_rows == len(found)


def test_finished_tells_status_and_kernel_of_the_latest_result(any_store):
    commit_each(
        any_store,
        make_row("a", "ok", 0, kernel_file="_kernels/a.npy"),
        make_row("b", "ok", 0),
        make_row("b", "ok", 1, kernel_file="_kernels/b.npy"),
        make_row("b", "failed", 2),
        make_row("c", "failed", 0),
        make_row("d", "diverged", 0),
    )
    done = finished(any_store)
    assert {key: (entry.status, set(entry.files)) for key, entry in done.items()} == {
        "a": ("ok", {"kernel_file"}),
        "b": ("ok", {"kernel_file"}),
        "d": ("diverged", set()),
    }


def test_rows_of_older_numerics_give_way_to_newer_ones(store):
    rows = [make_row("new", numerics_version=3), make_row("old"), make_row("other", seed=1)]
    PartWriter(store).commit(rows)
    assert keys_of(load_results(store.folder)) == ["new", "other"]


def test_a_failure_of_newer_numerics_hides_no_result(store):
    rows = [
        make_row("failed again", "failed", numerics_version=3),
        make_row("good"),
        make_row("older", numerics_version=1),
        make_row("failed twice", "failed", numerics_version=3, seed=1),
        make_row("failed", "failed", seed=1),
    ]
    PartWriter(store).commit(rows)
    assert keys_of(load_results(store.folder)) == ["failed twice", "good"]


def test_older_numerics_give_way_for_the_same_training_of_the_same_network_only(tmp_path):
    def run(key, **values):
        setting = {"learning_rate": 0.01, "learning_rate_unit": "absolute", "batch_size": 1}
        setting |= {"epochs": 2, "shuffle": True, "optimiser": "sgd", "centre_outputs": False}
        return make_row(key, task="training", **(setting | {"bias_std": None} | values))

    rows = [
        run("new", numerics_version=3),
        run("old"),
        run("another rate", learning_rate=0.001),
        run("another network", seed=1),
        run("other test inputs", test_fingerprint="e" * 64),
        run("recorded", record_kernel_every=1),
    ]
    store = Store(str(tmp_path / "results"), "training")
    with store.open_session():
        PartWriter(store).commit(rows)
        frame = load_results(store.folder)
    assert keys_of(frame) == sorted({row["key"] for row in rows} - {"old"})


def test_a_point_is_done_with_the_files_that_are_asked_for():
    nothing, kernel = frozenset(), frozenset({"kernel_file"})
    assert Entry("ok", nothing).serves(nothing) and Entry("ok", kernel).serves(nothing)
    assert Entry("ok", kernel).serves(kernel)
    assert not Entry("ok", nothing).serves(kernel)
    assert not Entry("ok", kernel).serves(kernel | {"eigenvectors_file"})


def test_parts_that_vanish_again_and_again_are_named(store, monkeypatch):
    commit_each(store, make_row("a"))
    ghost = fs.FileInfo(f"{store.folder}/part-ghost.parquet", fs.FileType.File)
    monkeypatch.setattr(store, "parts", lambda: [ghost])
    monkeypatch.setattr(store_module, "READ_SECONDS", 0.05)
    with pytest.raises(StoreError, match=r"vanish while they are read .*try again"):
        store.read()
