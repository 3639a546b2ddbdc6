"""Protects the scales σ_w and σ_b of weights and biases: kernels, draws, homogeneities, spectra."""

import mpmath as mp
import pytest
import torch

from ntk_sweep.kernel.centred_kernel import centred_kernel
from ntk_sweep.kernel.centred_passes import centred_passes
from ntk_sweep.kernel.empirical import empirical_ntk
from ntk_sweep.limit.kernel import limit_ntk
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.spectrum.extreme_eigenvalues import extreme_eigenvalues
from ntk_sweep.spectrum.spectrum import METHODS, ntk_spectrum
from tests.helpers import oracles
from tests.helpers.exact import absolute_errors, exact_kernel, exact_spectrum

SCALES = [(2.0**0.5, 0.0), (1.5, 0.3), (0.7, 2.0), (3.0, 1.0), (1.0, None), (0.1, None)]


def images(count, features, dtype=torch.float64):
    generator = torch.Generator().manual_seed(7)
    return torch.rand(count, features, dtype=torch.float64, generator=generator).to(dtype)


@pytest.mark.parametrize(("activation", "parametrisation"), oracles.COMBINATIONS)
@pytest.mark.parametrize("scales", SCALES, ids=str)
def test_outputs_and_kernels_are_those_of_automatic_differentiation(
    activation, parametrisation, scales
):
    network = Network.initialise(
        5, 9, 4, activation, parametrisation, 3, weight_std=scales[0], bias_std=scales[1]
    )
    x = images(7, 5)
    outputs = oracles.forward(
        network.weights, network.biases, activation, parametrisation, x, *scales
    )
    torch.testing.assert_close(network(x), outputs, rtol=1e-12, atol=1e-13)
    expected = oracles.empirical_ntk(network, x)
    for theta in (empirical_ntk(network, x), centred_kernel(centred_passes(network, x)).theta):
        error = (theta - expected).norm() / expected.norm()
        assert error < 1e-12, error


@pytest.mark.parametrize("parametrisation", oracles.PARAMETRISATIONS)
def test_a_network_without_biases_has_neither_their_values_nor_their_part_of_the_kernel(
    parametrisation,
):
    x = images(6, 5)
    drawn = Network.initialise(5, 9, 3, "elu", parametrisation, 3, bias_std=0.0)
    without = Network.initialise(5, 9, 3, "elu", parametrisation, 3, bias_std=None)
    assert without.biases == ()
    torch.testing.assert_close(without(x), drawn(x), rtol=1e-14, atol=0)
    # those that begin at zero are trained under `standard`, and have no effect under the others
    same = torch.equal(empirical_ntk(without, x), empirical_ntk(drawn, x))
    assert same == (parametrisation != "standard")
    given = Network(drawn.weights, drawn.biases, "elu", parametrisation, bias_std=None)
    assert torch.equal(empirical_ntk(without, x), empirical_ntk(given, x))


@pytest.mark.parametrize("parametrisation", oracles.PARAMETRISATIONS)
def test_scales_change_no_draw(parametrisation):
    one = Network.initialise(5, 9, 3, "elu", parametrisation, 3)
    other = Network.initialise(5, 9, 3, "elu", parametrisation, 3, weight_std=2.5, bias_std=0.5)
    factors = (2.5, 0.5) if parametrisation == "standard" else (1.0, 1.0)
    for w, v in zip(one.weights, other.weights, strict=True):
        torch.testing.assert_close(v, factors[0] * w, rtol=1e-15, atol=0)
    for b, c in zip(one.biases, other.biases, strict=True):
        torch.testing.assert_close(c, factors[1] * b, rtol=1e-15, atol=0)


