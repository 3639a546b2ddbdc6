"""Which layers delay their updates by default; their steps are tested with the network."""

import torch

from ntk_sweep.network.linear_layer import LayerScale, LinearLayer
from ntk_sweep.training.dense_layer import PENDING_ROWS, DenseLayer


def ones(width):
    return LinearLayer(torch.ones(width, width), torch.ones(width), LayerScale(1.0))


def forward(layer, a):
    layer.begin(len(a))
    layer.inputs.copy_(a)
    return layer.forward()


def test_wide_layers_delay_their_updates_and_narrow_ones_do_not():
    pending = []
    for width, batch_size in ((100, 1), (330, 1), (330, PENDING_ROWS // 2), (330, PENDING_ROWS)):
        layer = DenseLayer(ones(width), batch_size)
        a = torch.ones(1, width)
        before = forward(layer, a).clone()
        layer.gradients[:] = 1.0
        layer.update()
        pending.append(layer._pending)
        torch.testing.assert_close(forward(layer, a), before - (width + 1))
    assert pending == [0, 1, 1, 0]


def test_pending_rows_are_used_up_before_they_are_added():
    layer = DenseLayer(ones(330), PENDING_ROWS // 2)
    pending = []
    for _ in range(3):
        forward(layer, torch.ones(PENDING_ROWS // 2, 330))
        layer.gradients[:] = 0.0
        layer.update()
        pending.append(layer._pending)
    assert pending == [PENDING_ROWS // 2, PENDING_ROWS, PENDING_ROWS // 2]
