"""What the tests of the dispatch share."""

import numpy as np
import pytest

from ntk_sweep.data.dataset import Dataset
from ntk_sweep.dispatch.plan import Job
from ntk_sweep.network.architecture import Architecture
from ntk_sweep.settings.point import Point
from ntk_sweep.settings.schema import DataConfig, SpectrumConfig, SweepConfig


@pytest.fixture
def base(tmp_path):
    x = np.random.default_rng(1).random((6, 4))
    np.savez(tmp_path / "data.npz", x=x, y=np.arange(6))
    data = DataConfig("npz", path=str(tmp_path / "data.npz"))
    return SweepConfig(data=data, results=str(tmp_path / "results"))


@pytest.fixture(scope="session")
def plain_jobs():
    """Makes a job of this width and depth on 200 inputs; one without data worth computing on."""
    dataset = Dataset("npz", np.zeros((200, 64)), np.zeros(200), None, "f")

    def job(width, depth, task=None, **changes):
        settings = task or SpectrumConfig()
        point = Point(settings, Architecture("relu", width, depth, "thesis"), 0, "float64", "f")
        values = {"results": "r", "device": "cpu", "force": False, "dataset": dataset} | changes
        return Job(point, **values)

    return job
