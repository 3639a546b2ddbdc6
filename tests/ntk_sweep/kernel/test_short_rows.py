"""Protects Θ of order 0: products of rows in float64, all else in double-double."""

from __future__ import annotations

import pytest
import torch

from ntk_sweep.kernel.centred_kernel import centred_kernel
from ntk_sweep.kernel.centred_passes import CentredPasses, centred_passes
from ntk_sweep.kernel.double_double_kernel import (
    double_double_errors,
    double_double_kernel,
    rounded_kernel,
)
from ntk_sweep.kernel.float64_kernel import float64_kernel
from ntk_sweep.kernel.pass_errors import pass_errors
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.numerics import gram_tiles
from ntk_sweep.numerics.double_double import DoubleDouble
from ntk_sweep.spectrum.spectrum import ntk_spectrum

X = 1 + 0.2 * torch.randn(13, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
SCALES = {"parametrisation": "ntk", "weight_std": 1.3, "bias_std": 0.4}


def passes_of(activation: str, depth: int, x=X, parametrisation="thesis", **scales):
    network = Network.initialise(x.shape[1], 40, depth, activation, parametrisation, 5, **scales)
    return centred_passes(network, x)


def distance(one: DoubleDouble, other: DoubleDouble) -> torch.Tensor:
    return ((one.hi - other.hi) + (one.lo - other.lo)).abs()


CASES = [
    ("relu", 2, {}),
    ("relu", 5, {}),
    ("sigmoid", 6, {}),
    ("elu", 4, SCALES),
    ("tanh", 3, {**SCALES, "bias_std": None}),
    ("sigmoid", 3, {"x": X[:2]}),
    ("sigmoid", 4, {"x": 1 + 1e-9 * X}),
    ("gelu", 4, {"x": -1e3 * X}),
    # products of short inputs are small beside those of the first layer's gradients
    ("tanh", 2, {**SCALES, "bias_std": None, "x": 1e-14 * X}),
    ("relu", 3, {**SCALES, "bias_std": None, "x": 1e-20 * X}),
    ("sigmoid", 3, {**SCALES, "bias_std": None, "x": 1e-70 * X}),
]


@pytest.mark.parametrize(("activation", "depth", "more"), CASES)
def test_it_errs_by_less_than_its_bounds(activation, depth, more):
    passes = passes_of(activation, depth, **more)
    theta, exact = double_double_kernel(passes, 0), double_double_kernel(passes, 2)
    norm, entries = double_double_errors(passes, 0)
    apart = distance(theta, exact)
    assert float(apart.norm()) <= float(norm)
    assert bool((apart <= 4 * torch.outer(entries, entries).sqrt()).all())
    assert torch.equal(theta.hi, theta.hi.T) and torch.equal(theta.lo, theta.lo.T)


@pytest.mark.parametrize(("activation", "depth", "more"), CASES)
def test_rounded_it_is_the_float64_kernel_with_narrower_bounds(activation, depth, more):
    passes = passes_of(activation, depth, **more)
    plain, (kernel, _) = rounded_kernel(passes)
    own, exact = float64_kernel(passes), double_double_kernel(passes, 2)
    apart = ((plain.theta - exact.hi) - exact.lo).abs()
    assert torch.equal(plain.theta, kernel.hi)
    assert float(apart.norm()) <= float(plain.error) <= float(own.error)
    assert bool((apart <= 4 * torch.outer(*2 * [plain.entry_errors]).sqrt()).all())
    torch.testing.assert_close(plain.theta, own.theta, rtol=1e-12, atol=0)
    torch.testing.assert_close(plain.layer_traces, own.layer_traces, rtol=1e-12, atol=0)
    torch.testing.assert_close(plain.common, own.common, rtol=1e-9, atol=0)
    fresh = passes_of(activation, depth, **more)
    torch.testing.assert_close(
        pass_errors(passes, plain.common).rows, pass_errors(fresh).rows, rtol=1e-9, atol=0
    )


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_tiles_make_the_same_kernel(monkeypatch, activation):
    passes: CentredPasses = passes_of(activation, 4)
    whole, errors = double_double_kernel(passes, 0), double_double_errors(passes, 0)
    monkeypatch.setattr("ntk_sweep.kernel.centred_rows.TILE_ROWS", 5)
    monkeypatch.setattr(gram_tiles, "DOUBLE_DOUBLE_TILE_ROWS", 5)
    tiled = double_double_kernel(passes, 0)
    assert torch.equal(tiled.hi, tiled.hi.T)
    assert float(distance(tiled, whole).norm()) <= 2 * float(errors.norm)


@pytest.mark.parametrize(
    ("activation", "depth", "target", "rounded"),
    [
        ("relu", 2, 1e-9, False),
        ("relu", 2, 1e-15, True),
        ("relu", 2, 0.0, True),
        ("sigmoid", 6, 1e-9, True),
        ("sigmoid", 16, 1e9, True),  # no Cholesky factor
    ],
)
def test_float64_is_left_where_it_leaves_no_hope_of_the_target(activation, depth, target, rounded):
    passes = passes_of(activation, depth)
    kernel, plain = centred_kernel(passes, target=target), float64_kernel(passes)
    assert torch.equal(kernel.theta, plain.theta) != rounded
    assert set(kernel.known) == ({0} if rounded else set())
    if not rounded:
        assert torch.equal(kernel.entry_errors, plain.entry_errors)


@pytest.mark.parametrize("activation", ["relu", "elu", "sigmoid"])
def test_both_ways_to_the_kernel_agree_within_their_bounds(activation):
    network = Network.initialise(X.shape[1], 40, 3, activation, "thesis", 5)
    auto, eigh = (ntk_spectrum(network, X, method) for method in ("auto", "eigh"))
    assert auto.meets_target
    assert bool(((auto.eigenvalues - eigh.eigenvalues).abs() <= auto.errors + eigh.errors).all())


def test_rows_that_cancel_their_centre_are_left_to_float64():
    """An input whose units are all dead, beside one that keeps those of the mean alive."""
    drawn = Network.initialise(3, 40, 4, "relu", "ntk", 5, bias_std=None)
    weights = [weight.abs() for weight in drawn.weights]
    network = Network(weights, drawn.biases, "relu", "ntk", 1.0, None)
    x = torch.tensor([[5.0, 4.0, 6.0], [-1.0, -1.0, -2.0], [3.0, 3.0, 1.0]], dtype=torch.float64)
    kernel, plain = (make(centred_passes(network, x)) for make in (centred_kernel, float64_kernel))
    assert torch.equal(kernel.theta, plain.theta)
    assert torch.equal(kernel.entry_errors, plain.entry_errors)
    for method in ("auto", "compensated", "double-double"):
        spectrum = ntk_spectrum(network, x, method)
        assert float(spectrum.eigenvalues[0]) <= float(spectrum.errors[0])
        assert bool(spectrum.resolved[1:].all())
