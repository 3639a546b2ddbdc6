"""Large networks and data: drawn layer by layer, kernels in tiles, and how much memory that
takes."""

import dataclasses
import subprocess
import sys
import weakref

import numpy as np
import pytest
import torch
from rich.console import Console

from ntk_sweep.data.dataset import Dataset
from ntk_sweep.dispatch import sweep as dispatch
from ntk_sweep.errors import ConfigError
from ntk_sweep.executors.protocol import SerialExecutor
from ntk_sweep.executors.ray import RayExecutor
from ntk_sweep.kernel import centred_kernel as factored
from ntk_sweep.kernel.centred_kernel import plain_kernel
from ntk_sweep.kernel.centred_passes import centred_trace
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.network.linear_layer import Linear
from ntk_sweep.network.parametrisations import PARAMETRISATIONS
from ntk_sweep.network.streamed import StreamedNetwork
from ntk_sweep.settings.point import Point
from ntk_sweep.settings.schema import (
    ComputeConfig,
    DataConfig,
    SpectrumConfig,
    SweepConfig,
    TrainingConfig,
)
from ntk_sweep.store.store import load_results
from ntk_sweep.tasks import memory
from ntk_sweep.tasks import spectrum as spectrum_task
from ntk_sweep.tasks.memory import available_memory, memory_plan, point_memory
from ntk_sweep.tasks.rows import compute_row
from tests.helpers.places import ROOT

GENERATOR = np.random.default_rng(3)
X = torch.from_numpy(GENERATOR.random((30, 5)))
DATASET = Dataset("npz", X.numpy(), (np.arange(30) % 2).astype(float), None, "large")
POINT = Point(SpectrumConfig(), "relu", 9, 4, 0, "thesis", "float64", "large")


@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("depth", [2, 5])
def test_a_streamed_network_is_the_one_that_is_held(parametrisation, dtype, depth):
    held = Network.initialise(5, 9, depth, "relu", parametrisation, 3, dtype=dtype)
    streamed = StreamedNetwork(5, 9, depth, "elu", parametrisation, 3, dtype).with_activation(
        "relu"
    )
    assert streamed.factors == held.factors
    ours, theirs = centred_trace(streamed, X.to(dtype)), centred_trace(held, X.to(dtype))
    assert torch.equal(ours.outputs, theirs.outputs)
    for one, other in zip(
        ours.inputs + ours.gradients, theirs.inputs + theirs.gradients, strict=True
    ):
        assert torch.equal(one.rows, other.rows) and torch.equal(one.row_errors, other.row_errors)


def test_a_streamed_network_holds_one_layer(monkeypatch):
    drawn = []
    network = StreamedNetwork(5, 9, 6, "relu", "thesis", 3)
    plain = StreamedNetwork.layer.__globals__["layer_normals"]
    monkeypatch.setitem(
        StreamedNetwork.layer.__globals__,
        "layer_normals",
        lambda *sizes: drawn.append(sizes[-1]) or plain(*sizes),
    )
    centred_trace(network, X)
    assert drawn == [1, 2, 3, 4, 5, 6, 5, 4, 3, 2]
    assert network.layer(-1) is network.layer(5)


def test_a_point_too_large_to_be_held_has_one_layer_at_a_time(monkeypatch):
    layers, most = [], []
    drawn = Linear.__init__

    def counted(layer, *arguments):
        drawn(layer, *arguments)
        layers.append(weakref.ref(layer))
        most.append(sum(reference() is not None for reference in layers))

    monkeypatch.setattr(Linear, "__init__", counted)
    monkeypatch.setattr(memory, "HELD_WEIGHTS", 0)
    monkeypatch.setattr(spectrum_task, "_draws", spectrum_task._Draws())
    assert compute_row(POINT, DATASET, "cpu", None).row["status"] == "ok"
    assert most == [1] * len(most)
    assert len(most) == 2 * POINT.depth - 2  # all but the first and the last twice


