"""Protects that a warm process computes what a fresh one does, whatever it computed before."""

import dataclasses

import numpy as np
import pytest
import torch

from ntk_sweep.data.dataset import Dataset
from ntk_sweep.network.architecture import Architecture
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.network.streamed import StreamedNetwork
from ntk_sweep.settings.point import Point
from ntk_sweep.settings.schema import SpectrumConfig
from ntk_sweep.tasks.computation import Caches
from ntk_sweep.tasks.draws import LastDraw
from ntk_sweep.tasks.rows import compute_row
from tests.helpers.points import changed

DATASET = Dataset(
    "npz", np.random.default_rng(3).random((6, 4)), np.arange(6) % 2.0, None, "fingerprint"
)
OTHER = dataclasses.replace(DATASET, x=DATASET.x[::-1] + 1, fingerprint="other")
POINT = Point(SpectrumConfig(), Architecture("relu", 9, 3, "thesis"), 0, "float64", "fingerprint")
CPU = torch.device("cpu")


def test_rows_do_not_depend_on_what_was_computed_before():
    """One value changes from the first point to the next, and comes back."""
    changes = [{"act": "elu"}, {"seed": 1}, {"depth": 4}, {"width": 10}, {"parametrisation": "ntk"}]
    changes += [{"weight_std": 1.7, "act": "elu"}, {"bias_std": None}, {"bias_std": 0.3}]
    steps = [(DATASET, change) for one in (*changes, {"dtype": "float32"}) for change in ({}, one)]
    steps += [(OTHER, {"dtype": "float32"}), (OTHER, {}), (DATASET, {})]
    warm = Caches()
    for dataset, change in steps:
        point = changed(POINT, data_fingerprint=dataset.fingerprint, **change)
        one, other = (
            compute_row(point, dataset, "cpu", None, caches).row for caches in (warm, Caches())
        )
        assert one["status"] == "ok"
        for name in set(one) - {"seconds", "finished_at"}:
            np.testing.assert_array_equal(one[name], other[name], err_msg=f"{name} {change}")


def test_one_draw_serves_all_activations_and_only_them():
    draw = LastDraw()
    inputs = draw.inputs(DATASET, torch.float64, CPU)
    assert draw.inputs(DATASET, torch.float64, CPU) is inputs
    network, first = draw.network(POINT, inputs, held=True)
    again, same = draw.network(changed(POINT, act="elu"), inputs, held=True)
    assert same is first and again.weights[0] is network.weights[0]
    assert (network.activation, again.activation) == ("relu", "elu")
    for change in ({"seed": 1}, {"width": 10}, {"depth": 4}, {"parametrisation": "ntk"}):
        _, first = draw.network(POINT, inputs, held=True)
        assert draw.network(changed(POINT, **change), inputs, held=True)[1] is not first


@pytest.mark.parametrize("held", [True, False])
def test_networks_that_differ_in_scale_share_their_draws_and_products(held):
    draw, found = LastDraw(), []
    inputs = draw.inputs(DATASET, torch.float64, CPU)
    scales = [(1.0, 1.0), (1.7, 0.3), (1.7, None), (0.5, 0.0), (1.0, 1.0)]
    for weight_std, bias_std in scales:
        point = changed(POINT, act="elu", weight_std=weight_std, bias_std=bias_std)
        network, first = draw.network(point, inputs, held)
        found.append(first)
        alone, own = LastDraw().network(point, inputs, held)
        assert torch.equal(first.z.total, own.z.total)
        assert torch.equal(network.layer(2).shift, alone.layer(2).shift)
        assert network.scales == alone.scales
    assert len({id(first.products) for first in found}) == 1
    assert len({id(first) for first in found}) == len(scales)
    # where the scale is that of the draws, each has its own
    standard = changed(POINT, parametrisation="standard")
    firsts = [
        draw.network(changed(standard, weight_std=one), inputs, held)[1] for one in (1.0, 2.0)
    ]
    assert firsts[0].products is not firsts[1].products


def test_weights_are_held_or_drawn_as_the_plan_says():
    draw = LastDraw()
    inputs = draw.inputs(DATASET, torch.float64, CPU)
    for held, kind in ((True, Network), (False, StreamedNetwork), (True, Network)):
        assert isinstance(draw.network(POINT, inputs, held)[0], kind)
