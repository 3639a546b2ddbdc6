"""Protects passes in double-double: their kernel is the exact one within its bounds."""

from __future__ import annotations

import mpmath as mp
import pytest
import torch

from ntk_sweep.kernel.centred_kernel import centred_kernel
from ntk_sweep.kernel.centred_passes import centred_passes
from ntk_sweep.kernel.centred_rows import ExactInputs
from ntk_sweep.kernel.double_double_kernel import double_double_kernel
from ntk_sweep.kernel.extended_passes import extended_passes
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.network.parametrisations import PARAMETRISATIONS
from ntk_sweep.numerics.double_double import two_sum
from tests.helpers.activations import with_formula
from tests.helpers.exact import DIGITS, FUNCTIONS, exact_kernel

WAYS = list(PARAMETRISATIONS)


def normals(*shape: int, seed: int = 5) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("activation", with_formula("double_double"))
def test_activations_in_double_double(activation):
    size = torch.cat((normals(40), 10 * normals(40), 1e-7 * normals(20), torch.zeros(1)))
    z = two_sum(size, 1e-17 * size * normals(len(size), seed=6))
    pair = ACTIVATIONS[activation].double_double(z)
    with mp.workdps(DIGITS):
        for numbers, exact in zip(pair, FUNCTIONS[activation], strict=True):
            for at, low, high, rest in zip(*map(torch.Tensor.tolist, (*z, *numbers)), strict=True):
                value, units = exact(mp.mpf(at) + low), 8 * mp.mpf(2) ** -102
                # σ' of these is a sum that vanishes at a negative z
                terms = abs(value) + (activation in ("gelu", "silu") and abs(at) < 3)
                assert abs(mp.mpf(high) + rest - value) <= units * (1 + at * at) * terms


@pytest.mark.parametrize(
    ("activation", "parametrisation", "dtype"),
    [
        (name, WAYS[index % len(WAYS)], torch.float32 if index % 4 == 3 else torch.float64)
        for index, name in enumerate(with_formula("double_double"))
    ],
    ids=str,
)
def test_the_kernel_is_the_exact_one(activation, parametrisation, dtype):
    x = (normals(4, 3) * torch.tensor([[1.0], [1e-3], [30.0], [1.0]]) + 5).to(dtype)
    network = Network.initialise(
        3, 6, 4, activation, parametrisation, 2, dtype, weight_std=1.5, bias_std=0.3
    )
    kernel = centred_kernel(extended_passes(network, ExactInputs(x)))
    theta, error = kernel.double_double(2), kernel.double_double_error(2)
    rows = kernel.pass_errors.rows
    lengths = kernel.theta.diagonal().sqrt()
    bounds = error + torch.outer(lengths, rows) + torch.outer(rows, lengths)
    exact = exact_kernel(network, x)
    with mp.workdps(DIGITS):
        for i in range(len(x)):
            for j in range(len(x)):
                apart = abs(mp.mpf(float(theta.hi[i, j])) + float(theta.lo[i, j]) - exact[i, j])
                assert apart <= float(bounds[i, j])
    assert (bounds <= 1e-26 * torch.outer(lengths, lengths)).all()


def test_a_kernel_knows_its_extended_one_where_there_is_one():
    network, x = Network.initialise(3, 5, 3, "gelu", "ntk", 1), normals(4, 3)
    passes = centred_passes(network, x)
    assert centred_kernel(passes).extended is None, "the network is not known"
    assert centred_kernel(passes, network=network).extended is not None
    equal = centred_passes(network, x[[0, 1, 2, 0]])
    assert centred_kernel(equal, network=network).extended is None


def test_tiles_have_the_low_parts_too(monkeypatch):
    network = Network.initialise(3, 10, 3, "sigmoid", "ntk", seed=1)
    passes = extended_passes(network, ExactInputs(normals(7, 3) + 5))
    whole = double_double_kernel(passes)
    monkeypatch.setattr("ntk_sweep.kernel.double_double_kernel.TILE_ROWS", 3)
    monkeypatch.setattr("ntk_sweep.numerics.gram_tiles.DOUBLE_DOUBLE_TILE_ROWS", 3)
    tiles = double_double_kernel(passes)
    apart = (tiles.hi - whole.hi) + (tiles.lo - whole.lo)
    assert apart.norm() <= centred_kernel(passes).double_double_error(2)
