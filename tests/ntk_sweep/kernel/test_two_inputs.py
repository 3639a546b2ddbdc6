"""Protects kernels between two sets of inputs, empirical and conjugate, against autograd and
against the kernel of both sets together."""

import math
from itertools import cycle, pairwise, product

import numpy as np
import pytest
import torch

from ntk_sweep import Network, conjugate_kernel, empirical_ntk, limit_nngp
from ntk_sweep.network.parametrisations import PARAMETRISATIONS
from tests.helpers import oracles

SCALES = [(1.0, 1.0), (1.5, 0.3), (0.7, 0.0), (1.3, None)]
CASES = [
    (*combination, scales)
    for combination, scales in zip(oracles.COMBINATIONS, cycle(SCALES), strict=False)
]


def case(activation, parametrisation, scales, n=6, m=4, seed=0):
    rng = np.random.default_rng(seed)
    x, x2 = (torch.from_numpy(rng.standard_normal((count, 5))) for count in (n, m))
    weight_std, bias_std = scales
    network = Network.initialise(
        5, 7, 4, activation, parametrisation, seed, weight_std=weight_std, bias_std=bias_std
    )
    return network, x, x2


def close(found, expected):
    torch.testing.assert_close(
        found, expected, rtol=1e-12, atol=1e-13 * float(expected.abs().max())
    )


@pytest.mark.parametrize(("activation", "parametrisation", "scales"), CASES)
def test_kernel_between_two_sets_is_the_product_of_their_jacobians(
    activation, parametrisation, scales
):
    network, x, x2 = case(activation, parametrisation, scales)
    theta = empirical_ntk(network, x, x2)
    assert theta.shape == (6, 4)
    close(theta, oracles.jacobian(network, x) @ oracles.jacobian(network, x2).T)
    close(empirical_ntk(network, x2, x), theta.T)


@pytest.mark.parametrize("kernel", [empirical_ntk, conjugate_kernel])
@pytest.mark.parametrize(("activation", "parametrisation", "scales"), CASES)
def test_kernel_between_two_sets_is_a_block_of_their_common_kernel(
    kernel, activation, parametrisation, scales
):
    network, x, x2 = case(activation, parametrisation, scales)
    joint = kernel(network, torch.cat([x, x2]))
    assert torch.equal(joint, joint.T)
    close(kernel(network, x, x2), joint[:6, 6:])
    close(kernel(network, x, x), joint[:6, :6])
    close(kernel(network, x), joint[:6, :6])


@pytest.mark.parametrize(("activation", "parametrisation"), oracles.COMBINATIONS)
def test_kernels_of_widths_that_differ(activation, parametrisation):
    rng, sizes = np.random.default_rng(5), [4, 7, 2, 5, 1]
    weights = [torch.from_numpy(rng.standard_normal((b, a))) for a, b in pairwise(sizes)]
    biases = [torch.from_numpy(rng.standard_normal(b)) for b in sizes[1:]]
    network = Network(weights, biases, activation, parametrisation, 1.2, 0.4)
    x, x2 = (torch.from_numpy(rng.standard_normal((count, 4))) for count in (6, 3))
    close(
        empirical_ntk(network, x, x2),
        oracles.jacobian(network, x) @ oracles.jacobian(network, x2).T,
    )


def hidden(network, x):
    """a^{D-1}, from outputs: f of a last layer that reads one unit after the other."""
    width, zeros = network.weights[-1].shape[1], 0 * network.weights[-1]
    biases = [*network.biases[:-1], zeros[0, :1]] if network.biases else None
    columns = []
    for unit in range(width):
        reading = zeros.clone()
        reading[0, unit] = 1
        read = network.with_parameters([*network.weights[:-1], reading], biases)
        columns.append(read(x) / read.scales[-1].factor)
    return torch.stack(columns, dim=1)


