"""Protects the critical line: closed forms, mpmath, and the mean-field theory on its two sides."""

from __future__ import annotations

import math

import mpmath as mp
import pytest

from ntk_sweep.limit.critical_line import critical_point, critical_point_at_variance
from ntk_sweep.limit.mean_field import mean_field
from ntk_sweep.network.activations.registry import ACTIVATIONS

CURVES = [name for name in ACTIVATIONS if name not in ("relu", "lrelu")]


@pytest.mark.parametrize("variance", [1e-3, 0.3, 1.0, 20.0, 1e4])
def test_that_of_erf_is_known(variance):
    point = critical_point_at_variance("erf", variance)
    q = mp.mpf(variance)
    weight = mp.pi / 4 * mp.sqrt(1 + 4 * q)
    bias = q - weight * 2 / mp.pi * mp.asin(2 * q / (1 + 2 * q))
    assert point.weight_std**2 == pytest.approx(float(weight), rel=1e-14)
    assert point.bias_std**2 == pytest.approx(float(bias), abs=4e-15 * variance)


@pytest.mark.parametrize(
    ("bias_variance", "weight_variance"), [(0.05, 1.7609546396), (0.25, 2.4014892351)]
)
def test_that_of_tanh_agrees_with_mpmath(bias_variance, weight_variance):
    point = critical_point("tanh", math.sqrt(bias_variance))
    weight, q = mp.mpf(point.weight_std) ** 2, mp.mpf(point.variance)

    def expectation(function):
        return mp.quad(lambda t: function(mp.sqrt(q) * t) * mp.npdf(t), [-12, -6, -2, 0, 2, 6, 12])

    assert weight * expectation(lambda z: mp.sech(z) ** 4) == pytest.approx(1, abs=1e-13)
    assert weight * expectation(lambda z: mp.tanh(z) ** 2) + bias_variance == pytest.approx(q)
    assert point.weight_std**2 == pytest.approx(weight_variance, abs=1e-9)


@pytest.mark.parametrize(("activation", "gain"), [("relu", 0.5), ("lrelu", (1 + 1e-4) / 2)])
def test_piecewise_linear_activations_have_one_point(activation, gain):
    point = critical_point(activation)
    assert (point.weight_std, point.bias_std) == (pytest.approx(gain**-0.5, rel=1e-14), 0)
    assert (point.variance, point.stable) == (None, True)
    assert critical_point_at_variance(activation, 3.0).weight_std == pytest.approx(point.weight_std)
    with pytest.raises(ValueError, match=f"{activation} is critical with bias_std = 0 only"):
        critical_point(activation, 0.1)


@pytest.mark.parametrize(
    ("activation", "weight", "stable"),
    [
        ("tanh", 1, True),
        ("elu", 1, True),
        ("erf", math.pi / 4, True),
        ("gelu", 4, False),
        ("silu", 4, False),
    ],
)
def test_without_biases_weights_are_those_of_the_slope_at_zero(activation, weight, stable):
    point = critical_point(activation)
    assert (point.weight_std**2, point.variance) == (pytest.approx(weight, rel=1e-14), 0)
    assert point.stable is stable


@pytest.mark.parametrize("bias_std", [0.1, 0.7, 3.0])
@pytest.mark.parametrize("activation", CURVES)
def test_the_line_parts_order_from_chaos(activation, bias_std):
    point = critical_point(activation, bias_std)
    weight = point.weight_std**2
    start = (point.variance - bias_std**2) / weight
    on = mean_field(activation, point.weight_std, bias_std, start)
    assert on.slope == pytest.approx(1, abs=1e-11)
    assert on.variance == pytest.approx(point.variance, rel=1e-11)
    assert on.variance_slope == pytest.approx(point.variance_slope, rel=1e-10)
    assert point.stable is (point.variance_slope < 1)
    if point.stable:
        low, high = (mean_field(activation, point.weight_std * s, bias_std) for s in (0.999, 1.001))
        assert (low.phase, on.phase, high.phase) == ("ordered", "critical", "chaotic")
        assert low.correlation == 1
        assert high.correlation < 1 or math.isinf(high.variance)


@pytest.mark.parametrize("activation", CURVES)
def test_both_ways_to_a_point_agree(activation):
    for bias_std in (0.2, 1.0, 5.0):
        point = critical_point(activation, bias_std)
        again = critical_point_at_variance(activation, point.variance)
        assert again.weight_std == pytest.approx(point.weight_std, rel=1e-12)
        assert again.bias_std == pytest.approx(point.bias_std, rel=1e-10)


@pytest.mark.parametrize("activation", CURVES)
def test_each_bias_has_one_point(activation):
    found = []
    for step in range(-40, 120):
        try:
            found.append(critical_point_at_variance(activation, 10 ** (step / 20)).bias_std)
        except ValueError:
            assert not found, "σ_b² is negative for small q only"
    assert len(found) > 50
    assert found == sorted(set(found))


def test_the_sigmoid_needs_large_weights():
    point = critical_point("sigmoid")
    assert (point.weight_std**2, point.variance) == pytest.approx((103.0076, 45.6243), abs=1e-4)
    with pytest.raises(ValueError, match=r"sigmoid has no critical point with q = 10\.0: χ_1 ="):
        critical_point_at_variance("sigmoid", 10.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: critical_point("swish"), "unknown activation 'swish'"),
        (
            lambda: critical_point("tanh", -0.1),
            "bias_std is -0.1, but must be 0 or a po",
        ),
        (lambda: critical_point("tanh", 1e7), "critical points of tanh are sought for q from"),
        (lambda: critical_point_at_variance("tanh", -1.0), "variance is -1.0, but must be at le"),
        (lambda: critical_point_at_variance("tanh", math.inf), "variance is inf, but must be a"),
    ],
)
def test_mistakes_are_explained(call, message):
    with pytest.raises(ValueError, match=message):
        call()
