"""Protects compaction: no row is lost or doubled, whoever else writes or reads."""

import os
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntk_sweep.store import compaction
from ntk_sweep.store import writer as writer_module
from ntk_sweep.store.compaction import merge
from ntk_sweep.store.reading import finished, load_results
from ntk_sweep.store.store import Store
from ntk_sweep.store.writer import PartWriter
from tests.helpers.store_rows import commit_each, keys_of, make_old, make_row, part_names


def test_few_parts_are_left_alone(store, monkeypatch):
    assert compaction.MAX_PARTS == 32, "docs/guide/rows.md says so"
    monkeypatch.setattr(compaction, "MAX_PARTS", 4)
    names = commit_each(store, *(make_row(f"{i}") for i in range(compaction.MAX_PARTS)))
    merge(store, own=names)
    assert part_names(store) == sorted(names)
    names += commit_each(store, make_row("one more"))
    merge(store, own=names)
    assert len(part_names(store)) == 1
    assert len(pd.read_parquet(store.folder)) == compaction.MAX_PARTS + 1


@pytest.mark.usefixtures("merging")
def test_merging_keeps_every_key_and_drops_what_is_superseded(any_store):
    rows = [
        make_row("a", "ok", 0, seconds=1.0),
        make_row("a", "failed", 1),
        make_row("b", "failed", 0),
        make_row("c", "ok", 0, seconds=2.0),
    ]
    rows += [make_row("c", "ok", 5, seconds=3.0), make_row("d", "diverged", 0)]
    names = commit_each(any_store, *rows)
    before = load_results(any_store.location)
    merge(any_store, own=names)
    assert len(any_store.parts()) == 1
    pd.testing.assert_frame_equal(load_results(any_store.location), before)
    assert keys_of(pd.read_parquet(any_store.location)) == ["a", "b", "c", "d"]


@pytest.mark.usefixtures("merging")
def test_young_parts_of_others_are_left_alone(any_store):
    own = commit_each(any_store, make_row("a"), make_row("b"))
    other = PartWriter(any_store)
    name = other.commit([make_row("c")])
    merge(any_store, own=own)
    assert name in [part.base_name for part in any_store.parts()]
    assert len(any_store.parts()) == 2
    other.commit([make_row("d")])
    assert keys_of(pd.read_parquet(any_store.location)) == ["a", "b", "c", "d"]


@pytest.mark.usefixtures("merging", "s3_results")
def test_parts_of_others_in_an_object_store_are_left_alone_however_old(s3_results, monkeypatch):
    """No lock there keeps a second merge out."""
    store = Store(s3_results, "spectrum")
    commit_each(store, make_row("a"), make_row("b"))
    monkeypatch.setattr(compaction, "SEALED_SECONDS", -60)
    merge(store)
    assert len(store.parts()) == 2


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
    monkeypatch.setattr(compaction, "FULL_PART_ROWS", 3)
    monkeypatch.setattr(writer_module, "FULL_PART_ROWS", 3)
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
    assert len(finished(store)) == 4


@pytest.mark.usefixtures("merging")
@settings(max_examples=15)
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
            for i in range(30):
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
    assert len(load_results(store.folder)) == 35


def test_a_merge_during_the_listing_hides_no_rows(store, monkeypatch):
    """Names are listed, the parts behind them are merged and removed, and only then is looked at
    what they are."""
    names = commit_each(store, make_row("a"), make_row("b"))
    listdir, done = os.listdir, []

    def list_and_merge(folder):
        found = listdir(folder)
        if not done:
            done.append(True)
            monkeypatch.setattr(compaction, "MAX_PARTS", 1)
            merge(Store(store.results, "spectrum"), own=names)
        return found

    monkeypatch.setattr(os, "listdir", list_and_merge)
    assert keys_of(load_results(store.folder)) == ["a", "b"]
    assert done


def test_two_merges_at_once_double_no_row(store, monkeypatch):
    monkeypatch.setattr(compaction, "MAX_PARTS", 1)
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
    monkeypatch.setattr(compaction, "MAX_PARTS", 1)
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


@pytest.mark.parametrize("error", [-1e6, 1e6])
def test_ages_are_told_by_the_clock_of_the_files(store, monkeypatch, merging, error):
    plain, names = time.time, commit_each(store, make_row("a"), make_row("b"))
    monkeypatch.setattr(time, "time", lambda: plain() + error)
    merge(store)
    assert part_names(store) == sorted(names), "they are young, whatever this host thinks"
    lock = Path(store.results) / ".merge-spectrum"
    lock.touch()
    merge(store, own=names)
    assert part_names(store) == sorted(names), "another process merges"
    lock.unlink()
    for name in names:
        os.utime(f"{store.folder}/{name}", (0, 0))
    merge(store)
    assert len(store.parts()) == 1
    assert os.listdir(store.results) == ["spectrum"]


def test_the_lock_of_a_killed_merge_is_broken(store, monkeypatch):
    monkeypatch.setattr(compaction, "MAX_PARTS", 1)
    names = commit_each(store, make_row("a"), make_row("b"))
    lock = Path(store.results) / ".merge-spectrum"
    lock.touch()
    merge(store, own=names)
    assert len(store.parts()) == 2
    os.utime(lock, (0, 0))
    merge(store, own=names)
    assert len(store.parts()) == 1
    assert not lock.exists()
