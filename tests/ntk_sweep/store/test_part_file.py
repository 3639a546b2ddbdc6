"""Protects part files: the schema in each, and that damaged or foreign ones are named."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from ntk_sweep.errors import StoreError
from ntk_sweep.settings.tasks import TASKS
from ntk_sweep.store.columns import SCHEMA_VERSION, VERSION_KEY, schema
from ntk_sweep.store.part_file import read_part, serialise
from ntk_sweep.store.reading import finished, load_results
from ntk_sweep.store.writer import PartWriter
from tests.helpers.store_rows import broken_parts, commit_each, keys_of, make_row, part_names


def test_a_part_carries_schema_and_version(any_store):
    name = PartWriter(any_store).commit([make_row("a")])
    with any_store.filesystem.open_input_file(f"{any_store.folder}/{name}") as file:
        found = pq.read_schema(file)
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


def test_a_damaged_part_is_named_in_any_store(any_store):
    PartWriter(any_store).commit([make_row("a")])
    any_store.write("part-bad.parquet", b"PAR1 nothing PAR1")
    with pytest.raises(StoreError, match=r"spectrum/part-bad\.parquet is not a readable part"):
        load_results(any_store.location)


def test_a_changed_byte_is_no_other_number(store):
    eigenvalues = np.random.default_rng(0).random(400)
    path = Path(store.folder, PartWriter(store).commit([make_row("a", eigenvalues=eigenvalues)]))
    whole, before = path.read_bytes(), store.read()
    column = (
        pq.ParquetFile(path).metadata.row_group(0).column(before.schema.names.index("eigenvalues"))
    )
    refused, places = 0, range(column.dictionary_page_offset, column.data_page_offset, 97)
    for place in places:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            assert store.read().equals(before)
        except StoreError:
            refused += 1
    assert refused > 0.9 * len(places) > 20


@pytest.mark.parametrize("task", TASKS)
def test_parts_of_every_task_are_read_as_they_were_written(task):
    rows = pa.Table.from_pylist([make_row("a", task=task)], schema=schema(task))
    store = fs.SubTreeFileSystem("", fs._MockFileSystem())
    with store.open_output_stream("part") as file:
        file.write(serialise(rows, task))
    assert read_part(store, "part", task).equals(rows.replace_schema_metadata(None))
    with pytest.raises(FileNotFoundError):
        read_part(store, "none", task)
