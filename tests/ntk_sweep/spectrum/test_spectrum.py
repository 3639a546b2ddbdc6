"""Protects the error bounds: every eigenvalue lies within its bound of the true one."""

from __future__ import annotations

import dataclasses
from itertools import product

import numpy as np
import pytest
import torch

from ntk_sweep.kernel.centred_kernel import centred_kernel
from ntk_sweep.kernel.centred_passes import centred_passes
from ntk_sweep.kernel.empirical import empirical_ntk
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.network.parametrisations import PARAMETRISATIONS
from ntk_sweep.settings import schema as config
from ntk_sweep.spectrum.spectrum import METHODS, TARGET, Spectrum, kernel_spectrum, ntk_spectrum
from tests.helpers.exact import absolute_errors, exact_spectrum

# (inputs, features, width, depth): small, deep, wide and shallow, and one with fewer features and
# units than inputs
SHAPES = [(5, 4, 6, 3), (6, 8, 10, 8), (8, 30, 20, 2), (10, 3, 5, 4)]


CASES = [
    (*pair, SHAPES[(index + shift) % 4], dtype)
    for index, pair in enumerate(product(["relu", "elu", "lrelu", "sigmoid"], PARAMETRISATIONS))
    for shift, dtype in ((0, torch.float64), (1, torch.float64), (1, torch.float32))
]
"""Each pair on two shapes: so each activation, and each parametrisation, meets all four."""


