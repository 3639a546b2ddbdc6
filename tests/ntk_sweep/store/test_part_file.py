"""Protects part files: the schema in each, and that damaged or foreign ones are named."""

import os

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ntk_sweep.errors import StoreError
from ntk_sweep.store.columns import SCHEMA_VERSION, VERSION_KEY, schema
from ntk_sweep.store.reading import finished, load_results
from ntk_sweep.store.writer import PartWriter
from tests.helpers.store_rows import broken_parts, commit_each, keys_of, make_row, part_names


def test_a_part_carries_schema_and_version(store):
    name = PartWriter(store).commit([make_row("a")])
    found = pq.read_schema(f"{store.folder}/{name}")
    assert found.equals(schema("spectrum"))
    assert found.metadata[VERSION_KEY] == str(SCHEMA_VERSION).encode()


def test_columns_empty_in_the_first_part_are_not_lost(store):
    commit_each(store, make_row("a"), make_row("b", lambda_min=3.0, kernel_file="_kernels/b.npy"))
    for frame in (load_results(store.folder), pd.read_parquet(store.folder)):
        assert frame.set_index("key").loc["b", "lambda_min"] == 3.0
        assert frame.set_index("key").loc["b", "kernel_file"] == "_kernels/b.npy"


@pytest.mark.parametrize("name", [field.name for field in schema("spectrum") if not field.nullable])
def test_rows_without_a_coordinate_are_not_committed(store, name):
    row = make_row("a")
    del row[name]
    with pytest.raises((pa.ArrowInvalid, ValueError, KeyError)):
        PartWriter(store).commit([row])
    assert part_names(store) == []


@pytest.mark.parametrize(
    "name",
    [
        ".0123.tmp",
        ".part-0.parquet",
        "_part-0.parquet",
        "notes.txt",
        "part-0.parquet.crc",
        "part-0.tmp",
    ],
)
def test_leftovers_and_other_files_are_ignored(store, name):
    PartWriter(store).commit([make_row("a")])
    with open(f"{store.folder}/{name}", "wb") as file:
        file.write(b"half a part")
    assert keys_of(load_results(store.folder)) == ["a"]
    assert set(finished(store)) == {"a"}
    if name[0] in "._":
        assert keys_of(pd.read_parquet(store.folder)) == ["a"]


def test_a_folder_with_a_parts_name_is_ignored(store):
    PartWriter(store).commit([make_row("a")])
    os.mkdir(f"{store.folder}/part-x.parquet")
    assert keys_of(load_results(store.folder)) == ["a"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    list(broken_parts()),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_part_is_named(store, name, content, message):
    PartWriter(store).commit([make_row("a")])
    path = f"{store.folder}/part-{name}.parquet"
    with open(path, "wb") as file:
        file.write(content)
    for read in (lambda: load_results(store.folder), lambda: finished(store), store.read):
        with pytest.raises(StoreError, match=message) as caught:
            read()
        assert path in str(caught.value)
    os.unlink(path)
    assert keys_of(load_results(store.folder)) == ["a"]


def test_broken_parts_in_object_stores_are_named(remote, tmp_path):
    with remote.open_session():
        PartWriter(remote).commit([make_row("a")])
    (tmp_path / "bucket" / "prefix" / "spectrum" / "part-bad.parquet").write_bytes(b"half")
    with pytest.raises(
        StoreError, match=r"prefix/spectrum/part-bad.parquet is not a readable part"
    ):
        load_results("mock://prefix/spectrum")
