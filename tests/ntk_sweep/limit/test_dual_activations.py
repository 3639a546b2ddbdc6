"""Dual activations against mpmath and closed forms, from tiny to huge variances and from opposite
to identical inputs."""

import itertools
import json
import math

import mpmath as mp
import pytest
import torch

from ntk_sweep.limit.dual_activations import dual_activations, dual_error
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.numerics.gaussian_pairs import GaussianPairs
from ntk_sweep.numerics.gaussian_quadrature import line_moments, pair_expectations
from tests.helpers.dual_references import FILE, reference

REFERENCES = json.loads(FILE.read_text())
VARIANCES = (1e-6, 1e-3, 0.3, 1.0, 10.0, 1e3, 1e6)
CORRELATIONS = (0, 1e-6, 0.0099, 0.0101, 0.1, 0.5, 0.9, 0.99, 1 - 1e-4, 1 - 1e-8, 1 - 1e-12, 1)
CORRELATIONS += tuple(-r for r in CORRELATIONS[1:])
TARGET = 1e-11
"""What the limit kernel promises of its dual activations, at correlations that are not negative."""


def as_tensors(rows):
    return torch.tensor([row[:3] for row in rows], dtype=torch.float64).T


def grid():
    rows = [
        (a, b, r * math.sqrt(a * b))
        for a, b, r in itertools.product(VARIANCES, VARIANCES, CORRELATIONS)
    ]
    return as_tensors(rows)


def scales(name, var_x, var_y):
    """√(E[f(u)²] E[f(v)²]) for f = σ and σ'."""
    entry = ACTIVATIONS[name]
    for f in (entry.function, entry.derivative):
        yield (line_moments(f, var_x.sqrt()).square * line_moments(f, var_y.sqrt()).square).sqrt()


def check(name, values, exact, var_x, var_y, cov):
    size = list(scales(name, var_x, var_y))
    largest = torch.maximum(var_x, var_y)
    allowed = torch.tensor([dual_error(name, float(v)) for v in largest], dtype=torch.float64)
    for order in (0, 1):
        error = (values[order] - exact[order]).abs()
        share = error / size[order] / allowed
        assert share.max() <= 1, (name, order, float(share.max()), share.argmax())
        relative = (error / exact[order].abs())[(cov >= 0) & (exact[order] != 0)]
        assert relative.max() <= TARGET, (name, order, float(relative.max()))


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("method", ["dual", "quadrature"])
def test_against_mpmath(name, method):
    rows = REFERENCES[name]
    var_x, var_y, cov = as_tensors(rows)
    exact = [torch.tensor([float(row[k]) for row in rows], dtype=torch.float64) for k in (3, 4)]
    if method == "dual":
        duals = dual_activations(name, var_x, var_y, cov)
        check(name, (duals.function, duals.derivative), exact, var_x, var_y, cov)
    else:
        values = by_quadrature(name, var_x, var_y, cov)
        for order, size in enumerate(scales(name, var_x, var_y)):
            assert (
                (values[order] - exact[order]).abs() / size
            ).max() <= 2e-13  # as granted to quadrature at any variance


def by_quadrature(name, var_x, var_y, cov):
    pairs = GaussianPairs.from_covariances(var_x, var_y, cov)
    functions = (ACTIVATIONS[name].function, ACTIVATIONS[name].derivative)
    return pair_expectations(
        functions, var_x.sqrt(), var_y.sqrt(), pairs.angle, pairs.coangle, pairs.correlation
    )


@pytest.mark.parametrize("name", [name for name, entry in ACTIVATIONS.items() if entry.closed_dual])
def test_quadrature_against_closed_forms(name):
    var_x, var_y, cov = grid()[:, ::3]
    values = by_quadrature(name, var_x, var_y, cov)
    closed = dual_activations(name, var_x, var_y, cov)
    size = list(scales(name, var_x, var_y))
    for order, exact in enumerate((closed.function, closed.derivative)):
        error = (values[order] - exact).abs()
        assert (error / size[order]).max() <= 2e-13
        assert (error / exact.abs())[(cov >= 0) & (exact != 0)].max() <= TARGET


