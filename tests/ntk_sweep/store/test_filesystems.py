"""Protects writes on any file system: wholly or not at all, and named where they fail."""

import os

import pytest

from ntk_sweep.errors import StoreError
from ntk_sweep.store.reading import load_results
from ntk_sweep.store.store import Store
from ntk_sweep.store.writer import PartWriter
from tests.helpers.store_rows import keys_of, make_row


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


def test_a_folder_below_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(
            StoreError,
            match=r"file/results/spectrum cannot be written .*give another with results=",
        ),
        Store(str(tmp_path / "file" / "results"), "spectrum").open_session(),
    ):
        pytest.fail("opened")


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="there is no /proc")
def test_a_read_only_file_system_cannot_be_written():
    with (
        pytest.raises(
            StoreError, match=r"the results folder /proc/results/spectrum cannot be written"
        ),
        Store("/proc/results", "spectrum").open_session(),
    ):
        pytest.fail("opened")


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
