"""Protects fixed points, slopes and depths: closed forms, mpmath, iteration, limit kernels."""

from __future__ import annotations

import math

import mpmath as mp
import pytest
import torch

from ntk_sweep.limit.critical_line import critical_point
from ntk_sweep.limit.dual_activations import dual_activations
from ntk_sweep.limit.kernel import limit_ntk
from ntk_sweep.limit.mean_field import correlation_map, mean_field, variance_map
from ntk_sweep.network.activations.registry import ACTIVATIONS

SCALES = [(1.0, 1.0), (0.7, 2.0), (1.5, 0.3), (3.0, 0.1), (0.1, 0.1)]


def erf_variance(weight, bias, q):
    return weight * 2 / mp.pi * mp.asin(2 * q / (1 + 2 * q)) + bias


@pytest.mark.parametrize(("weight_std", "bias_std"), SCALES)
def test_of_erf_they_are_those_of_the_arcsine(weight_std, bias_std):
    found = mean_field("erf", weight_std, bias_std)
    weight, bias = mp.mpf(weight_std) ** 2, mp.mpf(bias_std) ** 2
    q = mp.findroot(lambda q: erf_variance(weight, bias, q) - q, found.variance)
    chi = weight * 4 / mp.pi / mp.sqrt(1 + 4 * q)
    assert found.variance == pytest.approx(float(q), rel=1e-13)
    assert found.slope == pytest.approx(float(chi), rel=1e-13)
    assert found.variance_slope == pytest.approx(
        float(mp.diff(lambda q: erf_variance(weight, bias, q), q)), rel=1e-10
    )
    if chi < 1:
        assert found.correlation == 1
        assert found.ntk_limit == pytest.approx(float(q / (1 - chi)), rel=1e-12)
        return
    c = mp.findroot(
        lambda c: weight * 2 / mp.pi * mp.asin(2 * q * c / (1 + 2 * q)) + bias - q * c,
        found.correlation,
    )
    assert found.correlation == pytest.approx(float(c), rel=1e-12)
    slope = weight * 4 / mp.pi / mp.sqrt((1 + 2 * q) ** 2 - (2 * q * c) ** 2)
    assert found.correlation_slope == pytest.approx(float(slope), rel=1e-12)
    assert found.ntk_limit == math.inf


def test_of_erf_at_unit_scales_they_are_known():
    found = mean_field("erf")
    numbers = (found.variance, found.slope, found.ntk_limit)
    assert numbers == pytest.approx((1.54524118, 0.47513686, 2.94408401), abs=5e-9)
    assert found.phase == "ordered"


@pytest.mark.parametrize(("activation", "gain"), [("relu", 0.5), ("lrelu", (1 + 1e-4) / 2)])
@pytest.mark.parametrize(("weight_std", "bias_std"), [(1.0, 1.0), (0.7, 2.0), (1.3, 0.3)])
def test_of_piecewise_linear_activations_they_are_known(activation, gain, weight_std, bias_std):
    found = mean_field(activation, weight_std, bias_std)
    chi = weight_std**2 * gain
    q = bias_std**2 / (1 - chi)
    assert found.variance == pytest.approx(q, rel=1e-13)
    assert (found.slope, found.variance_slope) == pytest.approx((chi, chi), rel=1e-14)
    assert (found.correlation, found.correlation_slope) == (1, found.slope)
    assert found.ntk_limit == pytest.approx(q / (1 - chi), rel=1e-12)


@pytest.mark.parametrize("second_moment", [1e-3, 1.0, 50.0])
@pytest.mark.parametrize(("activation", "gain"), [("relu", 0.5), ("lrelu", (1 + 1e-4) / 2)])
def test_at_he_initialisation_every_variance_stays(activation, gain, second_moment):
    found = mean_field(activation, gain**-0.5, None, second_moment)
    assert found.scale_free
    assert found.variance == found.first_variance == pytest.approx(second_moment / gain)
    assert (found.phase, found.correlation) == ("critical", 1)
    assert (found.correlation_depth, found.variance_depth, found.ntk_limit) == (math.inf,) * 3


