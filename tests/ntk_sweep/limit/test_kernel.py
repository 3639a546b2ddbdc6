"""The infinite-width kernel is the mean of empirical kernels; spectra, edge cases, refusals."""

import math
from itertools import cycle

import pytest
import torch

from ntk_sweep.kernel.empirical import empirical_ntk
from ntk_sweep.limit.kernel import (
    LimitKernel,
    limit_kernel_spectrum,
    limit_ntk,
    limit_ntks,
    limit_spectrum,
)
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.network.parametrisations import PARAMETRISATIONS
from tests.helpers.limit_inputs import inputs

PAIRS = [("elu", "thesis"), ("sigmoid", "ntk"), ("relu", "standard")]
"""The recursion knows activations by their duals alone, and parametrisations by factors alone."""


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


@pytest.mark.parametrize(
    ("activation", "parametrisation"), list(zip(ACTIVATIONS, cycle(PARAMETRISATIONS), strict=False))
)
def test_mean_over_seeds_at_large_width(activation, parametrisation):
    x, width, depth = inputs(), 500, 4
    kernels = sample(x, width, depth, activation, parametrisation, seeds=32)
    limit = limit_ntk(x, activation, width, depth, parametrisation)
    # The mean differs from the limit by O(1/n) (Huang and Yau 2020); 3/n is beyond anything seen.
    assert close_to_mean(kernels, limit, bias=3 / width)
    # The test must be able to fail: the standard error resolves a factor of 1.2.
    assert not close_to_mean(kernels, 1.2 * limit, bias=3 / width)


@pytest.mark.parametrize(("activation", "parametrisation"), PAIRS)
def test_mean_at_depth_two_is_exact_at_any_width(activation, parametrisation):
    # With one hidden layer E[Θ] is the limit for every width, so a width of 3 shows terms that a
    # large width drowns: the bias of the last layer under `thesis`, and all biases and the first
    # layer under `standard`.
    x, width = inputs(n_in=3), 3
    kernels = sample(x, width, 2, activation, parametrisation, seeds=400)
    limit = limit_ntk(x, activation, width, 2, parametrisation)
    assert close_to_mean(kernels, limit, bias=0)
    assert not close_to_mean(kernels, limit - 1, bias=0)


@pytest.mark.parametrize(("activation", "parametrisation"), PAIRS)
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


@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
def test_depths_together_and_one_by_one_agree(parametrisation):
    x = inputs()
    together = limit_ntks(x, "sigmoid", 70, (5, 2, 3), parametrisation)
    assert list(together) == [2, 3, 5]
    for depth, kernel in together.items():
        assert torch.equal(kernel.kernel, limit_ntk(x, "sigmoid", 70, depth, parametrisation))
        assert torch.equal(kernel.kernel, kernel.kernel.T)


def test_an_error_is_that_of_the_kernel_and_of_the_solver():
    kernel = torch.diag(torch.tensor([4.0, -1e-20, 2.0], dtype=torch.float64))
    eps = torch.finfo(torch.float64).eps
    for error_norm in (0.0, 1e-3):
        spectrum = limit_kernel_spectrum(LimitKernel(kernel, error_norm))
        assert spectrum.eigenvalues.tolist() == [0, 2, 4]
        assert spectrum.errors.tolist() == pytest.approx([error_norm + 3 * eps * 4] * 3, rel=1e-15)


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
