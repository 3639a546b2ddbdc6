"""Protects the kernel of centred passes: side by side, in tiles and with shared inputs."""

import dataclasses

import numpy as np
import pytest
import torch

from ntk_sweep.kernel import float64_kernel as float64_module
from ntk_sweep.kernel.centred_passes import centred_passes
from ntk_sweep.kernel.centred_rows import ExactInputs
from ntk_sweep.kernel.double_double_kernel import (
    double_double_errors,
    double_double_kernel,
    rounded_kernel,
)
from ntk_sweep.kernel.float64_kernel import float64_kernel
from ntk_sweep.kernel.pass_errors import pass_errors
from ntk_sweep.kernel.pre_activations import first_layer
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.network.parametrisations import PARAMETRISATIONS
from ntk_sweep.network.stacked import NetworkStack
from ntk_sweep.numerics import sliced_products
from ntk_sweep.numerics.gram_matrices import (
    RowSizes,
    gram,
    gram_errors,
)
from ntk_sweep.numerics.gram_tiles import gram_tile
from ntk_sweep.numerics.sliced_products import powers

X = torch.from_numpy(np.random.default_rng(3).random((6, 5)))
MANY = torch.from_numpy(np.random.default_rng(3).random((30, 5)))


def draws(seeds, parametrisation="thesis", dtype=torch.float64, weight_std=1.0, bias_std=1.0):
    scales = {"weight_std": weight_std, "bias_std": bias_std}
    return [
        Network.initialise(5, 9, 4, "relu", parametrisation, seed, dtype=dtype, **scales)
        for seed in range(seeds)
    ]


def under(network, activation):
    """The network with the same weights and scales, and another activation."""
    scales = network.weight_std, network.bias_std
    return Network(network.weights, network.biases, activation, network.parametrisation, *scales)


