"""Predictions from a fixed kernel are what brute force finds: an ODE, matrix steps, torch's SGD."""

import warnings
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from ntk_sweep.dynamics.predictions import (
    ROUNDING,
    gradient_descent_losses,
    gradient_flow_losses,
    linearised_sgd_losses,
)
from ntk_sweep.dynamics.training_time import TrainingTime
from tests.helpers.fixed_kernels import N, loss, permutations, problem


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# --- predictions against brute force ---


@pytest.mark.parametrize("seed", range(3))
def test_gradient_flow_solves_the_differential_equation(seed):
    _, theta, residual = problem(seed)
    times = np.array([0.0, 0.01, 0.3, 2.0, 10.0])
    flow = solve_ivp(
        lambda t, r: -2 / N * theta @ r,
        (0, 10),
        residual,
        "DOP853",
        t_eval=times,
        rtol=1e-12,
        atol=1e-14,
    )
    expected = [loss(column) for column in flow.y.T]
    assert expected[-1] < 0.05 * expected[0]
    np.testing.assert_allclose(
        gradient_flow_losses(*np.linalg.eigh(theta), residual, times), expected, rtol=1e-9
    )


@pytest.mark.parametrize("shrinkage", [1e-3, 0.5, 1.0, 1.9, 2.05])
def test_gradient_descent_iterates_its_matrix(shrinkage):
    _, theta, residual = problem(1)
    values, vectors = np.linalg.eigh(theta)
    step_size = shrinkage * N / (2 * values[-1])
    expected, r = [], residual.copy()
    for _ in range(301):
        expected.append(loss(r))
        r = r - 2 * step_size / N * theta @ r
    assert (expected[-1] > expected[0]) == (shrinkage > 2)
    actual = gradient_descent_losses(values, vectors, residual, step_size, np.arange(301))
    np.testing.assert_allclose(actual, expected, rtol=1e-10)


