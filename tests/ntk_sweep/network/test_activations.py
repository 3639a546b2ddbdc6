"""Protects σ, σ' and their differences: mpmath and autograd give the same numbers."""

import dataclasses
import subprocess
import sys

import mpmath as mp
import pytest
import torch

from ntk_sweep.kernel.ball_kernel import CERTIFIABLE
from ntk_sweep.kernel.rounding import ELEMENTWISE
from ntk_sweep.network.activations import logistic, registry
from ntk_sweep.network.activations.registry import ACTIVATIONS
from tests.helpers import exact, oracles
from tests.helpers.activations import with_formula
from tests.helpers.dual_references import FUNCTIONS

# Tails included: exp(-z²/2) underflows at 38, exp(-z) at 745.
POINTS = [
    sign * z
    for z in (1e-300, 1e-20, 1e-8, 1e-3, 0.1, 0.7517, 1, 1.2784, 3, 6, 10, 20, 36, 100, 700)
    for sign in (-1, 1)
]


@pytest.mark.parametrize(
    ("table", "file"),
    [
        (FUNCTIONS, "tests/helpers/dual_references.py"),
        (exact.FUNCTIONS, "tests/helpers/exact.py"),
        (oracles.ACTIVATIONS, "tests/helpers/oracles.py"),
    ],
    ids=["dual_references", "exact", "oracles"],
)
def test_every_activation_has_a_reference(table, file):
    assert set(table) == set(ACTIVATIONS), f"the activations of {file} are others"


def test_the_table_of_balls_names_activations():
    """It may lack one; the method that needs it then says so."""
    assert set(CERTIFIABLE) <= set(ACTIVATIONS)