def images(count: int, features: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Inputs in [0, 1], like pixels."""
    return torch.rand(
        count, features, dtype=torch.float64, generator=torch.Generator().manual_seed(7)
    ).to(dtype)


def assert_within_bounds(spectrum: Spectrum, exact: list) -> None:
    """Every eigenvalue is non-negative, in order, and within its bound."""
    errors = absolute_errors(spectrum.eigenvalues, exact)
    assert spectrum.eigenvalues.dtype == spectrum.errors.dtype == torch.float64
    assert (spectrum.eigenvalues >= 0).all() and (spectrum.eigenvalues.diff() >= 0).all()
    assert (errors <= spectrum.errors).all(), (errors / spectrum.errors, spectrum)


@pytest.mark.parametrize(("activation", "parametrisation", "shape", "dtype"), CASES, ids=str)
def test_all_methods_against_mpmath(activation, parametrisation, shape, dtype):
    count, features, width, depth = shape
    network = Network.initialise(
        features, width, depth, activation, parametrisation, seed=1, dtype=dtype
    )
    x = images(count, features, dtype)
    exact = exact_spectrum(network, x)
    for method in METHODS:
        spectrum = ntk_spectrum(network, x, method=method)
        assert_within_bounds(spectrum, exact)
        if method in ("auto", "double-double") and dtype == torch.float64:
            # with fewer independent rows than inputs the kernel is singular, and no relative error
            # can be had
            assert spectrum.meets_target or exact[0] < 1e-25 * exact[-1], spectrum
        if method == "double-double" and dtype == torch.float64:
            # some hundred units of rounding, reached on all of these
            regular = spectrum.resolved
            assert (absolute_errors(spectrum.eigenvalues, exact) <= 1e-13 * spectrum.eigenvalues)[
                regular
            ].all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("activation", ["relu", "elu", "lrelu", "sigmoid"])
@pytest.mark.parametrize(
    ("rows", "zeros"),
    [
        ([[0.1, 0.7, 0.3], [0.9, 0.2, 0.5], [0.1, 0.7, 0.3]], 1),
        ([[0.3, 0.3, 0.3]] * 4, 3),
        ([[0.0, 0.0, 0.0]] * 3, 2),
        ([[0.2, 0.4, 0.9]], 0),
        ([[0.0, 0.0, 0.0]], 0),
    ],
    ids=["two identical", "all identical", "all zero", "one", "one zero"],
)
def test_degenerate_inputs_give_unresolved_zeros(rows, zeros, activation, method):
    network = Network.initialise(3, 8, 4, activation, "thesis", seed=2)
    x = torch.tensor(rows, dtype=torch.float64)
    spectrum = ntk_spectrum(network, x, method=method)
    assert_within_bounds(spectrum, exact_spectrum(network, x))
    assert spectrum.resolved.tolist() == [False] * zeros + [True] * (len(rows) - zeros)
    assert spectrum.meets_target == (zeros == 0)


@pytest.mark.parametrize("method", METHODS)
def test_fewer_parameters_than_inputs(method):
    network = Network.initialise(1, 1, 2, "sigmoid", "ntk", seed=0)
    x = images(9, 1)
    spectrum = ntk_spectrum(network, x, method=method)
    assert_within_bounds(spectrum, exact_spectrum(network, x))
    assert not spectrum.resolved[:5].any(), "four parameters cannot make more than four eigenvalues"


@pytest.mark.parametrize("activation", ["relu", "elu", "lrelu", "sigmoid"])
def test_nearly_identical_inputs(activation):
    x = images(4, 6)
    x = torch.cat((x, x * (1 + 1e-7)))
    network = Network.initialise(6, 12, 5, activation, "ntk", seed=3)
    assert_within_bounds(ntk_spectrum(network, x), exact_spectrum(network, x))


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_aligned_weights(activation):
    """Weights of rank one carry errors along their singular vector, which random weights do not."""
    weights = [
        torch.ones(n_l, fan_in, dtype=torch.float64) / 3
        for n_l, fan_in in ((9, 5), (9, 9), (9, 9), (9, 9), (1, 9))
    ]
    network = Network(
        weights,
        [torch.full((len(w),), -0.3, dtype=torch.float64) for w in weights],
        activation,
        "standard",
    )
    x = images(5, 5)
    exact = exact_spectrum(network, x)
    for method in METHODS:
        assert_within_bounds(ntk_spectrum(network, x, method=method), exact)


@pytest.mark.parametrize("size", [1e-9, 1e9])
def test_inputs_of_unusual_size(size):
    network = Network.initialise(4, 10, 3, "relu", "ntk", seed=5)
    x = images(5, 4) * size
    assert_within_bounds(
        ntk_spectrum(network, x, method="double-double"), exact_spectrum(network, x)
    )


def test_inputs_that_differ_by_rounding_only_round_alike():
    draws = np.random.default_rng(1)
    base = draws.random((1, 50)) + 1e-3 * draws.standard_normal((2, 50))
    x = np.repeat(base, 50, 0) + 1e-14 * draws.standard_normal((100, 50))
    network = Network.initialise(50, 300, 3, "sigmoid", "thesis", seed=1)
    plain, refined = (ntk_spectrum(network, x, method=name) for name in ("eigh", "double-double"))
    errors = (plain.eigenvalues - refined.eigenvalues).abs()
    assert (errors <= plain.errors + refined.errors).all()


def test_plain_passes_serve_activations_without_differences(monkeypatch):
    plain = dataclasses.replace(ACTIVATIONS["sigmoid"], differences=None)
    monkeypatch.setitem(ACTIVATIONS, "sigmoid", plain)
    network, x = Network.initialise(8, 10, 6, "sigmoid", "thesis", seed=1), images(6, 8)
    for method in METHODS:
        assert_within_bounds(ntk_spectrum(network, x, method=method), exact_spectrum(network, x))


def test_auto_takes_the_cheapest_method_that_meets_the_target():
    x = images(6, 8)

    def spectrum(depth, **settings):
        network = Network.initialise(8, 10, depth, "sigmoid", "thesis", seed=1)
        return ntk_spectrum(network, x, **settings)

    easy = ntk_spectrum(Network.initialise(8, 30, 2, "relu", "thesis", seed=1), x)
    assert (easy.method, easy.orders) == ("eigh", None)
    for depth, method, orders in (
        (5, "compensated", (0, 2)),
        (8, "compensated", (0, 2)),
        (12, "double-double", (1, 3)),
    ):
        found = spectrum(depth)
        assert (found.method, found.orders) == (method, orders) and found.meets_target
    assert spectrum(8, target=1.0).method == "eigh"
    assert spectrum(8, target=1e-12).orders == (1, 2)
    out_of_reach = spectrum(8, target=1e-16)
    assert out_of_reach.orders == (2, 3) and not out_of_reach.meets_target


def test_only_double_double_makes_float32_meet_the_target():
    network = Network.initialise(8, 10, 8, "sigmoid", "thesis", seed=1, dtype=torch.float32)
    x = images(6, 8, torch.float32)
    refined = ntk_spectrum(network, x, method="double-double")
    assert refined.extended and refined.meets_target
    plain = ntk_spectrum(network, x)
    assert not plain.extended and not plain.meets_target


@pytest.mark.parametrize(
    ("activation", "parametrisation", "kind"),
    [
        ("relu", "ntk", "near-duplicates"),
        ("gelu", "thesis", "offset"),
        ("tanh", "standard", "near-duplicates"),
        ("silu", "ntk", "rows of all sizes"),
    ],
)
def test_inputs_that_need_passes_in_double_double(activation, parametrisation, kind):
    x = images(5, 4)
    x = {
        "near-duplicates": x[[0, 1, 2, 0, 1]] + 1e-8 * x,
        "offset": x + 1e4,
        "rows of all sizes": x * 10.0 ** torch.arange(-4, 5, 2).double()[:, None],
    }[kind]
    network = Network.initialise(4, 9, 4, activation, parametrisation, seed=1)
    spectrum, exact = ntk_spectrum(network, x), exact_spectrum(network, x)
    assert spectrum.extended and spectrum.meets_target
    assert_within_bounds(spectrum, exact)
    assert not kernel_spectrum(centred_kernel(centred_passes(network, x))).meets_target


def test_a_spectrum_shares_the_passes_with_its_caller():
    network, x = Network.initialise(8, 10, 8, "sigmoid", "thesis", seed=1), images(6, 8)
    passes = centred_passes(network, x)
    kernel = centred_kernel(passes)
    torch.testing.assert_close(kernel.theta, empirical_ntk(network, x), rtol=1e-13, atol=0)
    torch.testing.assert_close(kernel.layer_traces.sum(), kernel.theta.trace(), rtol=1e-14, atol=0)
    torch.testing.assert_close(passes.outputs, network(x), rtol=1e-13, atol=1e-13)
    shared, alone = kernel_spectrum(kernel), ntk_spectrum(network, x)
    assert torch.equal(shared.eigenvalues, alone.eigenvalues) and torch.equal(
        shared.errors, alone.errors
    )


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_bounds_hold_for_inputs_much_larger_than_one(activation, dtype):
    """Such as pixels that were not divided by 255: pre-activations of several hundred, whose errors
    are no longer small."""
    network = Network.initialise(30, 8, 3, activation, "thesis", seed=1, dtype=dtype)
    x = 255 * images(4, 30, dtype)
    assert_within_bounds(ntk_spectrum(network, x), exact_spectrum(network, x))


@pytest.mark.parametrize("activation", ["relu", "elu", "lrelu"])
@pytest.mark.parametrize("share", [0.9, 0.99, 0.999, 0.9999])
def test_auto_goes_on_where_eigh_misses_the_target_by_little(activation, share):
    network, x = Network.initialise(30, 40, 3, activation, "thesis", seed=2), images(8, 30)
    plain = ntk_spectrum(network, x, method="eigh")
    target = share * (plain.errors / plain.eigenvalues).max().item()
    spectrum = ntk_spectrum(network, x, target=target)
    assert spectrum.method == "compensated" and spectrum.meets_target


def test_mistakes_are_explained():
    network, x = Network.initialise(4, 6, 3, "relu", "thesis", seed=1), images(3, 4)
    with pytest.raises(ValueError, match="unknown method 'svd': choose one of auto, eigh"):
        ntk_spectrum(network, x, method="svd")
    with pytest.raises(ValueError, match="at least one input"):
        ntk_spectrum(network, x[:0])
    for method in METHODS:
        with pytest.raises(ValueError, match="not finite"):
            ntk_spectrum(network, x * 1e200, method=method)
        with pytest.raises(ValueError, match="not finite"):
            ntk_spectrum(network, x * float("nan"), method=method)
    with pytest.raises(ValueError, match="does not start from centred passes"):
        kernel_spectrum(centred_kernel(centred_passes(network, x)), method="jacobian")


def test_reduced_precision_products_are_refused():
    network = Network.initialise(4, 6, 3, "relu", "thesis", seed=1, dtype=torch.float32)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        with pytest.raises(ValueError, match=r"'high' precision \(TF32\)"):
            ntk_spectrum(network, images(3, 4, torch.float32))
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("activation", ["relu", "elu", "lrelu", "sigmoid"])
def test_gpu(activation):
    network, x = (
        Network.initialise(8, 10, 6, activation, "thesis", seed=1, device="cuda"),
        images(6, 8).cuda(),
    )
    exact = exact_spectrum(network, x)
    for method in METHODS:
        spectrum = ntk_spectrum(network, x, method=method)
        assert spectrum.eigenvalues.device.type == "cpu"
        assert_within_bounds(spectrum, exact)


def test_identical_inputs_leave_the_other_bounds_alone():
    network, x = Network.initialise(8, 10, 8, "sigmoid", "thesis", seed=1), images(6, 8)
    spectrum = ntk_spectrum(network, torch.cat((x, x[:2])), method="double-double")
    assert spectrum.resolved.tolist() == [False] * 2 + [True] * 6
    assert (spectrum.errors <= spectrum.target * spectrum.eigenvalues)[2:].all()


def test_settings_and_library_agree_on_the_target():
    assert config.SpectrumConfig().target == TARGET
