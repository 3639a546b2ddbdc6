"""Protects the laws of width and depth: they are what the limit kernel does."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ntk_sweep.analysis.chapters.scaling import laws
from ntk_sweep.limit.kernel import limit_kernel_spectrum, limit_ntks
from ntk_sweep.network.activations.registry import ACTIVATIONS
from tests.helpers.analysis_rows import group, row


def gaussian(size: int, features: int, scale: float = 1.0) -> np.ndarray:
    return scale * np.random.default_rng(1).standard_normal((size, features))


def least(x, act, width, depths, parametrisation="thesis"):
    kernels = limit_ntks(x, act, width, depths, parametrisation)
    spectra = [limit_kernel_spectrum(kernels[depth]) for depth in depths]
    assert all(spectrum.resolved[0] for spectrum in spectra)
    return np.array([float(spectrum.eigenvalues[0]) for spectrum in spectra])


@pytest.mark.parametrize("parametrisation", ["thesis", "standard", "ntk"])
@pytest.mark.parametrize("x", [gaussian(10, 12), gaussian(10, 4)], ids=["degree 1", "degree 2"])
@pytest.mark.parametrize("act", ACTIVATIONS)
def test_the_limit_kernel_has_the_exponent(act, x, parametrisation):
    low, high = (least(x, act, n, (3,), parametrisation)[0] for n in (10_000, 40_000))
    expected = laws.exponent(act, parametrisation, laws.measured(x).degree)
    assert math.log(high / low) / math.log(4) == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("act", ACTIVATIONS)
def test_the_limit_kernel_has_the_factors_of_the_layers(act):
    x, depths = gaussian(8, 10), range(2, 7)
    measured = least(x, act, 100_000, depths)
    expected = laws.coefficients(act, 1, 6)
    assert measured[1:] / measured[:-1] == pytest.approx(expected[1:] / expected[:-1], rel=0.02)


def test_elu_has_them_also_where_the_rank_is_low():
    x = gaussian(8, 3)
    assert laws.measured(x) == laws.Inputs(2, 4)
    measured, expected = least(x, "elu", 10_000, range(2, 6)), laws.coefficients("elu", 2, 5)
    assert measured[1:] / measured[:-1] == pytest.approx(expected[1:] / expected[:-1], rel=0.02)
    assert np.isnan(laws.coefficients("tanh", 2, 5)).all()


@pytest.mark.parametrize("act", ACTIVATIONS)
def test_deep_in_a_network_a_layer_has_one_factor(act):
    found = laws.coefficients(act, 1, 150)
    # smooth ones fall like D times a power
    assert found[-1] / found[-2] == pytest.approx(laws.deep_factor(act), rel=2 / 150)
    assert laws.deep_factor("relu") == pytest.approx(0.5**0.5)


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (gaussian(5, 4), laws.Inputs(1, 5)),
        (gaussian(6, 4), laws.Inputs(2, 5)),
        (gaussian(7, 2), laws.Inputs(3, 3)),
        (1e4 + 1e-3 * gaussian(7, 2), laws.Inputs(3, 3)),
        (np.repeat(gaussian(4, 9), 2, axis=0), laws.Inputs(None, 4)),
        (np.zeros((3, 2)), laws.Inputs(None, 1)),
        (np.ones((1, 2)), laws.Inputs(1, 1)),
    ],
    ids=["degree 1", "one too many", "degree 3", "shifted and short", "twice", "zero", "one"],
)
def test_the_degree_of_inputs(x, expected):
    assert laws.measured(x) == expected


def test_inputs_in_general_position_have_the_degree_that_their_number_says():
    for size, features in ((5, 4), (6, 4), (7, 2), (11, 2)):
        known = laws.measured(gaussian(size, features)).degree
        assert laws.general_degree(size, features) == known
    assert laws.general_degree(200, 1) is None


def test_inputs_are_found_or_assumed():
    digits = group([row(data="digits", n_inputs=64, data_fingerprint="d" * 64)])
    assumed = laws.inputs_of(digits, None)
    assert (assumed.degree, assumed.rank) == (2, None)
    assert "fingerprint" in assumed.reason
    many = group([row(n_samples=5000)])
    assert laws.inputs_of(many, None) == laws.Inputs(
        2, None, "ranks are computed up to 3,000 inputs"
    )


def test_what_is_unknown_has_no_law():
    assert math.isnan(laws.exponent("swish", "thesis", 1))
    assert math.isnan(laws.exponent("relu", "mup", 1))
    assert math.isnan(laws.exponent("tanh", "thesis", None))
    assert laws.exponent("relu", "thesis", None) == 0.5
    assert math.isnan(laws.deep_factor("swish"))
    assert np.isnan(laws.coefficients("swish", 1, 4)).all()
