"""Protects readers that know nothing of ntk-sweep: each reads the rows' folder by its bare name.

Polars and DuckDB list every file, also hidden ones: so none but parts may lie there at any moment.
"""

import os

import numpy as np
import pandas as pd
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from ntk_sweep.store.compaction import merge
from ntk_sweep.store.lease import Lease
from ntk_sweep.store.store import Store
from ntk_sweep.store.writer import PartWriter
from tests.helpers.s3 import BUCKET, objects
from tests.helpers.store_rows import commit_each, make_row

POLARS = ["", "/", "/*", "/*.parquet", "/**/*", "/**/*.parquet"]
DUCKDB = ["", "/", "/*", "/*.parquet", "/**", "/**/*", "/**/*.parquet"]
"""What may follow the name of the folder."""


def by_pandas(folder):
    return pd.read_parquet(folder)["key"].tolist()


def by_pyarrow(folder):
    keys = pyarrow.dataset.dataset(folder).to_table()["key"].to_pylist()
    assert sorted(pq.read_table(folder)["key"].to_pylist()) == sorted(keys)
    return keys


def by_polars(folder):
    polars = pytest.importorskip("polars", reason="Polars is a development dependency")
    (keys,) = {
        tuple(sorted(read(folder + form)["key"]))
        for form in POLARS
        for read in (polars.read_parquet, lambda name: polars.scan_parquet(name).collect())
    }
    return keys


def by_duckdb(folder):
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is a development dependency")
    (keys,) = {
        tuple(sorted(duckdb.sql(f"SELECT key FROM read_parquet('{folder}{form}')").df()["key"]))
        for form in DUCKDB
    }
    return keys


@pytest.fixture(params=[by_pandas, by_pyarrow, by_polars, by_duckdb])
def reads(request, store):
    """Checks that a reader sees these keys, at whatever moment it is called."""

    def check(*keys):
        assert sorted(request.param(store.folder)) == sorted(keys)

    return check


@pytest.fixture
def at_each_step(monkeypatch):
    """Calls a function before each rename: files are written, and not yet visible."""

    def watch(look):
        rename = os.replace

        def look_first(source, target):
            assert os.path.exists(source)
            look()
            rename(source, target)

        monkeypatch.setattr(os, "replace", look_first)

    return watch


def test_after_a_sweep_with_kernels(store, reads):
    with store.open_session():
        name = store.save_kernel("a", np.eye(2))
        commit_each(store, make_row("a", kernel_file=name), make_row("b"))
    reads("a", "b")


def test_while_sweeps_run_and_beside_what_killed_ones_left(store, reads):
    with store.open_session() as session, Lease(store, session, 0).acquired() as lease:
        store.write_hidden(f".{'0' * 32}.tmp", b"half a part")
        PartWriter(store).commit([make_row("a")], lease)
        Lease(store, session, 1).revoke()
        reads("a")


def test_during_a_commit_with_and_without_a_lease(store, reads, at_each_step):
    commit_each(store, make_row("a"))
    seen = []
    with store.open_session() as session, Lease(store, session, 0).acquired() as lease:
        at_each_step(lambda: reads("a", *seen))
        store.save_kernel("a", np.eye(2))
        for key, held in (("b", None), ("c", lease)):
            PartWriter(store).commit([make_row(key)], held)
            seen.append(key)


def test_during_a_merge(store, reads, at_each_step, merging):
    names = commit_each(store, make_row("a"), make_row("b"))
    at_each_step(lambda: reads("a", "b"))
    merge(store, own=names)
    reads("a", "b")


def test_an_object_store_holds_parts_only_among_the_rows(s3_results):
    store = Store(s3_results, "spectrum")
    with store.open_session() as session, Lease(store, session, 0).acquired() as lease:
        PartWriter(store).commit([make_row("a")], lease)
        store.save_kernel("a", np.eye(2))
        Lease(store, session, 1).revoke()
        names = objects(f"{s3_results.partition(BUCKET + '/')[2]}/spectrum/")
        assert [name.rpartition("/")[2] for name in names] == [store.parts()[0].base_name]
