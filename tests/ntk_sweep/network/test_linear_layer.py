"""Protects the maps of a layer, the norms of its weights, and how its inputs enter the kernel."""

import numpy as np
import pytest
import torch

from ntk_sweep.network.linear_layer import (
    LayerGrams,
    LayerScale,
    LinearLayer,
    layer_scales,
    summed_layers,
)
from ntk_sweep.network.parametrisations import PARAMETRISATIONS
from ntk_sweep.numerics.double_double import from_float64

GENERATOR = np.random.default_rng(3)
X = torch.from_numpy(GENERATOR.random((6, 5)))


def test_linear_maps():
    weight = torch.from_numpy(GENERATOR.random((2, 4, 5)))
    alone = LinearLayer(weight[1], torch.zeros(4, dtype=torch.float64), LayerScale(0.3))
    together = LinearLayer(weight, torch.zeros(2, 1, 1, 4, dtype=torch.float64), LayerScale(0.3))
    torch.testing.assert_close(alone.forward(X), 0.3 * X @ weight[1].T)
    torch.testing.assert_close(together.forward(X)[1, 0], alone.forward(X))
    rows = torch.from_numpy(GENERATOR.random((2, 3, 6, 4)))
    torch.testing.assert_close(together.backward(rows)[1, 2], 0.3 * rows[1, 2] @ weight[1])
    torch.testing.assert_close(alone.column_squares[:, 0], 0.09 * (weight[1] ** 2).sum(0))
    torch.testing.assert_close(alone.row_squares[:, 0], 0.09 * (weight[1] ** 2).sum(1))
    torch.testing.assert_close(together.column_squares[1, 0], alone.column_squares)
    torch.testing.assert_close(together.row_squares[1, 0], alone.row_squares)


def test_the_gram_matrix_of_a_layer_is_that_of_its_derivatives():
    """c² a aᵀ + 1 is [c a, 1] [c a, 1]ᵀ."""
    scale, gram = LayerScale(0.3), X @ X.T
    derivatives = scale.derivatives(X)
    assert derivatives.shape == (6, 6)
    torch.testing.assert_close(scale.gram(gram), derivatives @ derivatives.T)
    torch.testing.assert_close(gram, X @ X.T, rtol=0, atol=0)
    assert scale.gram(gram, out=gram) is gram
    torch.testing.assert_close(gram, derivatives @ derivatives.T)


def test_layers_in_double_double_add_up_to_those_in_float64():
    scales = [LayerScale(factor) for factor in (0.3, 1.0, 0.3)]
    entries = torch.from_numpy(GENERATOR.random((2, 3, 21)))
    layers = [
        LayerGrams(scale, from_float64(entries[0, index]), from_float64(entries[1, index]))
        for index, scale in enumerate(scales)
    ]
    expected = sum(entries[0, i] * scale.gram(entries[1, i]) for i, scale in enumerate(scales))
    torch.testing.assert_close(summed_layers(layers).hi, expected, rtol=1e-15, atol=0)


@pytest.mark.parametrize("name", PARAMETRISATIONS)
def test_the_last_layer_has_a_factor_of_its_own(name):
    scales = [scale.factor for scale in layer_scales(name, [(9, 4), (4, 4), (4, 1)])]
    expected = {"thesis": (0.5, 0.5, 1.0), "ntk": (9**-0.5, 0.5, 0.5), "standard": (1.0, 1.0, 1.0)}
    assert scales == pytest.approx(expected[name], rel=1e-15)
