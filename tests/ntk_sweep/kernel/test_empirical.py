"""Protects the empirical kernel: it is the Gram matrix of the Jacobian that autograd computes."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntk_sweep.kernel.empirical import empirical_ntk
from ntk_sweep.network.fully_connected import Network
from tests.helpers import oracles
from tests.helpers.oracles import COMBINATIONS

SHAPES = [
    (1, 3, 4, 2),
    (6, 1, 5, 3),
    (5, 4, 1, 5),
    (9, 4, 6, 4),
    (12, 5, 4, 5),
]
"""(N, n_0, width, depth)"""


def case(shape, activation, parametrisation, seed=0):
    n, n_inputs, width, depth = shape
    x = torch.from_numpy(np.random.default_rng(seed).standard_normal((n, n_inputs)))
    return Network.initialise(n_inputs, width, depth, activation, parametrisation, seed), x


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("activation", "parametrisation"), COMBINATIONS)
def test_kernel_is_the_gram_matrix_of_the_jacobian(activation, parametrisation, shape):
    network, x = case(shape, activation, parametrisation)
    theta, expected = empirical_ntk(network, x), oracles.empirical_ntk(network, x)
    assert theta.shape == (len(x), len(x))
    torch.testing.assert_close(theta, expected, rtol=1e-11, atol=1e-13 * expected.trace().item())


@pytest.mark.parametrize(("activation", "parametrisation"), COMBINATIONS)
def test_kernel_of_layers_that_differ_in_width(activation, parametrisation):
    rng, sizes = np.random.default_rng(5), [4, 7, 2, 5, 1]
    weights = [
        torch.from_numpy(rng.standard_normal((out, fan_in))) for fan_in, out in pairwise(sizes)
    ]
    biases = [torch.from_numpy(rng.standard_normal(out)) for out in sizes[1:]]
    network = Network(weights, biases, activation, parametrisation)
    x = torch.from_numpy(rng.standard_normal((8, 4)))
    expected = oracles.empirical_ntk(network, x)
    torch.testing.assert_close(
        empirical_ntk(network, x), expected, rtol=1e-11, atol=1e-13 * expected.trace().item()
    )


@pytest.mark.parametrize(("activation", "parametrisation"), COMBINATIONS)
def test_kernel_at_zero_inputs_is_that_of_the_biases(activation, parametrisation):
    network, x = case((3, 4, 5, 3), activation, parametrisation)
    theta, expected = (
        empirical_ntk(network, torch.zeros_like(x)),
        oracles.empirical_ntk(network, torch.zeros_like(x)),
    )
    torch.testing.assert_close(theta, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(theta, theta[0, 0].expand(3, 3), rtol=1e-13, atol=0)
    assert theta[0, 0] >= 1


@pytest.mark.parametrize(("activation", "parametrisation"), COMBINATIONS)
@settings(max_examples=3)
@given(order=st.permutations(range(9)))
def test_permuting_the_inputs_permutes_the_kernel(activation, parametrisation, order):
    network, x = case((9, 4, 6, 4), activation, parametrisation)
    theta = empirical_ntk(network, x)
    torch.testing.assert_close(
        empirical_ntk(network, x[order]),
        theta[order][:, order],
        rtol=1e-13,
        atol=1e-13 * theta.trace().item(),
    )


@pytest.mark.parametrize(("activation", "parametrisation"), COMBINATIONS)
def test_kernel_of_a_part_of_the_inputs_is_a_part_of_the_kernel(activation, parametrisation):
    network, x = case((9, 4, 6, 4), activation, parametrisation)
    theta = empirical_ntk(network, x)
    torch.testing.assert_close(
        empirical_ntk(network, x[2:5]),
        theta[2:5, 2:5],
        rtol=1e-13,
        atol=1e-13 * theta.trace().item(),
    )


@pytest.mark.parametrize(("activation", "parametrisation"), COMBINATIONS)
@pytest.mark.parametrize("shape", [(3, 2, 4, 2), (67, 33, 65, 4)])
def test_kernel_is_exactly_symmetric(activation, parametrisation, shape):
    theta = empirical_ntk(*case(shape, activation, parametrisation))
    assert torch.equal(theta, theta.T)


@pytest.mark.parametrize(("activation", "parametrisation"), COMBINATIONS)
def test_trace_is_the_squared_norm_of_the_jacobian(activation, parametrisation):
    network, x = case((9, 4, 6, 4), activation, parametrisation)
    assert empirical_ntk(network, x).trace().item() == pytest.approx(
        (oracles.jacobian(network, x) ** 2).sum().item(), rel=1e-12
    )


@pytest.mark.parametrize(("activation", "parametrisation"), COMBINATIONS)
def test_permuting_hidden_units_changes_nothing(activation, parametrisation):
    network, x = case((6, 4, 7, 3), activation, parametrisation)
    (w1, w2, w3), (b1, b2, b3) = network.weights, network.biases
    p, q = torch.randperm(7, generator=torch.Generator().manual_seed(0)), torch.arange(6, -1, -1)
    shuffled = Network(
        [w1[p], w2[q][:, p], w3[:, q]], [b1[p], b2[q], b3], activation, parametrisation
    )
    torch.testing.assert_close(
        empirical_ntk(shuffled, x), empirical_ntk(network, x), rtol=1e-12, atol=1e-13
    )


@pytest.mark.parametrize(("activation", "parametrisation"), COMBINATIONS)
def test_float32_kernel_is_near_the_float64_kernel(activation, parametrisation):
    network, x = case((6, 5, 8, 3), activation, parametrisation)
    single = Network(
        [w.float() for w in network.weights],
        [b.float() for b in network.biases],
        activation,
        parametrisation,
    )
    theta = empirical_ntk(single, x.float())
    assert theta.dtype == torch.float32
    torch.testing.assert_close(theta.double(), empirical_ntk(network, x), rtol=1e-4, atol=1e-4)


def test_inputs_and_weights_are_left_as_they_were(few_inputs):
    network = Network.initialise(5, 4, 3, "relu", "thesis", seed=0)
    before = [tensor.clone() for tensor in (few_inputs, *network.weights, *network.biases)]
    empirical_ntk(network, few_inputs)
    assert all(
        torch.equal(a, b)
        for a, b in zip(before, (few_inputs, *network.weights, *network.biases), strict=True)
    )


def test_inputs_that_do_not_fit_are_refused():
    network = Network.initialise(5, 4, 3, "relu", "thesis", seed=0)
    with pytest.raises(ValueError, match=r"x has shape \(2, 4\), but the network takes \(N, 5\)"):
        empirical_ntk(network, torch.zeros(2, 4, dtype=torch.float64))