@pytest.mark.parametrize(
    "activations",
    [("relu", "elu", "lrelu", "sigmoid"), ("sigmoid",), ("tanh", "gelu", "erf", "silu")],
    ids=str,
)
@pytest.mark.parametrize(
    ("parametrisation", "seeds", "scales"),
    [
        ("thesis", 1, (1.0, 1.0)),
        *(pytest.param(name, 3, (1.0, 1.0), marks=pytest.mark.long) for name in PARAMETRISATIONS),
        *((name, 2, (1.5, 0.3)) for name in PARAMETRISATIONS),
        ("ntk", 2, (0.7, None)),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_networks_side_by_side_are_the_networks_alone(
    activations, parametrisation, seeds, scales, dtype
):
    networks, x = draws(seeds, parametrisation, dtype, *scales), X.to(dtype)
    together = centred_passes(NetworkStack(networks, activations), x)
    whole, (refined, _) = rounded_kernel(together, 1)
    errors = pass_errors(together, whole.common)
    tolerance = 40 * torch.finfo(dtype).eps
    for seed, network in enumerate(networks):
        for index, activation in enumerate(activations):
            at = (seed, index)
            alone = centred_passes(under(network, activation), x)
            torch.testing.assert_close(
                together[at].outputs, alone.outputs, rtol=tolerance, atol=tolerance
            )
            plain, _ = rounded_kernel(alone, 1)
            for part, own in zip(whole[:4], plain[:4], strict=True):
                torch.testing.assert_close(
                    part.expand(seeds, len(activations), *own.shape)[at],
                    own,
                    rtol=tolerance,
                    atol=0,
                )
            torch.testing.assert_close(refined.hi[at], plain.theta, rtol=tolerance, atol=0)
            for part, own in zip(
                double_double_errors(together[at], 1), double_double_errors(alone, 1), strict=True
            ):
                torch.testing.assert_close(part, own, rtol=1e-6, atol=0)
            own_errors = pass_errors(alone, plain.common)
            torch.testing.assert_close(errors[at].rows, own_errors.rows, rtol=0.1, atol=0)
            torch.testing.assert_close(errors[at].shared, own_errors.shared, rtol=0.1, atol=0)
            covariances = errors[at].covariance, own_errors.covariance
            torch.testing.assert_close(*covariances, rtol=0.2, atol=0)


def test_plain_passes_may_be_stacked_too(monkeypatch):
    monkeypatch.setitem(
        ACTIVATIONS, "sigmoid", dataclasses.replace(ACTIVATIONS["sigmoid"], differences=None)
    )
    networks = draws(2)
    together = centred_passes(NetworkStack(networks, ["sigmoid"]), X)
    alone = centred_passes(under(networks[1], "sigmoid"), X)
    torch.testing.assert_close(
        rounded_kernel(together, 1)[0].theta[1, 0],
        float64_kernel(alone).theta,
        rtol=1e-14,
        atol=0,
    )


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
@pytest.mark.parametrize("rows", [1, 7, 10, 29])
def test_tiles_make_the_same_kernel(monkeypatch, activation, rows):
    passes = centred_passes(Network.initialise(5, 9, 4, activation, "thesis", 3), MANY)
    whole = float64_kernel(passes)
    monkeypatch.setattr(float64_module, "TILE_ROWS", rows)
    tiled = float64_kernel(passes)
    assert torch.equal(tiled[0], tiled[0].T)
    assert tiled.common is None
    for one, other in zip(tiled[:4], whole[:4], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-13, atol=0)


def test_networks_on_the_same_inputs_share_their_gram_matrices(monkeypatch):
    """Also the first layer; and the kernel is the one of inputs that are not shared."""
    products = []
    plain = sliced_products.symmetric_product

    def counted(rows):
        products.append(rows)
        return plain(rows)

    monkeypatch.setattr("ntk_sweep.kernel.centred_rows.symmetric_product", counted)
    network, inputs = draws(1)[0], ExactInputs(X)
    first = first_layer(network, inputs)
    for activation in ("relu", "elu"):
        other = under(network, activation)
        shared, alone = centred_passes(other, X, first), centred_passes(other, X)
        assert shared.inputs[0] is inputs
        assert torch.equal(float64_kernel(shared)[0], float64_kernel(alone)[0])
        for one, same in zip(
            double_double_kernel(shared), double_double_kernel(alone), strict=True
        ):
            assert torch.equal(one, same)
        assert inputs.gram() is inputs.gram()
        assert inputs.double_double_gram(2) is inputs.double_double_gram(2)
    torch.testing.assert_close(inputs.gram(), X @ X.T)
    # those of the inputs: once for the shared ones, once for each of the others
    assert sum(torch.equal(rows, X) for rows in products) == 3


@pytest.mark.parametrize("orders", [0, 1, 2])
def test_inputs_without_a_centre_are_multiplied_beyond_float64_whatever_the_orders(
    orders, monkeypatch
):
    inputs = ExactInputs(X)
    whole = inputs.double_double_gram(orders)
    assert whole is ExactInputs.double_double_gram(inputs, 2)
    for part, own in zip(whole, gram(X, None, 2), strict=True):
        assert torch.equal(part, own)
    tile = inputs.double_double_tile(slice(0, 2), slice(2, 4), orders)
    for part, own in zip(tile, gram_tile(X[:2], X[2:4], None, 2), strict=True):
        assert torch.equal(part, own)
    errors = gram_errors(RowSizes(X.shape[1], X.norm(dim=1), powers(X)), None, 2)
    for part, own in zip(inputs.double_double_gram_errors(orders), errors, strict=True):
        torch.testing.assert_close(part, own, rtol=1e-12, atol=0)
    monkeypatch.setattr("ntk_sweep.kernel.centred_rows.TILE_ROWS", 5)
    tile = inputs.double_double_tile(slice(0, 2), slice(2, 4), orders)
    for part, own in zip(tile, gram_tile(X[:2], X[2:4], None, max(orders, 1)), strict=True):
        assert torch.equal(part, own)
    assert (inputs.double_double_gram_errors(orders).norm > errors.norm) == (orders < 2)


def test_inputs_count_those_that_round_like_them():
    rows = X.repeat(2, 1)
    rows[6] += 1e-15
    rows[7] *= 1 + 1e-11
    rows[8] = -rows[8]
    inputs = ExactInputs(1e-200 * rows)
    assert inputs.multiplicities.tolist() == [2, 1, 1, 2, 2, 2, 2, 1, 1, 2, 2, 2]
    beside_zero = ExactInputs(1e-200 * torch.cat((X, X[:1] + 1e-15, X[:1] * 0)))
    assert beside_zero.multiplicities.tolist() == [2, 1, 1, 1, 1, 1, 2, 1]
    assert inputs.has_equals and not ExactInputs(rows[:9]).has_equals
    assert ExactInputs(torch.tensor([[0.0, 1.0], [-0.0, 1.0]])).has_equals
    assert ExactInputs(torch.zeros(1, 3)).multiplicities.tolist() == [1]