@pytest.mark.parametrize("activation", ["relu", "elu", "lrelu", "gelu", "silu"])
def test_variances_of_unbounded_activations_grow_beyond_their_critical_weights(activation):
    found = mean_field(activation, 2.0, 0.5)
    assert found.variance == math.inf
    assert found.phase == "chaotic"
    assert found.slope == found.variance_slope == pytest.approx(2, rel=1e-3)
    assert (found.correlation, found.correlation_slope) == (1, 1)
    assert found.ntk_limit == found.ntk_limit_off_diagonal == math.inf


def test_of_relu_with_biases_variances_grow_at_the_critical_weights_too():
    found = mean_field("relu", math.sqrt(2), 1.0)
    assert (found.variance, found.phase, found.scale_free) == (math.inf, "critical", False)


@pytest.mark.parametrize(
    ("activation", "slope_at_zero"),
    [("tanh", 1), ("erf", 2 / math.sqrt(math.pi)), ("elu", 1), ("gelu", 0.5), ("silu", 0.5)],
)
def test_without_biases_small_weights_take_all_variance(activation, slope_at_zero):
    found = mean_field(activation, 0.8, 0.0)
    assert found.variance == 0
    assert found.slope == found.variance_slope == pytest.approx(0.64 * slope_at_zero**2)
    assert found.correlation is None
    assert found.ntk_limit == found.ntk_limit_off_diagonal == 0


def test_a_kink_at_zero_correlates_even_where_the_variance_vanishes():
    found = mean_field("relu", 1.0, 0.0)
    assert (found.variance, found.slope, found.correlation) == (0, 0.5, 1)
    assert found.correlation_depth == math.inf  # 1 - c falls like 1/l²


@pytest.mark.parametrize(
    ("activation", "weight_std"), [("tanh", 1.3), ("tanh", 50.0), ("erf", 1.0)]
)
def test_an_odd_activation_without_biases_decorrelates_wholly_in_chaos(activation, weight_std):
    found = mean_field(activation, weight_std, 0.0)
    assert (found.phase, found.correlation) == ("chaotic", 0)
    assert found.correlation_slope < 1
    assert found.ntk_limit_off_diagonal == 0


def gaussian(function, q):
    a = mp.sqrt(q)
    ends = sorted({s * e for s in (-1, 0, 1) for e in (1, 4, 10, 20)} | {3 / a, -3 / a})
    return mp.quad(lambda t: function(a * t) * mp.npdf(t), ends)


def logistic(z):
    return 1 / (1 + mp.exp(-z))


BY_MPMATH = {
    "sigmoid": (logistic, lambda z: logistic(z) * logistic(-z)),
    "elu": (lambda z: z if z > 0 else mp.expm1(z), lambda z: mp.mpf(1) if z > 0 else mp.exp(z)),
    "gelu": (lambda z: z * mp.ncdf(z), lambda z: mp.ncdf(z) + z * mp.npdf(z)),
    "silu": (lambda z: z * logistic(z), lambda z: logistic(z) * (1 + z * logistic(-z))),
    "tanh": (mp.tanh, lambda z: mp.sech(z) ** 2),
}


@pytest.mark.parametrize("activation", BY_MPMATH)
@pytest.mark.parametrize(("weight_std", "bias_std"), [(1.0, 1.0), (0.7, 2.0), (1.2, 0.3)])
def test_they_agree_with_mpmath(activation, weight_std, bias_std):
    found = mean_field(activation, weight_std, bias_std)
    function, derivative = BY_MPMATH[activation]
    q, weight = mp.mpf(found.variance), mp.mpf(weight_std) ** 2
    next_q = weight * gaussian(lambda z: function(z) ** 2, q) + mp.mpf(bias_std) ** 2
    growth = weight * gaussian(lambda z: z * function(z) * derivative(z), q) / q
    # q is off the fixed point by (V(q) - q) / (1 - V'(q))
    assert abs((next_q - q) / (1 - growth)) < 1e-13 * q
    assert found.slope == pytest.approx(float(weight * gaussian(lambda z: derivative(z) ** 2, q)))
    assert found.variance_slope == pytest.approx(float(growth), rel=1e-12)


