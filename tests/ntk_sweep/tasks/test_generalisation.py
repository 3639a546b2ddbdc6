"""Protects what a row says of test inputs: measured by torch, predicted by solves."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from ntk_sweep import Network, empirical_ntk, limit_nngp, limit_ntk
from ntk_sweep.data.dataset import Dataset, HeldOut
from ntk_sweep.network.architecture import Architecture
from ntk_sweep.settings.point import Point
from ntk_sweep.settings.schema import TrainingConfig
from ntk_sweep.store.columns import schema
from ntk_sweep.tasks.rows import compute_row
from ntk_sweep.training.sgd import sample_orders

GENERATOR = np.random.default_rng(5)
X, Y = GENERATOR.normal(size=(9, 4)), np.array([0.0, 1, 0, 1, 1, 0, 1, 0, 0])
X_TEST, Y_TEST = GENERATOR.normal(size=(5, 4)), np.array([1.0, 0, 0, 1, 0])
DATASET = Dataset(
    "npz", X, Y, (3, 7), "fingerprint", test=HeldOut(X_TEST, Y_TEST, "test fingerprint")
)
SETTINGS = TrainingConfig(learning_rate=0.02, epochs=6)
NETWORK = Architecture("tanh", 30, 3, "ntk", 1.2, 0.3)


def row_of(dataset=DATASET, **changes):
    settings = dataclasses.replace(SETTINGS, **changes)
    row = compute_row(
        Point(settings, NETWORK, 5, "float64", *dataset.fingerprints), dataset, "cpu", None
    ).row
    assert row["status"] == "ok", row["error"]
    assert set(row) <= set(schema("training").names)
    return row


def network():
    return Network.initialise(4, 30, 3, "tanh", "ntk", 5, weight_std=1.2, bias_std=0.3)


def by_torch(centred):
    """Outputs at the test inputs before training and after each epoch, by autograd."""
    own, start = network(), network()
    parameters = [p.requires_grad_() for p in (*own.weights, *own.biases)]
    x, y, x_test = map(torch.from_numpy, (X, Y, X_TEST))

    def trained(inputs):
        return own(inputs) - (start(inputs).detach() if centred else 0)

    outputs = [trained(x_test).detach().numpy()]
    for order in sample_orders(9, 6, seed=5):
        for sample in order:
            loss = (trained(x[[sample]]) - y[[sample]]).square().mean()
            gradients = torch.autograd.grad(loss, parameters)
            with torch.no_grad():
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter -= 0.02 * gradient
        outputs.append(trained(x_test).detach().numpy())
    return np.array(outputs)


@pytest.mark.parametrize("centred", [False, True])
def test_loss_and_accuracy_after_every_epoch_are_torchs(centred):
    row, outputs = row_of(centre_outputs=centred), by_torch(centred)
    losses = ((outputs - Y_TEST) ** 2).mean(axis=1)
    np.testing.assert_allclose(row["test_losses"], losses, rtol=1e-10)
    right = ((outputs > 0.5) == (Y_TEST > 0.5)).mean(axis=1)
    np.testing.assert_array_equal(row["test_accuracies"], right)
    assert row["final_test_loss"] == row["test_losses"][-1]
    assert row["final_test_accuracy"] == row["test_accuracies"][-1]
    np.testing.assert_allclose(row["initial_test_outputs"], outputs[0], atol=1e-13)
    np.testing.assert_allclose(row["test_outputs"], outputs[-1], rtol=1e-10)
    assert (row["n_test_samples"], row["test_fingerprint"]) == (5, "test fingerprint")


@pytest.mark.parametrize("batch_size", [1, 4, None])
def test_training_is_the_same_with_and_without_test_inputs(batch_size):
    held, plain = (
        row_of(batch_size=batch_size),
        row_of(dataclasses.replace(DATASET, test=None), batch_size=batch_size),
    )
    for name in ("losses", "outputs", "flow_losses", "eigenvalues"):
        np.testing.assert_array_equal(held[name], plain[name])
    assert plain["leave_one_out_loss"] == pytest.approx(held["leave_one_out_loss"], rel=1e-9)
    assert held["key"] != plain["key"]
    assert "test_losses" not in plain
    assert plain["n_test_samples"] is None


@pytest.mark.parametrize("centred", [False, True])
def test_predictions_are_plain_solves(centred):
    """The oracle forms the inverse and the exponential by eigh of the whole kernel."""
    row = row_of(centre_outputs=centred)
    x, x_test = torch.from_numpy(X), torch.from_numpy(X_TEST)
    start = (np.zeros(9), np.zeros(5)) if centred else (network()(x), network()(x_test))
    before, before_test = (torch.as_tensor(part).detach().numpy() for part in start)

    def ends(own, cross, residual, offset):
        outputs = offset + cross @ np.linalg.solve(own, residual)
        return ((outputs - Y_TEST) ** 2).mean(), ((outputs > 0.5) == (Y_TEST > 0.5)).mean()

    own, cross = (empirical_ntk(network(), *sets).numpy() for sets in ((x,), (x_test, x)))
    arguments = ("tanh", 30, 3, "ntk", 1.2, 0.3)
    expected = {"ntk": ends(own, cross, Y - before, before_test)}
    for name, kernel in (("limit", limit_ntk), ("nngp", limit_nngp)):
        within, between = kernel(x, *arguments), kernel(x_test, *arguments, x2=x)
        offsets = (Y - before, before_test) if name == "limit" else (Y, 0.0)
        expected[name] = ends(within.numpy(), between.numpy(), *offsets)
    for name, (loss, accuracy) in expected.items():
        found, error = row[f"{name}_test_loss"], row[f"{name}_test_loss_error"]
        assert abs(found - loss) <= error + 1e-10 * loss
        assert 0 < error < 1e-6 * loss
        assert row[f"{name}_test_accuracy"] == accuracy
    values, vectors = np.linalg.eigh(own)
    for epoch in (0, 3, 6):
        fall = (1 - np.exp(-2 * values * 0.02 * 9 * epoch / 9)) / values
        outputs = before_test + cross @ vectors @ (fall * (vectors.T @ (Y - before)))
        loss = ((outputs - Y_TEST) ** 2).mean()
        assert row["flow_test_losses"][epoch] == pytest.approx(loss, rel=1e-9)
        assert row["flow_test_accuracies"][epoch] == ((outputs > 0.5) == (Y_TEST > 0.5)).mean()
    assert len(row["flow_test_losses"]) == len(row["flow_losses"]) == 7
    assert max(row["flow_test_loss_errors"]) < 1e-9


def test_the_leave_one_out_loss_is_that_of_refits():
    row = row_of(dataclasses.replace(DATASET, test=None))
    theta = empirical_ntk(network(), torch.from_numpy(X)).numpy()
    before = network()(torch.from_numpy(X)).detach().numpy()
    residual, errors = Y - before, []
    for left in range(9):
        kept = np.arange(9) != left
        weights = np.linalg.solve(theta[np.ix_(kept, kept)], residual[kept])
        errors.append(residual[left] - theta[left, kept] @ weights)
    loss = np.mean(np.square(errors))
    assert abs(row["leave_one_out_loss"] - loss) <= row["leave_one_out_loss_error"] + 1e-10 * loss
    assert row["leave_one_out_loss_error"] < 1e-6 * loss


def test_along_the_flow_the_test_inputs_follow_too():
    """A flow to a finite time is the limit of gradient descent in ever smaller steps."""
    time = 0.5
    flow = row_of(optimiser="flow", flow_time=time, learning_rate=1e-3, epochs=100)
    coarse, fine = (
        row_of(learning_rate=time / steps, batch_size=None, epochs=steps) for steps in (100, 200)
    )
    extrapolated = 2 * fine["test_outputs"] - coarse["test_outputs"]
    np.testing.assert_allclose(flow["test_outputs"], extrapolated, atol=1e-4)
    assert len(flow["test_losses"]) == len(flow["times"]) == len(flow["flow_test_losses"])
    assert flow["flow_test_losses"][-1] == pytest.approx(fine["flow_test_losses"][-1], rel=1e-6)


def test_what_a_singular_kernel_predicts_is_unknown():
    """Two equal inputs: there is no regression, but a flow at any time."""
    x = X.copy()
    x[1] = x[0]
    row = row_of(dataclasses.replace(DATASET, x=x))
    for name in ("ntk", "limit", "nngp"):
        assert math.isnan(row[f"{name}_test_loss"]), name
        assert row[f"{name}_test_loss_error"] == math.inf
        assert math.isnan(row[f"{name}_test_accuracy"])
    assert np.isfinite(row["flow_test_losses"]).all()
    assert math.isnan(row["leave_one_out_loss"])


def test_a_run_that_diverges_keeps_its_record():
    settings = dataclasses.replace(SETTINGS, learning_rate=1e6, batch_size=None, epochs=200)
    point = Point(settings, NETWORK, 5, "float64", *DATASET.fingerprints)
    row = compute_row(point, DATASET, "cpu", None).row
    assert row["status"] == "diverged"
    assert len(row["test_losses"]) == len(row["losses"])
    assert row["final_test_loss"] == math.inf
