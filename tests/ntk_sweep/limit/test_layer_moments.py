"""Protects the moments behind the laws of width and depth: closed forms, and the kept file."""

from __future__ import annotations

import math

import pytest

from ntk_sweep.analysis.chapters.scaling.laws import moments
from ntk_sweep.limit.dual_activations import dual_activations
from ntk_sweep.limit.layer_moments import LayerMoments, layer_moments
from ntk_sweep.network.activations.registry import ACTIVATIONS


def test_of_relu_they_are_known():
    assert layer_moments("relu", 3) == [
        LayerMoments(1.0, 0.5, 0.0),
        LayerMoments(1.5, 0.5, 0.0),
        LayerMoments(1.75, 0.5, 0.0),
    ]


def test_of_erf_they_are_known():
    first, second = layer_moments("erf", 2)
    assert second.variance == pytest.approx(1 + 2 / math.pi * math.asin(2 / 3), rel=1e-12)
    assert first.slope == pytest.approx(4 / math.pi / math.sqrt(5), rel=1e-12)
    # σ'' = -2u σ', and E[u² exp(-2u²)] = (1 + 4)^(-3/2)
    assert first.curvature == pytest.approx(16 / math.pi * 5**-1.5, rel=1e-12)


@pytest.mark.parametrize("act", ACTIVATIONS)
def test_they_are_the_dual_activations_of_equal_inputs(act):
    for place, own in enumerate(every := layer_moments(act, 4)):
        duals = dual_activations(act, [own.variance], [own.variance], [own.variance])
        assert own.slope == pytest.approx(float(duals.derivative), rel=1e-11)
        if place < 3:
            assert every[place + 1].variance == pytest.approx(float(duals.function) + 1, rel=1e-11)


@pytest.mark.parametrize("act", ACTIVATIONS)
def test_the_file_that_the_analysis_reads_holds_them(act):
    kept = moments(act)
    own = layer_moments(act, len(kept))
    assert len(kept) == 16
    for name in LayerMoments._fields:
        assert kept[name].to_numpy() == pytest.approx(
            [getattr(one, name) for one in own], rel=1e-8, abs=1e-8
        )
