"""Bounds cover, on inputs of every kind and networks of every activation, in both dtypes."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch

from ntk_sweep.kernel.centred_passes import centred_passes
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.network.parametrisations import PARAMETRISATIONS
from ntk_sweep.network.stacked import NetworkStack
from ntk_sweep.spectrum.methods import CERTIFIED, METHODS
from ntk_sweep.spectrum.spectrum import ntk_spectrum
from tests.helpers.hard_inputs import KINDS, hard_inputs

needs_flint = pytest.mark.skipif(
    importlib.util.find_spec("flint") is None, reason="python-flint is not installed"
)


def assert_covered(network, x):
    certified = ntk_spectrum(network, x, method=CERTIFIED)
    for method in METHODS:
        spectrum = ntk_spectrum(network, x, method=method)
        assert torch.isfinite(spectrum.errors).all() and (spectrum.eigenvalues >= 0).all()
        apart = (spectrum.eigenvalues - certified.eigenvalues).abs()
        assert (apart <= spectrum.errors + certified.errors).all(), method


@needs_flint
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("number", range(len(KINDS)), ids=KINDS)
def test_bounds_cover(number, dtype):
    draws = np.random.default_rng(number)
    x = torch.from_numpy(hard_inputs(KINDS[number], 5, 3, draws)).to(dtype)
    names, ways = list(ACTIVATIONS), list(PARAMETRISATIONS)
    place = number + 3 * (dtype == torch.float32)
    network = Network.initialise(
        *(3, 6, 4, names[place % 8], ways[place % 3]),
        seed=place,
        dtype=dtype,
        weight_std=(0.1, 1.0, 3.0)[draws.integers(3)],
        bias_std=(None, 0.0, 0.5)[draws.integers(3)],
    )
    assert_covered(network, x)


@needs_flint
@pytest.mark.parametrize("activation", ["relu", "lrelu"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_a_unit_that_is_off_by_rounding_is_not_taken_for_dead(activation, dtype):
    """Beside a large input all units of a small one round to zero, forwards and backwards."""
    x = torch.tensor([[1e-6, 2e-6], [0.0, 0.0]], dtype=dtype)
    x[1] = 1e3 / torch.finfo(dtype).eps * torch.tensor([-1.0, -2.0])
    ones = torch.ones(2, 2, dtype=dtype)
    network = Network([ones, ones, ones[:1]], None, activation, "ntk", bias_std=None)
    assert_covered(network, x)


@needs_flint
@pytest.mark.parametrize("size", [1e-40, 1e-60, 1e-90])
def test_kernels_whose_squares_underflow_keep_their_bounds(size):
    x = torch.from_numpy(hard_inputs("normal", 5, 3, np.random.default_rng(1)))
    network = Network.initialise(3, 4, 3, "gelu", "ntk", seed=0, bias_std=None)
    assert_covered(network.with_parameters([w * size**0.5 for w in network.weights], None), x)


def near_kink(activation):
    """A float32 network, and inputs of which the first puts a unit where float32 has no side."""
    draws = np.random.default_rng(2)
    x = torch.from_numpy(draws.random((12, 20))).float()
    network = Network.initialise(20, 60, 5, activation, "thesis", seed=3, dtype=torch.float32)
    biases = [b.clone() for b in network.biases]
    factor = network.scales[0].factor
    biases[0][7] = -factor * float(network.weights[0][7].double() @ x[0].double())
    return network.with_parameters(network.weights, biases), x


@pytest.mark.parametrize("activation", ["relu", "lrelu"])
def test_float64_tells_the_side_of_units_near_a_kink(activation):
    network, x = near_kink(activation)
    weights, biases = ([p.double() for p in part] for part in (network.weights, network.biases))
    twin = network.with_parameters(weights, biases)
    exact = ntk_spectrum(twin, x.double(), method="double-double")
    spectrum = ntk_spectrum(network, x)
    apart = (spectrum.eigenvalues - exact.eigenvalues).abs()
    assert (apart <= spectrum.errors + exact.errors).all()
    assert (spectrum.errors < 1e-2 * spectrum.eigenvalues).all()
    gradients = twin.passes(x.double()).gradients[0]
    torch.testing.assert_close(
        centred_passes(network, x).gradients[0].total, gradients, rtol=1e-3, atol=1e-5
    )


def test_sides_are_told_of_networks_side_by_side_too():
    network, x = near_kink("relu")
    together = centred_passes(NetworkStack([network, network], ["relu", "elu"]), x)
    alone = centred_passes(network, x)
    for draw in range(2):
        for a, b in zip(together[draw, 0].gradients, alone.gradients, strict=True):
            torch.testing.assert_close(a.total, b.total, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(a.row_errors, b.row_errors, rtol=1e-2, atol=1e-9)
