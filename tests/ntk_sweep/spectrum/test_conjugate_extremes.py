"""Protects the extreme eigenvalues of the conjugate kernel: bounds hold, below rounding too."""

import numpy as np
import pytest
import torch

from ntk_sweep import Network
from ntk_sweep.kernel.centred_passes import centred_passes
from ntk_sweep.kernel.pass_errors import PassErrors
from ntk_sweep.network.architecture import Architecture
from ntk_sweep.network.linear_layer import LayerScale
from ntk_sweep.numerics.thresholds import LIMIT_SAMPLES
from ntk_sweep.spectrum.conjugate_extremes import ConjugateFactor, conjugate_extremes
from tests.helpers.exact import absolute_errors, exact_conjugate_spectrum

GENERATOR = np.random.default_rng(7)
PLAIN = torch.from_numpy(GENERATOR.standard_normal((7, 3)))
NEAR = torch.cat(
    [PLAIN[:4], PLAIN[:2] + 1e-7 * torch.from_numpy(GENERATOR.standard_normal((2, 3)))]
)


def extremes_of(x, act, width, depth, parametrisation, weight_std=1.0, bias_std=1.0, **dtype):
    scales = {"weight_std": weight_std, "bias_std": bias_std}
    network = Network.initialise(3, width, depth, act, parametrisation, 2, **dtype, **scales)
    passes = centred_passes(network, x)
    architecture = Architecture(act, width, depth, parametrisation, weight_std, bias_std)
    return network, conjugate_extremes(ConjugateFactor.of(passes, architecture))


@pytest.mark.parametrize(
    ("x", "case", "relative"),
    [
        (PLAIN, ("relu", 20, 3, "thesis"), 1e-11),
        (PLAIN + 10, ("gelu", 60, 3, "ntk", 1.5, 0.3), 1e-2),
        (NEAR, ("erf", 20, 3, "standard", 1.5, None), 1e-4),
        (NEAR, ("relu", 20, 2, "ntk", 2**0.5, 0.0), 1e-4),
        (PLAIN, ("sigmoid", 9, 6, "thesis"), 1e-3),
        (PLAIN, ("tanh", 9, 4, "ntk", 0.1, 1.0), 1e-3),
    ],
)
def test_extremes_are_those_of_the_exact_kernel(x, case, relative):
    network, found = extremes_of(x, *case)
    exact = exact_conjugate_spectrum(network, x)
    ends = torch.tensor([found.lambda_min, found.lambda_max], dtype=torch.float64)
    bounds = torch.tensor([found.lambda_min_error, found.lambda_max_error], dtype=torch.float64)
    assert (absolute_errors(ends, [exact[0], exact[-1]]) <= bounds).all()
    assert 0 < found.lambda_min_error < relative * found.lambda_min
    assert found.lambda_max_error < 1e-11 * found.lambda_max


def test_single_precision_has_wider_bounds():
    x = PLAIN.float()
    network, found = extremes_of(x, "tanh", 20, 3, "ntk", dtype=torch.float32)
    exact = exact_conjugate_spectrum(network, x)
    assert abs(found.lambda_min - float(exact[0])) <= found.lambda_min_error
    assert 1e-9 < found.lambda_min_error / found.lambda_min < 1e-1


@pytest.mark.parametrize(
    ("width", "bias_std", "zero"), [(5, 1.0, True), (6, 1.0, False), (6, None, True)]
)
def test_more_inputs_than_ranks_leave_exactly_zero(width, bias_std, zero):
    _, found = extremes_of(PLAIN, "tanh", width, 3, "thesis", bias_std=bias_std)
    assert (found.lambda_min == found.lambda_min_error == 0.0) == zero
    assert zero or found.lambda_min > found.lambda_min_error
    assert found.lambda_max > found.lambda_max_error > 0


def test_equal_inputs_are_unresolved():
    _, found = extremes_of(torch.cat([PLAIN, PLAIN[:1]]), "elu", 20, 3, "ntk")
    assert 0 <= found.lambda_min <= found.lambda_min_error < 1e-20


def test_overflow_and_too_many_inputs_say_nothing():
    nothing = PassErrors(torch.zeros(1, dtype=torch.float64), torch.zeros(2, dtype=torch.float64))
    for rows in (torch.full((2, 3), 1e200, dtype=torch.float64), torch.zeros(LIMIT_SAMPLES + 1, 1)):
        factor = ConjugateFactor(rows.double(), LayerScale(1.0), nothing)
        assert conjugate_extremes(factor) is None
