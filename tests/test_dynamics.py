"""Predictions from a fixed kernel against brute force, time against a data loader's count, and the bounds where they are theorems."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from ntk_sweep.dynamics import (
    TrainingTime,
    du_bound,
    flow_bound,
    gradient_descent_losses,
    gradient_flow_losses,
    linearised_sgd_losses,
)

N = 20
SEEDS = st.integers(0, 10_000)


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def problem(seed, size=N):
    """A kernel of uneven eigenvalues with its Jacobian, and a residual."""
    rng = np.random.default_rng(seed)
    jacobian = rng.standard_normal((size, 3 * size)) * np.geomspace(2, 0.1, 3 * size)
    return jacobian, jacobian @ jacobian.T, rng.standard_normal(size)


def permutations(seed, epochs, size=N):
    rng = np.random.default_rng(seed)
    return [rng.permutation(size) for _ in range(epochs)]


def loss(residual):
    return float(np.mean(residual**2))


# --- time ---


@given(size=st.integers(1, 40), batch_size=st.integers(1, 40), epochs=st.integers(0, 6))
def test_steps_are_those_of_a_data_loader(size, batch_size, epochs):
    assume(batch_size <= size)
    time = TrainingTime(size, batch_size, 0.25)
    loader = torch.utils.data.BatchSampler(range(size), batch_size, drop_last=False)
    taken = sum(1 for _ in range(epochs) for _ in loader)
    assert time.steps_per_epoch == len(loader)
    assert time.steps(epochs) == taken
    assert time.epochs(taken) == pytest.approx(epochs, rel=1e-15)
    assert time.flow_time(taken) == 0.25 * taken


def test_time_of_the_thesis():
    time = TrainingTime(n_samples=200, batch_size=1, step_size=1e-3)
    assert (time.steps_per_epoch, time.steps(100), time.epochs(300)) == (200, 20_000, 1.5)
    assert time.flow_time(time.steps(100)) == pytest.approx(20, rel=1e-15)


def test_time_takes_numbers_and_arrays():
    time = TrainingTime(20, 7, 0.5)
    assert isinstance(time.steps(4), int)
    assert isinstance(time.epochs(4), float)
    assert isinstance(time.flow_time(4), float)
    steps = time.steps(np.arange(3))
    assert (steps.tolist(), steps.dtype.kind) == ([0, 3, 6], "i")
    assert time.epochs(steps).tolist() == [0, 1, 2]
    assert time.flow_time(steps).tolist() == [0, 1.5, 3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1, 0.1), "n_samples is 0, but must be an integer of at least 1"),
        ((20.0, 1, 0.1), r"n_samples is 20\.0, but must be an integer"),
        ((20, True, 0.1), "batch_size is True, but must be an integer"),
        ((20, 0, 0.1), "batch_size is 0, but must be an integer of at least 1"),
        ((20, 21, 0.1), "batch_size is 21, but there are 20 samples only: full-batch gradient descent has batch_size=20"),
        ((20, 1, 0.0), r"step_size is 0\.0, but must be a finite number above 0"),
        ((20, 1, -0.1), r"step_size is -0\.1, but must be a finite number above 0"),
        ((20, 1, np.nan), "step_size is nan, but must be a finite number above 0"),
        ((20, 1, "0.1"), "step_size is '0.1', but must be a finite number above 0"),
    ],
)
def test_nonsensical_runs_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        TrainingTime(*arguments)


def test_nonsensical_times_are_refused():
    time = TrainingTime(20, 7, 0.5)
    with pytest.raises(ValueError, match="epochs holds -1, but must not be negative"):
        time.steps(-1)
    with pytest.raises(ValueError, match=r"epochs holds 1\.5, but must hold whole numbers"):
        time.steps(np.array([1.0, 1.5]))
    with pytest.raises(ValueError, match="steps holds NaN or infinity"):
        time.flow_time(np.array([1.0, np.inf]))


# --- predictions against brute force ---


@pytest.mark.parametrize("seed", range(3))
def test_gradient_flow_solves_the_differential_equation(seed):
    _, theta, residual = problem(seed)
    times = np.array([0.0, 0.01, 0.3, 2.0, 10.0])
    flow = solve_ivp(lambda t, r: -2 / N * theta @ r, (0, 10), residual, "DOP853", t_eval=times, rtol=1e-12, atol=1e-14)
    expected = [loss(column) for column in flow.y.T]
    assert expected[-1] < 0.05 * expected[0]
    np.testing.assert_allclose(gradient_flow_losses(*np.linalg.eigh(theta), residual, times), expected, rtol=1e-9)


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
    """The plain way: the parameters of f + Jθ, trained by autograd and torch.optim.SGD on the mean squared error of each batch."""
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
    np.testing.assert_allclose(losses, gradient_descent_losses(values, vectors, residual, step_size, np.arange(51)), rtol=1e-9)


@pytest.mark.parametrize("batch_size", [1, 7, N])
def test_sgd_tends_to_gradient_flow_at_the_same_flow_time(batch_size):
    """Halving the step, with twice the epochs, halves the distance: the conversion of time is right for every batch size."""
    _, theta, residual = problem(4)
    values, vectors = np.linalg.eigh(theta)
    steps_per_epoch = TrainingTime(N, batch_size, 1.0).steps_per_epoch
    distances = []
    for refinement in (1, 2, 4):
        time = TrainingTime(N, batch_size, 0.02 / (theta.diagonal().max() * steps_per_epoch * refinement))
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
    assert gradient_flow_losses(values, vectors, residual, zero)[0] == pytest.approx(loss(residual), rel=1e-13)
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
    np.testing.assert_allclose(gradient_descent_losses(one, np.eye(1), one, 0.2, steps), expected, rtol=1e-13)
    np.testing.assert_allclose(linearised_sgd_losses(2 * np.eye(1), one, [np.array([0])] * 3, 0.2, 1), expected, rtol=1e-13)


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
    losses = gradient_descent_losses(values, np.eye(N), np.eye(N)[0], 0.5 * N / values[0], np.array([10**6]))
    assert losses[0] < 1


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


# --- bounds ---


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
    """In a stable step outside of the conditions stated, the fastest direction overshoots and comes in more slowly than the slowest."""
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
    """No step takes the parameters further from a solution, so that the loss is at most the condition number times the initial one."""
    _, theta, residual = problem(seed)
    values = np.linalg.eigvalsh(theta)
    for step_size in (1 / values[-1], 1 / theta.diagonal().max()):
        losses = linearised_sgd_losses(theta, residual, permutations(seed, 40), step_size, batch_size)
        assert (losses <= values[-1] / values[0] * losses[0]).all()
        assert losses[-1] < losses[0]


def test_du_bound_in_its_own_conventions():
    """(1 - η'λ/2)^k for the loss ½Σ(f - y)² with the step η', which makes the same step as 2η/N does here."""
    _, theta, residual = problem(10)
    own_step = 1e-3
    r = torch.zeros(N, dtype=torch.float64, requires_grad=True)
    half_sum, mean = 0.5 * ((r - 1) ** 2).sum(), ((r - 1) ** 2).mean()
    (theirs,), (ours,) = torch.autograd.grad(half_sum, r), torch.autograd.grad(mean, r)
    step_size = own_step * float(theirs[0] / ours[0])
    lowest = float(np.linalg.eigvalsh(theta)[0])
    steps = np.array([0, 1, 5, 1000])
    expected = loss(residual) * (1 - own_step * lowest / 2) ** steps
    np.testing.assert_allclose(du_bound(loss(residual), lowest, N, step_size, steps), expected, rtol=1e-12)


def test_du_bound_holds_where_it_was_shown():
    """The network of the theorem: two layers, ReLU, only the first one trained on ½Σ(f - y)², inputs of norm 1, wide, small steps."""
    size, width, n_inputs = 10, 4000, 6
    rng = np.random.default_rng(0)
    x = rng.standard_normal((size, n_inputs))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    y = np.sign(rng.standard_normal(size))
    weights, signs = rng.standard_normal((width, n_inputs)), np.sign(rng.standard_normal(width))
    cosines = (x @ x.T).clip(-1, 1)
    lowest = float(np.linalg.eigvalsh(cosines * (np.pi - np.arccos(cosines)) / (2 * np.pi))[0])  # of the kernel at infinite width
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


# --- refusals ---


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"residual": np.ones((N, 1))}, r"residual has shape \(20, 1\), but must have one dimension"),
        ({"residual": np.ones(0)}, r"residual has shape \(0,\), but must have one dimension and at least one entry"),
        ({"residual": np.full(N, np.inf)}, "residual holds NaN or infinity"),
        ({"eigenvalues": np.ones(N - 1)}, "there are 19 eigenvalues but 20 residuals"),
        ({"eigenvalues": np.array([np.nan] * N)}, "eigenvalues holds NaN or infinity"),
        ({"eigenvalues": np.linspace(-0.1, 1, N)}, r"an eigenvalue is -0\.1 where the largest is 1: more negative than rounding"),
        ({"eigenvectors": np.eye(N)[:, :5]}, r"eigenvectors has shape \(20, 5\), but must be \(20, 20\)"),
        ({"eigenvectors": 2 * np.eye(N)}, "the eigenvectors are not orthonormal"),
        ({"times": np.array([1.0, -1.0])}, "times holds -1, but must not be negative"),
        ({"times": np.array([np.inf])}, "times holds NaN or infinity"),
        ({"times": 3.0}, r"times has shape \(\), but must have one dimension"),
    ],
)
def test_nonsense_is_refused_by_the_flow(change, message):
    values = {"eigenvalues": np.ones(N), "eigenvectors": np.eye(N), "residual": np.ones(N), "times": np.array([1.0])}
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
def test_nonsense_is_refused_by_gradient_descent(change, message):
    values = {"eigenvalues": np.ones(N), "eigenvectors": np.eye(N), "residual": np.ones(N), "step_size": 0.1, "steps": np.arange(3)}
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
        ({"orders": [np.arange(N), np.arange(N - 1)]}, r"the order of epoch 2 is array.*must be a permutation of 0 to 19"),
        ({"orders": [np.zeros(N, dtype=int)]}, "the order of epoch 1 is array.*must be a permutation of 0 to 19"),
        ({"orders": [np.arange(N) * 1.0]}, "the order of epoch 1 is array.*must be a permutation of 0 to 19"),
        ({"orders": np.arange(N)}, "the order of epoch 1 is array.*must be a permutation of 0 to 19"),
    ],
)
def test_nonsense_is_refused_by_the_linearised_network(change, message):
    values = {"theta": np.eye(N), "residual": np.ones(N), "orders": [np.arange(N)], "step_size": 0.1, "batch_size": 1}
    with pytest.raises(ValueError, match=f"(?s){message}"):
        linearised_sgd_losses(**(values | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"initial_loss": -1.0}, r"initial_loss is -1\.0, but must be a finite number of at least 0"),
        ({"initial_loss": np.inf}, "initial_loss is inf, but must be a finite number of at least 0"),
        (
            {"lambda_min": -1e-12},
            r"lambda_min is -1e-12, but no kernel has an eigenvalue below 0: pass max\(lambda_min - its error, 0\)",
        ),
        ({"lambda_min": np.nan}, "lambda_min is nan, but must be a finite number"),
        ({"n_samples": 0}, "n_samples is 0, but must be an integer of at least 1"),
    ],
)
def test_nonsense_is_refused_by_both_bounds(change, message):
    values = {"initial_loss": 1.0, "lambda_min": 1.0, "n_samples": N} | change
    with pytest.raises(ValueError, match=message):
        flow_bound(**values, times=np.arange(3))
    with pytest.raises(ValueError, match=message):
        du_bound(**values, step_size=0.1, steps=np.arange(3))


def test_nonsense_is_refused_by_one_bound():
    with pytest.raises(ValueError, match="times holds -1, but must not be negative"):
        flow_bound(1.0, 1.0, N, np.array([-1.0]))
    with pytest.raises(ValueError, match=r"steps holds 2\.5, but must hold whole numbers"):
        du_bound(1.0, 1.0, N, 0.1, np.array([2.5]))
    with pytest.raises(ValueError, match=r"is 1\.05, but gradient descent diverges above 1: take a smaller step"):
        du_bound(1.0, 1.0, N, 21.0, np.array([1]))
