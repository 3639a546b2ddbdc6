"""Protects what is finished from faults of machines and disks under a sweep: nothing is lost, and
the same command goes on.

Faults of workers, of the driver and of nodes are in `test_ray` and `test_ray_cluster`, those of an
object store in `test_object_store`.
"""

import dataclasses
import multiprocessing
import os
import signal
import subprocess
import time
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from ntk_sweep.dispatch import sweep as dispatch
from ntk_sweep.errors import StoreError
from ntk_sweep.executors.serial import SerialExecutor
from ntk_sweep.settings.schema import DataConfig, SweepConfig
from ntk_sweep.store.reading import load_results
from ntk_sweep.store.store import Store
from ntk_sweep.store.writer import PartWriter
from tests.helpers.processes import (
    GRID,
    TIME_LIMIT,
    start,
    stop,
    stored,
    wait_for,
)
from tests.helpers.store_rows import broken_parts, make_row

QUIET = Console(quiet=True)
WIDTHS = range(3, 23)


@pytest.fixture
def data(tmp_path):
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(1).random((40, 40)), y=np.arange(40))
    return DataConfig("npz", path=str(tmp_path / "data.npz"))


def sweep(data, results, executor=SerialExecutor, widths=WIDTHS):
    """Twenty small points or fewer, a commit each, in this process."""
    base = SweepConfig(data=data, results=str(results))
    configs = [dataclasses.replace(base, width=width) for width in widths]
    for config in configs:
        config.compute.chunk_seconds = 1e-9
    return dispatch.run_sweep(configs, executor, QUIET)


def assert_complete(data, results, tmp_path):
    """The same command again, and then the rows of a sweep that nothing happened to."""
    sweep(data, results)
    sweep(data, tmp_path / "undisturbed")
    frame, undisturbed = (
        load_results(f"{results}/spectrum"),
        load_results(tmp_path / "undisturbed" / "spectrum"),
    )
    assert frame.key.tolist() == undisturbed.key.tolist()
    assert frame.status.eq("ok").all()
    assert frame.eigenvalues.map(list).tolist() == undisturbed.eigenvalues.map(list).tolist()
    assert pd.read_parquet(f"{results}/spectrum").key.is_unique