@pytest.mark.parametrize(("activation", "parametrisation", "scales"), CASES)
def test_conjugate_kernel_is_the_covariance_over_draws_of_the_last_layer(
    activation, parametrisation, scales
):
    network, x, x2 = case(activation, parametrisation, scales)
    weight_std, bias_std = scales
    a, b = hidden(network, x), hidden(network, x2)
    share = 1 if parametrisation == "thesis" else 1 / 7
    expected = weight_std**2 * share * a @ b.T + (bias_std or 0) ** 2
    close(conjugate_kernel(network, x, x2), expected)


def test_conjugate_kernel_is_the_mean_over_draws():
    # an oracle that shares no formula: outputs of networks that differ in their last layer only
    network, x, _ = case("tanh", "standard", (1.5, 0.3))
    rng = np.random.default_rng(1)
    outputs = torch.stack(
        [
            network.with_parameters(
                [*network.weights[:-1], 1.5 * rng.standard_normal((1, 7)) / math.sqrt(7)],
                [*network.biases[:-1], 0.3 * rng.standard_normal(1)],
            )(x)
            for _ in range(1000)
        ]
    )
    products = outputs[:, :, None] * outputs[:, None, :]
    error = products.std(0) / math.sqrt(len(products))
    kernel = conjugate_kernel(network, x)
    assert ((products.mean(0) - kernel).abs() <= 5 * error).all()
    assert not ((products.mean(0) - 1.2 * kernel).abs() <= 5 * error).all()


@pytest.mark.parametrize(
    ("parametrisation", "scales"), list(product(PARAMETRISATIONS, [(1.5, 0.3), (0.7, None)]))
)
def test_conjugate_kernel_tends_to_the_covariance_of_infinite_width(parametrisation, scales):
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((4, 6)))
    limit = limit_nngp(x, "elu", 400, 3, parametrisation, *scales)
    kernels = torch.stack(
        [
            conjugate_kernel(
                Network.initialise(
                    6,
                    400,
                    3,
                    "elu",
                    parametrisation,
                    seed,
                    weight_std=scales[0],
                    bias_std=scales[1],
                ),
                x,
            )
            for seed in range(30)
        ]
    )
    error = kernels.std(0) / math.sqrt(len(kernels)) + 3 / 400 * limit.diagonal().mean()
    assert ((kernels.mean(0) - limit).abs() <= 5 * error).all()
    assert not ((kernels.mean(0) - 1.3 * limit).abs() <= 5 * error).all()


@pytest.mark.parametrize("kernel", [empirical_ntk, conjugate_kernel])
@pytest.mark.usefixtures("unchecked")
def test_second_inputs_are_checked_like_the_first(kernel):
    network, x, x2 = case("relu", "ntk", (1.0, 1.0))
    for wrong, message in (
        (x2[:, :4], r"x2 has shape \(4, 4\), but the network takes \(N, 5\)"),
        (x2[0], r"x2 has shape \(5,\), .*: one input is x2\[None, :\]"),
        (x2.float(), r"x2 is torch\.float32 on cpu, but the network is torch\.float64"),
        (x2 * math.inf, "x2 holds values that are not finite"),
        (x2[:0], "x2 is empty"),
        (x2.numpy().astype(str), "x2 is of dtype"),
    ):
        with pytest.raises(ValueError, match=message):
            kernel(network, x, wrong)
    assert torch.equal(kernel(network, x, x2.tolist()), kernel(network, x, x2))


@pytest.mark.parametrize(
    ("kernel", "place"),
    [
        (empirical_ntk, "the kernel is not finite: it overflows float64 in the products of layer"),
        (conjugate_kernel, "the conjugate kernel is not finite: it overflows float64 in"),
    ],
)
def test_kernels_that_overflow_are_refused(kernel, place):
    network, x, x2 = case("relu", "standard", (1.0, 1.0))
    with pytest.raises(ValueError, match=place):
        kernel(network, 1e200 * x, 1e200 * x2)
    with pytest.raises(ValueError, match=place):
        kernel(network, 1e200 * x)
