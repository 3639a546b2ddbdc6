"""Protects against data, rows and names that somebody else made."""

import dataclasses
import os
import pickle
import re

import numpy as np
import pytest

from ntk_sweep.data.dataset import load_dataset
from ntk_sweep.errors import ConfigError, DataError, StoreError
from ntk_sweep.executors.ray_environment import NOWHERE
from ntk_sweep.settings.schema import SweepConfig
from ntk_sweep.settings.validation import validate
from ntk_sweep.store.store import Store
from tests.helpers.places import ROOT


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.fixture
def bomb(tmp_path):
    """A pickle that leaves a trace when it is read; checked to do so."""
    trace = tmp_path / "trace"
    pickle.loads(pickle.dumps(Bomb(trace))).close()
    assert trace.exists()
    trace.unlink()
    return Bomb(trace)


@pytest.mark.parametrize("name", ["x", "y"])
def test_pickles_in_data_are_not_read(bomb, tmp_path, name):
    arrays = {"x": np.eye(3), "y": np.arange(3)}
    np.savez(tmp_path / "data.npz", **arrays | {name: np.array([bomb] * 3, dtype=object)})
    with pytest.raises(DataError, match="cannot be read as an npz file"):
        load_dataset("npz", place=str(tmp_path / "data.npz"))
    (tmp_path / "plain.npz").write_bytes(pickle.dumps(bomb))
    with pytest.raises(DataError, match="cannot be read as an npz file"):
        load_dataset("npz", place=str(tmp_path / "plain.npz"))
    assert not bomb.path.exists()


def test_pickles_in_the_results_are_not_read(bomb, tmp_path):
    store = Store(str(tmp_path / "results"), "spectrum")
    os.makedirs(f"{store.folder}/_kernels")
    np.save(f"{store.folder}/_kernels/array.npy", np.array([bomb], dtype=object), allow_pickle=True)
    for name, content in (
        ("_kernels/plain.npy", pickle.dumps(bomb)),
        ("part-pickle.parquet", pickle.dumps(bomb)),
    ):
        with open(f"{store.folder}/{name}", "wb") as file:
            file.write(content)
    for name in ("_kernels/array.npy", "_kernels/plain.npy"):
        with pytest.raises(StoreError, match="cannot be read"):
            store.load_kernel(name)
    with pytest.raises(StoreError, match="is not a readable part"):
        store.read()
    assert not bomb.path.exists()


def test_no_source_asks_for_pickles():
    sources = [
        path for folder in ("ntk_sweep", "hydra_plugins") for path in (ROOT / folder).rglob("*.py")
    ]
    assert len(sources) > 30
    for path in sources:
        text = path.read_text()
        assert "allow_pickle=True" not in text, path
        assert not any(
            word in text
            for word in ("import pickle", "cloudpickle", "torch.load", "yaml.load(", "eval(")
        ), path
        assert "np.load(" not in text or "allow_pickle=False" in text, path


@pytest.mark.parametrize("name", ["../elsewhere", "/etc", "spectrum/../..", ".", ""])
def test_a_task_cannot_lead_out_of_the_results_folder(name):
    config = SweepConfig()
    config.task.name = name
    with pytest.raises(ConfigError, match=r"task\.name="):
        validate(config)


@pytest.mark.parametrize("setting", ["act", "parametrisation", "dtype", "device"])
def test_no_free_text_of_a_point_reaches_the_store(setting):
    with pytest.raises(ConfigError, match=f"{setting}=../x is unknown"):
        validate(dataclasses.replace(SweepConfig(), **{setting: "../x"}))


@pytest.mark.parametrize(
    "name",
    ["docker/Dockerfile", "docker/compose.yaml", "docker/raycluster.yaml", "docs/guide/cluster.md"],
)
def test_no_cluster_of_ours_reports_even_that_it_reports_nothing(name):
    text = (ROOT / name).read_text()
    assert re.search(r"RAY_USAGE_STATS_ENABLED\W+(value: )?\"?0", text)
    assert re.search(rf"RAY_USAGE_STATS_REPORT_URL\W+(value: )?{NOWHERE}", text)