@pytest.mark.parametrize("name", ["elu", "gelu"])
def test_references_are_what_their_script_computes(name):
    for row in REFERENCES[name][6:7]:
        with mp.workdps(34):
            function, derivative = reference(name, *row[:3])
            assert abs(function - mp.mpf(row[3])) <= abs(function) * mp.mpf(10) ** -16
            assert abs(derivative - mp.mpf(row[4])) <= abs(derivative) * mp.mpf(10) ** -16


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_general_properties(name):
    var_x, var_y, cov = grid()[:, ::19]
    duals, mirrored = (
        dual_activations(name, var_x, var_y, cov),
        dual_activations(name, var_y, var_x, cov),
    )
    size = list(scales(name, var_x, var_y))
    allowed = dual_error(name, math.inf)
    for order, (value, mirror) in enumerate(
        ((duals.function, mirrored.function), (duals.derivative, mirrored.derivative))
    ):
        assert ((value - mirror).abs() / size[order]).max() <= 2 * allowed
        assert (value.abs() / size[order]).max() <= 1 + 4 * allowed  # Cauchy and Schwarz
    assert (duals.distance >= 0).all()
    own_x, own_y = (dual_activations(name, var, var, var).function for var in (var_x, var_y))
    error = (duals.distance - (own_x + own_y - 2 * duals.function)).abs()
    assert (error / (own_x + own_y)).max() <= 4 * allowed


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_zero_variance_is_a_constant(name):
    var = torch.tensor([0.0, 0.0, 2.0], dtype=torch.float64)
    other = torch.tensor([0.0, 2.0, 0.0], dtype=torch.float64)
    duals = dual_activations(name, var, other, torch.zeros(3, dtype=torch.float64))
    own, own_other = (dual_activations(name, v, v, v).function for v in (var, other))
    distance = own + own_other - 2 * duals.function
    torch.testing.assert_close(duals.distance, distance, rtol=1e-12, atol=1e-13)
    entry, zero = ACTIVATIONS[name], torch.zeros(1, dtype=torch.float64)
    u = torch.linspace(-20, 20, 400001, dtype=torch.float64)
    weight = torch.exp(-u * u / 4) / math.sqrt(4 * math.pi) * (u[1] - u[0])
    for value, f in ((duals.function, entry.function), (duals.derivative, entry.derivative)):
        at_zero, mean = float(f(zero)), float(f(u) @ weight)
        # The Riemann sum meets a jump of σ' at 0 with half a step, 3e-5 here.
        expected = torch.tensor([at_zero**2, at_zero * mean, at_zero * mean], dtype=torch.float64)
        torch.testing.assert_close(value, expected, rtol=0, atol=3e-5)


@pytest.mark.parametrize("name", ["relu", "lrelu"])
def test_distance_of_nearly_identical_inputs_keeps_its_relative_accuracy(name):
    slope = 0 if name == "relu" else mp.mpf("0.01")
    for gap in (1e-2, 1e-5, 1e-9):
        squares = torch.tensor([1.5, 1.5], dtype=torch.float64)
        pairs = GaussianPairs.from_layer(
            squares[:, None],
            squares[None, :],
            gap**2 * (1 - torch.eye(2, dtype=torch.float64)),
            gain=1.0,
        )
        distance = ACTIVATIONS[name].closed_dual(pairs)[2][0, 1]
        with mp.workdps(60):
            rho = 1 - mp.mpf(gap**2) / 5  # variance 2.5, squared distance gap²
            theta = mp.acos(rho)
            overlap = (mp.sin(theta) + (mp.pi - theta) * rho) / mp.pi
            exact = mp.mpf("2.5") * ((1 + slope**2) - 2 * slope * rho - (1 - slope) ** 2 * overlap)
            assert abs(mp.mpf(float(distance)) - exact) <= 1e-14 * exact


def test_errors_name_what_is_wrong():
    one = torch.ones(1, dtype=torch.float64)
    with pytest.raises(ValueError, match="var_x must be finite and not negative"):
        dual_activations("relu", -one, one, one)
    with pytest.raises(ValueError, match=r"cov is torch\.float32"):
        dual_activations("relu", one, one, one.float())
    with pytest.raises(ValueError, match="unknown activation 'swish'"):
        dual_activations("swish", one, one, one)
