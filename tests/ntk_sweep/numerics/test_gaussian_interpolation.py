"""Protects the interpolated Gram matrices: quadrature pair by pair gives the same numbers."""

import pytest
import torch

from ntk_sweep.limit.dual_activations import gram_duals, own_duals
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.numerics.gaussian_interpolation import gram_expectations
from ntk_sweep.numerics.gaussian_pairs import GaussianPairs
from ntk_sweep.numerics.gaussian_quadrature import line_moments, pair_expectations


def layer(kind, count=60):
    generator = torch.Generator().manual_seed(5)
    x = torch.rand(count, 12, generator=generator, dtype=torch.float64)
    if kind == "centred":
        x = x - x.mean(0)
    if kind in ("uneven", "wide"):
        ends = {"uneven": 0.6, "wide": 1.5}[kind]
        x = x * torch.logspace(-ends, ends, count, dtype=torch.float64)[:, None]
    if kind == "alike":
        x = x[:1] + 1e-5 * x
    gain = {"large": 300.0, "wide": 1.0}.get(kind, 0.3)
    distance = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist").square()
    return of_layer((x * x).sum(1), distance, gain)


def of_layer(squares, distance, gain):
    return GaussianPairs.from_layer(squares[:, None], squares[None, :], distance, gain)


def duals_of(name, pairs):
    own = own_duals(name, pairs.var_x[:, 0])
    return gram_duals(name, pairs, own, own)


@pytest.mark.long
@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("kind", ["plain", "centred", "alike", "uneven", "large", "wide"])
def test_against_pair_by_pair(name, kind, monkeypatch):
    # Scales that differ as much as the wide ones go to the quadrature pair by pair, which is slow.
    pairs = layer(kind, 12 if kind == "wide" else 60)
    if kind not in ("large", "wide"):
        monkeypatch.setattr(
            "ntk_sweep.numerics.gaussian_interpolation.pair_expectations", None
        )  # the grid must do
    functions = (ACTIVATIONS[name].function, ACTIVATIONS[name].derivative)
    scales = pairs.var_x[:, 0].sqrt()
    moments = [line_moments(f, scales) for f in functions]
    grams = gram_expectations(functions, moments, moments, pairs)
    generator = torch.Generator().manual_seed(6)
    i, j = torch.randint(len(scales), (2, 100), generator=generator)
    plain = pair_expectations(
        functions,
        scales[i],
        scales[j],
        pairs.angle[i, j],
        pairs.coangle[i, j],
        pairs.correlation[i, j],
    )
    for gram, exact, moment in zip(grams, plain, moments, strict=True):
        assert torch.equal(gram, gram.T)
        size = (moment.square[i] * moment.square[j]).sqrt()
        # What `dual_error` grants to quadrature up to variance 100, and beyond; ten times what was
        # seen.
        assert ((gram[i, j] - exact).abs() / size).max() <= (2e-14 if kind != "large" else 2e-13)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("count", [1, 2])
def test_few_inputs(name, count):
    pairs = layer("plain", count)
    duals = duals_of(name, pairs)
    assert duals.function.shape == (count, count)
    assert torch.isfinite(duals.derivative).all()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_identical_inputs_give_identical_rows(name):
    x = torch.tensor([[1.0, 2.0], [1.0, 2.0], [0.5, -1.0]], dtype=torch.float64)
    pairs = of_layer((x * x).sum(1), torch.cdist(x, x).square(), 0.5)
    duals = duals_of(name, pairs)
    assert float(duals.distance[0, 1]) == 0
    torch.testing.assert_close(duals.function[0], duals.function[1], rtol=1e-13, atol=0)
    torch.testing.assert_close(duals.derivative[0], duals.derivative[1], rtol=1e-13, atol=0)
