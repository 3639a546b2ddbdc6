"""Protects the choice of the best cells: the greatest mean, and resolved for every seed."""

import math

import pandas as pd

from ntk_sweep.store.best_cells import best_cells, cell_means, resolved

ROWS = pd.DataFrame(
    [
        ("relu", 50, 2, 9.0, True),
        ("relu", 50, 2, 1.0, True),
        ("relu", 70, 3, 6.0, True),
        ("relu", 90, 3, 99.0, True),
        ("relu", 90, 3, 99.0, False),
        ("elu", 10, 2, 2.0, True),
        ("elu", 20, 2, 2.0, True),
        ("tanh", 10, 2, 5.0, False),
    ],
    columns=["act", "width", "depth", "lambda_min", "lambda_min_resolved"],
)


def test_means_are_over_the_seeds_of_a_cell():
    cells = cell_means(ROWS).set_index(["act", "width", "depth"])
    assert cells.loc[("relu", 50, 2)].tolist() == [5.0, True]
    assert cells.loc[("relu", 90, 3)].tolist() == [99.0, False]
    assert len(cells) == 6


def test_what_a_row_calls_resolved_must_be_a_positive_number():
    rows = pd.DataFrame(
        {
            "lambda_min": [1.0, 0.0, -1.0, math.nan, math.inf, None, 1.0, 1.0],
            "lambda_min_resolved": pd.Series([True] * 6 + [False, None], dtype=object),
        }
    )
    assert resolved(rows).tolist() == [True] + [False] * 7


def test_the_best_cell_is_resolved_and_the_first_of_equals():
    best = best_cells(cell_means(ROWS)).set_index("act")
    assert best[["width", "depth"]].to_dict("index") == {
        "relu": {"width": 70, "depth": 3},
        "elu": {"width": 10, "depth": 2},
    }


def test_no_rows_have_no_best_cell():
    assert best_cells(cell_means(ROWS.iloc[:0])).empty
    assert best_cells(cell_means(ROWS.iloc[-1:])).empty