def test_a_constant_of_a_family_is_an_activation_and_comes_last(monkeypatch):
    names = ["relu", "elu", "lrelu", "sigmoid", "tanh", "erf", "gelu", "silu"]
    assert list(ACTIVATIONS)[: len(names)] == names
    entry = dataclasses.replace(ACTIVATIONS["silu"], title="None such")
    monkeypatch.setattr(logistic, "NOSUCH", entry, raising=False)
    found = registry._collected()
    assert list(found) == [*ACTIVATIONS, "nosuch"] and found["nosuch"] is entry


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("order", [0, 1])
def test_values_against_mpmath(name, order):
    z = torch.tensor(POINTS, dtype=torch.float64)
    values = (ACTIVATIONS[name].function, ACTIVATIONS[name].derivative)[order](z)
    with mp.workdps(400):
        exact = [FUNCTIONS[name][order](mp.mpf(p)) for p in POINTS]
        for point, value, reference in zip(POINTS, values.tolist(), exact, strict=True):
            # exp(-z²) and exp(-z) carry the relative error of their argument, z² ε and z ε. The
            # zeros of σ' of GELU and SiLU near -0.75 and -1.28 are met to absolute accuracy, and
            # results below 1e-290 may underflow.
            relative = (
                8
                * torch.finfo(torch.float64).eps
                * max(1, point**2 if name in ("gelu", "erf") else abs(point))
            )
            floor = 1e-290 + (4e-16 if order and name in ("gelu", "silu") and abs(point) < 2 else 0)
            assert abs(mp.mpf(value) - reference) <= relative * abs(reference) + floor, (
                point,
                value,
            )


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivative_is_autograd_of_the_function(name):
    z = torch.tensor([p for p in POINTS if abs(p) < 30], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(ACTIVATIONS[name].function(z).sum(), z)
    # Autograd of tanh is 1 - tanh², good to absolute accuracy only.
    torch.testing.assert_close(
        ACTIVATIONS[name].derivative(z.detach()), gradient, rtol=1e-13, atol=1e-15
    )


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_bounds_of_the_second_derivative(name):
    """At 0.001 apart; `bend` also holds for what is up to 1/32 away, nearly."""
    entry = ACTIVATIONS[name]
    z = torch.linspace(-30, 30, 60000, dtype=torch.float64, requires_grad=True)
    slope = entry.derivative(z)
    second = torch.zeros_like(z)
    if slope.requires_grad:
        second = torch.autograd.grad(slope.sum(), z)[0].abs()
    z, slope = z.detach(), slope.detach()
    assert second.max() <= entry.curvature <= 1.05 * second.max()
    if entry.bend is not None:
        bend, normal = entry.bend(z, slope), slope.abs() > 1e-290
        assert (second <= (1 + 1e-9) * bend + 1e-300).all()
        near = torch.nn.functional.max_pool1d(second[None], 61, 1, 30)[0]
        assert (near <= 1.5 * bend)[z.abs() < 6].all() and (near <= 5.5 * bend)[normal].all()
        assert bend[z.abs() > 20].max() <= 1e-7, "small for saturated units"


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_jumps_at_zero(name):
    entry = ACTIVATIONS[name]
    z = torch.tensor([-1e-9, 1e-9], dtype=torch.float64, requires_grad=True)
    slope = entry.derivative(z)
    assert float(slope.detach().diff().abs()) == pytest.approx(entry.jump, abs=3e-9)
    if not entry.kinked:
        (second,) = torch.autograd.grad(slope.sum(), z)
        assert float(second.diff().abs()) == pytest.approx(entry.curvature_jump, abs=3e-8)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_value_and_derivative_together(name):
    """The derivative to absolute accuracy only."""
    z = torch.tensor([*POINTS, 0.0], dtype=torch.float64)
    activation = ACTIVATIONS[name]
    value, derivative = activation.value_and_derivative(z)
    torch.testing.assert_close(value, activation.function(z), rtol=0, atol=0)
    torch.testing.assert_close(derivative, activation.derivative(z), rtol=0, atol=2e-15)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_is_kept_and_extremes_are_finite(name, dtype):
    z = torch.tensor([-1e4, -0.0, 0.0, 1e4], dtype=dtype)
    for f in (ACTIVATIONS[name].function, ACTIVATIONS[name].derivative):
        assert f(z).dtype == dtype
        assert torch.isfinite(f(z)).all()


def test_chosen_derivatives_at_the_kink():
    zero = torch.zeros(1, dtype=torch.float64)
    assert {
        name: float(ACTIVATIONS[name].derivative(zero)) for name in ("relu", "elu", "lrelu")
    } == {
        "relu": 0,
        "elu": 1,
        "lrelu": 1,
    }


def test_module_imports_nothing_heavy():
    code = "import sys, ntk_sweep.network.activations.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_constant_is_rounded_to_float32():
    z = torch.tensor([-1.0], dtype=torch.float64)
    assert ACTIVATIONS["lrelu"].function(z).item() == -0.01
    assert ACTIVATIONS["lrelu"].derivative(z).item() == 0.01


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_argument_is_left_as_it_was(name):
    z = torch.tensor([-2.0, 0.0, 3.0], dtype=torch.float64)
    ACTIVATIONS[name].function(z)
    ACTIVATIONS[name].derivative(z)
    assert z.tolist() == [-2.0, 0.0, 3.0]


@pytest.mark.parametrize("activation", ["relu", "elu", "lrelu", "sigmoid"])
def test_differences_keep_their_relative_accuracy(activation):
    generator = torch.Generator().manual_seed(1)
    z = 4 * torch.randn(300, dtype=torch.float64, generator=generator)
    d = torch.randn(300, dtype=torch.float64, generator=generator) * 10.0 ** -torch.arange(
        300.0, dtype=torch.float64
    ).remainder(12)
    function, derivative = exact.FUNCTIONS[activation]
    got = ACTIVATIONS[activation].differences(z, d)
    with mp.workdps(50):
        for index, (at, step) in enumerate(zip(z.tolist(), d.tolist(), strict=True)):
            ends = mp.mpf(at) + mp.mpf(step), mp.mpf(at)
            rise, bend = (
                function(ends[0]) - function(ends[1]),
                derivative(ends[0]) - derivative(ends[1]),
            )
            # what `ntk_sweep.kernel.rounding` charges for it, and the rounding of z + d; a step
            # across zero loses what z + d does
            unit = (ELEMENTWISE + abs(ends[0])) * 2.0**-53
            crossing = 2.0**-53 * abs(step) * (ends[0] * ends[1] < 0)
            assert abs(got[0][index].item() - rise) <= unit * abs(rise) + crossing
            assert abs(got[1][index].item() - bend) <= unit * (abs(bend) + abs(rise)) + crossing


@pytest.mark.parametrize("activation", ["tanh", "erf", "gelu", "silu"])
def test_steps_back_from_far_away_keep_their_accuracy(activation):
    """A factor z in a formula must not cost what |z| exceeds the result by."""
    z = torch.tensor([-500.0, -30.0, 40.0, 700.0], dtype=torch.float64)
    d = torch.tensor([0.3, -1.2, -0.7, 2.0], dtype=torch.float64) - z
    function, derivative = exact.FUNCTIONS[activation]
    got = ACTIVATIONS[activation].differences(z, d)
    with mp.workdps(50):
        for index, (at, step) in enumerate(zip(z.tolist(), d.tolist(), strict=True)):
            ends = mp.mpf(at) + mp.mpf(step), mp.mpf(at)
            rise, bend = (f(ends[0]) - f(ends[1]) for f in (function, derivative))
            unit = ELEMENTWISE * 2.0**-53 * (abs(rise) + abs(bend))
            assert abs(got[0][index].item() - rise) <= unit
            assert abs(got[1][index].item() - bend) <= unit


@pytest.mark.parametrize("activation", with_formula("differences"))
def test_differences_of_far_apart_values_are_finite(activation):
    ends = torch.tensor([-1e4, -800.0, -30.0, 0.0, 30.0, 800.0, 1e4], dtype=torch.float64)
    z, d = ends[:, None].expand(7, 7), ends[None, :] - ends[:, None]
    entry = ACTIVATIONS[activation]
    function, derivative = entry.differences(z, d)
    torch.testing.assert_close(
        function, entry.function(z + d) - entry.function(z), rtol=1e-12, atol=1e-12
    )
    torch.testing.assert_close(
        derivative, entry.derivative(z + d) - entry.derivative(z), rtol=1e-12, atol=1e-12
    )
