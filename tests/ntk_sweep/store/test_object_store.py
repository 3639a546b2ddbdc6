"""Protects sweeps in an object store: two at once leave one good row a point, and nothing else."""

import dataclasses
import threading

import numpy as np
import pandas as pd
from rich.console import Console

from ntk_sweep.dispatch.sweep import run_sweep
from ntk_sweep.executors.serial import SerialExecutor
from ntk_sweep.settings.schema import DataConfig, SweepConfig
from ntk_sweep.store.reading import load_results
from tests.helpers.s3 import BUCKET, objects


def test_two_sweeps_at_once_leave_one_good_row_a_point(s3_results, tmp_path):
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(1).random((6, 4)), y=np.arange(6))
    base = SweepConfig(data=DataConfig("npz", path=str(tmp_path / "data.npz")), results=s3_results)
    base.compute.chunk_seconds = 1e-9
    configs = [dataclasses.replace(base, width=width) for width in range(3, 9)]
    sweeps = [
        threading.Thread(target=run_sweep, args=(configs, SerialExecutor, Console(quiet=True)))
        for _ in range(2)
    ]
    for each in sweeps:
        each.start()
    for each in sweeps:
        each.join()
    rows = pd.read_parquet(s3_results + "/spectrum")
    assert len(load_results(s3_results + "/spectrum")) == rows.key.nunique() == 6
    assert rows.groupby("key").lambda_min.nunique().eq(1).all()
    assert not [
        name for name in objects(s3_results.partition(BUCKET + "/")[2]) if name.startswith(".")
    ]