def test_mistakes_in_a_streamed_network_are_explained():
    with pytest.raises(ValueError, match="depth is 1"):
        StreamedNetwork(5, 9, 1, "relu", "thesis", 3)
    with pytest.raises(ValueError, match="unknown activation 'softplus'"):
        StreamedNetwork(5, 9, 2, "softplus", "thesis", 3)
    network = StreamedNetwork(5, 9, 2, "relu", "thesis", 3)
    with pytest.raises(ValueError, match=r"the network takes \(N, 5\)"):
        centred_trace(network, X[:, :4])
    with pytest.raises(ValueError, match="convert one of them"):
        centred_trace(network, X.float())


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
@pytest.mark.parametrize("rows", [1, 7, 10, 29])
def test_tiles_make_the_same_kernel(monkeypatch, activation, rows):
    trace = centred_trace(Network.initialise(5, 9, 4, activation, "thesis", 3), X)
    whole = plain_kernel(trace)
    monkeypatch.setattr(factored, "TILE_ROWS", rows)
    tiled = plain_kernel(trace)
    assert torch.equal(tiled[0], tiled[0].T)
    for one, other in zip(tiled, whole, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-13, atol=0)


def test_a_point_too_large_to_be_held_has_the_same_row(monkeypatch):
    monkeypatch.setattr(memory, "HELD_WEIGHTS", 0)
    assert not point_memory(POINT, 30, 5).held
    streamed = compute_row(POINT, DATASET, "cpu", None).row
    monkeypatch.undo()
    held = compute_row(POINT, DATASET, "cpu", None).row
    np.testing.assert_array_equal(streamed["eigenvalues"], held["eigenvalues"])
    # training changes the weights, which have to be there
    assert point_memory(dataclasses.replace(POINT, settings=TrainingConfig()), 30, 5).held


def test_extremes_as_a_row():
    row = compute_row(
        dataclasses.replace(POINT, settings=SpectrumConfig(method="extreme")), DATASET, "cpu", None
    ).row
    whole = compute_row(POINT, DATASET, "cpu", None).row
    assert row["status"] == "ok", row.get("error")
    assert row["method"] == "extreme" and "eigenvalues" not in row and "effective_rank" not in row
    for end in ("min", "max"):
        assert (
            abs(row[f"lambda_{end}"] - whole[f"lambda_{end}"])
            <= row[f"lambda_{end}_error"] + whole[f"lambda_{end}_error"]
        )
    for name in ("trace", "alignment", "limit_distance", "limit_lambda_min", "target_share_10"):
        assert row[name] == pytest.approx(whole[name], rel=1e-6), name


def test_without_a_limit_kernel_above_its_size(monkeypatch):
    monkeypatch.setattr(spectrum_task, "LIMIT_SAMPLES", 29)
    row = compute_row(POINT, DATASET, "cpu", None).row
    assert row["status"] == "ok" and "limit_lambda_min" not in row


# Memory


@pytest.mark.parametrize(
    ("sizes", "least", "most"),
    [
        ((200, 784, 1000, 10, "auto"), 0.3, 1.0),
        ((12_000, 784, 500, 3, "extreme"), 4.0, 8.0),
        ((12_000, 784, 1000, 5, "eigh"), 6.5, 12.0),
        ((12_000, 784, 500, 3, "double-double"), 30.0, 60.0),
        ((200, 784, 20_000, 100, "auto"), 10.0, 22.0),
    ],
)
def test_plans_of_known_sizes(sizes, least, most):
    plan = memory_plan(*sizes)
    assert least <= plan.peak / 2**30 <= most
    assert plan.held == (sizes[2] < 20_000)
    assert f"{plan.peak / 2**30:.1f} GiB at most" in plan.describe()