@pytest.mark.parametrize("parametrisation", oracles.PARAMETRISATIONS)
@pytest.mark.parametrize("activation", ["relu", "lrelu"])
@pytest.mark.parametrize("bias_std", [0.0, None])
def test_homogeneous_networks_have_homogeneous_kernels(activation, parametrisation, bias_std):
    """Without biases f is of degree 1 in x and in each weight: Θ(s x) = s² Θ(x).

    Under `ntk` and `thesis` Θ at σ_w is σ_w^{2D} times that at 1. Under `standard` the weights are
    σ_w as large, and each layer's derivative has D - 1 of them: σ_w^{2D-2}. Powers of two, so that
    no rounding differs.
    """
    x, depth = images(6, 5), 5

    def kernel(weight_std, x=x):
        network = Network.initialise(
            5, 9, depth, activation, parametrisation, 3, weight_std=weight_std, bias_std=bias_std
        )
        return empirical_ntk(network, x)

    degree = 2 * depth - 2 if parametrisation == "standard" else 2 * depth
    biases = bias_std == 0.0 and parametrisation == "standard"  # trained from zero on
    if not biases:
        assert torch.equal(kernel(1.0, 4 * x), 16 * kernel(1.0))
        assert torch.equal(kernel(0.5), 0.5**degree * kernel(1.0))
        # an activation that has a scale of its own is no such case
        other = Network.initialise(5, 9, depth, "elu", parametrisation, 3, bias_std=bias_std)
        assert not torch.equal(empirical_ntk(other, 4 * x), 16 * empirical_ntk(other, x))
    else:
        theta = kernel(1.0)
        weights = theta - _bias_part(depth, activation, x)
        torch.testing.assert_close(
            kernel(1.0, 4 * x) - _bias_part(depth, activation, 4 * x),
            16 * weights,
            rtol=1e-11,
            atol=0,
        )


def _bias_part(depth, activation, x):
    """Σ_l δ^l δ^lᵀ under `standard`."""
    network = Network.initialise(5, 9, depth, activation, "standard", 3, bias_std=0.0)
    return sum(delta @ delta.T for delta in network.passes(x).gradients)


CASES = [
    # chaotic and wide apart, ordered, without biases; deep
    ("sigmoid", "ntk", (3.0, 1.0), (6, 8, 10, 8)),
    ("sigmoid", "ntk", (0.5, 0.3), (6, 8, 10, 6)),
    ("tanh", "ntk", (3.0, 0.5), (6, 8, 10, 10)),
    ("tanh", "thesis", (1.5, None), (6, 8, 10, 8)),
    ("relu", "ntk", (2**0.5, 0.0), (6, 8, 10, 10)),
    ("relu", "standard", (1.5, 0.3), (6, 8, 10, 8)),
    ("relu", "thesis", (0.1, None), (6, 8, 10, 10)),
    ("elu", "thesis", (0.7, 2.0), (6, 8, 10, 8)),
    ("elu", "ntk", (3.0, 0.0), (6, 8, 10, 10)),
    ("erf", "standard", (2.0, None), (6, 8, 10, 8)),
    ("gelu", "ntk", (0.1, 2.0), (6, 8, 10, 4)),
    ("silu", "ntk", (2.0, 0.1), (6, 8, 10, 8)),
    ("lrelu", "ntk", (1.3, 0.01), (6, 8, 10, 8)),
]


