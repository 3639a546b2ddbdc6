"""Stores that the tests of the store share."""

import pytest
from pyarrow import fs

from ntk_sweep.store import compaction
from ntk_sweep.store import store as store_module
from ntk_sweep.store.store import Store


@pytest.fixture
def store(tmp_path):
    with Store(str(tmp_path / "results"), "spectrum").open_session():
        pass
    return Store(str(tmp_path / "results"), "spectrum")


@pytest.fixture
def merging(monkeypatch):
    """Merges whatever may be merged, however few parts there are."""
    monkeypatch.setattr(compaction, "MAX_PARTS", 1)


@pytest.fixture
def remote(tmp_path, monkeypatch):
    """A store whose file system is not the local one: all goes through `pyarrow.fs`."""
    (tmp_path / "bucket").mkdir()
    tree = fs.SubTreeFileSystem(str(tmp_path / "bucket"), fs.LocalFileSystem())
    monkeypatch.setattr(
        store_module, "open_filesystem", lambda results: (tree, results.removeprefix("mock://"))
    )
    remote = Store("mock://prefix", "spectrum")
    assert not remote.is_local
    return remote
