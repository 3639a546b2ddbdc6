"""Steps of training are those of torch: autodiff of the network and torch.optim.SGD."""

import math

import numpy as np
import pytest
import torch

from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.network.parametrisations import PARAMETRISATIONS
from ntk_sweep.training import dense_layer
from ntk_sweep.training.dense_layer import PENDING_ROWS
from ntk_sweep.training.gradient_descent import GradientDescent
from ntk_sweep.training.input_layer import GRAM_SAMPLES_PER_FEATURE
from ntk_sweep.training.sgd import sample_orders, train
from tests.helpers import oracles
from tests.helpers.training_samples import samples

STEP_SIZES = {"thesis": 2e-4, "ntk": 0.05, "standard": 1e-3}
"""Such that a loss changes a lot, and none overflows."""


def by_autodiff(network, x, y, step_size, batch_size, orders):
    """Losses, running losses, outputs and parameters by torch.optim.SGD on the network's
    parameters."""
    weights = [w.clone().requires_grad_() for w in network.weights]
    biases = [b.clone().requires_grad_() for b in network.biases]
    names = network.activation, network.parametrisation
    scales = network.weight_std, network.bias_std

    def trained(rows):
        return oracles.forward(weights, biases, *names, rows, *scales)

    optimiser = torch.optim.SGD(weights + biases, lr=step_size)
    criterion = torch.nn.MSELoss()
    losses, running = [criterion(trained(x), y).item()], []
    for order in orders:
        errors = []
        for batch in torch.from_numpy(order).split(batch_size):
            optimiser.zero_grad()
            outputs = trained(x[batch])
            criterion(outputs, y[batch]).backward()
            optimiser.step()
            errors.append((outputs - y[batch]).detach().square())
        running.append(torch.cat(errors).mean().item())
        losses.append(criterion(trained(x), y).item())
    return losses, running, trained(x).detach(), [p.detach() for p in weights + biases]


