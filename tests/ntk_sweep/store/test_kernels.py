"""Protects kernel matrices beside the rows: whole, in their folder, never pickled."""

import os

import numpy as np
import pandas as pd
import pytest

from ntk_sweep.errors import StoreError
from ntk_sweep.store.reading import load_results
from ntk_sweep.store.writer import PartWriter
from tests.helpers.store_rows import make_row


def test_kernels_lie_beside_the_rows(any_store):
    kernel = np.random.default_rng(0).random((4, 4))
    name = any_store.save_kernel("a" * 64, kernel)
    PartWriter(any_store).commit([make_row("a" * 64, kernel_file=name)])
    assert name == f"_kernels/{'a' * 64}.npy"
    assert (any_store.load_kernel(name) == kernel).all()
    for frame in (load_results(any_store.location), pd.read_parquet(any_store.location)):
        assert frame["kernel_file"].tolist() == [name]


def test_a_kernel_is_replaced_as_a_whole(any_store):
    for value in (1.0, 2.0):
        name = any_store.save_kernel("k", np.full((2, 2), value))
        assert (any_store.load_kernel(name) == value).all()


def test_kernels_are_plain_files_of_numpy(store):
    name = store.save_kernel("k", np.eye(2))
    assert (np.load(f"{store.folder}/{name}", allow_pickle=False) == np.eye(2)).all()
    assert os.listdir(f"{store.folder}/_kernels") == ["k.npy"]


def test_kernels_that_cannot_be_read_are_named(any_store):
    whole = any_store.save_kernel("k", np.eye(6))
    with any_store.filesystem.open_input_file(f"{any_store.folder}/{whole}") as file:
        content = file.read()
    any_store.write("_kernels/half.npy", content[: len(content) // 2])
    for name in ("half", "none"):
        with pytest.raises(
            StoreError,
            match=rf"the kernel .*{name}\.npy cannot be read .*recompute its point with force=true",
        ):
            any_store.load_kernel(f"_kernels/{name}.npy")


def test_truncated_kernels_are_named_wherever_they_end(store):
    name = store.save_kernel("k", np.eye(6))
    path = f"{store.folder}/{name}"
    with open(path, "rb") as file:
        whole = file.read()
    for size in range(0, len(whole), 13):
        with open(path, "wb") as file:
            file.write(whole[:size])
        with pytest.raises(StoreError, match=r"the kernel .*k.npy cannot be read"):
            store.load_kernel(name)


@pytest.mark.parametrize("content", [b"hello", b"PK\x03\x04rest", b"\x80\x04K\x01."])
def test_files_that_are_no_kernels_are_named(store, content):
    store.write("_kernels/k.npy", content)
    with pytest.raises(StoreError, match="cannot be read"):
        store.load_kernel("_kernels/k.npy")


@pytest.mark.parametrize(
    "name", ["../outside.npy", "_kernels/../../outside.npy", "/etc/passwd", "outside.npy"]
)
def test_kernels_outside_their_folder_are_not_read(store, name):
    with pytest.raises(StoreError, match="does not lie in _kernels"):
        store.load_kernel(name)


def test_objects_are_never_pickled(store):
    with pytest.raises(ValueError, match=r"[Oo]bject arrays"):
        store.save_kernel("k", np.array([[object()]]))
    assert not os.path.exists(f"{store.folder}/_kernels/k.npy")


def test_pickled_kernels_are_refused(store):
    os.makedirs(f"{store.folder}/_kernels")
    np.save(f"{store.folder}/_kernels/k.npy", np.array([[None]]), allow_pickle=True)
    with pytest.raises(StoreError, match=r"the kernel .*_kernels/k.npy cannot be read"):
        store.load_kernel("_kernels/k.npy")
