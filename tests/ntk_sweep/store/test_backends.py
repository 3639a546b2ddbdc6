"""Protects what every store promises, on a disk, on S3, and on a mount without a staging folder."""

from contextlib import ExitStack

import numpy as np
import pytest

from ntk_sweep.errors import StoreError
from ntk_sweep.store.compaction import merge
from ntk_sweep.store.lease import Lease, LeaseLost
from ntk_sweep.store.reading import finished, load_results
from ntk_sweep.store.store import Store
from ntk_sweep.store.writer import PartWriter
from tests.helpers.s3 import BUCKET, s3_server
from tests.helpers.store_rows import keys_of, make_row


@pytest.fixture(scope="module")
def server():
    with s3_server() as server:
        yield server


@pytest.fixture(params=["disk", "s3", "mount without staging"])
def results(request, tmp_path, monkeypatch):
    """Where the results lie."""
    if request.param == "s3":
        for name, value in request.getfixturevalue("server").environment.items():
            monkeypatch.setenv(name, value)
        return f"s3://{BUCKET}/{tmp_path.name}"
    if request.param == "mount without staging":
        monkeypatch.setattr(Store, "_make_staging", lambda self, session: None)
    return str(tmp_path / "results")


@pytest.fixture
def store(results):
    return Store(results, "spectrum")


@pytest.fixture
def session(store):
    with store.open_session() as session:
        yield session


def commit(store, *rows, lease=None):
    writer = PartWriter(store)
    for row in rows:
        writer.commit([row], lease)


def test_rows_come_back(store, session):
    values = np.array([5e-324, 1.0, 7e4])
    commit(store, make_row("a", eigenvalues=values, lambda_min=5e-324))
    (row,) = load_results(store.location).to_dict("records")
    assert row["eigenvalues"].tolist() == values.tolist()
    assert row["lambda_min"] == 5e-324


def test_the_latest_good_row_counts(store, session):
    commit(store, make_row("a", minutes=0, width=1), make_row("a", minutes=2, width=2))
    commit(store, make_row("a", "failed", minutes=3), make_row("b", "failed", minutes=1))
    frame = load_results(store.location)
    assert keys_of(frame) == ["a", "b"]
    assert frame.set_index("key").loc["a", "width"] == 2
    assert set(finished(store)) == {"a"}


def test_a_second_writer_takes_no_row_away(store, session):
    commit(store, make_row("a"))
    commit(store, make_row("b"))
    assert keys_of(load_results(store.location)) == ["a", "b"]


def test_merging_changes_no_result(store, session, merging):
    rows = [make_row(key, minutes=minute) for minute, key in enumerate("abcab")]
    names = [PartWriter(store).commit([row]) for row in rows]
    before = load_results(store.location)
    merge(store, own=names)
    assert len(store.parts()) == 1
    assert load_results(store.location).equals(before)


def test_kernels_come_back(store, session):
    theta = np.arange(9.0).reshape(3, 3)
    name = store.save_kernel("a", theta)
    commit(store, make_row("a", kernel_file=name))
    assert np.array_equal(store.load_kernel(finished(store)["a"].kernel_file), theta)
    with pytest.raises(StoreError, match="cannot be read"):
        store.load_kernel("_kernels/b.npy")


def test_a_damaged_part_is_named(store, session):
    commit(store, make_row("a"))
    store.write("part-damaged.parquet", b"PAR1 nothing PAR1")
    with pytest.raises(StoreError, match=r"part-damaged\.parquet is not a readable part"):
        load_results(store.location)


def test_a_lease_lets_its_worker_commit(store, session):
    with Lease(store, session, 0).acquired() as lease:
        commit(store, make_row("a"), lease=lease)
    assert keys_of(load_results(store.location)) == ["a"]


def test_a_worker_that_loses_its_lease_stores_nothing(store, session):
    with Lease(store, session, 0).acquired() as lease:
        commit(store, make_row("a"), lease=lease)
        Lease(store, session, 0).revoke()
        with pytest.raises(LeaseLost, match="another worker is computing these points"):
            commit(store, make_row("b"), lease=lease)
    assert keys_of(load_results(store.location)) == ["a"]


def test_other_leases_outlive_a_revocation(store, session):
    with Lease(store, session, 1).acquired() as lease:
        Lease(store, session, 0).revoke()
        commit(store, make_row("a"), lease=lease)
    assert keys_of(load_results(store.location)) == ["a"]


def test_sessions_know_of_each_other_and_leave_nothing(results, store):
    with ExitStack() as stack:
        first = stack.enter_context(store.open_session())
        second = stack.enter_context(Store(results, "spectrum").open_session())
        assert len(store.other_sessions(first)) == 1
        store.check_session(second)
    with pytest.raises(StoreError, match="is not the one that the sweep was started with"):
        store.check_session(first)