def assert_same_trajectory(network, x, y, step_size, batch_size, epochs, tolerance=1e-10):
    """Both for layers that are updated at every step and for layers that delay their updates."""
    orders = list(sample_orders(len(x), epochs, seed=1))
    losses, running, outputs, parameters = by_autodiff(network, x, y, step_size, batch_size, orders)
    assert np.isfinite(losses).all()
    assert (outputs - network(x)).abs().max() > 0.02, "the run must go somewhere"
    for immediate_below in (0, math.inf):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dense_layer, "IMMEDIATE_BELOW", immediate_below)
            run = train(GradientDescent(network, x, y, step_size, batch_size), orders)
        assert not run.diverged
        np.testing.assert_allclose(run.losses, losses, rtol=tolerance)
        np.testing.assert_allclose(run.running_losses, running, rtol=tolerance)
        np.testing.assert_allclose(run.outputs, outputs.double(), rtol=tolerance, atol=tolerance)
        for own, other in zip([*run.network.weights, *run.network.biases], parameters, strict=True):
            torch.testing.assert_close(own, other, rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(run.network(x), outputs, rtol=tolerance, atol=tolerance)
        assert run.steps == epochs * -(-len(x) // batch_size)


@pytest.mark.parametrize(
    ("batch_size", "epochs"), [(1, 10), (4, 40), (7, 60), (19, 150), (30, 300)]
)
def test_trajectory_is_that_of_torch_sgd(batch_size, epochs):
    """Three hundred steps, to 1e-10.

    All but 1 and 30 leave a smaller last batch, 19 has too many rows to delay, 30 is descent.
    """
    x, y = samples(30, 12)
    network = Network.initialise(12, 20, 3, "elu", "ntk", seed=2)
    assert_same_trajectory(network, x, y, STEP_SIZES["ntk"], batch_size, epochs)


@pytest.mark.parametrize(("batch_size", "epochs"), [(1, 10), (4, 40)])
@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
def test_every_parametrisation_is_trained_the_same(parametrisation, batch_size, epochs):
    x, y = samples(30, 12)
    network = Network.initialise(12, 20, 3, "elu", parametrisation, seed=2)
    assert_same_trajectory(network, x, y, STEP_SIZES[parametrisation], batch_size, epochs)


@pytest.mark.parametrize("scales", [(1.5, 0.3), (0.7, 2.0), (2**0.5, 0.0), (3.0, None)], ids=str)
@pytest.mark.parametrize(
    ("parametrisation", "n_inputs"), [("thesis", 12), ("ntk", 4), ("standard", 12)]
)
def test_every_scale_is_trained_the_same(parametrisation, n_inputs, scales):
    """The first layer by its Gram matrix and, of few features, by its weights."""
    x, y = samples(30, n_inputs)
    network = Network.initialise(
        n_inputs, 20, 3, "elu", parametrisation, 2, weight_std=scales[0], bias_std=scales[1]
    )
    step_size = STEP_SIZES[parametrisation] / max(1, scales[0]) ** 4
    for batch_size, epochs in ((1, 10), (4, 40)):
        assert_same_trajectory(network, x, y, step_size, batch_size, epochs)
    if parametrisation == "standard" and scales[1] == 0:
        descent = GradientDescent(network, x, y, step_size, 4)
        descent.epoch(np.arange(30))
        assert all((b != 0).any() for b in descent.network().biases), "those at zero are trained"


@pytest.mark.parametrize(("batch_size", "epochs"), [(1, 10), (7, 60)])
@pytest.mark.parametrize("act", ACTIVATIONS)
def test_every_activation_is_trained_the_same(act, batch_size, epochs):
    x, y = samples(30, 12)
    network = Network.initialise(12, 20, 3, act, "ntk", seed=2)
    assert_same_trajectory(network, x, y, STEP_SIZES["ntk"], batch_size, epochs)


@pytest.mark.parametrize(
    "batch_size", [1, 5, PENDING_ROWS // 2, PENDING_ROWS // 2 + 1, PENDING_ROWS, 70]
)
def test_deep_networks_are_trained_the_same(batch_size):
    x, y = samples(70, 50)
    network = Network.initialise(50, 40, 6, "relu", "ntk", seed=3)
    assert_same_trajectory(
        network, x, y, 0.02, batch_size, epochs=6 * batch_size if batch_size < 6 else 40
    )


@pytest.mark.parametrize("batch_size", [1, 5, 9, 64])
def test_many_samples_of_few_features_are_trained_the_same(batch_size):
    x, y = samples(64, 4)
    assert len(x) > GRAM_SAMPLES_PER_FEATURE * x.shape[1]
    network = Network.initialise(4, 10, 2, "tanh", "ntk", seed=4)
    assert_same_trajectory(network, x, y, 0.05, batch_size, epochs=5 if batch_size == 1 else 50)


def test_float32_follows_float64_within_its_precision():
    x, y = samples(40, 30)
    orders = list(sample_orders(40, 10, seed=0))
    runs = []
    for dtype in (torch.float32, torch.float64):
        network = Network.initialise(30, 330, 4, "elu", "ntk", seed=5, dtype=dtype)
        runs.append(
            train(GradientDescent(network, x.to(dtype), y.to(dtype), 0.05, batch_size=1), orders)
        )
    assert runs[0].network.weights[1].dtype == torch.float32
    np.testing.assert_allclose(runs[0].losses, runs[1].losses, rtol=1e-3)
    assert np.abs(runs[0].losses - runs[1].losses).max() > 1e-12


def test_the_network_given_stays_as_it_is():
    x, y = samples(12, 40)
    network = Network.initialise(40, 330, 3, "relu", "ntk", seed=6)
    before = [p.clone() for p in [*network.weights, *network.biases]]
    run = train(GradientDescent(network, x, y, 0.05, batch_size=1), sample_orders(12, 3, seed=0))
    for old, kept, new in zip(
        before,
        [*network.weights, *network.biases],
        [*run.network.weights, *run.network.biases],
        strict=True,
    ):
        assert torch.equal(old, kept) and not torch.equal(old, new)


def test_a_network_that_autograd_follows_is_trained_the_same():
    x, y = samples(12, 5)
    network = Network.initialise(5, 30, 3, "relu", "ntk", seed=6)
    followed = Network(
        [w.clone().requires_grad_() for w in network.weights], network.biases, "relu", "ntk"
    )
    runs = [
        train(GradientDescent(net, x, y, 0.05, batch_size=5), sample_orders(12, 3, seed=0))
        for net in (network, followed)
    ]
    np.testing.assert_array_equal(runs[0].losses, runs[1].losses)
    assert not any(w.requires_grad for w in runs[1].network.weights)
