"""Protects predictions of kernels: the true values, from mpmath, lie within the bounds, and the
bounds are of use."""

import math

import mpmath as mp
import pytest
import torch

from ntk_sweep import KernelRegression, Network, limit_kernels
from ntk_sweep.dynamics.predictions import gradient_flow_losses
from ntk_sweep.kernel.empirical import empirical_ntk
from tests.helpers.exact import DIGITS, exact_kernel


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


def smooth_kernel(size, tests, width, seed=0):
    """exp(-(x - x')²/2w²) of points on a line, rounded: the wider, the worse conditioned."""
    points = torch.linspace(0, 1, size, dtype=torch.float64)
    places = torch.rand(tests, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    kernel, cross = (
        (-((a[:, None] - points) ** 2) / (2 * width**2)).exp() for a in (points, places)
    )
    return kernel, cross


def exact(matrix):
    with mp.workdps(DIGITS):
        return mp.matrix(matrix.tolist())


def exact_predictions(kernel, cross, right, time=math.inf):
    """k φ(Θ) r from an eigen-decomposition with `DIGITS` digits."""
    with mp.workdps(DIGITS):
        values, vectors = mp.eigsy(kernel)
        along = vectors.T * right
        span = mp.mpf(2) * mp.mpf(time) / len(right)
        factors = [-mp.expm1(-value * span) / value for value in values]
        scaled = mp.matrix([factor * part for factor, part in zip(factors, along, strict=True)])
        return list(cross * (vectors * scaled))


def exact_left_out(kernel, right):
    """Kernel regression on all but one, refitted for each."""
    with mp.workdps(DIGITS):
        size, found = kernel.rows, []
        for left in range(size):
            kept = [i for i in range(size) if i != left]
            part = mp.matrix([[kernel[i, j] for j in kept] for i in kept])
            solution = mp.lu_solve(part, mp.matrix([right[i] for i in kept]))
            predicted = mp.fdot([kernel[left, j] for j in kept], solution)
            found.append(right[left] - predicted)
        return found


def off(predictions, true):
    with mp.workdps(DIGITS):
        return torch.tensor(
            [
                float(abs(mp.mpf(value) - other))
                for value, other in zip(predictions.values.tolist(), true, strict=True)
            ],
            dtype=torch.float64,
        )


TIMES = [0.0, 1e-3, 1.0, 1e3, 1e8, 1e30, math.inf]


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize(("width", "digits"), [(0.1, 0), (0.3, 6), (0.5, 9), (0.7, 12), (1.0, 14)])
def test_predictions_of_a_kernel_taken_as_exact(width, digits, time):
    kernel, cross = smooth_kernel(9, 4, width)
    right = normal(9, seed=1)
    with mp.workdps(DIGITS):
        values = mp.eigsy(exact(kernel), eigvals_only=True)
        assert max(values) / min(values) > 10**digits
    found = KernelRegression.from_kernels(kernel, cross).predictions(right, time=time)
    true = exact_predictions(exact(kernel), exact(cross), exact(right), time)
    assert (off(found, true) <= found.errors).all()
    assert torch.isfinite(found.errors).all()
    if time >= 1e30:
        # refined: all digits, however many the condition number costs a solver
        assert (found.errors <= 1e-13 * (1 + found.values.abs())).all()


def test_errors_at_a_finite_time_are_of_use():
    kernel, cross = smooth_kernel(9, 4, 0.3)
    right = normal(9, seed=1)
    for time in (1e-3, 1.0, 1e3):
        found = KernelRegression.from_kernels(kernel, cross).predictions(right, time=time)
        assert (found.errors <= 1e-8 * (1 + found.values.abs())).all()


@pytest.mark.parametrize("size", [1e-14, 1e-10, 1e-6])
@pytest.mark.parametrize("time", [1.0, 1e4, math.inf])
@pytest.mark.parametrize("width", [0.05, 0.15])
def test_errors_of_the_kernels_count(width, time, size):
    kernel, cross = smooth_kernel(8, 5, width)
    error = normal(8, 8, seed=2)
    error = size * (error + error.T) / torch.linalg.matrix_norm(error + error.T, 2)
    cross_error = normal(5, 8, seed=3)
    cross_error = size * cross_error / torch.linalg.matrix_norm(cross_error, 2)
    right = normal(8, seed=1)
    regression = KernelRegression.from_kernels(kernel, cross, 1.01 * size, 1.01 * size)
    found = regression.predictions(right, time=time)
    with mp.workdps(DIGITS):
        moved, between = exact(kernel) + exact(error), exact(cross) + exact(cross_error)
    apart = off(found, exact_predictions(moved, between, exact(right), time))
    assert (apart <= found.errors).all()
    # the bound sees no directions: some hundred times the error of a random one
    assert (found.errors <= 1e4 * apart.max() + 1e-11).all()
    left = regression.leave_one_out(right)
    apart = off(left, exact_left_out(moved, exact(right)))
    assert (apart <= left.errors).all()
    assert (left.errors <= 1e5 * apart.max() + 1e-11).all()


@pytest.mark.parametrize("size", [2.0**-990, 2.0**-560, 2.0**660])
@pytest.mark.parametrize("time", [1.0, math.inf])
def test_bounds_of_tiny_and_huge_targets_are_those_of_others_in_proportion(size, time):
    kernel, cross = smooth_kernel(8, 5, 0.05)
    regression, right = KernelRegression.from_kernels(kernel, cross, 1e-8, 1e-8), normal(8, seed=1)
    for compute in (lambda y: regression.predictions(y, time=time), regression.leave_one_out):
        usual, found = compute(right), compute(size * right)
        torch.testing.assert_close(found.values / size, usual.values, rtol=1e-9, atol=0)
        torch.testing.assert_close(found.errors / size, usual.errors, rtol=1e-9, atol=0)


def test_predictions_start_from_the_outputs():
    kernel, cross = smooth_kernel(6, 3, 0.2)
    targets, outputs, test_outputs = normal(6), normal(6, seed=1), normal(3, seed=2)
    regression = KernelRegression.from_kernels(kernel, cross)
    found = regression.predictions(targets, outputs, test_outputs, time=2.0)
    change = regression.predictions(targets - outputs, time=2.0)
    torch.testing.assert_close(found.values, test_outputs + change.values, rtol=1e-13, atol=1e-14)
    start = regression.predictions(targets, outputs, test_outputs, time=0.0)
    assert torch.equal(start.values, test_outputs)
    at_training = KernelRegression.from_kernels(kernel, kernel)
    ends = at_training.predictions(targets, outputs, outputs)
    torch.testing.assert_close(ends.values, targets, rtol=1e-12, atol=1e-13)


def test_on_training_inputs_the_flow_is_that_of_the_losses():
    kernel, _ = smooth_kernel(6, 3, 0.2)
    targets, outputs = normal(6), normal(6, seed=1)
    at_training = KernelRegression.from_kernels(kernel, kernel)
    for time in (0.1, 3.0, 50.0):
        found = at_training.predictions(targets, outputs, outputs, time)
        loss = (found.values - targets).square().mean()
        residual = outputs - targets
        expected = gradient_flow_losses(*torch.linalg.eigh(kernel), residual, [time])
        assert float(loss) == pytest.approx(float(expected[0]), rel=1e-9)


@pytest.mark.parametrize("width", [0.05, 0.3, 0.5, 1.0])
def test_leaving_one_out_is_refitting_without_it(width):
    kernel, _ = smooth_kernel(9, 1, width)
    targets, outputs = normal(9), normal(9, seed=4)
    found = KernelRegression.from_kernels(kernel).leave_one_out(targets, outputs)
    true = exact_left_out(exact(kernel), exact(targets - outputs))
    assert (off(found, true) <= found.errors).all()
    assert (found.errors <= 1e-11 * (1 + found.values.abs())).all()


NETWORKS = [
    ("relu", 4, 3, "ntk", torch.float64),
    ("tanh", 30, 4, "thesis", torch.float64),
    ("sigmoid", 40, 5, "thesis", torch.float64),
    ("sigmoid", 40, 8, "ntk", torch.float64),
    ("gelu", 20, 3, "standard", torch.float32),
    ("sigmoid", 40, 3, "thesis", torch.float32),
]


@pytest.mark.parametrize(("activation", "width", "depth", "parametrisation", "dtype"), NETWORKS)
def test_predictions_of_networks(activation, width, depth, parametrisation, dtype):
    network = Network.initialise(3, width, depth, activation, parametrisation, 0, dtype)
    x = normal(9, 3, seed=5).to(dtype)
    train, test = x[:6], x[6:]
    targets, outputs = normal(6, seed=1), network(train).double()
    regression = KernelRegression.from_network(network, train, test)
    whole = exact_kernel(network, x)
    with mp.workdps(DIGITS):
        theta = whole[:6, :6]
        cross = whole[6:, :6]
    right = exact(targets - outputs)
    double = dtype == torch.float64
    for time in (1e-2, 1.0, 1e3, math.inf):
        found = regression.predictions(targets, outputs, time=time)
        true = exact_predictions(theta, cross, right, time)
        assert (off(found, true) <= found.errors).all(), time
        if double and math.isinf(time):
            assert (found.errors <= 1e-5 * (1 + found.values.abs())).all()
    left = regression.leave_one_out(targets, outputs)
    assert (off(left, exact_left_out(theta, right)) <= left.errors).all()
    if double:
        assert (left.errors <= 1e-5 * (1 + left.values.abs())).all()


def test_limit_kernels_predict_with_bounds():
    x, test = normal(12, 4), normal(5, 4, seed=1)
    limit = limit_kernels(x, "relu", 100, 3, "ntk")
    between = limit_kernels(test, "relu", 100, 3, "ntk", x2=x)
    targets = normal(12, seed=2)
    for own, cross in ((limit.ntk, between.ntk), (limit.nngp, between.nngp)):
        regression = KernelRegression.from_kernels(
            own.kernel, cross.kernel, own.error_norm, cross.error_norm
        )
        found = regression.predictions(targets)
        expected = cross.kernel @ torch.linalg.solve(own.kernel, targets)
        torch.testing.assert_close(found.values, expected, rtol=1e-9, atol=1e-10)
        assert (found.errors < 1e-7).all()


def test_many_inputs_and_arrays():
    network = Network.initialise(5, 200, 3, "elu", "ntk", 0)
    x, test = normal(60, 5), normal(300, 5, seed=1)
    targets = normal(60, seed=2)
    regression = KernelRegression.from_network(network, x.numpy(), test.tolist())
    found = regression.predictions(targets.numpy()[:, None])
    theta, cross = empirical_ntk(network, x), empirical_ntk(network, test, x)
    torch.testing.assert_close(
        found.values, cross @ torch.linalg.solve(theta, targets), rtol=1e-6, atol=1e-6
    )
    assert (found.errors < 1e-7).all()


def test_what_is_unresolved_is_said_to_be():
    kernel, cross = smooth_kernel(6, 2, 0.3)
    kernel[1], kernel[:, 1] = kernel[0], kernel[:, 0]
    kernel[1, 1] = kernel[0, 0]
    regression = KernelRegression.from_kernels(kernel, cross, 1e-12)
    for found in (regression.predictions(normal(6)), regression.leave_one_out(normal(6))):
        assert torch.isnan(found.values).all()
        assert torch.isinf(found.errors).all()
    early = regression.predictions(normal(6), time=1.0)
    assert (early.errors < 1e-9).all()


@pytest.mark.usefixtures("unchecked")
def test_nonsense_is_refused():
    kernel, cross = smooth_kernel(4, 2, 0.3)
    make, regression = KernelRegression.from_kernels, KernelRegression.from_kernels(kernel, cross)
    for arguments, message in (
        ((kernel[:3],), r"kernel has shape \(3, 4\), but must be \(N, N\)"),
        ((kernel, cross[:, :3]), r"cross has shape \(2, 3\), but must be \(M, 4\)"),
        ((kernel.float(),), "kernel is torch.float32, but must be torch.float64"),
        ((kernel * math.nan,), "kernel holds values that are not finite"),
        ((kernel.triu(),), "kernel is not symmetric"),
        ((kernel - torch.eye(4),), "an eigenvalue of the kernel is .* has none below 0"),
        ((kernel, cross, -1.0), "kernel_error is -1.0, but must be a finite number"),
        ((kernel, cross, 0.0, math.nan), "cross_error is nan"),
    ):
        with pytest.raises(ValueError, match=message):
            make(*arguments)
    with pytest.raises(ValueError, match=r"targets has shape \(3,\), but must be \(4,\)"):
        regression.predictions(normal(3))
    with pytest.raises(ValueError, match=r"test_outputs has shape \(4,\), but must be \(2,\)"):
        regression.predictions(normal(4), test_outputs=normal(4))
    with pytest.raises(ValueError, match=r"time is -1\.0, but must be at least 0"):
        regression.predictions(normal(4), time=-1.0)
    with pytest.raises(ValueError, match="targets holds values that are not finite"):
        regression.leave_one_out(normal(4) * math.inf)
    with pytest.raises(ValueError, match="there are no test inputs"):
        make(kernel).predictions(normal(4))
    network = Network.initialise(3, 4, 2, "relu", "ntk", 0)
    with pytest.raises(ValueError, match=r"x_test has shape \(2, 5\), but the network takes"):
        KernelRegression.from_network(network, normal(4, 3), normal(2, 5))
