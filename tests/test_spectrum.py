import mpmath
import numpy as np
import oracles
import pytest
import torch
from oracles import COMBINATIONS

from ntk_sweep.kernel import empirical_ntk
from ntk_sweep.network import Network
from ntk_sweep.spectrum import Spectrum, kernel_spectrum, ntk_spectrum

SHAPES = [(1, 3, 4, 2), (1, 1, 1, 2), (5, 1, 3, 3), (5, 4, 1, 5), (6, 5, 6, 2), (6, 4, 5, 4)]
"""(N, n_0, width, depth)"""

KINDS = ("normal", "pixels", "identical", "zeros", "constant", "large", "close")


def inputs(kind, n, n_inputs):
    """Inputs of every kind that makes kernels easy, singular, or nearly so."""
    rng = np.random.default_rng(8)
    x = {
        "normal": rng.standard_normal((n, n_inputs)),
        "pixels": np.round(rng.random((n, n_inputs)) * 255) / 255,
        "identical": np.repeat(rng.random((1, n_inputs)), n, axis=0),
        "zeros": np.zeros((n, n_inputs)),
        "constant": np.repeat(rng.random((n, 1)), n_inputs, axis=1),
        "large": 300 * rng.standard_normal((n, n_inputs)),
        "close": rng.random((1, n_inputs)) + 1e-7 * rng.standard_normal((n, n_inputs)),
    }[kind]
    return torch.from_numpy(x)


def assert_bounds_hold(spectrum, truth):
    assert len(spectrum.eigenvalues) == len(spectrum.errors) == len(truth)
    assert spectrum.eigenvalues.dtype == spectrum.errors.dtype == torch.float64
    for value, bound, true in zip(spectrum.eigenvalues.tolist(), spectrum.errors.tolist(), truth, strict=True):
        assert abs(mpmath.mpf(value) - true) <= bound
    assert (spectrum.eigenvalues >= 0).all()
    assert (spectrum.eigenvalues.diff() >= 0).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("activation", "parametrisation"), COMBINATIONS)
def test_errors_bound_the_true_errors(activation, parametrisation, kind):
    for n, n_inputs, width, depth in SHAPES:
        network = Network.initialise(n_inputs, width, depth, activation, parametrisation, seed=3)
        x = inputs(kind, n, n_inputs)
        assert_bounds_hold(ntk_spectrum(network, x), oracles.exact_spectrum(network, x))


@pytest.mark.parametrize("kind", ["normal", "pixels", "identical"])
@pytest.mark.parametrize(("activation", "parametrisation"), COMBINATIONS)
def test_errors_in_float32_bound_the_true_errors(activation, parametrisation, kind):
    for n, n_inputs, width, depth in SHAPES:
        network = Network.initialise(n_inputs, width, depth, activation, parametrisation, seed=3, dtype=torch.float32)
        x = inputs(kind, n, n_inputs).float()
        assert_bounds_hold(ntk_spectrum(network, x), oracles.exact_spectrum(network, x))


@pytest.mark.parametrize(("activation", "parametrisation"), COMBINATIONS)
def test_errors_are_not_needlessly_large(activation, parametrisation):
    network = Network.initialise(5, 6, 3, activation, parametrisation, seed=3)
    spectrum = ntk_spectrum(network, inputs("normal", 6, 5))
    assert spectrum.errors.max() < 1e-12 * spectrum.eigenvalues[-1]


@pytest.mark.parametrize(("activation", "parametrisation"), COMBINATIONS)
def test_eigenvalues_sum_to_the_trace(activation, parametrisation):
    network = Network.initialise(5, 20, 3, activation, parametrisation, seed=0)
    x = inputs("normal", 15, 5)
    assert ntk_spectrum(network, x).eigenvalues.sum().item() == pytest.approx(empirical_ntk(network, x).trace().item(), rel=1e-12)


@pytest.mark.parametrize(("activation", "parametrisation"), COMBINATIONS)
def test_order_of_the_inputs_does_not_matter(activation, parametrisation):
    network = Network.initialise(5, 20, 3, activation, parametrisation, seed=0)
    x = inputs("normal", 15, 5)
    first, second = ntk_spectrum(network, x), ntk_spectrum(network, x.flip(0))
    assert ((first.eigenvalues - second.eigenvalues).abs() <= first.errors + second.errors).all()


