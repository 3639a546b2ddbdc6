"""Protects the outputs of a network, its two plain passes, and what it refuses."""

from itertools import pairwise

import jaxtyping
import numpy as np
import pytest
import torch

from ntk_sweep import ntk_spectrum
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.network.parametrisations import PARAMETRISATIONS
from tests.helpers import oracles
from tests.helpers.oracles import COMBINATIONS

SHAPES = [(1, 1, 1, 2), (3, 2, 1, 3), (5, 4, 6, 2), (7, 6, 3, 4), (4, 9, 5, 5)]
"""(N, n_0, width, depth)"""


def random_inputs(n, n_inputs, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, n_inputs)))


def layers(*sizes):
    """Weights and biases of ones."""
    pairs = list(zip(sizes[1:], sizes[:-1], strict=True))
    return [torch.ones(p, dtype=torch.float64) for p in pairs], [
        torch.ones(p[0], dtype=torch.float64) for p in pairs
    ]


def test_oracles_cover_every_parametrisation():
    assert set(oracles.PARAMETRISATIONS) == set(PARAMETRISATIONS)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("activation", "parametrisation"), COMBINATIONS)
def test_outputs_are_those_of_the_definition(activation, parametrisation, shape):
    n, n_inputs, width, depth = shape
    network = Network.initialise(n_inputs, width, depth, activation, parametrisation, seed=1)
    x = random_inputs(n, n_inputs)
    expected = oracles.forward(network.weights, network.biases, activation, parametrisation, x)
    torch.testing.assert_close(network(x), expected, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(network.passes(x).outputs, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("activation", "parametrisation"), COMBINATIONS)
def test_layers_may_differ_in_width(activation, parametrisation):
    rng = np.random.default_rng(5)
    sizes = [4, 7, 2, 5, 1]
    weights = [
        torch.from_numpy(rng.standard_normal((out, fan_in))) for fan_in, out in pairwise(sizes)
    ]
    biases = [torch.from_numpy(rng.standard_normal(out)) for out in sizes[1:]]
    network = Network(weights, biases, activation, parametrisation)
    x = random_inputs(6, 4)
    torch.testing.assert_close(
        network(x),
        oracles.forward(weights, biases, activation, parametrisation, x),
        rtol=1e-12,
        atol=1e-13,
    )


@pytest.mark.parametrize(("activation", "parametrisation"), COMBINATIONS)
def test_passes_hold_inputs_and_gradients_of_every_layer(activation, parametrisation):
    network = Network.initialise(4, 5, 4, activation, parametrisation, seed=2)
    x = random_inputs(6, 4)
    passes = network.passes(x)
    shifts = [
        torch.zeros(len(x), len(b), dtype=torch.float64, requires_grad=True) for b in network.biases
    ]
    a, inputs = x, []
    for layer, (w, b, shift) in enumerate(
        zip(network.weights, network.biases, shifts, strict=True), start=1
    ):
        inputs.append(a)
        n = oracles.scale(parametrisation, layer, 4, w.shape[1], w.shape[0])
        z = a @ w.T / n**0.5 + b + shift
        a = oracles.ACTIVATIONS[activation](z) if layer < 4 else z
    gradients = torch.autograd.grad(a.sum(), shifts)
    assert len(passes.inputs) == len(passes.gradients) == 4
    for got, expected in zip(passes.inputs + passes.gradients, (*inputs, *gradients), strict=True):
        torch.testing.assert_close(got, expected.detach(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("parametrisation", "expected"),
    [("thesis", (0.5, 0.5, 1.0)), ("ntk", (9**-0.5, 0.5, 0.5)), ("standard", (1.0, 1.0, 1.0))],
)
def test_factors(parametrisation, expected):
    network = Network.initialise(9, 4, 3, "relu", parametrisation, seed=0)
    assert [scale.factor for scale in network.scales] == pytest.approx(list(expected), rel=1e-15)
    assert network.depth == 3


# Validation


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((3, 1), r"1 weight matrices and 1 biases: .* at least two layers"),
        ((3, 4, 2), "the last layer has 2 outputs, but must have one"),
    ],
)
def test_networks_of_wrong_sizes_are_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        Network(*layers(*sizes), "relu", "thesis")


