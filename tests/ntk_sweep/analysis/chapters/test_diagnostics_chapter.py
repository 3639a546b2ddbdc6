"""Protects the diagnostics at the best cells."""

from __future__ import annotations

import pytest

from ntk_sweep.analysis.chapters.diagnostics import SHOWN, diagnostics, diagnostics_table
from ntk_sweep.analysis.rows.best_cells import best_cells
from ntk_sweep.analysis.rows.cells import cells
from ntk_sweep.analysis.writing.tables import markdown
from tests.helpers.analysis_rows import group, row


def table(one):
    return diagnostics_table(one, diagnostics(one, best_cells(cells(one.rows))))


def test_diagnostics_are_those_of_the_best_cell():
    rows = [row(width=100, effective_rank=9.0), row("sigmoid", lambda_min=0.0)]
    rows += [
        row(
            width=200,
            depth=2,
            seed=s,
            lambda_min=5.0,
            effective_rank=2.0 + s,
            layer_trace_shares=[0.25, 0.75],
        )
        for s in (0, 2)
    ]
    one = group(rows)
    (line,) = diagnostics(one, best_cells(cells(one.rows))).to_dict("records")
    assert (line["act"], line["width"], line["depth"], line["seeds"]) == ("relu", 200, 2, 2)
    assert (line["effective_rank"], line["effective_rank_sd"]) == pytest.approx((3.0, 2**0.5))
    assert (line["layer_trace_share_1"], line["layer_trace_share_2"]) == (0.25, 0.75)
    text = markdown(table(one))
    assert "| ReLU 200 × 2 |" in text
    assert "3.00 ± 1.41" in text
    assert "0.250 / 0.750" in text
    assert all(name in text for name in SHOWN.values())


def test_diagnostics_without_a_value_are_a_dash_and_without_a_best_cell_missing():
    one = group([row(class_contrast=None, layer_trace_shares=None)])
    assert [entry for entry in table(one).rows[0] if entry == "—"] == [
        "—",
        "—",
    ]
    none = group([row(lambda_min=0.0)])
    assert table(none).rows == []
