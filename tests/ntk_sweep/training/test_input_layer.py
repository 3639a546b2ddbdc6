"""Which form the first layer takes; the steps of both are tested with the network."""

import pytest
import torch

from ntk_sweep.network.linear_layer import LayerScale, LinearLayer
from ntk_sweep.training.input_layer import (
    GRAM_SAMPLES_PER_FEATURE,
    DenseInputLayer,
    GramInputLayer,
    input_layer,
)


@pytest.mark.parametrize(
    ("count", "size", "form"),
    [
        (2 * GRAM_SAMPLES_PER_FEATURE, 1.0, GramInputLayer),
        (2 * GRAM_SAMPLES_PER_FEATURE + 1, 1.0, DenseInputLayer),
        (2, 1e200, DenseInputLayer),
    ],
    ids=["few samples", "many samples", "squares that overflow"],
)
def test_the_first_layer_takes_the_cheaper_form_that_is_finite(count, size, form):
    x = torch.full((count, 2), size, dtype=torch.float64)
    weight, bias = torch.ones(3, 2, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    layer = input_layer(LinearLayer(weight, bias, LayerScale(0.5)), x, batch_size=1)
    assert isinstance(layer, form)
    expected = torch.full((count, 3), size + 1, dtype=torch.float64)
    torch.testing.assert_close(layer.pre_activations(), expected)