def test_one_input_has_the_squared_gradient_norm_as_its_eigenvalue():
    network = Network.initialise(3, 4, 3, "elu", "ntk", seed=0)
    x = inputs("normal", 1, 3)
    assert ntk_spectrum(network, x).eigenvalues.item() == pytest.approx((oracles.jacobian(network, x) ** 2).sum().item(), rel=1e-13)


@pytest.mark.parametrize("kind", ["identical", "zeros"])
def test_identical_inputs_leave_one_eigenvalue_resolved(kind):
    spectrum = ntk_spectrum(Network.initialise(4, 30, 5, "sigmoid", "thesis", seed=0), inputs(kind, 40, 4))
    assert spectrum.resolved.tolist() == [False] * 39 + [True]
    assert (spectrum.eigenvalues >= 0).all()


def test_noise_of_a_nearly_singular_kernel_is_never_negative_and_marked():
    network = Network.initialise(6, 40, 10, "sigmoid", "thesis", seed=0)
    x = inputs("pixels", 60, 6)
    raw = torch.linalg.eigvalsh(empirical_ntk(network, x))
    assert raw[0] < 0, "the case is meant to be one in which the solver returns negative noise"
    spectrum = ntk_spectrum(network, x)
    assert (spectrum.eigenvalues >= 0).all()
    assert not spectrum.resolved[0]
    assert spectrum.resolved[-1]


def test_resolved_compares_with_the_own_error():
    values = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
    assert Spectrum(values, torch.tensor([0.5, 1.0, 1.5], dtype=torch.float64), "eigh").resolved.tolist() == [False, False, True]


def test_no_inputs_are_refused():
    network = Network.initialise(3, 4, 2, "relu", "thesis", seed=0)
    with pytest.raises(ValueError, match="the kernel is empty: a spectrum needs at least one input"):
        ntk_spectrum(network, torch.zeros(0, 3, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_overflowing_kernel_is_refused(dtype):
    network = Network.initialise(1, 5, 2, "relu", "standard", seed=0, dtype=dtype)
    x = torch.full((3, 1), torch.finfo(dtype).max ** 0.6, dtype=dtype)
    with pytest.raises(ValueError, match=f"the kernel is not finite: it overflows {dtype}"):
        ntk_spectrum(network, x)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_inputs_that_are_not_finite_give_no_spectrum(value):
    x = torch.ones(3, 2, dtype=torch.float64)
    x[1, 1] = value
    with pytest.raises(ValueError, match="not finite"):
        ntk_spectrum(Network.initialise(2, 5, 2, "elu", "standard", seed=0), x)


def test_eigenvalues_that_overflow_though_the_kernel_does_not_are_refused():
    network = Network.initialise(2, 3, 2, "relu", "thesis", seed=0)
    theta = torch.full((50, 50), 1e307, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"overflow torch\.float64"):
        kernel_spectrum(network, theta)


def test_float32_kernels_near_overflow_have_their_spectrum():
    theta = torch.full((50, 50), 1e38, dtype=torch.float32)
    network = Network.initialise(2, 3, 2, "relu", "thesis", seed=0, dtype=torch.float32)
    spectrum = kernel_spectrum(network, theta)
    assert spectrum.eigenvalues[-1].item() == pytest.approx(5e39, rel=1e-6)
    assert torch.isfinite(spectrum.errors).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_spectrum_is_float64_and_says_how_it_was_obtained(dtype, few_inputs):
    spectrum = ntk_spectrum(Network.initialise(5, 4, 3, "relu", "thesis", seed=0, dtype=dtype), few_inputs.to(dtype))
    assert spectrum.eigenvalues.dtype == spectrum.errors.dtype == torch.float64
    assert spectrum.method == "eigh"
    assert (spectrum.errors > 0).all()


def test_float32_errors_are_of_float32_size(few_inputs):
    spectrum = ntk_spectrum(Network.initialise(5, 4, 3, "relu", "thesis", seed=0, dtype=torch.float32), few_inputs.float())
    assert 1e-7 < (spectrum.errors.max() / spectrum.eigenvalues[-1]).item() < 1e-4