def train_linearised(jacobian, residual, orders, step_size, batch_size):
    """The plain way: the parameters of f + Jθ, trained by autograd and torch.optim.SGD on the mean
    squared error of each batch."""
    features, residual = torch.from_numpy(jacobian), torch.from_numpy(residual)
    theta = torch.zeros(jacobian.shape[1], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.SGD([theta], lr=step_size)
    losses = [loss(residual.numpy())]
    for order in orders:
        for batch in torch.from_numpy(order).split(batch_size):
            optimiser.zero_grad()
            torch.nn.functional.mse_loss(features[batch] @ theta, -residual[batch]).backward()
            optimiser.step()
        losses.append(loss((residual + features @ theta).detach().numpy()))
    return losses


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("batch_size", [1, 7, N])
def test_linearised_sgd_is_sgd_of_the_linearised_network(batch_size, shuffle):
    jacobian, theta, residual = problem(2)
    orders = permutations(0, 30) if shuffle else [np.arange(N)] * 30
    step_size = 0.7 / theta.diagonal().max()
    expected = train_linearised(jacobian, residual, orders, step_size, batch_size)
    actual = linearised_sgd_losses(theta, residual, orders, step_size, batch_size)
    assert expected[-1] < 0.95 * expected[0]
    np.testing.assert_allclose(actual, expected, rtol=1e-10)
    given_back = problem(2)[2]
    assert np.array_equal(residual, given_back)  # the caller's array is left alone


@pytest.mark.parametrize("step_of_stable", [0.5, 1.5])
def test_linearised_sgd_on_full_batches_is_gradient_descent(step_of_stable):
    _, theta, residual = problem(3)
    values, vectors = np.linalg.eigh(theta)
    step_size = step_of_stable * N / values[-1]
    losses = linearised_sgd_losses(theta, residual, permutations(1, 50), step_size, batch_size=N)
    np.testing.assert_allclose(
        losses,
        gradient_descent_losses(values, vectors, residual, step_size, np.arange(51)),
        rtol=1e-9,
    )


@pytest.mark.parametrize("batch_size", [1, 7, N])
def test_sgd_tends_to_gradient_flow_at_the_same_flow_time(batch_size):
    """Halving the step, with twice the epochs, halves the distance: the conversion of time is right
    for every batch size."""
    _, theta, residual = problem(4)
    values, vectors = np.linalg.eigh(theta)
    steps_per_epoch = TrainingTime(N, batch_size, 1.0).steps_per_epoch
    distances = []
    for refinement in (1, 2, 4):
        time = TrainingTime(
            N, batch_size, 0.02 / (theta.diagonal().max() * steps_per_epoch * refinement)
        )
        times = time.flow_time(time.steps(np.arange(100 * refinement + 1)))
        # every sample comes to lie in the last, smaller batch, where it weighs more, equally often
        orders = [np.roll(np.arange(N), epoch) for epoch in range(100 * refinement)]
        losses = linearised_sgd_losses(theta, residual, orders, time.step_size, batch_size)
        flow = gradient_flow_losses(values, vectors, residual, times)
        assert flow[-1] < 0.8 * flow[0]
        distances.append(abs(losses[-1] / flow[-1] - 1))
    assert distances[0] < 0.05
    assert distances[1] == pytest.approx(distances[0] / 2, rel=0.1)
    assert distances[2] == pytest.approx(distances[1] / 2, rel=0.1)


def test_more_accurate_eigenvalues_are_used():
    """A direction of eigenvalue 1e-12 decays at its own rate, which eigh does not know."""
    _, theta, _ = problem(5)
    values, vectors = np.linalg.eigh(theta)
    values[0] = 1e-12
    times = np.array([1e12])
    losses = gradient_flow_losses(values, vectors, 3 * vectors[:, 0], times)
    assert losses[0] == pytest.approx(9 / N * np.exp(-4 / N), rel=1e-12)
    descent = gradient_descent_losses(values, vectors, 3 * vectors[:, 0], 0.01, 100 * times)
    assert descent[0] == pytest.approx(
        9 / N * np.exp(-4 / N), rel=1e-9
    )  # 1 - 1e-15, of which float64 holds one digit, to the power of 2e14


def test_predictions_start_at_the_initial_loss():
    _, theta, residual = problem(6)
    values, vectors = np.linalg.eigh(theta)
    zero = np.array([0])
    assert gradient_flow_losses(values, vectors, residual, zero)[0] == pytest.approx(
        loss(residual), rel=1e-13
    )
    # also where a factor is exactly 0 from the first step on, or infinite
    for step_size in (N / 2, 1e300):
        losses = gradient_descent_losses(np.ones(N), np.eye(N), residual, step_size, zero)
        assert losses[0] == pytest.approx(loss(residual), rel=1e-13)
    assert gradient_descent_losses(np.ones(N), np.eye(N), residual, N / 2, np.array([1]))[0] == 0
    assert linearised_sgd_losses(theta, residual, [], 0.1, 1).tolist() == [loss(residual)]


def test_a_single_sample():
    one = np.array([2.0])
    steps = np.arange(4)
    expected = 4 * 0.2 ** (2 * steps)
    np.testing.assert_allclose(
        gradient_descent_losses(one, np.eye(1), one, 0.2, steps), expected, rtol=1e-13
    )
    np.testing.assert_allclose(
        linearised_sgd_losses(2 * np.eye(1), one, [np.array([0])] * 3, 0.2, 1), expected, rtol=1e-13
    )


# --- overflow and rounding ---


def test_divergence_is_infinite_and_not_nan():
    _, theta, residual = problem(7)
    values, vectors = np.linalg.eigh(theta)
    for step_size in (10 * N / values[-1], 1e300, 1e308):
        steps = np.array([1, 1000, 10**15])
        losses = gradient_descent_losses(values, vectors, residual, step_size, steps)
        assert not np.isnan(losses).any()
        assert np.isinf(losses[1:]).all()
        losses = linearised_sgd_losses(theta, residual, permutations(0, 300), step_size, 3)
        assert not np.isnan(losses).any()
        assert np.isinf(losses[-1])
        assert losses[0] == loss(residual)
    # what has no component along the directions that diverge stays finite
    losses = gradient_descent_losses(
        values, np.eye(N), np.eye(N)[0], 0.5 * N / values[0], np.array([10**6])
    )
    assert losses[0] < 1
    losses = gradient_descent_losses(
        np.array([0.0, 1e3]), np.eye(2), np.array([1.0, 0.0]), 1e308, np.array([0, 1, 10])
    )
    assert losses.tolist() == [0.5, 0.5, 0.5]


def test_the_loss_may_overflow_before_the_residual_does():
    huge = np.full(N, 1e200)
    assert np.isinf(gradient_flow_losses(np.ones(N), np.eye(N), huge, np.array([0.0])))
    assert gradient_flow_losses(np.ones(N), np.eye(N), huge, np.array([1000.0 * N]))[0] == 0
    losses = linearised_sgd_losses(np.eye(N), huge, [np.arange(N)] * 200, 0.45, 1)
    assert np.isinf(losses[0])
    assert losses[150] == pytest.approx((1e200 * 0.1**150) ** 2, rel=1e-9)


def test_eigenvalues_negative_by_rounding_count_as_zero():
    residual = np.ones(2)
    values = np.array([-1e-9, 1.0])
    losses = gradient_flow_losses(values, np.eye(2), residual, np.array([0.0, 1e12]))
    assert losses.tolist() == [1, 0.5]
    assert gradient_descent_losses(values, np.eye(2), residual, 1.0, np.array([10**12]))[0] == 0.5


def test_single_precision_is_taken():
    _, theta, residual = problem(8)
    values, vectors = np.linalg.eigh(theta.astype(np.float32))
    times = np.array([1.0])
    exact = gradient_flow_losses(*np.linalg.eigh(theta), residual, times)
    losses = gradient_flow_losses(values, vectors, residual.astype(np.float32), times)
    assert losses.dtype == np.float64
    assert losses == pytest.approx(exact, rel=1e-4)


def test_training_ends_at_its_stated_loss():
    """The loss of one sample at a step that takes away half of the error: 4, 1, 1/4, …"""
    orders = [np.array([0])] * 4
    losses = linearised_sgd_losses(np.eye(1), np.array([2.0]), orders, 0.25, 1, stop_at_loss=1.0)
    assert losses.tolist() == [4, 1]


# --- refusals ---


@pytest.mark.parametrize(("part", "refused"), [(0.5, False), (2.0, True)])
def test_as_much_rounding_is_forgiven_as_is_said(part, refused):
    rounding = part * N * ROUNDING
    one, eye, nowhere = np.ones(N), np.eye(N), np.zeros(1)
    values, vectors, theta = one.copy(), eye * np.sqrt(1 + rounding), eye.copy()
    values[0], theta[0, 1] = -rounding, rounding
    for call, message in (
        (lambda: gradient_flow_losses(values, eye, one, nowhere), "an eigenvalue is"),
        (lambda: gradient_flow_losses(one, vectors, one, nowhere), "not orthonormal"),
        (lambda: linearised_sgd_losses(theta, one, [], 0.1, 1), "not symmetric"),
    ):
        with pytest.raises(ValueError, match=message) if refused else nullcontext():
            call()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"residual": np.ones((N, 2))},
            r"residual has shape \(20, 2\), but must have one dimension",
        ),
        (
            {"residual": np.ones(0)},
            r"residual has shape \(0,\), but must have one dimension and at least one entry",
        ),
        ({"residual": np.full(N, np.inf)}, "residual holds NaN or infinity"),
        ({"eigenvalues": np.ones(N - 1)}, "there are 19 eigenvalues but 20 residuals"),
        ({"eigenvalues": np.array([np.nan] * N)}, "eigenvalues holds NaN or infinity"),
        (
            {"eigenvalues": np.linspace(-0.1, 1, N)},
            r"an eigenvalue is -0\.1 where the largest is 1: more negative than rounding",
        ),
        (
            {"eigenvectors": np.eye(N)[:, :5]},
            r"eigenvectors has shape \(20, 5\), but must be \(20, 20\)",
        ),
        ({"eigenvectors": 2 * np.eye(N)}, "the eigenvectors are not orthonormal"),
        ({"times": np.array([1.0, -1.0])}, "times holds -1, but must not be negative"),
        ({"times": np.array([np.inf])}, "times holds NaN or infinity"),
        ({"times": 3.0}, r"times has shape \(\), but must have one dimension"),
    ],
)
def test_nonsense_is_refused_by_the_flow(change, message, unchecked):
    values = {
        "eigenvalues": np.ones(N),
        "eigenvectors": np.eye(N),
        "residual": np.ones(N),
        "times": np.array([1.0]),
    }
    with pytest.raises(ValueError, match=message):
        gradient_flow_losses(**(values | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"eigenvectors": np.ones((N, N))}, "the eigenvectors are not orthonormal"),
        ({"step_size": 0.0}, r"step_size is 0\.0, but must be a finite number above 0"),
        ({"steps": np.array([0.5])}, r"steps holds 0\.5, but must hold whole numbers"),
        ({"steps": np.array([-1])}, "steps holds -1, but must not be negative"),
    ],
)
def test_nonsense_is_refused_by_gradient_descent(change, message, unchecked):
    values = {
        "eigenvalues": np.ones(N),
        "eigenvectors": np.eye(N),
        "residual": np.ones(N),
        "step_size": 0.1,
        "steps": np.arange(3),
    }
    with pytest.raises(ValueError, match=message):
        gradient_descent_losses(**(values | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"theta": np.ones((N, 2 * N))}, r"theta has shape \(20, 40\), but must be \(20, 20\)"),
        ({"theta": np.triu(np.ones((N, N)))}, "theta is not symmetric, but a kernel is"),
        ({"theta": np.full((N, N), np.nan)}, "theta holds NaN or infinity"),
        ({"residual": np.full(N, np.nan)}, "residual holds NaN or infinity"),
        ({"step_size": -1.0}, r"step_size is -1\.0, but must be a finite number above 0"),
        ({"batch_size": N + 1}, "batch_size is 21, but there are 20 samples only"),
        (
            {"orders": [np.arange(N), np.arange(N - 1)]},
            r"the order of epoch 2 is array.*must be a permutation of 0 to 19",
        ),
        (
            {"orders": [np.zeros(N, dtype=int)]},
            "the order of epoch 1 is array.*must be a permutation of 0 to 19",
        ),
        (
            {"orders": [np.arange(N) * 1.0]},
            "the order of epoch 1 is array.*must be a permutation of 0 to 19",
        ),
        (
            {"orders": np.arange(N)},
            "the order of epoch 1 is array.*must be a permutation of 0 to 19",
        ),
    ],
)
def test_nonsense_is_refused_by_the_linearised_network(change, message, unchecked):
    values = {
        "theta": np.eye(N),
        "residual": np.ones(N),
        "orders": [np.arange(N)],
        "step_size": 0.1,
        "batch_size": 1,
    }
    with pytest.raises(ValueError, match=f"(?s){message}"):
        linearised_sgd_losses(**(values | change))