@pytest.mark.parametrize(("weight_std", "bias_std"), [*SCALES, (1.449, 0.2), (1.42, 0.5)])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_iterating_the_variance_map_ends_there(activation, weight_std, bias_std):
    """From a small and from a large second moment, side by side."""
    found = [mean_field(activation, weight_std, bias_std, moment) for moment in (0.01, 30.0)]
    ends = [each.variance for each in found]
    q, steps = [each.first_variance for each in found], 300
    for _ in range(steps):
        q = variance_map(activation, weight_std, bias_std, q).tolist()
        if all(v > 1e30 or abs(v / end - 1) < 1e-13 for v, end in zip(q, ends, strict=True)):
            break
        q = [min(v, 2e30) for v in q]
    for value, each in zip(q, found, strict=True):
        if math.isinf(each.variance):
            assert value > 4 * each.first_variance
        else:
            allowed = 1e-12 + 1e3 * each.variance_slope**steps
            assert value == pytest.approx(each.variance, rel=allowed)


@pytest.mark.parametrize(
    ("activation", "weight_std", "bias_std"),
    [
        *[(activation, 0.7, 1.0) for activation in ACTIVATIONS],
        *[("erf", *scales) for scales in SCALES],
        ("tanh", 3.0, 0.1),
        ("sigmoid", 20.0, 1.0),
        ("elu", 1.25, 0.05),
    ],
)
def test_iterating_the_correlation_map_ends_there(activation, weight_std, bias_std):
    found = mean_field(activation, weight_std, bias_std)
    c, steps = 0.3, 150
    for _ in range(steps):
        c = float(correlation_map(activation, weight_std, bias_std, found.variance, [c]))
        if abs(c - found.correlation) < 1e-14:
            break
    assert c == pytest.approx(found.correlation, abs=1e-12 + 10 * found.correlation_slope**steps)


@pytest.mark.parametrize(
    ("activation", "weight_std", "bias_std"),
    [("erf", 1.118, 0.2236), ("erf", 1.5, 0.3), ("tanh", 2.0, 0.4), ("sigmoid", 20.0, 1.0)],
)
def test_distances_from_the_fixed_points_fall_at_their_depths(activation, weight_std, bias_std):
    found = mean_field(activation, weight_std, bias_std)
    layers = 3
    q = torch.tensor([found.variance * 1.0001], dtype=torch.float64)
    c = torch.tensor([found.correlation - 1e-5], dtype=torch.float64)
    starts = float(q) - found.variance, float(c) - found.correlation
    for _ in range(layers):
        q = variance_map(activation, weight_std, bias_std, q)
        c = correlation_map(activation, weight_std, bias_std, found.variance, c)
    left = (float(q) - found.variance) / starts[0], (float(c) - found.correlation) / starts[1]
    assert left[0] == pytest.approx(math.exp(-layers / found.variance_depth), rel=2e-2)
    assert left[1] == pytest.approx(math.exp(-layers / found.correlation_depth), rel=2e-2)


@pytest.mark.parametrize("activation", ["gelu", "silu"])
def test_two_fixed_points_that_nearly_meet_are_both_seen(activation):
    # q - σ_w² E[σ²] has a maximum; just below it V has a stable and an unstable fixed point, a few
    # parts in ten thousand apart, and just above it none.
    weight_std = math.sqrt(2.1)
    q = torch.linspace(1e-3, 20, 20_001, dtype=torch.float64)
    gap = q - variance_map(activation, weight_std, 0.0, q)
    place, largest = float(q[gap.argmax()]), float(gap.max())
    below = mean_field(activation, weight_std, math.sqrt(largest * (1 - 1e-6)), 1e-3)
    assert below.variance == pytest.approx(place, rel=2e-2)
    assert below.variance < place
    assert 0.99 < below.variance_slope < 1
    above = mean_field(activation, weight_std, math.sqrt(largest * (1 + 1e-6)), 1e-3)
    assert above.variance == math.inf
    apart = mean_field(activation, weight_std, math.sqrt(largest / 2), second_moment=1e3)
    assert apart.variance == math.inf, "inputs of great norm start beyond the unstable one"


