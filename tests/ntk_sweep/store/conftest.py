"""Stores that the tests of the store share: on a disk, on S3, and without a staging folder."""

import os
import shutil
import tempfile
import uuid
from pathlib import Path

import pytest

from ntk_sweep.store import compaction
from ntk_sweep.store.store import Store
from tests.helpers.s3 import BUCKET


@pytest.fixture
def store(tmp_path):
    """A store on a disk."""
    with Store(str(tmp_path / "results"), "spectrum").open_session():
        pass
    return Store(str(tmp_path / "results"), "spectrum")


@pytest.fixture
def s3_results(object_store, monkeypatch):
    """A URI that nothing lies under yet."""
    for name, value in object_store.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/sweeps/{uuid.uuid4().hex}"


@pytest.fixture
def mounted_results(tmp_path, monkeypatch):
    """A results folder whose task's folder lies in another file system."""
    (tmp_path / "results").mkdir()
    if not _is_elsewhere("/dev/shm", tmp_path):
        monkeypatch.setattr(Store, "hidden_folder", property(lambda self: self.folder))
        yield str(tmp_path / "results")
        return
    mount = tempfile.mkdtemp(prefix="ntk-sweep-test-", dir="/dev/shm")
    (tmp_path / "results" / "spectrum").symlink_to(mount)
    yield str(tmp_path / "results")
    shutil.rmtree(mount)


def _is_elsewhere(folder, other):
    return Path(folder).is_dir() and os.stat(folder).st_dev != os.stat(other).st_dev


@pytest.fixture(params=["disk", "s3", "mount"])
def any_store(request, tmp_path):
    """A store of every kind: they all must do the same."""
    if request.param == "disk":
        results = str(tmp_path / "results")
    else:
        results = request.getfixturevalue(
            {"s3": "s3_results", "mount": "mounted_results"}[request.param]
        )
    store = Store(results, "spectrum")
    store.write(".present", b"")  # an object store has no empty folders
    return store


@pytest.fixture
def session(any_store):
    """The session of a sweep in `any_store`."""
    with any_store.open_session() as session:
        yield session


@pytest.fixture
def merging(monkeypatch):
    """Merges whatever may be merged, however few parts there are."""
    monkeypatch.setattr(compaction, "MAX_PARTS", 1)
