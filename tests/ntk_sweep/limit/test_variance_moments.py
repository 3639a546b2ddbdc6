"""Protects moments of one Gaussian: closed forms, dual activations, limits of small and large q."""

from __future__ import annotations

import math

import pytest
import torch

from ntk_sweep.limit.dual_activations import dual_activations
from ntk_sweep.limit.variance_moments import slope_at_infinity, variance_moments
from ntk_sweep.network.activations.registry import ACTIVATIONS

VARIANCES = torch.tensor([1e-6, 0.3, 1.0, 7.0, 500.0], dtype=torch.float64)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_they_are_the_dual_activations_of_equal_inputs(activation):
    found = variance_moments(activation, VARIANCES)
    duals = dual_activations(activation, VARIANCES, VARIANCES, VARIANCES)
    assert found.square.numpy() == pytest.approx(duals.function.numpy(), rel=1e-13)
    assert found.slope.numpy() == pytest.approx(duals.derivative.numpy(), rel=1e-13)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_growth_is_the_derivative_of_the_square(activation):
    step = 1e-4
    near = [variance_moments(activation, VARIANCES * (1 + sign * step)).square for sign in (1, -1)]
    difference = (near[0] - near[1]) / (2 * step * VARIANCES)
    found = variance_moments(activation, VARIANCES).growth
    assert difference.numpy() == pytest.approx(found.numpy(), rel=1e-5)


@pytest.mark.parametrize(
    ("activation", "square", "slope", "growth"),
    [
        ("relu", 0, 1 / 2, 1 / 2),
        ("lrelu", 0, (1 + 1e-4) / 2, (1 + 1e-4) / 2),
        ("elu", 0, 1, 1),
        ("sigmoid", 1 / 4, 1 / 16, 1 / 16),  # σ''(0) = 0
        ("tanh", 0, 1, 1),
        ("erf", 0, 4 / math.pi, 4 / math.pi),
        ("gelu", 0, 1 / 4, 1 / 4),
        ("silu", 0, 1 / 4, 1 / 4),
    ],
)
def test_at_zero_they_are_limits_from_above(activation, square, slope, growth):
    places = torch.tensor([0.0, 1e-9, 1.0], dtype=torch.float64)
    found = variance_moments(activation, places)
    for values, expected in ((found.square, square), (found.slope, slope), (found.growth, growth)):
        assert float(values[0]) == pytest.approx(expected, abs=1e-15)
        assert float(values[1]) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_slopes_of_large_variances_near_their_limit(activation):
    far = variance_moments(activation, torch.tensor([1e14], dtype=torch.float64))
    limit = slope_at_infinity(activation)
    assert float(far.slope) == pytest.approx(limit, abs=1e-6)
    assert float(far.growth) == pytest.approx(limit, abs=1e-6)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_mean_square_grows_with_the_variance(activation):
    # what makes the limit of the variance map the first fixed point on the way
    places = torch.logspace(-6, 8, 400, dtype=torch.float64)
    assert bool((variance_moments(activation, places).growth > 0).all())
