"""Protects the quantities: their means, error bounds, and when a value is trusted."""

from __future__ import annotations

import pytest

from ntk_sweep.analysis.drawing import cell_grid
from ntk_sweep.analysis.rows.cells import cells
from ntk_sweep.analysis.rows.quantities import QUANTITIES, RATIO
from ntk_sweep.store.columns import schema
from tests.helpers.analysis_rows import frame, row


def test_every_quantity_is_a_column_or_made_of_some():
    assert set(QUANTITIES) - set(schema("spectrum").names) == {"ratio"}


def test_the_ratio_is_the_geometric_mean_over_the_prediction():
    rows = [
        row(seed=s, lambda_min=value, limit_lambda_min=10.0) for s, value in enumerate((1.0, 4.0))
    ]
    cell = cells(frame(rows), RATIO).iloc[0]
    assert cell["geometric_mean"] == pytest.approx(0.2)
    assert (cell["least"], cell["greatest"]) == pytest.approx((0.1, 0.4))


def test_the_bound_of_the_ratio_holds_whatever_the_two_errors_are():
    rows = frame(
        [row(lambda_min=1.0, error_bound=0.3, limit_lambda_min=2.0, limit_lambda_min_error=0.5)]
    )
    bound = RATIO.error(rows).iloc[0]
    worst = max(abs(a / b - 0.5) for a in (0.7, 1.3) for b in (1.5, 2.5))
    assert worst <= bound < 1.2 * worst


def test_a_value_that_does_not_exist_is_undefined():
    rows = frame([row(), row(seed=1, class_contrast=None)])
    table = cell_grid.numbers(
        cells(rows, QUANTITIES["class_contrast"]), "relu", QUANTITIES["class_contrast"]
    )
    assert table["state"].tolist() == ["undefined"]
