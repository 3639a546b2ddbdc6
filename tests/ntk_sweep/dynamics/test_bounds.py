"""The bounds where they are theorems, and where they are not; steps that are stable."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntk_sweep.dynamics.bounds import du_bound, flow_bound
from ntk_sweep.dynamics.predictions import (
    gradient_descent_losses,
    gradient_flow_losses,
    linearised_sgd_losses,
)
from ntk_sweep.dynamics.training_time import TrainingTime
from tests.helpers.fixed_kernels import N, loss, permutations, problem

SEEDS = st.integers(0, 10_000)


@given(seed=SEEDS, log_rank=st.floats(-8, 0))
def test_flow_bound_holds_for_gradient_flow(seed, log_rank):
    rng = np.random.default_rng(seed)
    values = np.sort(10 ** rng.uniform(log_rank, 1, N))
    vectors = np.linalg.qr(rng.standard_normal((N, N)))[0]
    residual = rng.standard_normal(N)
    times = np.concatenate(([0], np.geomspace(1e-3, 1e3, 30)))
    losses = gradient_flow_losses(values, vectors, residual, times)
    assert (losses <= flow_bound(loss(residual), values[0], N, times) * (1 + 1e-12)).all()


@given(seed=SEEDS, log_rank=st.floats(-8, 0), step_of_stable=st.floats(1e-3, 1))
def test_bounds_hold_for_gradient_descent_in_the_linearised_network(seed, log_rank, step_of_stable):
    rng = np.random.default_rng(seed)
    values = np.sort(10 ** rng.uniform(log_rank, 1, N))
    vectors = np.linalg.qr(rng.standard_normal((N, N)))[0]
    residual = rng.standard_normal(N)
    steps = np.arange(0, 2000, 7)

    step_size = step_of_stable * N / (values[-1] + values[0] / 2)
    losses = gradient_descent_losses(values, vectors, residual, step_size, steps)
    assert (losses <= du_bound(loss(residual), values[0], N, step_size, steps) * (1 + 1e-12)).all()

    step_size = step_of_stable * N / (2 * values[-1])
    losses = gradient_descent_losses(values, vectors, residual, step_size, steps)
    times = TrainingTime(N, N, step_size).flow_time(steps)
    assert (losses <= flow_bound(loss(residual), values[0], N, times) * (1 + 1e-12)).all()


def test_bounds_need_their_conditions():
    """In a stable step outside of the conditions stated, the fastest direction overshoots and comes
    in more slowly than the slowest."""
    values, steps, step_size = np.array([1.0, 2.0]), np.array([10]), 0.99
    assert step_size * values[1] < 2  # stable: N = 2
    losses = gradient_descent_losses(values, np.eye(2), np.array([0.0, 1.0]), step_size, steps)
    assert du_bound(0.5, 1.0, 2, step_size, steps)[0] < losses[0] < 0.5
    assert flow_bound(0.5, 1.0, 2, step_size * steps)[0] < losses[0]


def test_flow_bound_is_reached_by_the_slowest_direction():
    _, theta, _ = problem(9)
    values, vectors = np.linalg.eigh(theta)
    times = np.linspace(0, 20, 5)
    losses = gradient_flow_losses(values, vectors, vectors[:, 0], times)
    np.testing.assert_allclose(losses, flow_bound(1 / N, values[0], N, times), rtol=1e-12)


@given(seed=SEEDS, batch_size=st.integers(1, N))
def test_steps_that_are_stable_for_every_batch_size(seed, batch_size):
    """No step takes the parameters further from a solution, so that the loss is at most the
    condition number times the initial one."""
    _, theta, residual = problem(seed)
    values = np.linalg.eigvalsh(theta)
    for step_size in (1 / values[-1], 1 / theta.diagonal().max()):
        losses = linearised_sgd_losses(
            theta, residual, permutations(seed, 40), step_size, batch_size
        )
        assert (losses <= values[-1] / values[0] * losses[0]).all()
        assert losses[-1] < losses[0]


def test_du_bound_in_its_own_conventions():
    """(1 - η'λ/2)^k for the loss ½Σ(f - y)² with the step η', which makes the same step as 2η/N
    does here."""
    _, theta, residual = problem(10)
    own_step = 1e-3
    r = torch.zeros(N, dtype=torch.float64, requires_grad=True)
    half_sum, mean = 0.5 * ((r - 1) ** 2).sum(), ((r - 1) ** 2).mean()
    (theirs,), (ours,) = torch.autograd.grad(half_sum, r), torch.autograd.grad(mean, r)
    step_size = own_step * float(theirs[0] / ours[0])
    lowest = float(np.linalg.eigvalsh(theta)[0])
    steps = np.array([0, 1, 5, 1000])
    expected = loss(residual) * (1 - own_step * lowest / 2) ** steps
    np.testing.assert_allclose(
        du_bound(loss(residual), lowest, N, step_size, steps), expected, rtol=1e-12
    )


def test_du_bound_holds_where_it_was_shown():
    """The network of the theorem: two layers, ReLU, only the first one trained on ½Σ(f - y)²,
    inputs of norm 1, wide, small steps."""
    size, width, n_inputs = 10, 4000, 6
    rng = np.random.default_rng(0)
    x = rng.standard_normal((size, n_inputs))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    y = np.sign(rng.standard_normal(size))
    weights, signs = rng.standard_normal((width, n_inputs)), np.sign(rng.standard_normal(width))
    cosines = (x @ x.T).clip(-1, 1)
    lowest = float(
        np.linalg.eigvalsh(cosines * (np.pi - np.arccos(cosines)) / (2 * np.pi))[0]
    )  # of the kernel at infinite width
    own_step, steps, losses = lowest / size**2, 4000, []
    for _ in range(steps + 1):
        z = x @ weights.T
        residual = z.clip(min=0) @ signs / width**0.5 - y
        losses.append(loss(residual))
        weights = weights - own_step * (residual[:, None] * (z > 0) * signs).T @ x / width**0.5
    bound = du_bound(losses[0], lowest, size, own_step * size / 2, np.arange(steps + 1))
    assert bound[-1] < 0.9 * losses[0]
    assert (losses <= bound * (1 + 1e-12)).all()


def test_bounds_of_a_singular_kernel_say_nothing():
    assert flow_bound(2.0, 0.0, N, np.array([0.0, 1e9])).tolist() == [2, 2]
    assert du_bound(2.0, 0.0, N, 0.1, np.array([0, 10**9])).tolist() == [2, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"initial_loss": -1.0},
            r"initial_loss is -1\.0, but must be a finite number of at least 0",
        ),
        (
            {"initial_loss": np.inf},
            "initial_loss is inf, but must be a finite number of at least 0",
        ),
        (
            {"lambda_min": -1e-12},
            r"lambda_min is -1e-12, but no kernel has an eigenvalue below 0: "
            r"pass max\(lambda_min - its error, 0\)",
        ),
        ({"lambda_min": np.nan}, "lambda_min is nan, but must be a finite number"),
        ({"n_samples": 0}, "n_samples is 0, but must be an integer of at least 1"),
    ],
)
def test_nonsense_is_refused_by_both_bounds(change, message, unchecked):
    values = {"initial_loss": 1.0, "lambda_min": 1.0, "n_samples": N} | change
    with pytest.raises(ValueError, match=message):
        flow_bound(**values, times=np.arange(3))
    with pytest.raises(ValueError, match=message):
        du_bound(**values, step_size=0.1, steps=np.arange(3))


def test_a_step_that_ends_at_once_has_a_bound():
    assert du_bound(2.0, 1.0, N, float(N), np.array([0, 1])).tolist() == [2, 0]


def test_nonsense_is_refused_by_one_bound(unchecked):
    with pytest.raises(ValueError, match="times holds -1, but must not be negative"):
        flow_bound(1.0, 1.0, N, np.array([-1.0]))
    with pytest.raises(ValueError, match=r"steps holds 2\.5, but must hold whole numbers"):
        du_bound(1.0, 1.0, N, 0.1, np.array([2.5]))
    with pytest.raises(
        ValueError, match=r"is 1\.05, but gradient descent diverges above 1: take a smaller step"
    ):
        du_bound(1.0, 1.0, N, 21.0, np.array([1]))
