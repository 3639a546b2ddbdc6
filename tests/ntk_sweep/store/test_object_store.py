"""Results in an object store: a sweep, its readers and its faults against a real S3-compatible
server on the loopback."""

import dataclasses
import os
import signal
import threading
import time
import uuid

import numpy as np
import pandas as pd
import pytest
from pyarrow import fs
from rich.console import Console

from ntk_sweep.dispatch.sweep import run_sweep
from ntk_sweep.errors import StoreError
from ntk_sweep.executors.serial import SerialExecutor
from ntk_sweep.settings.schema import DataConfig, SweepConfig
from ntk_sweep.store import compaction
from ntk_sweep.store import session as sessions
from ntk_sweep.store.compaction import merge
from ntk_sweep.store.filesystems import write_file
from ntk_sweep.store.reading import finished, load_results
from ntk_sweep.store.store import Store
from ntk_sweep.store.writer import PartWriter
from tests.helpers.processes import wait_for
from tests.helpers.s3 import BUCKET, objects
from tests.helpers.store_rows import keys_of, make_row


@pytest.fixture(scope="module")
def server(object_store):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in object_store.environment.items():
            patch.setenv(name, value)
        yield object_store


@pytest.fixture
def results(server):
    """A URI that nothing lies under yet."""
    return f"s3://{BUCKET}/sweeps/{uuid.uuid4().hex}"


@pytest.fixture
def store(results):
    return Store(results, "spectrum")


def test_rows_kernels_and_sessions(store):
    with store.open_session() as session:
        store.check_session(session)
        assert len(load_results(store.location)) == 0
        writer = PartWriter(store)
        assert (
            len({writer.commit([make_row(f"{i}", eigenvalues=np.arange(3.0))]) for i in range(3)})
            == 3
        )
        kernel = np.random.default_rng(0).random((4, 4))
        assert (store.load_kernel(store.save_kernel("k", kernel)) == kernel).all()
    assert (
        keys_of(load_results(store.location))
        == keys_of(pd.read_parquet(store.location))
        == ["0", "1", "2"]
    )
    assert set(finished(store)) == {"0", "1", "2"}
    with pytest.raises(StoreError, match="was removed, or is not the one"):
        store.check_session(session)


def test_own_parts_are_merged(store, monkeypatch):
    monkeypatch.setattr(compaction, "MAX_PARTS", 1)
    others = PartWriter(store).commit([make_row("other")])
    merge(store, own=[PartWriter(store).commit([make_row(f"{i}")]) for i in range(3)])
    assert len(store.parts()) == 2
    assert others in [part.base_name for part in store.parts()]
    assert keys_of(pd.read_parquet(store.location)) == ["0", "1", "2", "other"]


def test_endpoint_and_region_may_stand_in_the_uri(server, results, monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.delenv("AWS_REGION")
    uri = f"{results}?endpoint_override=127.0.0.1:{server.port}&scheme=http&region=us-east-1"
    store = Store(uri, "spectrum")
    PartWriter(store).commit([make_row("a")])
    assert store.location.startswith(f"{results}/spectrum?endpoint_override=")
    assert (
        keys_of(load_results(store.location)) == keys_of(pd.read_parquet(store.location)) == ["a"]
    )


def test_sessions_of_killed_sweeps_are_removed_in_the_end(store, results, monkeypatch):
    for name in (f".sweep-{'0' * 32}", f".{'1' * 32}.tmp", ".mine"):
        store.write(name, b"")
    with store.open_session():
        assert len(objects(results.partition(BUCKET + "/")[2])) == 4
    monkeypatch.setattr(sessions, "OLD_SECONDS", -60)
    with store.open_session():
        pass
    assert objects(results.partition(BUCKET + "/")[2]) == [".mine"]


def test_broken_parts_are_named(store):
    PartWriter(store).commit([make_row("a")])
    store.write("part-bad.parquet", b"half")
    with pytest.raises(StoreError, match=r"spectrum/part-bad.parquet is not a readable part"):
        load_results(store.location)


def test_what_is_not_there_is_named(server, monkeypatch):
    with pytest.raises(FileNotFoundError, match="there is no folder s3://nowhere/spectrum"):
        load_results("s3://nowhere/spectrum")
    with (
        pytest.raises(
            StoreError, match=r"s3://nowhere/results/spectrum cannot be written .*[Bb]ucket"
        ),
        Store("s3://nowhere/results", "spectrum").open_session(),
    ):
        pytest.fail("opened")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(
        StoreError,
        match=r"cannot be read \(.*onnect.*\) on host .* credentials are looked for there: check",
    ):
        load_results(f"s3://{BUCKET}/spectrum")


def test_credentials_in_the_uri_are_refused_and_not_repeated():
    for read in (lambda uri: Store(uri, "spectrum"), lambda uri: load_results(uri + "/spectrum")):
        with pytest.raises(
            StoreError, match=r"results=s3://bucket/prefix.*holds credentials"
        ) as caught:
            read("s3://AKIDEXAMPLE:s3cr3t@bucket/prefix")
        assert "s3cr3t" not in str(caught.value)


def test_an_interrupted_upload_is_whole(tmp_path):
    """A signal between opening and writing makes no empty object."""
    tree = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())

    class Slow:
        create_dir = tree.create_dir

        def open_output_stream(self, target):
            stream = tree.open_output_stream(target)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
            time.sleep(0.1)
            return stream

    class Stopped(BaseException):
        pass

    def handle(number, frame):
        raise Stopped

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        with pytest.raises(Stopped):
            write_file(Slow(), "folder/part", b"whole")
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert wait_for((tmp_path / "folder" / "part").read_bytes, "the content") == b"whole"


def test_two_sweeps_at_once_leave_one_good_row_a_point(results, tmp_path):
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(1).random((6, 4)), y=np.arange(6))
    base = SweepConfig(data=DataConfig("npz", path=str(tmp_path / "data.npz")), results=results)
    base.compute.chunk_seconds = 1e-9
    configs = [dataclasses.replace(base, width=width) for width in range(3, 9)]
    sweeps = [
        threading.Thread(target=run_sweep, args=(configs, SerialExecutor, Console(quiet=True)))
        for _ in range(2)
    ]
    for each in sweeps:
        each.start()
    for each in sweeps:
        each.join()
    rows = pd.read_parquet(results + "/spectrum")
    assert len(load_results(results + "/spectrum")) == rows.key.nunique() == 6
    assert rows.groupby("key").lambda_min.nunique().eq(1).all()
    assert not [
        name for name in objects(results.partition(BUCKET + "/")[2]) if name.startswith(".")
    ]


def test_a_sweep_sees_the_session_of_another(store):
    with store.open_session(), store.open_session() as session:
        (said,) = store.other_sessions(session)
    assert said.startswith(f"process {os.getpid()} on ")