@pytest.mark.parametrize("excess", [1e-3, 1e-5, 1e-7])
def test_near_the_critical_line_chaos_is_still_resolved(excess):
    # tanh z = z - z³/3: q* ≈ ε/2 for σ_w² = 1 + ε, of which χ_1 keeps 1 + 4/3 (q*)² only
    found = mean_field("tanh", math.sqrt(1 + excess), 0.0)
    assert found.variance == pytest.approx(excess / 2, rel=3 * excess + 1e-7)
    assert found.phase == "critical" if excess < 1e-4 else "chaotic"
    # erf: 1 - c* = 2 (χ_1 - 1) / C''(1) to first order, C''(1) = σ_w² q E[σ''²]
    found = mean_field("erf", critical_point("erf", 0.5).weight_std * (1 + excess), 0.5)
    q = found.variance
    second = found.weight_std**2 * q * 16 / math.pi * q / (1 + 4 * q) ** 1.5
    distance = 2 * (found.slope - 1) / second
    allowed = 3 * distance + 1e-15 / distance**2
    assert 1 - found.correlation == pytest.approx(distance, rel=allowed)
    assert found.correlation_depth == pytest.approx(1 / (found.slope - 1), rel=allowed)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_limit_kernels_of_deep_networks_have_the_entries_predicted(activation):
    found = mean_field(activation)
    x = torch.tensor([[1.0, 0.0], [0.6, 0.8], [-1.0, 1.0]], dtype=torch.float64)
    kernel = limit_ntk(x, activation, width=10, depth=80, parametrisation="ntk")
    assert found.slope**80 < 1e-15
    assert kernel.numpy() == pytest.approx(found.ntk_limit, rel=1e-12)


def test_the_limit_kernel_of_erf_nears_its_limit_like_the_slope():
    found = mean_field("erf")
    x = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)
    kernels = [limit_ntk(x, "erf", 10, depth, "ntk") for depth in (20, 21)]
    left = [found.ntk_limit - float(kernel[0, 0]) for kernel in kernels]
    assert float(kernels[0][0, 0]) == pytest.approx(2.94408320, abs=2e-6)
    assert left[1] / left[0] == pytest.approx(found.slope, rel=1e-3)


@pytest.mark.parametrize(
    ("activation", "weight_std", "bias_std"), [("erf", 1.5, 0.3), ("tanh", 3.0, 0.1)]
)
def test_in_chaos_kernel_entries_of_different_inputs_have_a_limit(activation, weight_std, bias_std):
    found = mean_field(activation, weight_std, bias_std)
    assert found.phase == "chaotic"
    q, c, tangent = found.variance, 0.5, 0.0
    for _ in range(800 if activation == "erf" else 150):
        cov = c * q
        duals = dual_activations(activation, [q], [q], [cov])
        tangent = (
            weight_std**2 * float(duals.function)
            + bias_std**2
            + weight_std**2 * float(duals.derivative) * tangent
        )
        c = (weight_std**2 * float(duals.function) + bias_std**2) / q
    assert tangent == pytest.approx(found.ntk_limit_off_diagonal, rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("swish",), "unknown activation 'swish': choose one of relu"),
        (("relu", 0.0), "weight_std is 0.0, but must be a positive number"),
        (("relu", -1.0), r"weight_std is -1\.0, but must be a positive number"),
        (("relu", math.inf), "weight_std is inf, but must be a positive number"),
        (("relu", 1.0, -1.0), r"bias_std is -1\.0, but must be 0 or a positive number"),
        (("relu", 1.0, math.nan), "bias_std is nan, but must be 0 or a positive number"),
        (("relu", 1.0, 1.0, -1.0), r"second_moment is -1\.0"),
        (("relu", 1.0, 0.0, 0.0), "the variance of the first layer is .* = 0.0, but must be"),
        (("erf", 1.0, 1e8), r"= 1\d+\.\d*, but must be between 1e-40 and 1e12|1e\+16"),
    ],
)
def test_mistakes_are_explained(arguments, message):
    with pytest.raises(ValueError, match=message):
        mean_field(*arguments)


def test_maps_refuse_what_is_no_variance():
    with pytest.raises(ValueError, match="variances must be finite and not negative"):
        variance_map("relu", 1.0, 1.0, [-1.0])
    with pytest.raises(ValueError, match=r"variance is 0\.0, but must be at least"):
        correlation_map("relu", 1.0, 1.0, 0.0, [0.5])
