"""The infinite-width kernel against Monte Carlo, a recursion in mpmath, and its own promises."""

import math
from functools import partial

import mpmath as mp
import pytest
import torch

from ntk_sweep.kernel.empirical import empirical_ntk
from ntk_sweep.limit import error_bounds as limit_errors
from ntk_sweep.limit.dual_activations import Duals, gram_duals
from ntk_sweep.limit.kernel import limit_kernel_spectrum, limit_ntk, limit_ntks, limit_spectrum
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.network.parametrisations import PARAMETRISATIONS
from tests.helpers.cases import spread

EPS = torch.finfo(torch.float64).eps


def inputs(count=5, n_in=10):
    """Inputs of which two are nearly identical and two opposite, with negative covariances among
    them."""
    x = torch.rand(count, n_in, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x[1] = x[0] + 0.01 * x[1]
    x[-1] = -x[0]
    return x


def sample(x, width, depth, activation, parametrisation, seeds):
    networks = (
        Network.initialise(x.shape[1], width, depth, activation, parametrisation, seed)
        for seed in range(seeds)
    )
    return torch.stack([empirical_ntk(network, x) for network in networks])


def close_to_mean(kernels, limit, bias):
    """Is each entry's mean over seeds within 5 standard errors and a bias of the limit?

    Student's t with 30 and more degrees of freedom exceeds 5 with probability 2e-5 for one entry;
    the entries of a kernel are strongly dependent and there are a few dozen kernels, so a false
    alarm has a chance below one in a hundred, once: the seeds are fixed.
    """
    error = kernels.std(0) / math.sqrt(len(kernels))
    scale = (limit.diagonal()[:, None] * limit.diagonal()[None, :]).sqrt()
    return bool(((kernels.mean(0) - limit).abs() <= 5 * error + bias * scale).all())


@pytest.mark.parametrize(("activation", "parametrisation"), spread(ACTIVATIONS, PARAMETRISATIONS))
def test_mean_over_seeds_at_large_width(activation, parametrisation):
    x, width, depth = inputs(), 500, 4
    kernels = sample(x, width, depth, activation, parametrisation, seeds=32)
    limit = limit_ntk(x, activation, width, depth, parametrisation)
    # The mean differs from the limit by O(1/n) (Huang and Yau 2020); 3/n is beyond anything seen.
    assert close_to_mean(kernels, limit, bias=3 / width)
    # The test must be able to fail: the standard error resolves a factor of 1.2.
    assert not close_to_mean(kernels, 1.2 * limit, bias=3 / width)


@pytest.mark.parametrize(
    ("activation", "parametrisation"), spread(ACTIVATIONS, PARAMETRISATIONS, shift=1)
)
def test_mean_at_depth_two_is_exact_at_any_width(activation, parametrisation):
    # With one hidden layer E[Θ] is the limit for every width, so a width of 3 shows terms that a
    # large width drowns: the bias of the last layer under `thesis`, and all biases and the first
    # layer under `standard`.
    x, width = inputs(n_in=3), 3
    kernels = sample(x, width, 2, activation, parametrisation, seeds=1000)
    limit = limit_ntk(x, activation, width, 2, parametrisation)
    assert close_to_mean(kernels, limit, bias=0)
    assert not close_to_mean(kernels, limit - 1, bias=0)


@pytest.mark.parametrize(
    ("activation", "parametrisation"), spread(ACTIVATIONS, PARAMETRISATIONS, shift=2)
)
def test_distance_decreases_like_the_inverse_root_of_the_width(activation, parametrisation):
    x, widths, distances = inputs(), (32, 128, 512), []
    for width in widths:
        limit = limit_ntk(x, activation, width, 3, parametrisation)
        kernels = sample(x, width, 3, activation, parametrisation, seeds=40)
        distances.append(
            float((((kernels - limit).norm(dim=(1, 2)) / limit.norm()).square().mean()).sqrt())
        )
    slope = math.log(distances[-1] / distances[0]) / math.log(widths[-1] / widths[0])
    # The root mean square of 40 draws has a relative error of up to 1/√40 at both ends
    # (fluctuations are nearly Gaussian, one mode dominates), so the slope one of 0.22/ln 16 = 0.08;
    # and at width 32 corrections of higher order count.
    assert -0.5 - 0.25 <= slope <= -0.5 + 0.25, distances


def test_width_enters_as_documented():
    x = inputs()
    a, b = (limit_ntk(x, "elu", width, 4, "ntk") for width in (10, 1000))
    torch.testing.assert_close(a, b, rtol=1e-13, atol=0)
    thesis = limit_ntk(x * math.sqrt(50 / x.shape[1]), "elu", 50, 4, "thesis")
    # First-layer covariances agree, hence so do all others; the last layer is multiplied by n but
    # for its bias. The first layer's own term agrees too, as both have c_1² ‖x‖².
    torch.testing.assert_close((thesis - 1) / 50, a - 1, rtol=1e-12, atol=0)


def test_depths_together_and_one_by_one_agree():
    x = inputs()
    together = limit_ntks(x, "sigmoid", 70, (5, 2, 3), "standard")
    assert list(together) == [2, 3, 5]
    for depth, kernel in together.items():
        assert torch.equal(kernel.kernel, limit_ntk(x, "sigmoid", 70, depth, "standard"))
        assert torch.equal(kernel.kernel, kernel.kernel.T)


# -- error bounds


def exact_limit(x, activation, width, depth, parametrisation):
    """The plain recursion with closed-form duals in mpmath, straight from the definition and
    without any rearrangement."""
    factor, std = (
        PARAMETRISATIONS[parametrisation].factor,
        PARAMETRISATIONS[parametrisation].weight_std,
    )
    count, n_in = x.shape
    rows = [[mp.mpf(value) for value in row] for row in x.tolist()]
    gram = mp.matrix(count, count)
    for i in range(count):
        for j in range(count):
            gram[i, j] = mp.fdot(rows[i], rows[j])
    tangent, slopes = mp.zeros(count), mp.zeros(count)
    for layer in range(1, depth + 1):
        fan_in, last = (n_in if layer == 1 else width), layer == depth
        own = mp.mpf(factor(fan_in, 1 if last else width, last)) ** 2 * (
            1 if layer == 1 else fan_in
        )
        gain = own * mp.mpf(std(fan_in)) ** 2
        own_term = gram * own + mp.ones(count)
        tangent = own_term + gain * _entrywise(lambda slope, below: slope * below, slopes, tangent)
        if last:
            return tangent
        covariance = gram * gain + mp.ones(count)
        variances = [covariance[i, i] for i in range(count)]
        rows_of = mp.matrix([[k] * count for k in variances])
        duals = [partial(_closed, activation, order) for order in (0, 1)]
        gram, slopes = (_entrywise(dual, rows_of, rows_of.T, covariance) for dual in duals)
    raise AssertionError


def _entrywise(function, *matrices):
    count = matrices[0].rows
    return mp.matrix(
        [[function(*(m[i, j] for m in matrices)) for j in range(count)] for i in range(count)]
    )


def _closed(activation, order, k, l, c):  # noqa: E741
    if activation == "erf":
        root = mp.sqrt((1 + 2 * k) * (1 + 2 * l))
        return (2 / mp.pi * mp.asin(2 * c / root), 4 / mp.pi / mp.sqrt(root**2 - 4 * c * c))[order]
    slope = mp.mpf(0.01) if activation == "lrelu" else mp.mpf(0)
    cosine = min(mp.mpf(1), c / mp.sqrt(k * l))
    theta = mp.acos(cosine)
    bend = (1 - slope) ** 2 / (2 * mp.pi)
    overlap = mp.sin(theta) + (mp.pi - theta) * cosine
    return (slope * c + bend * mp.sqrt(k * l) * overlap, slope + bend * (mp.pi - theta))[order]


@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
@pytest.mark.parametrize("activation", ["relu", "lrelu", "erf"])
@pytest.mark.parametrize("gap", [1e-2, 1e-6, 1e-12, 0.0])
def test_error_bound_against_mpmath(activation, parametrisation, gap):
    x = inputs(4)
    x[1] = x[0] + gap * x[1]
    depth, width = 6, 300
    computed = limit_ntks(x, activation, width, (depth,), parametrisation)[depth]
    with mp.workdps(60):
        exact = exact_limit(x, activation, width, depth, parametrisation)
        difference = torch.tensor(
            [
                [float(mp.mpf(float(computed.kernel[i, j])) - exact[i, j]) for j in range(4)]
                for i in range(4)
            ],
            dtype=torch.float64,
        )
    size = float(torch.linalg.matrix_norm(computed.kernel, 2))
    assert float(torch.linalg.matrix_norm(difference, 2)) <= computed.error_norm
    assert computed.error_norm <= 1e-10 * size  # informative, also for nearly identical inputs


@pytest.mark.parametrize(
    "activation", [name for name, entry in ACTIVATIONS.items() if entry.closed_dual is None]
)
def test_error_bound_covers_perturbed_duals(activation, monkeypatch):
    # The bound is of first order and linear in the error of the duals: so give these a large one,
    # on purpose and at random.
    unit, x, depth = 1e-8, inputs(12), 6
    exact = limit_ntk(x, activation, 100, depth, "ntk")
    monkeypatch.setattr(limit_errors, "dual_error", lambda *_: unit)
    generator = torch.Generator().manual_seed(3)

    def perturbed(name, pairs):
        duals, count = gram_duals(name, pairs), len(pairs.cov)
        signs = [
            torch.randn(count, count, generator=generator, dtype=torch.float64).triu().sign()
            for _ in range(2)
        ]
        function, derivative = (
            value
            + unit
            * (sign + sign.T).clamp(-1, 1)
            * (value.diagonal()[:, None] * value.diagonal()[None, :]).sqrt()
            for value, sign in zip((duals.function, duals.derivative), signs, strict=True)
        )
        size = function.diagonal()
        return Duals(
            function,
            derivative,
            (size[:, None] + size[None, :] - 2 * function).clamp(min=0).fill_diagonal_(0),
        )

    monkeypatch.setattr("ntk_sweep.limit.kernel.gram_duals", perturbed)
    result = limit_ntks(x, activation, 100, (depth,), "ntk")[depth]
    error = float(torch.linalg.matrix_norm(result.kernel - exact, 2))
    assert error <= result.error_norm
    # Random signs mostly cancel, whereas a bound adds them up, over 12 inputs and 6 layers.
    assert result.error_norm <= 1e3 * error


# -- spectra and edge cases


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_identical_inputs_give_an_unresolved_zero(activation):
    x = inputs(6)
    x[3] = x[2]
    spectrum = limit_spectrum(x, activation, 100, 5, "thesis")
    assert (spectrum.eigenvalues >= 0).all()
    assert spectrum.eigenvalues[0] <= spectrum.errors[0]
    assert not spectrum.resolved[0]
    assert spectrum.method == "limit"


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_one_input_and_zero_input(activation):
    for x in (torch.ones(1, 3, dtype=torch.float64), torch.zeros(2, 3, dtype=torch.float64)):
        limit = limit_ntks(x, activation, 50, (2, 4), "ntk")
        assert all(torch.isfinite(kernel.kernel).all() for kernel in limit.values())
        assert limit_kernel_spectrum(limit[4]).resolved[-1]


def test_errors_name_what_is_wrong():
    x = inputs()
    with pytest.raises(ValueError, match="unknown activation 'swish'"):
        limit_ntk(x, "swish", 10, 2, "ntk")
    with pytest.raises(ValueError, match="unknown parametrisation 'mup'"):
        limit_ntk(x, "relu", 10, 2, "mup")
    with pytest.raises(ValueError, match="depth is 1, but must be an integer of at least 2"):
        limit_ntk(x, "relu", 10, 1, "ntk")
    with pytest.raises(ValueError, match="width is 0"):
        limit_ntk(x, "relu", 0, 2, "ntk")
    with pytest.raises(ValueError, match=r"x is torch\.float32"):
        limit_ntk(x.float(), "relu", 10, 2, "ntk")
    with pytest.raises(ValueError, match="at least one input"):
        limit_ntk(x[:0], "relu", 10, 2, "ntk")
    with pytest.raises(ValueError, match="no depth"):
        limit_ntks(x, "relu", 10, (), "ntk")
    with pytest.raises(ValueError, match="not finite"):
        limit_ntk(x * math.inf, "relu", 10, 2, "ntk")
