"""Protects statistics over seeds, on frames small enough to reckon by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from ntk_sweep.analysis.rows.cells import cells, seeds_text
from ntk_sweep.analysis.rows.quantities import QUANTITIES
from ntk_sweep.analysis.statistics.bootstrap import mean_intervals
from tests.helpers.analysis_rows import failed, frame, row


def test_a_cell_is_averaged_over_its_seeds():
    cell = cells(
        frame([row(seed=0, lambda_min=1.0), row(seed=1, lambda_min=4.0, error_bound=3e-9)])
    ).iloc[0]
    assert (cell["seeds"], cell["unresolved"], cell["failed"], cell["resolved"]) == (2, 0, 0, True)
    assert cell["mean"] == 2.5
    assert cell["sd"] == pytest.approx(math.sqrt(4.5))
    assert cell["geometric_mean"] == pytest.approx(2.0)
    assert cell["error"] == pytest.approx(2e-9)
    assert (cell["least"], cell["greatest"]) == (1.0, 4.0)


def test_one_unresolved_seed_leaves_a_cell_without_numbers():
    cell = cells(frame([row(seed=0, lambda_min=1.0), row(seed=1, lambda_min=1e-10)])).iloc[0]
    assert (cell["seeds"], cell["unresolved"], cell["resolved"]) == (2, 1, False)
    assert cell[["mean", "sd", "geometric_mean", "error", "least", "greatest"]].isna().all()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0, -1.0])
def test_what_has_no_logarithm_is_unresolved_whatever_its_row_says(value):
    cell = cells(frame([row(lambda_min=value, lambda_min_resolved=True)])).iloc[0]
    assert (cell["unresolved"], cell["resolved"]) == (1, False)


@pytest.mark.parametrize("values", [(4.0, 1.0), (4.0, -1.0), (4.0, 0.0)])
def test_no_geometric_mean_is_of_a_part_of_the_values(values):
    found = frame([row(seed=seed, centred_alignment=value) for seed, value in enumerate(values)])
    cell = cells(found, QUANTITIES["centred_alignment"]).iloc[0]
    assert cell["mean"] == sum(values) / 2
    if min(values) > 0:
        assert cell["geometric_mean"] == pytest.approx(2.0)
    else:
        assert math.isnan(cell["geometric_mean"])


def test_failed_and_diverged_rows_are_counted_and_nothing_else():
    table = cells(
        frame(
            [
                row(seed=0, lambda_min=2.0),
                failed(seed=1),
                row(seed=2, lambda_min=900.0, status="diverged"),
                failed(width=7),
            ]
        )
    )
    first, second = table.to_dict("records")
    assert (second["seeds"], second["failed"], second["mean"]) == (1, 2, 2.0)
    assert (first["width"], first["seeds"], first["failed"], first["resolved"]) == (7, 0, 1, False)


def test_seeds_in_words():
    assert seeds_text(cells(frame([failed()]))) == "no seeds"
    assert seeds_text(cells(frame([row()]))) == "1 seed"
    assert seeds_text(cells(frame([row(seed=s) for s in range(3)]))) == "3 seeds"


def test_cells_have_the_interval_of_each_mean():
    rows = [
        row(seed=seed, lambda_min=value) for seed, value in enumerate((1.0, 2.0, 4.0, 8.0, 16.0))
    ]
    cell = cells(
        frame([*rows, row(width=7), row(width=8), row(width=8, seed=1, lambda_min=0.0)])
    ).set_index("width")
    low, high = mean_intervals(np.array([[1.0, 2.0, 4.0, 8.0, 16.0]]))
    assert (cell["low"][100], cell["high"][100]) == (low[0], high[0])
    low, high = mean_intervals(np.log(np.array([[1.0, 2.0, 4.0, 8.0, 16.0]])))
    assert (cell["geometric_low"][100], cell["geometric_high"][100]) == pytest.approx(
        (np.exp(low[0]), np.exp(high[0]))
    )
    assert (
        cell.loc[[7, 8], ["low", "high", "geometric_low", "geometric_high"]].isna().all(axis=None)
    )


def test_the_error_of_a_geometric_mean_holds_what_rounding_may_do():
    values, errors = (1.0, 100.0, 3.0), (1e-9, 1e-9, 0.5)
    rows = [
        row(seed=seed, lambda_min=value, error_bound=error)
        for seed, (value, error) in enumerate(zip(values, errors, strict=True))
    ]
    for count in (1, 2, 3):
        (cell,) = cells(frame(rows[:count])).to_dict("records")
        corners = [
            np.exp(
                np.log(
                    [
                        value + sign * error
                        for value, error, sign in zip(values, errors, signs, strict=False)
                    ]
                ).mean()
            )
            for signs in itertools.product((-1, 1), repeat=count)
        ]
        worst = np.abs(np.array(corners) - cell["geometric_mean"]).max()
        assert cell["geometric_error"] == pytest.approx(worst, rel=1e-5)
