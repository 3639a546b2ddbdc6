"""Protects writes: a file appears wholly or not at all, and survives a power cut."""

import os
import signal
import stat
import threading
import time

import pytest
from pyarrow import fs

from ntk_sweep.errors import StoreError
from ntk_sweep.store.atomic_write import replace_file, write_file
from ntk_sweep.store.reading import load_results
from ntk_sweep.store.writer import PartWriter
from tests.helpers.processes import wait_for
from tests.helpers.store_rows import keys_of, make_row


@pytest.fixture
def steps(monkeypatch):
    """What is synced and renamed, in order."""
    seen = []
    sync, rename = os.fsync, os.replace

    def record_sync(descriptor):
        seen.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def record_rename(source, target):
        seen.append("rename")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", record_sync)
    monkeypatch.setattr(os, "replace", record_rename)
    return seen


def test_a_file_is_synced_before_its_rename_and_the_rename_after_it(tmp_path, steps):
    replace_file(tmp_path / "file", b"content")
    assert steps == ["file", "rename", "folder"]
    assert (tmp_path / "file").read_bytes() == b"content"


def test_a_file_that_can_be_made_again_needs_no_sync(tmp_path, steps):
    replace_file(str(tmp_path / "file"), b"content", durable=False)
    assert steps == ["rename"]
    assert (tmp_path / "file").read_bytes() == b"content"
    assert os.listdir(tmp_path) == ["file"]


def test_the_current_folder_needs_no_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    replace_file("file", b"content")
    assert (tmp_path / "file").read_bytes() == b"content"


def test_until_its_rename_a_file_is_hidden_in_the_staging_folder(tmp_path, monkeypatch):
    (tmp_path / "staging").mkdir()
    rename, seen = os.replace, []

    def look(source, target):
        seen.extend(path.name for path in tmp_path.rglob("*") if path.is_file())
        assert os.path.dirname(source) == str(tmp_path / "staging")
        rename(source, target)

    monkeypatch.setattr(os, "replace", look)
    replace_file(str(tmp_path / "file"), b"content", str(tmp_path / "staging"))
    (hidden,) = seen
    assert hidden.startswith(".")
    assert hidden.endswith(".tmp")


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()], ids=type)
def test_a_write_that_is_cut_off_leaves_nothing(tmp_path, monkeypatch, step, error):
    replace_file(tmp_path / "file", b"before")

    def fail(*_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with pytest.raises(type(error)):
            replace_file(tmp_path / "file", b"after")
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"before"


def test_a_failed_commit_loses_no_row(store, monkeypatch):
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


def test_file_systems_with_folders_get_them(tmp_path):
    tree = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    write_file(tree, "deep/folder/file", b"content")
    assert (tmp_path / "deep" / "folder" / "file").read_bytes() == b"content"


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
