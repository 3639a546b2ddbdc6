"""Protects kernel matrices beside the rows: whole, in their folder, never pickled."""

import os

import numpy as np
import pandas as pd
import pytest

from ntk_sweep.errors import StoreError
from ntk_sweep.store.reading import load_results
from ntk_sweep.store.writer import PartWriter
from tests.helpers.store_rows import make_row


@pytest.mark.parametrize(
    "name", ["../outside.npy", "_kernels/../../outside.npy", "/etc/passwd", "outside.npy"]
)
def test_kernels_outside_their_folder_are_not_read(store, name):
    with pytest.raises(StoreError, match="does not lie in _kernels"):
        store.load_kernel(name)


def test_kernels_lie_beside_the_rows(store):
    kernel = np.random.default_rng(0).random((4, 4))
    name = store.save_kernel("a" * 64, kernel)
    PartWriter(store).commit([make_row("a" * 64, kernel_file=name)])
    assert name == f"_kernels/{'a' * 64}.npy"
    assert (store.load_kernel(name) == kernel).all()
    for frame in (load_results(store.folder), pd.read_parquet(store.folder)):
        assert frame["kernel_file"].tolist() == [name]
    assert (np.load(f"{store.folder}/{name}", allow_pickle=False) == kernel).all()


def test_a_kernel_is_replaced_as_a_whole(store):
    for value in (1.0, 2.0):
        name = store.save_kernel("k", np.full((2, 2), value))
        assert (store.load_kernel(name) == value).all()
    assert os.listdir(f"{store.folder}/_kernels") == ["k.npy"]


def test_pickled_kernels_are_refused(store):
    os.makedirs(f"{store.folder}/_kernels")
    np.save(f"{store.folder}/_kernels/k.npy", np.array([[None]]), allow_pickle=True)
    with pytest.raises(StoreError, match=r"the kernel .*_kernels/k.npy cannot be read"):
        store.load_kernel("_kernels/k.npy")


def test_truncated_kernels_are_named_wherever_they_end(store):
    name = store.save_kernel("k", np.eye(6))
    path = f"{store.folder}/{name}"
    with open(path, "rb") as file:
        whole = file.read()
    for size in range(0, len(whole), 13):
        with open(path, "wb") as file:
            file.write(whole[:size])
        with pytest.raises(
            StoreError,
            match=r"the kernel .*k.npy cannot be read .*recompute its point with force=true",
        ):
            store.load_kernel(name)


@pytest.mark.parametrize("content", [b"hello", b"PK\x03\x04rest", b"\x80\x04K\x01."])
def test_files_that_are_no_kernels_are_named(store, content):
    os.makedirs(f"{store.folder}/_kernels")
    with open(f"{store.folder}/_kernels/k.npy", "wb") as file:
        file.write(content)
    with pytest.raises(StoreError, match="cannot be read"):
        store.load_kernel("_kernels/k.npy")


def test_a_missing_kernel_is_named(store):
    with pytest.raises(StoreError, match=r"_kernels/none.npy cannot be read"):
        store.load_kernel("_kernels/none.npy")


def test_object_arrays_are_never_pickled(store):
    with pytest.raises(ValueError, match=r"[Oo]bject arrays"):
        store.save_kernel("k", np.array([[object()]]))
    assert not os.path.exists(f"{store.folder}/_kernels/k.npy")
