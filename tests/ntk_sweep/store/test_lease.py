"""Protects leases: a worker that loses its lease stores nothing, whenever it loses it."""

import builtins
import os
import posixpath
from pathlib import Path

import pytest
from pyarrow import fs

from ntk_sweep.errors import StoreError
from ntk_sweep.store import store as store_module
from ntk_sweep.store.lease import Lease, LeaseLost
from ntk_sweep.store.reading import finished, load_results
from ntk_sweep.store.store import Store
from ntk_sweep.store.writer import PartWriter
from tests.helpers.store_rows import keys_of, make_row


@pytest.fixture(params=["disk", "mount", "object store"])
def store(request, tmp_path, monkeypatch):
    if request.param == "mount":  # of the task's folder alone
        monkeypatch.setattr(Store, "_make_staging", lambda self, session: None)
    elif request.param == "object store":
        tree = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
        monkeypatch.setattr(store_module, "open_filesystem", lambda results: (tree, "results"))
    return Store(str(tmp_path / "results"), "spectrum")


@pytest.fixture
def session(store):
    with store.open_session() as session:
        yield session


def files(store):
    """What lies in the results, hidden or not."""
    found = store.filesystem.get_file_info(
        fs.FileSelector(posixpath.dirname(store.folder), recursive=True)
    )
    return sorted(each.base_name for each in found if each.base_name != "spectrum")


def test_rows_are_committed_under_a_permit_which_leaves_nothing(store, session):
    writer, before = PartWriter(store), files(store)
    for chunk, keys in enumerate(("ab", "c")):
        with Lease(store, session, chunk).acquired() as lease:
            for key in keys:
                writer.commit([make_row(key)], lease)
    assert keys_of(load_results(store.results + "/spectrum")) == ["a", "b", "c"]
    assert all(name.startswith("part-") for name in set(files(store)) - set(before))


def test_after_it_was_taken_back_nothing_is_committed(store, session):
    writer, lease = PartWriter(store), Lease(store, session, 7)
    with lease.acquired():
        writer.commit([make_row("before")], lease)
        Lease(store, session, 7).revoke()
        with pytest.raises(LeaseLost, match=r"lost its lease: .* nothing more is written to"):
            writer.commit([make_row("after")], lease)
    assert keys_of(load_results(store.results + "/spectrum")) == ["before"]
    with Lease(store, session, 8).acquired() as other:
        PartWriter(store).commit([make_row("after")], other)
    assert keys_of(load_results(store.results + "/spectrum")) == ["after", "before"]


def test_a_worker_that_begins_too_late_commits_nothing(store, session):
    lease = Lease(store, session, 0)
    lease.revoke()
    with pytest.raises(LeaseLost), lease.acquired():
        PartWriter(store).commit([make_row("late")], lease)
    assert not [name for name in files(store) if name.endswith(".parquet")]


def test_taking_it_back_from_a_worker_that_has_ended_or_twice_does_no_harm(store, session):
    lease = Lease(store, session, 0)
    with lease.acquired():
        PartWriter(store).commit([make_row("a")], lease)
    lease.revoke()
    lease.revoke()
    assert keys_of(load_results(store.results + "/spectrum")) == ["a"]


def test_nothing_of_it_is_left_when_the_sweep_ends(store):
    with store.open_session() as session:
        for chunk in range(3):
            lease = Lease(store, session, chunk)
            with lease.acquired():
                lease.revoke()
        Lease(store, session, 3).revoke()
    assert files(store) == []


def test_a_folder_that_is_gone_is_said_by_worker_and_driver(store, session):
    with Lease(store, session, 0).acquired() as lease:
        Path(store.results, "spectrum").rename(Path(store.results, "moved"))
        with pytest.raises(StoreError, match="was removed, or is not the one"):
            PartWriter(store).commit([make_row("a")], lease)
    assert not Path(store.results, "spectrum").exists()
    with pytest.raises(StoreError, match="was removed, or is not the one"):
        lease.revoke()


@pytest.mark.parametrize(("module", "step"), [(builtins, "open"), (os, "fsync"), (os, "replace")])
def test_at_whichever_step_of_a_commit_it_is_taken_back_no_row_appears_later(
    tmp_path, monkeypatch, module, step
):
    store = Store(str(tmp_path), "spectrum")
    plain = getattr(module, step)
    with store.open_session() as session, Lease(store, session, 0).acquired() as lease:

        def struck(*arguments, **others):
            monkeypatch.undo()
            lease.revoke()
            return plain(*arguments, **others)

        monkeypatch.setattr(module, step, struck)
        with pytest.raises(LeaseLost):
            PartWriter(store).commit([make_row("a")], lease)
        assert not finished(store)


def test_readers_do_not_stumble_over_permits_that_come_and_go(tmp_path):
    """Arrow lists hidden folders too, and fails if they are gone when it looks into them."""
    store = Store(str(tmp_path), "spectrum")
    with store.open_session() as session:
        PartWriter(store).commit([make_row("a")])
        with Lease(store, session, 0).acquired():
            assert not [path for path in Path(store.folder).iterdir() if path.is_dir()]


def test_a_disk_that_cannot_be_written_is_told_by_worker_and_driver(tmp_path, monkeypatch):
    store = Store(str(tmp_path), "spectrum")
    with store.open_session() as session:

        def refuse(path):
            raise OSError(30, "Read-only file system")

        monkeypatch.setattr(os, "mkdir", refuse)
        lease = Lease(store, session, 0)
        with pytest.raises(StoreError, match=r"cannot be written \(.*Read-only"):
            lease.acquired().__enter__()
        with pytest.raises(StoreError, match=r"cannot be written \(.*Read-only"):
            lease.revoke()
