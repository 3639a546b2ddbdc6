"""Every eigenvalue lies within its error bound of the true one, from the forward pass on."""

from __future__ import annotations

import pytest
import torch
from oracles import absolute_errors, exact_spectrum

from ntk_sweep.activations import ACTIVATIONS
from ntk_sweep.network import Network
from ntk_sweep.parametrisations import PARAMETRISATIONS
from ntk_sweep.spectrum import METHODS, Spectrum, ntk_spectrum

# (inputs, features, width, depth): small, deep, wide and shallow, and one with fewer features and units than inputs
SHAPES = [(5, 4, 6, 3), (6, 8, 10, 8), (8, 30, 20, 2), (10, 3, 5, 4)]


def images(count: int, features: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Inputs in [0, 1], like pixels."""
    return torch.rand(count, features, dtype=torch.float64, generator=torch.Generator().manual_seed(7)).to(dtype)


def assert_within_bounds(spectrum: Spectrum, exact: list) -> None:
    """Every eigenvalue is non-negative, in order, and within its bound."""
    errors = absolute_errors(spectrum.eigenvalues, exact)
    assert spectrum.eigenvalues.dtype == spectrum.errors.dtype == torch.float64
    assert (spectrum.eigenvalues >= 0).all() and (spectrum.eigenvalues.diff() >= 0).all()
    assert (errors <= spectrum.errors).all(), (errors / spectrum.errors, spectrum)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
@pytest.mark.parametrize("activation", ["relu", "elu", "lrelu", "sigmoid"])
def test_all_methods_against_mpmath(activation, parametrisation, shape, dtype):
    count, features, width, depth = shape
    network = Network.initialise(features, width, depth, activation, parametrisation, seed=1, dtype=dtype)
    x = images(count, features, dtype)
    exact = exact_spectrum(network, x)
    for method in METHODS:
        spectrum = ntk_spectrum(network, x, method=method)
        assert_within_bounds(spectrum, exact)
        if method in ("auto", "double-double") and dtype == torch.float64:
            # with fewer independent rows than inputs the kernel is singular, and no relative error can be had
            assert spectrum.meets_target or exact[0] < 1e-25 * exact[-1], spectrum
        if method == "double-double" and dtype == torch.float64:
            # some hundred units of rounding, reached on all of these
            regular = spectrum.resolved
            assert (absolute_errors(spectrum.eigenvalues, exact) <= 1e-13 * spectrum.eigenvalues)[regular].all()
