"""Training against torch's own: autodiff of the network and torch.optim.SGD."""

import math

import numpy as np
import pytest
import torch

from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.network.parametrisations import PARAMETRISATIONS
from ntk_sweep.training import dense_layer as layers
from ntk_sweep.training.dense_layer import KEPT_ROWS
from ntk_sweep.training.input_layer import GRAM_WORTH_BELOW
from ntk_sweep.training.sgd import THRESHOLD, sample_orders, train
from tests.helpers.cases import spread

STEP_SIZES = {"thesis": 2e-4, "ntk": 0.05, "standard": 1e-3}
"""Such that a loss changes a lot, and none overflows."""

EPOCHS = {1: 10, 4: 40, 7: 60, 19: 150, 30: 300}
"""Batch size → epochs of 30 samples: some three hundred steps."""


def samples(n, n_inputs, dtype=torch.float64):
    generator = torch.Generator().manual_seed(n)
    x = torch.rand(n, n_inputs, generator=generator, dtype=torch.float64)
    return x.to(dtype), (torch.arange(n) % 3 == 0).to(dtype)


def by_autodiff(network, x, y, step_size, batch_size, orders):
    """Losses, running losses, outputs and parameters by torch.optim.SGD on the network's
    parameters."""
    weights = [w.clone().requires_grad_() for w in network.weights]
    biases = [b.clone().requires_grad_() for b in network.biases]
    trained = Network(weights, biases, network.activation, network.parametrisation)
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
    """Both for layers that are written at every step and for layers that keep their changes."""
    orders = list(sample_orders(len(x), epochs, seed=1))
    losses, running, outputs, parameters = by_autodiff(network, x, y, step_size, batch_size, orders)
    assert np.isfinite(losses).all()
    assert (outputs - network(x)).abs().max() > 0.02, "the run must go somewhere"
    for direct_below in (0, math.inf):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(layers, "DIRECT_BELOW", direct_below)
            run = train(network, x, y, step_size=step_size, batch_size=batch_size, orders=orders)
        assert not run.diverged
        np.testing.assert_allclose(run.losses, losses, rtol=tolerance)
        np.testing.assert_allclose(run.running_losses, running, rtol=tolerance)
        np.testing.assert_allclose(run.outputs, outputs.double(), rtol=tolerance, atol=tolerance)
        for own, other in zip([*run.network.weights, *run.network.biases], parameters, strict=True):
            torch.testing.assert_close(own, other, rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(run.network(x), outputs, rtol=tolerance, atol=tolerance)
        assert run.steps == epochs * -(-len(x) // batch_size)


@pytest.mark.parametrize(
    ("act", "parametrisation", "batch_size"),
    spread(ACTIVATIONS, PARAMETRISATIONS, EPOCHS),
)
def test_trajectory_is_that_of_torch_sgd(act, parametrisation, batch_size):
    """Three hundred steps, to 1e-10. All but 1 and 30 leave a smaller last batch, 19 has too many
    rows to keep, 30 is descent."""
    x, y = samples(30, 12)
    network = Network.initialise(12, 20, 3, act, parametrisation, seed=2)
    step_size = STEP_SIZES[parametrisation]
    assert_same_trajectory(network, x, y, step_size, batch_size, EPOCHS[batch_size])


@pytest.mark.parametrize("batch_size", [1, 5, KEPT_ROWS // 2, KEPT_ROWS // 2 + 1, KEPT_ROWS, 70])
def test_deep_networks_are_trained_the_same(batch_size):
    x, y = samples(70, 50)
    network = Network.initialise(50, 40, 6, "relu", "ntk", seed=3)
    assert_same_trajectory(
        network, x, y, 0.02, batch_size, epochs=6 * batch_size if batch_size < 6 else 40
    )


@pytest.mark.parametrize("batch_size", [1, 5, 9, 64])
def test_many_samples_of_few_features_are_trained_the_same(batch_size):
    x, y = samples(64, 4)
    assert len(x) > GRAM_WORTH_BELOW * x.shape[1]
    network = Network.initialise(4, 10, 2, "tanh", "ntk", seed=4)
    assert_same_trajectory(network, x, y, 0.05, batch_size, epochs=5 if batch_size == 1 else 50)


def test_wide_layers_keep_their_changes_and_narrow_ones_do_not():
    """The default of what the tests above set."""
    kept = []
    for width, batch_size in ((100, 1), (230, 1), (230, KEPT_ROWS // 2), (230, KEPT_ROWS)):
        layer = layers.DenseLayer(torch.ones(width, width), torch.ones(width), 1.0, batch_size)
        a = torch.ones(1, width)
        before = layer.forward(a).clone()
        layer.gradients.fill_(1.0)
        layer.update()
        kept.append(layer._kept)
        torch.testing.assert_close(layer.forward(a), before - (width + 1))
    assert kept == [0, 1, 1, 0]


def test_float32_follows_float64_within_its_precision():
    x, y = samples(40, 30)
    orders = list(sample_orders(40, 10, seed=0))
    runs = []
    for dtype in (torch.float32, torch.float64):
        network = Network.initialise(30, 230, 4, "elu", "ntk", seed=5, dtype=dtype)
        runs.append(
            train(network, x.to(dtype), y.to(dtype), step_size=0.05, batch_size=1, orders=orders)
        )
    assert runs[0].network.weights[1].dtype == torch.float32
    np.testing.assert_allclose(runs[0].losses, runs[1].losses, rtol=1e-3)
    assert np.abs(runs[0].losses - runs[1].losses).max() > 1e-12


def test_the_network_given_stays_as_it_is():
    x, y = samples(12, 40)
    network = Network.initialise(40, 230, 3, "relu", "ntk", seed=6)
    before = [p.clone() for p in [*network.weights, *network.biases]]
    run = train(network, x, y, step_size=0.05, batch_size=1, orders=sample_orders(12, 3, seed=0))
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
        train(net, x, y, step_size=0.05, batch_size=5, orders=sample_orders(12, 3, seed=0))
        for net in (network, followed)
    ]
    np.testing.assert_array_equal(runs[0].losses, runs[1].losses)
    assert not any(w.requires_grad for w in runs[1].network.weights)


def test_a_run_that_overflows_stops_and_keeps_its_history():
    x, y = samples(20, 10)
    network = Network.initialise(10, 30, 3, "relu", "thesis", seed=7)
    run = train(network, x, y, step_size=1e3, batch_size=1, orders=sample_orders(20, 50, seed=0))
    assert run.diverged
    assert len(run.losses) == len(run.accuracies) == len(run.running_losses) + 1 < 51
    assert np.isfinite(run.losses[:-1]).all() and not np.isfinite(run.losses[-1])
    assert run.steps == 20 * len(run.running_losses)


def test_a_network_that_overflows_before_the_first_step_takes_none():
    x, y = samples(5, 3)
    network = Network.initialise(3, 4, 2, "relu", "ntk", seed=0)
    run = train(
        network, x * 1e200, y, step_size=0.1, batch_size=1, orders=sample_orders(5, 4, seed=0)
    )
    assert run.diverged and run.steps == 0 and len(run.losses) == 1


def test_accuracy_counts_outputs_on_the_right_side_of_a_half():
    x, y = samples(9, 3)
    network = Network.initialise(3, 50, 2, "relu", "ntk", seed=8)
    run = train(network, x, y, step_size=0.1, batch_size=9, orders=sample_orders(9, 2000, seed=0))
    outputs = network(x).numpy()
    assert THRESHOLD == 0.5
    assert run.accuracies[0] == np.mean((outputs > 0.5) == (y.numpy() == 1))
    assert (
        run.accuracies[-1] == np.mean((run.outputs > 0.5) == (y.numpy() == 1)) > run.accuracies[0]
    )
    np.testing.assert_allclose(run.initial_outputs, outputs, rtol=1e-14)


def test_observer_sees_the_network_at_the_stated_epochs():
    x, y = samples(10, 20)
    network = Network.initialise(20, 230, 3, "silu", "ntk", seed=9)
    orders, seen = list(sample_orders(10, 7, seed=3)), {}
    run = train(
        network,
        x,
        y,
        step_size=0.05,
        batch_size=3,
        orders=orders,
        observe=seen.__setitem__,
        observe_every=3,
    )
    assert list(seen) == [0, 3, 6]
    for epochs, observed in seen.items():
        assert float((observed(x) - y).square().mean()) == pytest.approx(
            run.losses[epochs], rel=1e-12
        )


def test_orders_are_permutations_pinned_by_the_seed():
    first, second = sample_orders(6, 2, seed=0)
    assert sorted(first) == sorted(second) == list(range(6))
    assert first.tolist() != second.tolist()
    again = [order.tolist() for order in sample_orders(6, 2, seed=0)]
    assert again == [first.tolist(), second.tolist()] == PINNED
    assert [order.tolist() for order in sample_orders(6, 2, seed=1)] != again
    assert [order.tolist() for order in sample_orders(4, 2, seed=0, shuffle=False)] == [
        [0, 1, 2, 3]
    ] * 2


PINNED = [[1, 0, 5, 2, 4, 3], [2, 3, 5, 0, 1, 4]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step_size": 0.0}, "step_size is 0.0, but must be a positive number"),
        ({"step_size": float("nan")}, "step_size is nan"),
        ({"batch_size": 0}, "batch_size is 0, but must be an integer from 1 to the 5 samples"),
        ({"batch_size": 6}, "batch_size is 6"),
        ({"batch_size": True}, "batch_size is True"),
        ({"observe_every": 0}, "observe_every is 0"),
        ({"orders": [np.array([0, 1, 2, 3, 3])]}, "must be a permutation of the 5 samples"),
        ({"orders": [np.arange(4)]}, "must be a permutation of the 5 samples"),
        (
            {"y": torch.zeros(4, dtype=torch.float64)},
            r"y is torch.float64 of shape \(4,\) on cpu, but must be .* shape \(5,\)",
        ),
        ({"y": torch.zeros(5)}, "y is torch.float32"),
        ({"x": torch.zeros(5, 2, dtype=torch.float64)}, "the network takes"),
    ],
)
def test_nonsense_is_refused(changes, message, unchecked):
    x, y = samples(5, 3)
    network = Network.initialise(3, 4, 2, "relu", "ntk", seed=0)
    arguments = {
        "x": x,
        "y": y,
        "step_size": 0.1,
        "batch_size": 1,
        "orders": [np.arange(5)],
    } | changes
    with pytest.raises(ValueError, match=message):
        train(network, **arguments)
