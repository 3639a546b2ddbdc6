"""Protects the gradient flow: against an ODE solver, against limits of small steps, and its ends.

The oracle integrates θ' = -∇L by autograd and SciPy, and shares no formula with the library.
"""

import itertools
import math

import numpy as np
import pytest
import scipy.linalg
import torch
from scipy.integrate import solve_ivp

from ntk_sweep import Network, empirical_ntk
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.parametrisations import PARAMETRISATIONS
from ntk_sweep.training.flat_network import FlatNetwork
from ntk_sweep.training.flow_state import FlowState
from ntk_sweep.training.gradient_descent import GradientDescent
from ntk_sweep.training.gradient_flow import STOP_AT_LOSS, follow
from tests.helpers import oracles

SMOOTH = [name for name, entry in ACTIVATIONS.items() if not entry.kinked and name != "elu"]
X = torch.rand(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.tensor([0.0, 1.0, 1.0, 0.0], dtype=torch.float64)
TIMES = (0.3, 1.0, 4.0)


def network_of(activation="tanh", width=3, depth=3, parametrisation="ntk", n_inputs=3, seed=1):
    return Network.initialise(n_inputs, width, depth, activation, parametrisation, seed)


def parts_of(network):
    return [p.detach() for p in (*network.weights, *network.biases)]


def outputs_at(network, x, flat):
    """f at the parameters `flat`, from the definition of the network."""
    parts = parts_of(network)
    sizes = [part.numel() for part in parts]
    parts = [new.view(old.shape) for new, old in zip(flat.split(sizes), parts, strict=True)]
    depth, rows = network.depth, x
    names = network.activation, network.parametrisation
    scales = network.weight_std, network.bias_std
    return oracles.forward(parts[:depth], parts[depth:], *names, rows, *scales)


def solved(network, x, y, times, rtol=1e-11):
    """f at some times by the stiff solver Radau, from -∇L by autograd."""

    def velocity(_, parameters):
        flat = torch.from_numpy(parameters.copy()).requires_grad_(True)
        loss = ((outputs_at(network, x, flat) - y) ** 2).mean()
        return -torch.autograd.grad(loss, flat)[0].numpy()

    start = torch.cat([part.flatten() for part in parts_of(network)]).numpy()
    path = solve_ivp(
        velocity, (0, times[-1]), start, "Radau", t_eval=times, rtol=rtol, atol=1e-3 * rtol
    )
    assert path.success
    return [outputs_at(network, x, torch.from_numpy(one.copy())).numpy() for one in path.y.T]


QUICK = {("sigmoid", "ntk"), ("gelu", "thesis")}
ONCE = {("tanh", "standard"), ("erf", "ntk")}
"""With the quick ones every parametrisation, a factor of each layer whatever σ is, and all
activations but one; the rest is left to `make test-long`."""

CASES = [
    pytest.param(
        *case,
        marks=() if case in QUICK else pytest.mark.slow if case in ONCE else pytest.mark.long,
    )
    for case in itertools.product(SMOOTH, PARAMETRISATIONS)
]


@pytest.mark.parametrize(("activation", "parametrisation"), CASES)
def test_smooth_flows_are_those_of_a_stiff_solver(activation, parametrisation):
    network = network_of(activation, depth=3, parametrisation=parametrisation)
    for time, expected in zip(TIMES, solved(network, X, Y, TIMES), strict=True):
        run = follow(network, X, Y, tolerance=1e-9, time=time)
        assert run.times[-1] == time
        np.testing.assert_allclose(run.outputs, expected, rtol=0, atol=1e-8)
        loss = np.mean((expected - Y.numpy()) ** 2)
        assert run.losses[-1] == pytest.approx(loss, rel=1e-7, abs=1e-8)
        assert run.missed == 0


@pytest.mark.parametrize("scales", [(1.5, 0.3), (2**0.5, 0.0), (0.7, None)], ids=str)
@pytest.mark.parametrize("parametrisation", ["ntk", "standard"])
def test_flows_at_other_scales_are_those_of_a_stiff_solver(parametrisation, scales):
    network = Network.initialise(
        3, 3, 3, "tanh", parametrisation, 1, weight_std=scales[0], bias_std=scales[1]
    )
    (expected,) = solved(network, X, Y, TIMES[:1])
    run = follow(network, X, Y, tolerance=1e-9, time=TIMES[0])
    np.testing.assert_allclose(run.outputs, expected, rtol=0, atol=1e-8)


def test_a_flow_with_a_jump_of_curvature_is_that_of_a_stiff_solver():
    """Where σ'' of ELU jumps the extrapolation is of order two: fewer digits."""
    network = network_of("elu", parametrisation="ntk")
    (expected,) = solved(network, X, Y, TIMES[:1])
    run = follow(network, X, Y, tolerance=1e-8, time=TIMES[0])
    np.testing.assert_allclose(run.outputs, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("centred", [False, True])
def test_the_flow_is_the_limit_of_small_steps_of_descent(centred):
    """Steps of T/K with K = 32, 64, …: extrapolated, since Euler's error is a series in T/K."""
    network, time, table = network_of("tanh", width=5), 1.0, []
    for doubling in range(8):
        steps = 32 * 2**doubling
        descent = GradientDescent(network, X, Y, time / steps, len(Y), centred=centred)
        for _ in range(steps):
            descent.epoch(np.arange(len(Y)))
        row = [descent.outputs().numpy()]
        for order, older in enumerate(table[-1] if table else [], start=1):
            row.append(row[-1] + (row[-1] - older) / (2**order - 1))
        table.append(row)
    assert np.abs(table[-1][-1] - table[-2][-1]).max() < 1e-9
    run = follow(network, X, Y, tolerance=1e-9, time=time, centred=centred)
    np.testing.assert_allclose(run.outputs, table[-1][-1], rtol=0, atol=1e-8)
    assert np.abs(table[0][0] - run.outputs).max() > 1e-5


@pytest.mark.parametrize("activation", ["relu", "lrelu", "elu"])
def test_kinked_flows_without_a_switch_are_those_of_a_stiff_solver(activation):
    """Biases keep every unit on its side of the kink."""
    drawn = network_of(activation, width=4, depth=2)
    sides = 6 * torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
    network = Network(drawn.weights, [sides, drawn.biases[1]], activation, "ntk")
    for time, expected in zip(TIMES[:2], solved(network, X, Y, TIMES[:2]), strict=True):
        run = follow(network, X, Y, tolerance=1e-9, time=time)
        np.testing.assert_allclose(run.outputs, expected, rtol=0, atol=1e-8)
        assert run.missed == 0


def test_flows_over_kinks_converge_with_the_tolerance():
    """To 1e-2 and 5e-4 of the outputs at tolerances of 1e-3 and 1e-6, against small steps."""
    network = network_of("relu", width=20, depth=2, seed=0)
    descent = GradientDescent(network, X, Y, 2.0 / 4000, len(Y))
    for _ in range(4000):
        descent.epoch(np.arange(len(Y)))
    before, after = (
        one.scales[0].factor * X @ one.weights[0].T + one.biases[0] > 0
        for one in (network, descent.network())
    )
    assert (before != after).any(), "a unit switches"
    for tolerance, bound in ((1e-3, 1e-2), (1e-6, 5e-4)):
        run = follow(network, X, Y, tolerance=tolerance, time=2.0)
        assert np.abs(run.outputs - descent.outputs().numpy()).max() < bound


def test_steps_that_miss_the_tolerance_are_counted():
    """This flow slides along a kink."""
    network = network_of("relu", width=20, depth=2, seed=1)
    run = follow(network, X, Y, tolerance=1e-2, time=2.0)
    assert 0 < run.missed < run.steps
    assert run.times[-1] == 2.0


def test_errors_shrink_with_the_tolerance():
    network = network_of("erf", width=5)
    exact = follow(network, X, Y, tolerance=1e-11, time=3.0).outputs
    errors, steps = [], []
    for tolerance in (1e-2, 1e-4, 1e-6, 1e-8):
        run = follow(network, X, Y, tolerance=tolerance, time=3.0)
        errors.append(np.abs(run.outputs - exact).max())
        steps.append(run.steps)
        assert errors[-1] < 10 * tolerance
    assert errors == sorted(errors, reverse=True) and errors[-1] < 1e-4 * errors[0]
    assert steps == sorted(steps)


def linearised(network, x):
    """f at the start and its Jacobian by autograd, (N, P)."""
    start = torch.cat([part.flatten() for part in parts_of(network)])
    jacobian = torch.autograd.functional.jacobian(lambda p: outputs_at(network, x, p), start)
    return start, jacobian


@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_step_is_exact_for_the_linearised_network_however_long_it_is(activation, parametrisation):
    """f_0 + J (θ - θ_0) after a step, against the matrix exponential of Θ = J Jᵀ."""
    network = network_of(activation, width=6, parametrisation=parametrisation)
    start, jacobian = linearised(network, X)
    theta = jacobian @ jacobian.T
    flat = FlatNetwork(network, X)
    state = FlowState(flat, flat.start, Y)
    torch.testing.assert_close(flat.start, start, rtol=0, atol=0)
    torch.testing.assert_close(state.theta, theta, rtol=1e-12, atol=1e-12)
    residual = (network(X) - Y).numpy()
    slowest = 4 / float(torch.linalg.eigvalsh(theta)[0])
    for time in (1e-3, 1.0, slowest):
        moved = jacobian @ (state.moved(flat, time) - start)
        expected = Y.numpy() + scipy.linalg.expm(-2 / 4 * theta.numpy() * time) @ residual
        np.testing.assert_allclose(network(X) + moved, expected, rtol=0, atol=1e-9)


def test_a_constant_kernel_is_followed_exactly_at_any_tolerance():
    """Of dead units the output's bias alone moves: Θ = 1 1ᵀ and b' = -2 (b - ȳ)."""
    weights = [torch.rand(5, 3, dtype=torch.float64), torch.rand(1, 5, dtype=torch.float64)]
    biases = [torch.full((5,), -50.0, dtype=torch.float64), torch.tensor([3.0]).double()]
    network = Network(weights, biases, "relu", "ntk")
    run = follow(network, X, Y, tolerance=0.1, time=2.0)
    mean = float(Y.mean())
    expected = (3 - mean) ** 2 * np.exp(-4 * run.times) + float(Y.var(correction=0))
    np.testing.assert_allclose(run.losses, expected, rtol=1e-12)
    np.testing.assert_allclose(run.outputs, mean + (3 - mean) * math.exp(-4), rtol=1e-12)
    assert (run.kernel_drifts == 0).all() and run.missed == 0
    rates = 4 * (3 - mean) ** 2 * np.exp(-4 * run.times) / expected
    np.testing.assert_allclose(run.local_rates, rates, rtol=1e-9)


@pytest.mark.parametrize("activation", SMOOTH)
def test_the_record_of_a_smooth_flow(activation):
    network = network_of(activation, width=20, depth=2)
    run = follow(network, X, Y, time=20.0)
    lists = (run.times, run.losses, run.local_rates, run.kernel_drifts, run.accuracies)
    assert {len(one) for one in lists} == {run.steps + 1}
    assert run.times[0] == 0 and run.times[-1] == 20 and (np.diff(run.times) > 0).all()
    assert (np.diff(run.losses) < 0).all()
    assert (np.diff(np.log(run.losses)) > -2.5).all(), "a curve can be drawn through the times"
    residual = (network(X) - Y).numpy()
    theta = empirical_ntk(network, X).numpy()
    assert run.losses[0] == pytest.approx(np.mean(residual**2), rel=1e-13)
    rate = 4 / 4 * residual @ theta @ residual / (residual @ residual)
    assert run.local_rates[0] == pytest.approx(rate, rel=1e-10)
    np.testing.assert_allclose(run.initial_outputs, network(X).numpy(), rtol=1e-12)
    assert run.accuracies[-1] == np.mean((run.outputs > 0.5) == (Y.numpy() > 0.5))


def test_rates_and_drifts_are_those_along_the_way():
    """-d log L/dt against differences of L; the drift against the kernel of a network trained."""
    network = network_of("tanh", width=20, depth=2)
    run = follow(network, X, Y, tolerance=1e-9, time=0.5)
    near = follow(network, X, Y, tolerance=1e-9, time=0.5 + 1e-4)
    slope = -(math.log(near.losses[-1]) - math.log(run.losses[-1])) / 1e-4
    assert run.local_rates[-1] == pytest.approx(slope, rel=1e-3)
    descent = GradientDescent(network, X, Y, 0.5 / 4000, len(Y))
    for _ in range(4000):
        descent.epoch(np.arange(len(Y)))
    first = empirical_ntk(network, X)
    change = empirical_ntk(descent.network(), X) - first
    assert run.kernel_drifts[-1] == pytest.approx(float(change.norm() / first.norm()), rel=1e-2)
    assert run.kernel_drifts[0] == 0 < run.kernel_drifts[-1]


def test_a_centred_flow_starts_at_zero_and_is_the_plain_one_of_shifted_targets():
    network = network_of("tanh", width=20)
    run = follow(network, X, Y, time=2.0, centred=True)
    assert (run.initial_outputs == 0).all()
    assert run.losses[0] == float(Y.square().mean())
    shifted = follow(network, X, Y + network(X), time=2.0)
    np.testing.assert_allclose(run.outputs, shifted.outputs - network(X).numpy(), atol=1e-12)
    np.testing.assert_allclose(run.losses, shifted.losses, rtol=1e-9)


def test_a_flow_ends_at_the_loss_asked_for():
    network = network_of("tanh", width=30)
    run = follow(network, X, Y, stop_at_loss=1e-3)
    assert run.losses[-1] <= 1e-3 < run.losses[-2]
    whole = follow(network, X, Y, tolerance=0.1)
    assert whole.losses[-1] <= STOP_AT_LOSS < whole.losses[-2]
    none = follow(network, X, Y, stop_at_loss=100.0)
    assert (none.steps, len(none.losses), none.times.tolist()) == (0, 1, [0.0])


def test_late_steps_grow_beyond_what_a_solver_of_small_steps_could_take():
    network = network_of("tanh", width=100)
    values = np.linalg.eigvalsh(empirical_ntk(network, X).numpy())
    run = follow(network, X, Y, time=len(Y) / (4 * values[0]))
    assert run.missed == 0
    explicit = (
        run.times[-1] * 2 * values[-1] / len(Y) / 2
    )  # steps of N/λ_max are the longest stable
    assert run.steps < 100 and run.steps < 0.2 * explicit
    steps = np.diff(run.times)
    assert steps[-2] > 10 * steps[0]


def test_contradicting_targets_are_learnt_as_far_as_they_can_be():
    x, y = torch.cat([X, X[:1]]), torch.cat([Y, 1 - Y[:1]])
    network = network_of("tanh", width=50)
    run = follow(network, x, y)
    least = 2 * 0.5**2 / 5
    assert run.losses[-1] == pytest.approx(least, rel=1e-6)
    assert run.steps < 300
    reached = follow(network, x, y, stop_at_loss=1.5 * least)
    assert reached.losses[-1] <= 1.5 * least < reached.losses[-2]
    timed = follow(network, x, y, time=1e4)
    assert timed.times[-1] == 1e4
    assert timed.losses[-1] == pytest.approx(least, rel=1e-6)


def test_a_flow_that_nothing_moves_ends_at_once():
    """Two equal inputs between whose targets the output lies: the gradient is zero."""
    x, y = X[:1].repeat(2, 1), torch.tensor([-1.0, 1.0], dtype=torch.float64)
    run = follow(network_of("tanh", width=10), x, y, centred=True)
    assert run.steps == 0 and run.losses.tolist() == [1.0]


def test_more_features_than_samples_are_turned_into_their_span():
    """The same network on inputs of zeros added, and on inputs turned in a wider space."""
    turn = torch.linalg.qr(torch.rand(9, 9, generator=torch.Generator().manual_seed(3)).double())[0]
    drawn = network_of("silu", width=8, parametrisation="standard", n_inputs=9)
    wide = torch.cat([X, torch.zeros(4, 6, dtype=torch.float64)], 1) @ turn
    fewer = Network(
        [(drawn.weights[0] @ turn.T)[:, :3], *drawn.weights[1:]],
        drawn.biases,
        "silu",
        "standard",
    )
    assert wide.shape[1] > len(wide) > fewer.weights[0].shape[1]
    runs = [follow(drawn, wide, Y, time=3.0), follow(fewer, X, Y, time=3.0)]
    assert FlatNetwork(drawn, wide).start.numel() < sum(p.numel() for p in parts_of(drawn))
    for name in ("outputs", "losses", "kernel_drifts", "local_rates"):
        one, other = (getattr(run, name) for run in runs)
        np.testing.assert_allclose(one[-1], other[-1], rtol=0, atol=1e-6, err_msg=name)
    theta = empirical_ntk(drawn, wide)
    flat = FlatNetwork(drawn, wide)
    beyond = torch.rand(3, 9, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    torch.testing.assert_close(flat.outputs_at(flat.others(beyond), flat.start), drawn(beyond))
    torch.testing.assert_close(flat.kernel(flat.passes(flat.start)), theta)


@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
def test_the_flat_network_is_the_network(parametrisation):
    network = network_of("gelu", width=7, depth=4, parametrisation=parametrisation)
    flat = FlatNetwork(network, X)
    passes = flat.passes(flat.start)
    for outputs in (passes.outputs, flat.outputs(flat.start)):
        torch.testing.assert_close(outputs, network(X), rtol=1e-13, atol=1e-13)
    _, jacobian = linearised(network, X)
    vector = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
    torch.testing.assert_close(flat.pulled_back(passes, vector), jacobian.T @ vector)


def test_accuracy_parts_other_targets_where_it_is_told():
    network = network_of("tanh", width=10)
    y = 2 * Y - 1
    run = follow(network, X, y, time=1.0, threshold=0.0)
    assert run.accuracies[0] == float(((network(X) > 0) == (y > 0)).double().mean())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y": Y[:3]}, "y has 3 targets for 4 inputs"),
        ({"y": torch.tensor([0.0, math.nan, 1.0, 0.0], dtype=torch.float64)}, "y holds values"),
        ({"x": X * math.nan}, "x holds values that are not finite"),
        ({"x": X * 1e200}, "the kernel is not finite: it overflows float64"),
        ({"tolerance": 0.0}, "tolerance is 0.0, but must lie between 0 and 1"),
        ({"tolerance": 1.0}, "tolerance is 1.0"),
        ({"tolerance": math.nan}, "tolerance is nan"),
        ({"time": 0.0}, "time is 0.0, but must be a positive number"),
        ({"time": -1.0}, "time is -1.0"),
        ({"time": math.inf}, "time is inf"),
    ],
)
def test_nonsense_is_refused(changes, message, unchecked):
    arguments = {"network": network_of("relu"), "x": X, "y": Y} | changes
    with pytest.raises(ValueError, match=message):
        follow(**arguments)


def test_single_precision_is_refused():
    network = Network.initialise(3, 4, 2, "tanh", "ntk", seed=0, dtype=torch.float32)
    with pytest.raises(ValueError, match="float32, but a gradient flow needs float64"):
        follow(network, X.float(), Y.float())
