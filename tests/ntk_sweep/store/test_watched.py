"""Protects the store that is looked at again and again: it shows what is there, and reads only what
is new."""

import dataclasses

import pyarrow as pa
import pytest

from ntk_sweep.errors import StoreError
from ntk_sweep.store import part_file
from ntk_sweep.store.compaction import merge
from ntk_sweep.store.session import Owner
from ntk_sweep.store.store import Store
from ntk_sweep.store.watched import WatchedStore
from ntk_sweep.store.writer import PartWriter
from tests.helpers.store_rows import commit_each, make_row

COLUMNS = ["key", "status", "finished_at"]


@pytest.fixture
def watched(any_store):
    return WatchedStore(any_store.results, "spectrum", COLUMNS)


@pytest.fixture
def reads(monkeypatch):
    """The parts that were read since it was last cleared."""
    seen, read_part = [], part_file.read_part

    def noting(filesystem, path, *arguments):
        seen.append(path)
        return read_part(filesystem, path, *arguments)

    monkeypatch.setattr(part_file, "read_part", noting)
    return seen


def keys(watched):
    table = watched.rows()
    assert table.column_names == COLUMNS
    return sorted(table["key"].to_pylist())


def test_a_part_is_read_once(any_store, watched, reads):
    assert keys(watched) == []
    commit_each(any_store, make_row("a"), make_row("b"))
    assert keys(watched) == ["a", "b"]
    assert len(reads) == 2
    reads.clear()
    assert keys(watched) == ["a", "b"]
    assert reads == []
    commit_each(any_store, make_row("c"))
    assert keys(watched) == ["a", "b", "c"]
    assert len(reads) == 1


def test_a_part_that_grows_is_read_again(any_store, watched, reads):
    writer = PartWriter(any_store)
    writer.commit([make_row("a")])
    assert keys(watched) == ["a"]
    reads.clear()
    writer.commit([make_row("b")])
    assert keys(watched) == ["a", "b"]
    assert len(reads) == 1


@pytest.mark.usefixtures("merging")
def test_a_merge_between_two_looks_leaves_no_row_twice(any_store, watched):
    parts = commit_each(any_store, make_row("a"), make_row("b"))
    assert keys(watched) == ["a", "b"]
    merge(any_store, own=parts)
    assert keys(watched) == ["a", "b"]
    assert len(watched._tables) == 1


def test_a_part_that_vanishes_while_it_is_read_is_looked_for_again(store, monkeypatch):
    commit_each(store, make_row("a"))
    watched, read_part, gone = WatchedStore(store.results, "spectrum", COLUMNS), Store.read_part, []

    def vanishing(self, *arguments):
        if len(gone) < 3:
            gone.append(arguments)
            raise FileNotFoundError
        return read_part(self, *arguments)

    monkeypatch.setattr(Store, "read_part", vanishing)
    assert keys(watched) == ["a"]


def test_a_damaged_part_is_named(any_store, watched):
    any_store.write("part-broken.parquet", b"hello")
    with pytest.raises(StoreError, match=r"part-broken\.parquet is not a readable part"):
        watched.rows()


def test_other_columns_are_read_from_the_parts(store):
    commit_each(store, make_row("a"))
    watched = WatchedStore(store.results, "spectrum", COLUMNS)
    watched.rows()
    assert watched.read(["width"]) == pa.table({"width": [50]}, schema=store.read(["width"]).schema)


def test_sweeps_are_known_with_what_they_compute(any_store, watched, monkeypatch):
    assert watched.owners() == []
    with any_store.open_session() as first:
        (said,) = watched.owners()
        assert (said.cost, said.wanted) == (None, [])
        # At once: an object store tells times to the second only.
        any_store.announce(first, ["0123456789abcdef", "fedcba9876543210"], 2.5)
        any_store.check_session(first)
        with any_store.open_session() as second:
            any_store.announce(second, ["5" * 64], 1.0)
            (one, two) = watched.owners()
            assert (one.cost, one.wanted) == (2.5, ["0123456789", "fedcba9876"])
            assert two.wanted == ["5" * 10]
            assert one.since <= two.since
            monkeypatch.setattr(Owner, "parse", lambda content: pytest.fail("read again"))
            assert watched.owners() == [one, two]
    assert watched.owners() == []


def test_a_sweep_of_an_earlier_version_is_known_too():
    owner = Owner.this()
    old = '{"host": "here", "pid": 1, "born": 2, "machine": "m", "since": 3.0}'
    assert Owner.parse(old.encode()) == Owner("here", 1, 2, "m", 3.0)
    newer = owner.content[:-1] + b', "mood": "good"}'
    assert Owner.parse(newer) == owner
    computing = owner.computing(["ab" * 32], 4.0)
    assert Owner.parse(computing.content) == computing
    assert dataclasses.replace(computing, since=0.0, cost=None, keys="") == dataclasses.replace(
        owner, since=0.0
    )