@pytest.mark.parametrize(("activation", "parametrisation", "scales", "shape"), CASES, ids=str)
@pytest.mark.parametrize(
    "dtype",
    [torch.float64, pytest.param(torch.float32, marks=pytest.mark.long)],
    ids=["float64", "float32"],
)
def test_spectra_lie_within_their_bounds(activation, parametrisation, scales, shape, dtype):
    count, features, width, depth = shape
    network = Network.initialise(
        features, width, depth, activation, parametrisation, 1, dtype, "cpu", *scales
    )
    x = images(count, features, dtype)
    exact = exact_spectrum(network, x)
    for method in METHODS:
        spectrum = ntk_spectrum(network, x, method)
        errors = absolute_errors(spectrum.eigenvalues, exact)
        assert (spectrum.eigenvalues >= 0).all()
        assert (errors <= spectrum.errors).all(), (method, errors / spectrum.errors, spectrum)
        if method == "auto" and dtype == torch.float64 and exact[0] > 1e-25 * exact[-1]:
            assert (errors <= 1e-12 * spectrum.eigenvalues).all()
            # in deep chaos the model of errors grows faster than they do
            assert spectrum.meets_target or (activation, depth) == ("elu", 10)


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "elu"])
@pytest.mark.parametrize(
    "bias_std", [0.0, *(pytest.param(other, marks=pytest.mark.long) for other in (1.0, None))]
)
def test_large_weights_are_fine_or_overflow_with_a_message(activation, bias_std):
    x = images(6, 8)

    def spectrum(weight_std, dtype=torch.float64):
        network = Network.initialise(
            8, 10, 20, activation, "ntk", 1, dtype, weight_std=weight_std, bias_std=bias_std
        )
        return ntk_spectrum(network, x.to(dtype))

    for dtype in (torch.float64, torch.float32):
        assert torch.isfinite(spectrum(3.0, dtype).errors).all()
    if activation in ("tanh", "sigmoid"):
        return  # saturated units let little through: whether it overflows depends on the draw
    for weight_std, dtype in ((1e40, torch.float64), (1e20, torch.float32)):
        with pytest.raises(ValueError, match="scale the inputs or weight_std down") as caught:
            spectrum(weight_std, dtype)
        assert str(caught.value).endswith("use float64") == (dtype == torch.float32)


SMALL = [
    pytest.param(activation, weight_std, bias_std, marks=[pytest.mark.long] * ((w + 2 * b) % 3 > 0))
    for w, weight_std in enumerate([0.1, 1e-6, 1e-20])
    for b, bias_std in enumerate([0.0, None, 1e-8])
    for activation in (("relu", "tanh", "sigmoid")[(w + b) % 3],)
]
"""A Latin square: every two of activation, σ_w and σ_b meet once; each is in one case that is not
long."""


@pytest.mark.parametrize(("activation", "weight_std", "bias_std"), SMALL)
@pytest.mark.parametrize(
    "dtype",
    [torch.float64, pytest.param(torch.float32, marks=pytest.mark.long)],
    ids=["float64", "float32"],
)
def test_bounds_hold_where_small_weights_underflow(activation, weight_std, bias_std, dtype):
    network = Network.initialise(
        6, 7, 20, activation, "ntk", 1, dtype, weight_std=weight_std, bias_std=bias_std
    )
    x = images(5, 6, dtype)
    with mp.workdps(400):
        theta = exact_kernel(network, x, 400)
        exact = sorted(mp.eigsy(theta, eigvals_only=True))
        for method in METHODS:
            spectrum = ntk_spectrum(network, x, method)
            for value, error, true in zip(
                spectrum.eigenvalues.tolist(), spectrum.errors.tolist(), exact, strict=True
            ):
                assert abs(mp.mpf(value) - true) <= error, (method, value, error)
        ends = extreme_eigenvalues(network, x)
        assert abs(mp.mpf(ends.lambda_min) - exact[0]) <= ends.lambda_min_error
        assert abs(mp.mpf(ends.lambda_max) - exact[-1]) <= ends.lambda_max_error


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight_std": 0.0}, "weight_std is 0.0, but must be a positive number"),
        ({"weight_std": float("nan")}, "weight_std is nan"),
        ({"bias_std": -1.0}, "bias_std is -1.0, but must be 0 or a positive number, or None"),
        ({"bias_std": float("inf")}, "bias_std is inf"),
    ],
)
def test_scales_out_of_range_are_refused(changes, message):
    network = Network.initialise(5, 9, 3, "elu", "ntk", 3)
    for make in (
        lambda: Network.initialise(5, 9, 3, "elu", "ntk", 3, **changes),
        lambda: Network(network.weights, network.biases, "elu", "ntk", **changes),
        lambda: limit_ntk(images(3, 5), "elu", 9, 3, "ntk", **changes),
    ):
        with pytest.raises(ValueError, match=message):
            make()
    with pytest.raises(ValueError, match="give them, or bias_std=None"):
        Network(network.weights, None, "elu", "ntk")
