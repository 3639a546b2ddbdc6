"""Protects the choice of each activation's best cell."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from ntk_sweep.analysis.rows.best_cells import best_cells, probabilities
from ntk_sweep.analysis.rows.cells import cells
from tests.helpers.analysis_rows import failed, frame, row


def test_table_1_takes_the_greatest_mean_of_the_resolved_cells():
    rows = [
        row(width=50, seed=0, lambda_min=5.0),
        row(width=50, seed=1, lambda_min=1.0),
        row(width=60, seed=0, lambda_min=4.0),
    ]
    rows += [
        row(width=60, seed=1, lambda_min=3.0),
        row(width=70, lambda_min=9.0),
        row(width=70, seed=1, lambda_min=0.0),
        failed("elu"),
    ]
    rows += [row("sigmoid", lambda_min=0.0)]
    best = best_cells(cells(frame(rows)))
    assert best["act"].tolist() == ["relu", "elu", "sigmoid"]
    relu, elu, sigmoid = best.to_dict("records")
    assert (relu["lambda_min"], relu["width"], relu["depth"], relu["seeds"]) == (3.5, 60, 3, 2)
    assert relu["sd"] == pytest.approx(math.sqrt(0.5))
    assert (relu["cells"], relu["unresolved_cells"], relu["failed_points"]) == (3, 1, 0)
    assert pd.isna(elu["lambda_min"])
    assert (elu["cells"], elu["failed_points"]) == (0, 1)
    assert pd.isna(sigmoid["lambda_min"])
    assert (sigmoid["cells"], sigmoid["unresolved_cells"]) == (1, 1)


def test_table_1_compares_arithmetic_means():
    rows = [row(width=50, seed=seed, lambda_min=value) for seed, value in enumerate((1.0, 9.0))]
    rows += [row(width=60, seed=seed, lambda_min=4.0) for seed in (0, 1)]
    best = best_cells(cells(frame(rows))).iloc[0]
    assert (best["lambda_min"], best["width"]) == (5.0, 50)  # the geometric means are 3 and 4


def test_an_unresolved_cell_is_no_candidate():
    rows = [row(seed=s, lambda_min=1.0 + s) for s in (0, 1)] + [
        row(width=50, seed=0, lambda_min=9.0),
        row(width=50, seed=1, lambda_min=0.0),
    ]
    assert probabilities(frame(rows))["width"].tolist() == [100]
