"""Protects the places of results: paths and URIs are found, and named where they are of no use."""

import os

import pandas as pd
import pytest

from ntk_sweep.errors import StoreError
from ntk_sweep.store.filesystems import join_location, split_location
from ntk_sweep.store.reading import load_results
from ntk_sweep.store.store import Store
from ntk_sweep.store.writer import PartWriter
from tests.helpers.s3 import BUCKET
from tests.helpers.store_rows import keys_of, make_row


@pytest.mark.parametrize(
    ("results", "location"),
    [
        ("results", "results/spectrum"),
        ("/what?/results", "/what?/results/spectrum"),
        ("s3://bucket", "s3://bucket/spectrum"),
        ("s3://bucket/a?region=x&scheme=http", "s3://bucket/a/spectrum?region=x&scheme=http"),
    ],
)
def test_locations_are_split_as_they_were_joined(results, location):
    assert join_location(results, "spectrum") == location
    assert split_location(location) == (results, "spectrum")


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
            match=r"folder .*file/results/spectrum cannot be written .*another with results=",
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


def test_endpoint_and_region_may_stand_in_the_uri(object_store, s3_results, monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.delenv("AWS_REGION")
    endpoint = f"endpoint_override=127.0.0.1:{object_store.port}&scheme=http"
    store = Store(f"{s3_results}?{endpoint}&region=us-east-1", "spectrum")
    PartWriter(store).commit([make_row("a")])
    assert store.location.startswith(f"{s3_results}/spectrum?endpoint_override=")
    assert (
        keys_of(load_results(store.location)) == keys_of(pd.read_parquet(store.location)) == ["a"]
    )


@pytest.mark.usefixtures("s3_results")
def test_what_is_not_there_is_named(monkeypatch):
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