@pytest.mark.parametrize(
    ("n_samples", "width", "depth", "act", "method"),
    [
        (1500, 600, 5, "sigmoid", "eigh"),
        pytest.param(1500, 600, 5, "sigmoid", "extreme", marks=pytest.mark.slow),
        pytest.param(1000, 100, 3, "relu", "double-double", marks=pytest.mark.slow),
        (300, 2500, 4, "sigmoid", "auto"),
    ],
)
def test_a_point_takes_no_more_than_planned(n_samples, width, depth, act, method):
    """In a process of its own, whose greatest memory the system records; and not so much less that
    points would be refused needlessly."""
    code = f"""
import re, numpy as np
from pathlib import Path
from ntk_sweep.settings.schema import SpectrumConfig
from ntk_sweep.data.dataset import Dataset
from ntk_sweep.tasks.memory import point_memory
from ntk_sweep.settings.point import Point
from ntk_sweep.tasks.rows import compute_row
from ntk_sweep.executors.worker import prepare_process
prepare_process(1)
x = np.random.default_rng(1).random(({n_samples}, 784))
dataset = Dataset("npz", x, (np.arange({n_samples}) % 2).astype(float), None, "f")
point = Point(SpectrumConfig(method="{method}"), "{act}", {width}, {depth}, 0, "thesis", "float64", "f")
import ntk_sweep.tasks.spectrum as task
task.LIMIT_SAMPLES = 0
row = compute_row(point, dataset, "cpu", None).row
assert row["status"] == "ok", row["error"]
stages = {{name: size for name, size in point_memory(point, *x.shape).stages.items() if name != "limit"}}
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(int(peak[1]) * 1024, max(stages.values()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    used, planned = map(int, done.stdout.split())
    assert planned / 4 < used < planned


def test_what_is_available(monkeypatch, tmp_path):
    free = available_memory()
    assert 2**20 < free < 2**50
    limit, used = tmp_path / "max", tmp_path / "current"
    monkeypatch.setattr(memory, "_CGROUPS", [(str(limit), str(used))])
    used.write_text("700\n")
    for text, expected in (("1000\n", 300), ("500", 0)):
        limit.write_text(text)
        assert available_memory() == expected
    limit.write_text("max\n")
    assert available_memory() > 2**20


def test_a_point_that_does_not_fit_fails_with_the_numbers(monkeypatch):
    monkeypatch.setattr(spectrum_task, "available_memory", lambda: 2**31)
    dataset = dataclasses.replace(DATASET, x=np.zeros((20_000, 5)))
    row = compute_row(POINT, dataset, "cpu", None).row
    assert row["status"] == "failed"
    assert (
        "GiB at most (GiB: passes" in row["error"]
        and "2.0 GiB are free: take fewer inputs" in row["error"]
    )


@pytest.fixture
def config(npz, tmp_path):
    path = npz(x=np.zeros((6000, 3)), y=np.arange(6000) % 2)
    data = DataConfig(name="npz", path=path)
    return SweepConfig(
        data=data, results=str(tmp_path / "results"), task=SpectrumConfig(method="eigh")
    )


@pytest.mark.parametrize(
    ("free", "executor", "workers", "message"),
    [
        (
            2**30,
            SerialExecutor,
            None,
            r"cannot be computed on this machine: it needs .* but 1.0 GiB are free: take fewer inputs",
        ),
        (
            4 * 2**30,
            RayExecutor,
            2,
            r"2 workers at .* GiB each need more than the 4.0 GiB that are free: use compute.num_workers=1",
        ),
    ],
)
def test_a_sweep_that_does_not_fit_is_refused(
    monkeypatch, config, free, executor, workers, message
):
    monkeypatch.setattr(dispatch, "available_memory", lambda: free)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    configs = [
        dataclasses.replace(config, seed=seed, compute=ComputeConfig(num_workers=workers))
        for seed in range(3)
    ]
    console = Console(width=500)
    with console.capture() as shown, pytest.raises(ConfigError, match=message):
        dispatch.run_sweep(configs, executor, console)
    assert "memory of the largest point, act=relu width=100 depth=3" in shown.get()


def test_a_cluster_is_not_judged_from_here(monkeypatch, config):
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert RayExecutor.workers_here(ComputeConfig()) is None
    monkeypatch.delenv("RAY_ADDRESS")
    assert RayExecutor.workers_here(ComputeConfig(num_workers=1)) == 1
    assert SerialExecutor.workers_here(ComputeConfig()) == 1


def test_small_sweeps_do_not_speak_of_memory(config, npz):
    data = DataConfig(name="npz", path=npz("small.npz", x=np.eye(5), y=np.arange(5)))
    console = Console(width=500)
    with console.capture() as shown:
        dispatch.run_sweep([dataclasses.replace(config, data=data)], SerialExecutor, console)
    assert "memory" not in shown.get()
    assert len(load_results(config.results + "/spectrum")) == 1
