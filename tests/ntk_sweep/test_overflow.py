"""Protects what public functions do with values that are far too large: numbers, or one kind of
message, which says where they overflow and what to do."""

import re

import numpy as np
import pytest
import torch

from ntk_sweep import Network, empirical_ntk, limit_ntk, limit_spectrum, ntk_spectrum
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.parametrisations import PARAMETRISATIONS
from ntk_sweep.spectrum.extreme_eigenvalues import extreme_eigenvalues
from ntk_sweep.spectrum.methods import METHODS

X = np.random.default_rng(0).random((6, 5))

REASON = (
    r"(x|the [\w' ]+) is not finite: it overflows float(32|64) in (its|the) [\w, -]+; scale the "
    r"inputs( or weight_std)? down(, or use float64)?$"
)

FUNCTIONS = {
    "network": lambda network, x: [network(x)],
    "passes": lambda network, x: [*network.passes(x).inputs, *network.passes(x).gradients],
    "empirical_ntk": lambda network, x: [empirical_ntk(network, x)],
    "extreme_eigenvalues": lambda network, x: [
        np.array([found.lambda_min, found.lambda_min_error, found.lambda_max_error])
        for found in [extreme_eigenvalues(network, x)]
    ],
}
FUNCTIONS |= {
    method: lambda network, x, method=method: [
        found
        for spectrum in [ntk_spectrum(network, x, method=method)]
        for found in (spectrum.eigenvalues, spectrum.errors)
    ]
    for method in METHODS
}


def check(function, *arguments):
    try:
        found = function(*arguments)
    except ValueError as error:
        assert re.match(REASON, str(error)), str(error)  # noqa: PT017 - either outcome is right
    else:
        assert all(np.isfinite(np.asarray(part)).all() for part in found)


LONG = [pytest.param(size, marks=pytest.mark.long) for size in (1e37, 1e60, 1e77, 1e100, 1e300)]
"""Orders of magnitude between those at which float32, squares and float64 overflow."""


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("size", [3e38, 1e155, 1.7e308, *LONG])
def test_networks_of_large_inputs_yield_numbers_or_a_reason(size, activation):
    for parametrisation in PARAMETRISATIONS:
        for dtype in (torch.float64, torch.float32):
            network = Network.initialise(5, 8, 3, activation, parametrisation, 0, dtype)
            for function in FUNCTIONS.values():
                check(function, network, X * size)


def test_an_activation_that_saturates_hides_no_overflow():
    """σ(∞) is 1, wherever the true sum lies."""
    network = Network.initialise(5, 8, 3, "sigmoid", "standard", 0, torch.float32)
    x = 3e38 * network.weights[0].sign()  # z_ii = 3e38 Σ_j |W_ij|: the sum itself is too great
    for function in (network, network.passes, lambda x: empirical_ntk(network, x)):
        with pytest.raises(ValueError, match="overflows float32 in the pre-activations of layer 1"):
            function(x)


def test_large_weights_are_found_in_their_layer():
    weights = [np.ones((4, 5)), np.full((4, 4), 1e200), np.full((1, 4), 1e200)]
    network = Network(weights, [np.zeros(4), np.zeros(4), np.zeros(1)], "relu", "standard")
    with pytest.raises(ValueError, match="overflows float64 in the pre-activations of layer 3"):
        empirical_ntk(network, X)
    with pytest.raises(ValueError, match="overflows float64 in the outputs of layer 3"):
        ntk_spectrum(network, X * 1e-50)


LIMITS = {
    "limit_ntk": limit_ntk,
    "limit_spectrum": lambda *arguments: limit_spectrum(*arguments).errors,
}


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("inputs", [X, X[:1], X[[0, 0, 1]]], ids=["several", "one", "equal"])
def test_limit_kernels_of_large_inputs_yield_a_reason(name, activation, inputs):
    for size, place in (
        (2.0**350, "the variances of the pre-activations of layer 1, or their products"),
        (1e150, "the variances of the pre-activations of layer 1, or their products"),
        (1e160, "the squares of the inputs"),
        (1e300, "the squares of the inputs"),
    ):
        for parametrisation in PARAMETRISATIONS:
            for depth in (2, 10, 700):
                with pytest.raises(
                    ValueError,
                    match=f"the limit kernel is not finite: it overflows float64 in {place}; scale",
                ):
                    LIMITS[name](inputs * size, activation, 8, depth, parametrisation)


@pytest.mark.parametrize("activation", ["relu", "lrelu", "erf"])
@pytest.mark.parametrize("size", [1e76, 5e76, 7e76, 1e77, 2e77])
def test_limit_kernels_at_the_edge_yield_finite_numbers_or_a_reason(size, activation):
    for parametrisation in PARAMETRISATIONS:
        for name in LIMITS:
            check(
                lambda *arguments, name=name: [LIMITS[name](*arguments)],
                X * size,
                activation,
                8,
                3,
                parametrisation,
            )