@contextmanager
def small_disk(folder, size):
    """A file system of its own, of so many bytes; skips where none may be mounted."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"no small disk: mount says {mounted.stderr.strip()}")
    try:
        yield lambda options: subprocess.run(
            ["mount", "-o", f"remount,{options}", str(folder)], check=True
        )
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_ends_the_sweep_with_a_message(data, tmp_path):
    with small_disk(tmp_path / "disk", 48 * 1024) as remount:
        results = tmp_path / "disk" / "results"
        with pytest.raises(
            StoreError,
            match=r"cannot be written \(.*No space left on device\): .*the same command again",
        ):
            sweep(data, results)
        there = stored(results)
        assert 0 < there < len(WIDTHS)
        assert len(load_results(results / "spectrum")) == there
        assert not list((results / "spectrum").glob(".*"))
        with pytest.raises(StoreError, match="No space left on device"):
            sweep(data, results)
        remount("size=10m")
        result = sweep(data, results)
        assert result.plan.skipped >= there
        assert_complete(data, results, tmp_path)


def test_a_disk_that_turns_read_only_ends_the_sweep_with_a_message(data, tmp_path):
    with small_disk(tmp_path / "disk", 10 * 1024**2) as remount:
        results = tmp_path / "disk" / "results"

        class Turns(SerialExecutor):
            def wait(self, seconds):
                if stored(results) == 5:
                    remount("ro")
                return super().wait(seconds)

        with pytest.raises(
            StoreError, match=r"cannot be written \(.*Read-only file system.*\): mend that"
        ):
            sweep(data, results, Turns)
        assert stored(results) == len(load_results(results / "spectrum")) == 5
        with pytest.raises(StoreError, match="Read-only file system"):
            sweep(data, results)
        remount("rw")
        assert_complete(data, results, tmp_path)


def test_a_task_folder_that_is_a_disk_of_its_own_is_written_like_any_other(data, tmp_path):
    (tmp_path / "results").mkdir()
    with small_disk(tmp_path / "results" / "spectrum", 10 * 1024**2):
        sweep(data, tmp_path / "results")
        assert_complete(data, tmp_path / "results", tmp_path)
        assert os.listdir(tmp_path / "results") == ["spectrum"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    list(broken_parts()),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_sweep_on_a_broken_part_says_so_before_it_computes(
    data, tmp_path, name, content, message
):
    results = tmp_path / "results"
    sweep(data, results, widths=(3, 4))
    broken = results / "spectrum" / "part-broken.parquet"
    broken.write_bytes(content)
    before = {path: path.read_bytes() for path in (results / "spectrum").glob("*.parquet")}
    with pytest.raises(StoreError, match=message) as caught:
        sweep(data, results, widths=(3, 4))
    assert str(broken) in str(caught.value)
    assert {path: path.read_bytes() for path in (results / "spectrum").glob("*.parquet")} == before
    broken.unlink()
    assert not sweep(data, results, widths=(3, 4)).plan.jobs


def test_rows_of_a_truncated_part_are_computed_again(data, tmp_path):
    results = tmp_path / "results"
    sweep(data, results)
    (part,) = (results / "spectrum").glob("*.parquet")
    part.write_bytes(part.read_bytes()[:-100])
    with pytest.raises(
        StoreError,
        match="move it out of the folder; the points whose rows it held are computed again",
    ):
        sweep(data, results)
    part.rename(tmp_path / "damaged")
    assert_complete(data, results, tmp_path)


def killed_writer(results, name, call):
    """In a process of its own: commits, and dies at the n-th call of a function of `os`."""
    writer = PartWriter(Store(results, "spectrum"))
    writer.commit([make_row("first")])
    plain, calls = getattr(os, name), []

    def dies(*arguments):
        calls.append(arguments)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return plain(*arguments)

    setattr(os, name, dies)
    writer.commit([make_row("second")])


@pytest.mark.parametrize(
    ("name", "call", "rows"), [("fsync", 1, 1), ("replace", 1, 1), ("fsync", 2, 2)]
)
def test_what_a_killed_writer_leaves_harms_nobody(data, tmp_path, name, call, rows):
    results = tmp_path / "results"
    process = multiprocessing.get_context("spawn").Process(
        target=killed_writer, args=(str(results), name, call)
    )
    process.start()
    process.join(TIME_LIMIT)
    assert process.exitcode == -signal.SIGKILL
    assert len(list(results.rglob(".*.tmp"))) == 2 - rows
    assert stored(results) == len(load_results(results / "spectrum")) == rows
    sweep(data, results)
    assert stored(results) == rows + len(WIDTHS)


def test_two_drivers_at_once_leave_one_good_row_a_point(tmp_path, undisturbed):
    results, go = tmp_path / "results", tmp_path / "go"
    waits = dict.fromkeys(range(20, 61, 10), str(go))
    grid = (*GRID, "hydra/launcher=serial", "compute.chunk_seconds=0.001")
    drivers = [start(results, *grid, faults=waits) for _ in range(2)]
    seen = 0
    try:
        wait_for(
            lambda: len(list(results.glob(f".sweep-{'?' * 32}"))) == 2, "both sweeps", *drivers
        )
        go.touch()
        while any(driver.poll() is None for driver in drivers):
            keys = pd.read_parquet(results / "spectrum").key.nunique() if stored(results) else 0
            assert keys >= seen
            seen = keys
            time.sleep(0.05)
        outputs = "".join(driver.stdout.read() for driver in drivers)
    finally:
        for driver in drivers:
            stop(driver)
    assert [driver.returncode for driver in drivers] == [0, 0]
    assert f"another sweep is at work in {results}/spectrum (process " in outputs
    frame = load_results(results / "spectrum")
    assert frame.key.tolist() == undisturbed.key.tolist()
    assert frame.lambda_min.tolist() == undisturbed.lambda_min.tolist()
    every = pd.read_parquet(results / "spectrum")
    assert every.groupby("key").lambda_min.nunique().eq(1).all()
    assert not list((results / "spectrum").glob(".*"))