def test_no_layers_are_refused():
    with pytest.raises(ValueError, match="0 weight matrices and 0 biases"):
        Network([], [], "relu", "thesis")


def test_a_missing_bias_is_refused():
    weights, biases = layers(3, 4, 1)
    with pytest.raises(ValueError, match="2 weight matrices and 1 biases"):
        Network(weights, biases[:1], "relu", "thesis")


@pytest.mark.parametrize(
    ("layer", "weight", "bias", "message"),
    [
        (
            1,
            (4, 3),
            (5,),
            r"layer 1: W is \(4, 3\) and b is \(5,\), but W must be \(n_l, 3\) and b \(n_l,\)",
        ),
        (1, (4, 3), (4, 1), r"layer 1: W is \(4, 3\) and b is \(4, 1\)"),
        (2, (1, 5), (1,), r"layer 2: W is \(1, 5\) and b is \(1,\), but W must be \(n_l, 4\)"),
        (2, (4,), (1,), r"layer 2: W is \(4,\) and b is \(1,\)"),
        (1, (), (1,), r"layer 1: W is \(\) and b is \(1,\)"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_layers_that_do_not_chain_are_refused(layer, weight, bias, message):
    weights, biases = layers(3, 4, 1)
    weights[layer - 1], biases[layer - 1] = torch.ones(weight).double(), torch.ones(bias).double()
    with pytest.raises(ValueError, match=message):
        Network(weights, biases, "relu", "thesis")


@pytest.mark.parametrize(
    ("part", "layer"), [("weights", 0), ("weights", 1), ("biases", 0), ("biases", 1)]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
@pytest.mark.usefixtures("unchecked")
def test_mixed_and_integer_dtypes_are_refused(part, layer, dtype):
    weights, biases = layers(3, 4, 1)
    chosen = {"weights": weights, "biases": biases}[part]
    chosen[layer] = chosen[layer].to(dtype)
    with pytest.raises(ValueError, match="all must be of one floating dtype and on one device"):
        Network(weights, biases, "relu", "thesis")


@pytest.mark.usefixtures("unchecked")
def test_a_network_of_integers_is_refused():
    weights, biases = layers(3, 4, 1)
    with pytest.raises(ValueError, match=r"layer 1 holds torch\.int64"):
        Network([w.long() for w in weights], [b.long() for b in biases], "relu", "thesis")


def test_inputs_with_the_wrong_number_of_features_are_refused():
    network = Network(*layers(3, 4, 1), "relu", "thesis")
    for method in (network, network.passes):
        with pytest.raises(
            ValueError, match=r"x has shape \(2, 5\), but the network takes \(N, 3\)"
        ):
            method(random_inputs(2, 5))


def test_inputs_of_another_dtype_are_refused():
    network = Network(*layers(3, 4, 1), "relu", "thesis")
    for method in (network, network.passes):
        with pytest.raises(
            ValueError,
            match=r"x is torch\.float32 on cpu, but the network is torch\.float64 on cpu: convert",
        ):
            method(random_inputs(2, 3).float())


def test_autocast_is_refused_where_it_would_round():
    single = Network.initialise(3, 4, 3, "relu", "ntk", seed=0, dtype=torch.float32)
    double = Network.initialise(3, 4, 3, "relu", "ntk", seed=0)
    x = random_inputs(5, 3)
    expected = ntk_spectrum(double, x).eigenvalues
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with pytest.raises(ValueError, match=r"torch\.autocast is on"):
            ntk_spectrum(single, x.float())
        assert torch.equal(ntk_spectrum(double, x).eigenvalues, expected)


@pytest.mark.parametrize("shape", [(3,), (2, 3, 1), ()])
@pytest.mark.usefixtures("unchecked")
def test_inputs_that_are_no_matrix_are_refused(shape):
    network = Network(*layers(3, 4, 1), "relu", "thesis")
    with pytest.raises(ValueError, match="but the network takes"):
        network.passes(torch.zeros(shape, dtype=torch.float64))


def test_annotations_are_checked_in_the_tests():
    network = Network(*layers(3, 4, 1), "relu", "thesis")
    with pytest.raises(jaxtyping.TypeCheckError):
        network.passes(torch.zeros(3, dtype=torch.float64))
