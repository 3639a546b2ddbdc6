"""Epochs as CUDA graphs: what can be shown of them without a GPU, and the same runs on one.

A graph launches again the kernels that were launched while it was captured, on the same memory and
with the same numbers; nothing of the Python code runs, and nothing may wait for a value while it is
captured. `Recording` does that on the CPU.
"""

import contextlib

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.training import cuda_graph, dense_layer, gradient_descent, products
from ntk_sweep.training.gradient_descent import GradientDescent
from ntk_sweep.training.sgd import sample_orders, train
from tests.helpers.training_samples import samples

WAITING = {
    "aten::_local_scalar_dense",
    "aten::nonzero",
    "aten::is_nonzero",
    "aten::equal",
    "aten::_to_copy",
}
"""Operations whose result the host waits for, or whose shape depends on values."""


class Recording(TorchDispatchMode):
    """In place of torch.cuda.CUDAGraph."""

    def __init__(self):
        super().__init__()
        self.calls, self.replays = [], 0

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        assert function._schema.name not in WAITING, function
        result = function(*arguments, **(keywords or {}))
        self.calls.append((function, arguments, keywords or {}, result))
        return result

    def replay(self):
        self.replays += 1
        if self.replays == 1:
            return  # unlike a real capture, the recording has computed already
        for function, arguments, keywords, result in self.calls:
            again = function(*arguments, **keywords)
            for old, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                if old.data_ptr() != new.data_ptr():
                    old.copy_(new)


@pytest.fixture
def captured_on_the_cpu(monkeypatch):
    """Epochs are captured whatever the device; returns the recordings that are made."""
    recordings = []

    def graph():
        recordings.append(Recording())
        return recordings[-1]

    monkeypatch.setattr(gradient_descent, "capturable", lambda y, steps: True)
    monkeypatch.setattr(products, "by_numpy", lambda one: False)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", graph)
    monkeypatch.setattr(torch.cuda, "graph", lambda recording, stream: recording)
    monkeypatch.setattr(torch.cuda, "device", lambda device: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "Stream", lambda: None)
    return recordings


@pytest.mark.parametrize("immediate_below", [0, np.inf], ids=["delayed", "immediate"])
@pytest.mark.parametrize(("n_inputs", "batch_size"), [(20, 1), (20, 7), (20, 40), (3, 1), (3, 7)])
def test_replayed_epochs_train_the_same(
    n_inputs, batch_size, immediate_below, captured_on_the_cpu, monkeypatch
):
    """With few inputs the first layer goes by its weights."""
    monkeypatch.setattr(dense_layer, "IMMEDIATE_BELOW", immediate_below)
    check_replay("gelu", n_inputs, batch_size, captured_on_the_cpu, monkeypatch)


@pytest.mark.parametrize("act", ACTIVATIONS)
def test_every_activation_can_be_captured(act, captured_on_the_cpu, monkeypatch):
    check_replay(act, 20, 7, captured_on_the_cpu, monkeypatch)


def check_replay(act, n_inputs, batch_size, recordings, monkeypatch):
    x, y = samples(40, n_inputs)
    network = Network.initialise(n_inputs, 16, 4, act, "ntk", seed=5)
    orders = list(sample_orders(40, 6, seed=1))
    replayed = train(GradientDescent(network, x, y, 0.05, batch_size), orders)
    (recording,) = recordings
    assert recording.replays == 5, "the first epoch warms up"
    assert len(recording.calls) > 10 * 40 / batch_size
    monkeypatch.setattr(gradient_descent, "capturable", lambda y, steps: False)
    plain = train(GradientDescent(network, x, y, 0.05, batch_size), orders)
    np.testing.assert_allclose(replayed.losses, plain.losses, rtol=1e-12)
    np.testing.assert_allclose(replayed.running_losses, plain.running_losses, rtol=1e-12)
    for own, other in zip(replayed.network.weights, plain.network.weights, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-12, atol=1e-12)


def test_a_run_may_be_looked_at_between_replays(captured_on_the_cpu):
    x, y = samples(20, 10)
    descent = GradientDescent(
        Network.initialise(10, 8, 3, "elu", "ntk", seed=1), x, y, 0.05, batch_size=3
    )
    for order in sample_orders(20, 4, seed=0):
        descent.epoch(order)
        outputs = descent.outputs()
        torch.testing.assert_close(descent.network()(x), outputs, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(descent.outputs(), outputs, rtol=0, atol=0)
    assert captured_on_the_cpu[0].replays == 3


def test_only_epochs_on_a_gpu_of_not_too_many_steps_are_captured():
    class OnAGpu(torch.Tensor):
        is_cuda = True

    on_a_gpu = torch.zeros(3).as_subclass(OnAGpu)
    assert cuda_graph.capturable(on_a_gpu, cuda_graph.CAPTURED_STEPS)
    assert not cuda_graph.capturable(on_a_gpu, cuda_graph.CAPTURED_STEPS + 1)
    assert not cuda_graph.capturable(torch.zeros(3), 1)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("n_inputs", [50, 4])
@pytest.mark.parametrize("batch_size", [1, 7, 40])
def test_a_gpu_trains_the_same(n_inputs, batch_size, dtype):
    x, y = (values.to(dtype) for values in samples(40, n_inputs))
    network = Network.initialise(n_inputs, 330, 4, "elu", "ntk", seed=5, dtype=dtype)
    orders = list(sample_orders(40, 6, seed=1))
    run = train(GradientDescent(network, x, y, 0.05, batch_size), orders)
    moved = Network(
        [w.cuda() for w in network.weights], [b.cuda() for b in network.biases], "elu", "ntk"
    )
    other = train(GradientDescent(moved, x.cuda(), y.cuda(), 0.05, batch_size), orders)
    tolerance = 1e-9 if dtype == torch.float64 else 1e-3
    np.testing.assert_allclose(other.losses, run.losses, rtol=tolerance)
    np.testing.assert_allclose(other.outputs, run.outputs, rtol=tolerance, atol=tolerance)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_captures_epochs_once_and_trains_longer_ones_without(monkeypatch):
    x, y = (values.cuda() for values in samples(40, 50))
    network = Network.initialise(50, 30, 3, "relu", "ntk", seed=5, device="cuda")
    orders = list(sample_orders(40, 4, seed=1))
    runs = []
    for most in (cuda_graph.CAPTURED_STEPS, 39):
        monkeypatch.setattr(cuda_graph, "CAPTURED_STEPS", most)
        descent = GradientDescent(network, x, y, 0.05, batch_size=1)
        for order in orders:
            descent.epoch(order)
        assert descent._graph.captured == (most >= 40)
        runs.append(descent.outputs())
    torch.testing.assert_close(*runs, rtol=1e-10, atol=1e-10)
