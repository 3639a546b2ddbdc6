"""Protects kernel matrices beside the folder of the rows: whole, in their place, never pickled."""

import os
import pickle
import posixpath

import numpy as np
import pandas as pd
import pytest

from ntk_sweep.errors import StoreError
from ntk_sweep.store.atomic_write import write_file
from ntk_sweep.store.kernel_file import serialise_kernel
from ntk_sweep.store.reading import load_results
from ntk_sweep.store.writer import PartWriter
from tests.helpers.store_rows import make_row

NEW, OLD = "_kernels/spectrum", "spectrum/_kernels"
"""Where kernels lie, and where they lay in earlier versions."""


def put(store, name, content):
    """A file under a name relative to the results."""
    path = posixpath.join(posixpath.dirname(store.folder), name)
    write_file(store.filesystem, path, content)


def test_kernels_lie_beside_the_folder_of_the_rows(any_store):
    kernel = np.random.default_rng(0).random((4, 4))
    name = any_store.save_kernel("a" * 64, kernel)
    PartWriter(any_store).commit([make_row("a" * 64, kernel_file=name)])
    assert name == f"_kernels/spectrum/{'a' * 64}.npy"
    assert (any_store.load_kernel(name) == kernel).all()
    for frame in (load_results(any_store.location), pd.read_parquet(any_store.location)):
        assert frame["kernel_file"].tolist() == [name]


def test_a_kernel_is_replaced_as_a_whole(any_store):
    for value in (1.0, 2.0):
        name = any_store.save_kernel("k", np.full((2, 2), value))
        assert (any_store.load_kernel(name) == value).all()


def test_kernels_are_plain_files_of_numpy(store):
    name = store.save_kernel("k", np.eye(2))
    assert (np.load(f"{store.results}/{name}", allow_pickle=False) == np.eye(2)).all()
    assert os.listdir(store.folder) == []
    assert os.listdir(f"{store.results}/{NEW}") == ["k.npy"]


@pytest.mark.parametrize("place", [NEW, OLD])
@pytest.mark.parametrize("name", ["_kernels/k.npy", "_kernels/spectrum/k.npy"])
def test_kernels_of_earlier_versions_are_found_also_after_a_move(any_store, place, name):
    put(any_store, f"{place}/k.npy", serialise_kernel(np.eye(3)))
    assert (any_store.load_kernel(name) == np.eye(3)).all()


def test_a_new_kernel_counts_before_an_old_one(any_store):
    put(any_store, f"{OLD}/k.npy", serialise_kernel(np.zeros((3, 3))))
    any_store.save_kernel("k", np.eye(3))
    assert (any_store.load_kernel("_kernels/k.npy") == np.eye(3)).all()


@pytest.mark.parametrize("place", [NEW, OLD])
def test_kernels_that_cannot_be_read_are_named(any_store, place):
    content = serialise_kernel(np.eye(6))
    put(any_store, f"{place}/half.npy", content[: len(content) // 2])
    for name in ("half", "none"):
        with pytest.raises(
            StoreError,
            match=rf"the kernel .*{name}\.npy cannot be read .*recompute its point with force=true",
        ):
            any_store.load_kernel(f"_kernels/{name}.npy")


def test_truncated_kernels_are_named_wherever_they_end(store):
    name = store.save_kernel("k", np.eye(6))
    path = f"{store.results}/{name}"
    with open(path, "rb") as file:
        whole = file.read()
    for size in range(0, len(whole), 13):
        with open(path, "wb") as file:
            file.write(whole[:size])
        with pytest.raises(StoreError, match=r"the kernel .*k.npy cannot be read"):
            store.load_kernel(name)


@pytest.mark.parametrize("place", [NEW, OLD])
@pytest.mark.parametrize("content", [b"hello", b"PK\x03\x04rest", b"\x80\x04K\x01."])
def test_files_that_are_no_kernels_are_named(store, place, content):
    put(store, f"{place}/k.npy", content)
    with pytest.raises(StoreError, match="cannot be read"):
        store.load_kernel("_kernels/k.npy")


@pytest.mark.parametrize(
    "name",
    [
        "../outside.npy",
        "_kernels/../../outside.npy",
        "_kernels/spectrum/../../../outside.npy",
        "_kernels/training/k.npy",
        "_kernels/spectrum/deep/k.npy",
        "/etc/passwd",
        "/_kernels/k.npy",
        "outside.npy",
    ],
)
def test_kernels_outside_their_folder_are_not_read(store, name):
    with pytest.raises(StoreError, match="does not lie in _kernels"):
        store.load_kernel(name)


def test_objects_are_never_pickled(store):
    with pytest.raises(ValueError, match=r"[Oo]bject arrays"):
        store.save_kernel("k", np.array([[object()]]))
    assert not os.path.exists(f"{store.results}/_kernels")


@pytest.mark.parametrize("place", [NEW, OLD])
def test_pickled_kernels_are_refused(store, place):
    put(store, f"{place}/k.npy", pickle.dumps([[None]]))
    with pytest.raises(StoreError, match=rf"the kernel .*{place}/k.npy cannot be read"):
        store.load_kernel("_kernels/k.npy")
