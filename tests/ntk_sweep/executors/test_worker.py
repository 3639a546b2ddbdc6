"""Protects what a warm worker keeps between chunks, and that others have nothing of it."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest

from ntk_sweep.data.dataset import Dataset
from ntk_sweep.executors.messages import ChunkSpec
from ntk_sweep.executors.serial import SerialExecutor
from ntk_sweep.executors.worker import Worker, worker_of_this_process
from ntk_sweep.kernel.pre_activations import first_layer
from ntk_sweep.network.architecture import Architecture
from ntk_sweep.settings.point import Point
from ntk_sweep.settings.schema import ComputeConfig, SpectrumConfig
from ntk_sweep.store.reading import load_results
from ntk_sweep.store.store import Store
from ntk_sweep.tasks import draws, limit_cache
from ntk_sweep.tasks.limit_cache import compute_limits
from ntk_sweep.tasks.limit_request import LimitRequest
from tests.helpers.places import ROOT
from tests.helpers.points import changed
from tests.helpers.surroundings import THREADS

DATASET = Dataset(
    "npz", np.random.default_rng(3).random((6, 4)), np.arange(6) % 2.0, None, "fingerprint"
)
POINT = Point(SpectrumConfig(), Architecture("relu", 9, 3, "thesis"), 0, "float64", "fingerprint")


@pytest.fixture
def chunk(tmp_path):
    """Makes chunks of a sweep, numbered as they come; by default of the first of two sweeps."""
    store = Store(str(tmp_path), "spectrum")
    with store.open_session() as first, store.open_session() as second:
        sessions, numbers = (first, second), iter(range(100))

        def make(*points, sweep=0, limits=()):
            return ChunkSpec(
                points=points,
                limits=limits,
                results=str(tmp_path),
                task="spectrum",
                session=sessions[sweep],
                number=next(numbers),
                device="cpu",
                device_share=1.0,
                num_threads=1,
                commit_seconds=60,
                git_commit="commit",
            )

        yield make


@pytest.fixture
def drawn(monkeypatch):
    """The networks that are drawn, by activation."""
    found = []

    def counted(network, inputs):
        found.append(network.activation)
        return first_layer(network, inputs)

    monkeypatch.setattr(draws, "first_layer", counted)
    return found


@pytest.fixture
def computed(monkeypatch):
    """The depths of the limit kernels that are computed."""
    found = []

    def counted(request, dataset):
        found.append(request.depths)
        return compute_limits(request, dataset)

    monkeypatch.setattr(limit_cache, "compute_limits", counted)
    return found


def test_a_worker_goes_on_with_its_part_draw_and_limits(chunk, drawn, computed, tmp_path):
    worker = Worker()
    reports = [
        worker.run_chunk(chunk(changed(POINT, act=act, seed=seed)), DATASET)
        for act, seed in (("relu", 0), ("elu", 0), ("relu", 0), ("relu", 1))
    ]
    assert len({report.part for report in reports}) == 1
    assert drawn == ["relu", "relu"]  # a draw serves all activations
    assert computed == [(2, 3), (2, 3)]  # of relu and of elu
    assert len(load_results(tmp_path / "spectrum")) == 3


def test_a_worker_has_a_part_for_each_sweep(chunk):
    worker = Worker()
    parts = {worker.run_chunk(chunk(POINT, sweep=sweep), DATASET).part for sweep in (0, 1, 0, 1)}
    assert len(parts) == 2


def test_workers_share_nothing(chunk, drawn, computed):
    parts = {Worker().run_chunk(chunk(POINT), DATASET).part for _ in range(2)}
    assert (len(parts), drawn, computed) == (2, ["relu"] * 2, [(2, 3)] * 2)


def test_limits_that_are_handed_over_are_taken(chunk, computed):
    request = LimitRequest(POINT.architecture, (3,))
    given = compute_limits(request, DATASET)
    shifted = {3: dataclasses.replace(given[3], lambda_min=7.0)}
    worker = Worker()
    worker.run_chunk(chunk(POINT, limits=(request,)), DATASET, [shifted])
    assert computed == []
    failed = worker.run_chunk(chunk(POINT, limits=(request,)), DATASET, [ValueError("no limit")])
    assert "no limit" in failed.outcomes[0].error


def test_a_process_has_one_worker_and_an_executor_one_of_its_own(chunk):
    assert worker_of_this_process() is worker_of_this_process()
    parts = set()
    for _ in range(2):
        executor = SerialExecutor(ComputeConfig())
        for number in range(2):
            executor.submit(number, chunk(POINT), DATASET)
            ((_, report),) = executor.wait(0)
            parts.add(report.part)
    assert len(parts) == 2


@pytest.mark.parametrize("before", [True, False], ids=["loaded before", "loaded later"])
def test_every_blas_has_the_threads_of_the_worker(before):
    """That of SciPy is another library than NumPy's, and training loads it."""
    imports = "import ntk_sweep.training.products"
    code = f"""
{imports if before else ""}
from ntk_sweep.executors.worker import prepare_process
prepare_process(1)
{imports}
from threadpoolctl import threadpool_info
print({{pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}})
"""
    env = {name: value for name, value in os.environ.items() if name not in THREADS}
    asked = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True
    )
    assert asked.stdout == "{1}\n", asked.stderr
