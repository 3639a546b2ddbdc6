"""Runs of training: their history, their end, what observers see, the order of the samples."""

import numpy as np
import pytest
import torch

from ntk_sweep.network.fully_connected import Network
from ntk_sweep.training.gradient_descent import GradientDescent
from ntk_sweep.training.outcomes import THRESHOLD, accuracy
from ntk_sweep.training.sgd import sample_orders, train
from tests.helpers.training_samples import samples


def test_a_run_that_overflows_stops_and_keeps_its_history():
    x, y = samples(20, 10)
    network = Network.initialise(10, 30, 3, "relu", "thesis", seed=7)
    descent, seen = GradientDescent(network, x, y, 1e3, batch_size=1), {}
    run = train(descent, sample_orders(20, 50, seed=0), observe=seen.__setitem__)
    assert run.diverged
    assert len(run.losses) == len(run.accuracies) == len(run.running_losses) + 1 < 51
    assert np.isfinite(run.losses[:-1]).all() and not np.isfinite(run.losses[-1])
    assert run.steps == 20 * len(run.running_losses)
    assert list(seen) == list(range(len(run.running_losses)))  # not the one that overflowed


def test_a_network_that_overflows_before_the_first_step_takes_none():
    x, y = samples(5, 3)
    network = Network.initialise(3, 4, 2, "relu", "ntk", seed=0)
    run = train(
        GradientDescent(network, x * 1e200, y, 0.1, batch_size=1), sample_orders(5, 4, seed=0)
    )
    assert run.diverged and run.steps == 0 and len(run.losses) == 1


def test_accuracy_counts_outputs_on_the_right_side_of_a_half():
    x, y = samples(9, 3)
    network = Network.initialise(3, 50, 2, "relu", "ntk", seed=8)
    run = train(GradientDescent(network, x, y, 0.1, batch_size=9), sample_orders(9, 2000, seed=0))
    outputs = network(x).numpy()
    assert THRESHOLD == 0.5
    assert run.accuracies[0] == np.mean((outputs > 0.5) == (y.numpy() == 1))
    assert (
        run.accuracies[-1] == np.mean((run.outputs > 0.5) == (y.numpy() == 1)) > run.accuracies[0]
    )
    np.testing.assert_allclose(run.initial_outputs, outputs, rtol=1e-14)


def test_observer_sees_the_network_at_the_stated_epochs():
    x, y = samples(10, 20)
    network = Network.initialise(20, 330, 3, "silu", "ntk", seed=9)
    orders, seen = list(sample_orders(10, 7, seed=3)), {}
    descent = GradientDescent(network, x, y, 0.05, batch_size=3)
    run = train(descent, orders, observe=seen.__setitem__, observe_every=3)
    assert seen[0] is network
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
    arguments = {"x": x, "y": y, "step_size": 0.1, "batch_size": 1} | changes
    run = {name: arguments.pop(name) for name in ("orders", "observe_every") if name in changes}
    with pytest.raises(ValueError, match=message):
        train(GradientDescent(network, **arguments), **({"orders": [np.arange(5)]} | run))


def test_what_lies_on_the_threshold_lies_below():
    outputs = torch.tensor([0.5, 0.5], dtype=torch.float64)
    assert accuracy(outputs, torch.tensor([0.0, 0.5], dtype=torch.float64)) == 1


def test_a_run_ends_at_its_stated_loss():
    x, y = samples(5, 3)
    network = Network.initialise(3, 4, 2, "relu", "ntk", seed=0)
    descent, orders = GradientDescent(network, x, y, 1e-3, 1), list(sample_orders(5, 3, seed=0))
    losses = train(descent, orders).losses
    descent = GradientDescent(network, x, y, 1e-3, 1)
    assert losses[0] > losses[1]
    assert len(train(descent, orders, stop_at_loss=losses[1]).losses) == 2


def test_accuracy_parts_other_targets_where_it_is_told():
    network = Network.initialise(3, 10, 2, "relu", "ntk", seed=0)
    y = torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    descent = GradientDescent(network, torch.eye(3, dtype=torch.float64), y, 0.1, 1)
    outputs = descent.outputs()
    run = train(descent, [], threshold=0.0)
    assert run.accuracies[0] == float(((outputs > 0) == (y > 0)).double().mean())
