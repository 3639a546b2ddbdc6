"""Protects leases: a worker that loses its lease stores no rows, in any kind of store."""

import builtins
import os
import posixpath
from pathlib import Path

import pytest
from pyarrow import fs

from ntk_sweep.errors import StoreError
from ntk_sweep.store.lease import Lease, LeaseLost
from ntk_sweep.store.reading import finished, load_results
from ntk_sweep.store.store import Store
from ntk_sweep.store.writer import PartWriter
from tests.helpers.store_rows import keys_of, make_row


def files(store):
    """All files and folders of the results, hidden or not."""
    found = store.filesystem.get_file_info(
        fs.FileSelector(posixpath.dirname(store.folder), recursive=True)
    )
    return sorted(each.base_name for each in found if each.base_name != "spectrum")


def stored_keys(store):
    return keys_of(load_results(store.location))


def test_rows_are_committed_under_a_lease_that_leaves_nothing(any_store, session):
    writer, before = PartWriter(any_store), files(any_store)
    for chunk, keys in enumerate(("ab", "c")):
        with Lease(any_store, session, chunk).acquired() as lease:
            for key in keys:
                writer.commit([make_row(key)], lease)
    assert stored_keys(any_store) == ["a", "b", "c"]
    assert all(name.startswith("part-") for name in set(files(any_store)) - set(before))


def test_a_worker_that_loses_its_lease_stores_nothing(any_store, session):
    writer, lease = PartWriter(any_store), Lease(any_store, session, 7)
    with lease.acquired():
        writer.commit([make_row("before")], lease)
        Lease(any_store, session, 7).revoke()
        with pytest.raises(
            LeaseLost, match=r"lost its lease: .* nothing more is written to .*spectrum"
        ):
            writer.commit([make_row("after")], lease)
    assert stored_keys(any_store) == ["before"]


def test_other_leases_outlive_a_revocation(any_store, session):
    with Lease(any_store, session, 1).acquired() as lease:
        Lease(any_store, session, 0).revoke()
        Lease(any_store, session, 11).revoke()
        PartWriter(any_store).commit([make_row("a")], lease)
    assert stored_keys(any_store) == ["a"]


def test_a_revoked_lease_cannot_be_acquired(any_store, session):
    lease = Lease(any_store, session, 0)
    lease.revoke()
    with pytest.raises(LeaseLost), lease.acquired():
        PartWriter(any_store).commit([make_row("late")], lease)
    assert any_store.parts() == []


def test_a_lease_may_be_revoked_after_its_end_and_twice(any_store, session):
    lease = Lease(any_store, session, 0)
    with lease.acquired():
        PartWriter(any_store).commit([make_row("a")], lease)
    lease.revoke()
    lease.revoke()
    assert stored_keys(any_store) == ["a"]


def test_leases_leave_nothing_when_the_sweep_ends(any_store):
    with any_store.open_session() as session:
        for chunk in range(3):
            lease = Lease(any_store, session, chunk)
            with lease.acquired():
                lease.revoke()
        Lease(any_store, session, 3).revoke()
    assert files(any_store) == [".present"]


def test_worker_and_driver_say_that_the_session_is_gone(any_store, session):
    with Lease(any_store, session, 0).acquired() as lease:
        any_store.filesystem.delete_file(posixpath.join(any_store.hidden_folder, session))
        with pytest.raises(StoreError, match="was removed, or is not the one"):
            Lease(any_store, session, 0).revoke()
        if any_store.is_local and os.path.isdir(any_store.staging_folder(session)):
            os.rmdir(any_store.staging_folder(session) + "/0")
        with pytest.raises(StoreError, match="was removed, or is not the one"):
            PartWriter(any_store).commit([make_row("a")], lease)
    assert any_store.parts() == []


def test_a_folder_that_was_moved_is_not_made_again(store):
    with store.open_session() as session:
        with Lease(store, session, 0).acquired() as lease:
            Path(store.folder).rename(Path(store.results, "moved"))
            with pytest.raises(StoreError, match="was removed, or is not the one"):
                PartWriter(store).commit([make_row("a")], lease)
        assert not Path(store.folder).exists()


@pytest.mark.parametrize(("module", "step"), [(builtins, "open"), (os, "fsync"), (os, "replace")])
def test_a_lease_revoked_at_any_step_of_a_commit_lets_no_row_appear(
    store, monkeypatch, module, step
):
    plain = getattr(module, step)
    with store.open_session() as session, Lease(store, session, 0).acquired() as lease:

        def revoke_first(*arguments, **others):
            monkeypatch.undo()
            lease.revoke()
            return plain(*arguments, **others)

        monkeypatch.setattr(module, step, revoke_first)
        with pytest.raises(LeaseLost):
            PartWriter(store).commit([make_row("a")], lease)
        assert not finished(store)


def test_a_revocation_wins_over_a_worker_that_acquires_or_ends_meanwhile(store, monkeypatch):
    """The folder of the lease goes between the two steps of the driver."""
    with store.open_session() as session:
        lease, make = Lease(store, session, 0), os.mkdir
        holder = lease.acquired()
        holder.__enter__()

        def end_meanwhile(path):
            try:
                make(path)
            finally:
                monkeypatch.undo()
                holder.__exit__(None, None, None)

        monkeypatch.setattr(os, "mkdir", end_meanwhile)
        lease.revoke()
        with pytest.raises(LeaseLost), lease.acquired():
            pytest.fail("acquired")


def test_readers_see_no_folders_of_leases(store):
    """Arrow lists hidden folders too, and fails if they are gone when it looks into them."""
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
