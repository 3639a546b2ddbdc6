"""Protects the spread over seeds, and its colours."""

from __future__ import annotations

import numpy as np
import pytest

from ntk_sweep.analysis.chapters import spread
from ntk_sweep.analysis.drawing import heatmap as heatmaps
from ntk_sweep.analysis.rows.cells import cells
from tests.helpers.analysis_rows import frame, grid, row


def test_spreads_of_all_activations_have_the_same_colours():
    values = {"relu": (1.0, 3.0), "elu": (9.0, 11.0)}
    rows = [
        row(act, seed=seed, lambda_min=value)
        for act in values
        for seed, value in enumerate(values[act])
    ]
    statistics = cells(frame(rows))
    scale = spread.scale(statistics)
    figures = [
        heatmaps.heatmap(spread.spread_grid(statistics, act), "", scale) for act in ("relu", "elu")
    ]
    ends = [
        (norm.vmin, norm.vmax)
        for norm in (figure.axes[0].collections[0].norm for figure in figures)
    ]
    assert ends == [pytest.approx((0.2 / np.sqrt(2), 1 / np.sqrt(2)))] * 2


def test_spread_is_the_sd_over_the_mean():
    statistics = cells(frame([*grid(seeds=3), row("relu", 75, 2, 0, 5.0)]))
    shown = spread.spread_grid(statistics, "relu")
    assert shown.value[0, 0] == pytest.approx(0.5)  # values v, 2 v, 3 v
    assert shown.unresolved[0, 1]  # a single seed
    assert shown.best is None
    table = spread.numbers(statistics, "relu").set_index(["width", "depth"])["spread"]
    assert table[30, 2] == pytest.approx(0.5)
    assert np.isnan(table[75, 2])
