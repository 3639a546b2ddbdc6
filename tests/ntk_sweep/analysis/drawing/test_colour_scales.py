"""Protects the colours of heat maps: shared where they are compared."""

from __future__ import annotations

import numpy as np
import pytest

from ntk_sweep.analysis.drawing.colour_scales import SEQUENTIAL, colour_scale
from ntk_sweep.analysis.rows.quantities import LAMBDA_MIN, QUANTITIES, RATIO


def test_colour_scales():
    ratio = colour_scale(RATIO, np.array([0.1, np.nan, 0.5]))
    assert (ratio.norm.vmin, ratio.norm.vmax, ratio.mark) == (0.1, 0.5, None)
    around = colour_scale(RATIO, np.array([0.5, 8.0]))
    assert (around.norm(2.0), around.colours, around.mark) == (pytest.approx(0.5), SEQUENTIAL, 1.0)
    assert colour_scale(RATIO, np.array([1.0])).norm(1.0) == pytest.approx(0.5)
    shared = colour_scale(LAMBDA_MIN, np.array([1.0, 10.0]), np.array([0.1]))
    assert (shared.norm.vmin, shared.norm.vmax) == (0.1, 10.0)
    contrast = QUANTITIES["class_contrast"]
    assert type(colour_scale(contrast, np.array([1e-6, 1.0])).norm).__name__ == "LogNorm"
    assert type(colour_scale(contrast, np.array([-1e-6, 1.0])).norm).__name__ == "Normalize"
    assert colour_scale(LAMBDA_MIN, np.array([np.nan])) is None
