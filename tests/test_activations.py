import math

import oracles
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntk_sweep.activations import ACTIVATIONS

AWAY_FROM_KINKS = torch.cat(
    [torch.linspace(-40, -1e-3, 400, dtype=torch.float64), torch.linspace(1e-3, 40, 400, dtype=torch.float64)]
)


def test_every_activation_has_an_oracle():
    assert set(oracles.ACTIVATIONS) == set(ACTIVATIONS)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_function_is_the_one_of_its_name(name):
    z = AWAY_FROM_KINKS
    torch.testing.assert_close(ACTIVATIONS[name].function(z), oracles.ACTIVATIONS[name](z), rtol=1e-15, atol=0)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivative_is_that_of_the_function(name):
    z = AWAY_FROM_KINKS.clone().requires_grad_()
    (expected,) = torch.autograd.grad(oracles.ACTIVATIONS[name](z).sum(), z)
    # Autograd takes σ(1 - σ) and expm1(z) + 1, which lose relative accuracy far out: hence the absolute tolerance.
    torch.testing.assert_close(ACTIVATIONS[name].derivative(z.detach()), expected, rtol=1e-14, atol=5e-16)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivative_is_that_of_the_packages_own_function(name):
    z = AWAY_FROM_KINKS.clone().requires_grad_()
    (expected,) = torch.autograd.grad(ACTIVATIONS[name].function(z).sum(), z)
    torch.testing.assert_close(ACTIVATIONS[name].derivative(z.detach()), expected, rtol=1e-14, atol=5e-16)


@pytest.mark.parametrize(
    ("name", "value", "slope"), [("relu", 0.0, 0.0), ("elu", 0.0, 1.0), ("lrelu", 0.0, 1.0), ("sigmoid", 0.5, 0.25)]
)
@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_values_at_zero(name, value, slope, zero):
    z = torch.tensor([zero], dtype=torch.float64)
    assert ACTIVATIONS[name].function(z).item() == value
    assert ACTIVATIONS[name].derivative(z).item() == slope


def test_no_constant_is_rounded_to_float32():
    z = torch.tensor([-1.0], dtype=torch.float64)
    assert ACTIVATIONS["lrelu"].function(z).item() == -0.01
    assert ACTIVATIONS["lrelu"].derivative(z).item() == 0.01
    assert ACTIVATIONS["elu"].function(z).item() == math.expm1(-1)
    assert ACTIVATIONS["elu"].derivative(z).item() == pytest.approx(math.exp(-1), rel=1e-15, abs=0)
    assert ACTIVATIONS["sigmoid"].function(z).item() == pytest.approx(1 / (1 + math.e), rel=1e-15, abs=0)


def test_sigmoid_derivative_keeps_its_relative_accuracy_where_sigmoid_is_one():
    z = torch.tensor([40.0, -40.0], dtype=torch.float64)
    expected = math.exp(-40) / (1 + math.exp(-40)) ** 2
    assert ACTIVATIONS["sigmoid"].derivative(z).tolist() == pytest.approx([expected, expected], rel=1e-14, abs=0)


def test_elu_keeps_its_relative_accuracy_near_zero():
    assert ACTIVATIONS["elu"].function(torch.tensor([-1e-12], dtype=torch.float64)).item() == pytest.approx(
        math.expm1(-1e-12), rel=1e-15
    )


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_and_shape_are_kept(name, dtype):
    z = torch.tensor([[-2.0, 0.0, 3.0]], dtype=dtype)
    for result in (ACTIVATIONS[name].function(z), ACTIVATIONS[name].derivative(z)):
        assert result.dtype == dtype
        assert result.shape == z.shape


@pytest.mark.parametrize("name", ACTIVATIONS)
@given(z=st.floats(-1e300, 1e300))
def test_values_are_finite_and_slopes_lie_between_zero_and_one(name, z):
    z = torch.tensor([z], dtype=torch.float64)
    assert torch.isfinite(ACTIVATIONS[name].function(z)).all()
    assert 0 <= ACTIVATIONS[name].derivative(z).item() <= 1


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_argument_is_left_as_it_was(name):
    z = torch.tensor([-2.0, 0.0, 3.0], dtype=torch.float64)
    ACTIVATIONS[name].function(z)
    ACTIVATIONS[name].derivative(z)
    assert z.tolist() == [-2.0, 0.0, 3.0]
