"""Protects a sweep from end to end: the checks, one row a point, the merge of parts."""

import dataclasses
import threading

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from ntk_sweep.dispatch import sweep as sweeping
from ntk_sweep.dispatch.sweep import run_sweep
from ntk_sweep.errors import ConfigError, StoreError
from ntk_sweep.executors.messages import Lost
from ntk_sweep.executors.registry import EXECUTORS, load_executor
from ntk_sweep.executors.serial import SerialExecutor
from ntk_sweep.settings.schema import ComputeConfig, DataConfig, SpectrumConfig
from ntk_sweep.store import compaction
from ntk_sweep.store.reading import load_results
from ntk_sweep.store.store import Store
from tests.helpers.sweeps import QUIET, grid, rows, unreliable


def test_every_point_becomes_one_row(base):
    result = run_sweep(grid(base, range(3, 10)), SerialExecutor, QUIET)
    assert not result.failed
    assert rows(base).width.tolist() == list(range(3, 10))
    assert rows(base).status.eq("ok").all()


def test_a_point_given_twice_is_computed_once(base):
    result = run_sweep(grid(base, [3, 3, 4]), SerialExecutor, QUIET)
    assert len(result.plan.points) == 3
    assert len(pd.read_parquet(base.results + "/spectrum")) == 2


def test_two_sweeps_at_once_leave_one_good_row_a_point(base):
    threads = [
        threading.Thread(target=run_sweep, args=(grid(base, range(3, 23)), SerialExecutor, QUIET))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rows(base).width.tolist() == list(range(3, 23))
    assert rows(base).status.eq("ok").all()


def test_more_inputs_than_a_method_serves_are_refused(base, tmp_path):
    np.savez(tmp_path / "many.npz", x=np.ones((501, 1)), y=np.arange(501))
    data = DataConfig("npz", path=str(tmp_path / "many.npz"))
    configs = grid(base, [3], data=data, task=SpectrumConfig(method="certified"))
    with pytest.raises(ConfigError, match=r"task\.method=certified serves up to 500 inputs"):
        run_sweep(configs, SerialExecutor, QUIET)


def test_results_devices_and_data_may_differ_within_a_sweep(base, tmp_path):
    np.savez(tmp_path / "other.npz", x=np.eye(3), y=np.arange(3))
    configs = [
        *grid(base, [3, 4]),
        *grid(base, [3, 4], results=str(tmp_path / "elsewhere")),
        *grid(base, [3, 4], data=DataConfig("npz", path=str(tmp_path / "other.npz")), device="cpu"),
    ]
    run_sweep(configs, SerialExecutor, QUIET)
    assert rows(base).groupby("n_samples").size().to_dict() == {3: 2, 6: 2}
    assert len(load_results(tmp_path / "elsewhere" / "spectrum")) == 2


def test_one_folder_by_several_names_is_one_store(base, tmp_path):
    names = [f"{tmp_path}/results", f"{tmp_path}/other/../results", f"{tmp_path}/results/"]
    result = run_sweep(
        [dataclasses.replace(base, results=name) for name in names], SerialExecutor, QUIET
    )
    assert len(result.plan.stores) == 1
    assert len(pd.read_parquet(base.results + "/spectrum")) == 1


def test_a_data_file_that_no_data_set_reads_is_refused(base):
    digits = dataclasses.replace(
        base, data=DataConfig("digits", path=base.data.path, classes=[0, 9], n_per_class=3)
    )
    with pytest.raises(ConfigError, match=r"data\.path=.* belongs to data=npz, but data is digits"):
        run_sweep([digits], SerialExecutor, QUIET)
    run_sweep([digits, base], SerialExecutor, QUIET)
    assert len(rows(base)) == 2


def test_an_empty_sweep_and_several_computes_are_refused(base):
    with pytest.raises(ConfigError, match="the sweep is empty"):
        run_sweep([], SerialExecutor, QUIET)
    with pytest.raises(ConfigError, match="compute must be the same"):
        run_sweep(
            [base, dataclasses.replace(base, compute=ComputeConfig(num_cpus=2))],
            SerialExecutor,
            QUIET,
        )


def test_results_that_go_with_a_ray_job_are_refused_whatever_computes_them(base):
    """A job submitted to Ray may well compute serially."""
    folder = "/tmp/ray/session_1/runtime_resources/working_dir_files/_ray_pkg_1/results"
    for executor_class in map(load_executor, EXECUTORS):
        with pytest.raises(ConfigError, match=f"{folder} lies in the working folder of a Ray job"):
            run_sweep([base, dataclasses.replace(base, results=folder)], executor_class, QUIET)


def test_the_executor_is_asked_before_anything_is_written(base, tmp_path):
    asked = []

    class Refuses(SerialExecutor):
        @staticmethod
        def check(compute, devices):
            asked.append((compute, set(devices)))
            raise ConfigError("refused")

    configs = [base, dataclasses.replace(base, device="cpu")]
    with pytest.raises(ConfigError, match="refused"):
        run_sweep(configs, Refuses, QUIET)
    assert asked == [(base.compute, {"auto", "cpu"})]
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("wrong", ["data", "results"])
def test_mistakes_are_found_before_the_executor_starts(base, tmp_path, wrong):
    class Starts(SerialExecutor):
        def __init__(self, compute):
            raise AssertionError("the executor was started")

    (tmp_path / "file").write_text("")
    changes = {
        "data": {"data": DataConfig("npz", path="/nowhere.npz")},
        "results": {"results": str(tmp_path / "file")},
    }
    with pytest.raises(Exception, match="cannot be"):
        run_sweep([dataclasses.replace(base, **changes[wrong])], Starts, QUIET)


def test_small_parts_are_merged_at_the_end(base, monkeypatch):
    """A point that is given up is recorded in a part of its own."""
    monkeypatch.setattr(compaction, "MAX_PARTS", 1)

    def loses(spec):
        return (
            Lost("died", True)
            if any(point.architecture.width == 5 for point in spec.points)
            else None
        )

    result = run_sweep(grid(base, [3, 4, 5]), unreliable(loses), QUIET)
    assert sum(map(len, result.parts.values())) == 2
    assert len(Store(base.results, "spectrum").parts()) == 1
    assert rows(base).status.tolist() == ["ok", "ok", "failed"]


def test_a_merge_that_fails_costs_no_row(base, monkeypatch):
    def full(store, own):
        raise StoreError("the disk is full")

    monkeypatch.setattr(sweeping, "merge", full)
    console = Console(width=500)
    with console.capture() as shown:
        run_sweep(grid(base, [3, 4]), SerialExecutor, console)
    assert "were not merged: the disk is full" in shown.get()
    assert rows(base).status.eq("ok").all()


def test_another_sweep_in_the_same_folder_is_named(base):
    console = Console(width=500)
    with Store(base.results, "spectrum").open_session(), console.capture() as shown:
        run_sweep([base], SerialExecutor, console)
    assert shown.get().count("another sweep is at work in") == 1
