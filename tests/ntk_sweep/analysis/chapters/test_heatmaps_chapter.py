"""Protects what the heat maps say of cells that are unresolved."""

from __future__ import annotations

from ntk_sweep.analysis.chapters.heatmaps import CHAPTER, LEAD
from ntk_sweep.analysis.rows.study import studies
from tests.helpers.analysis_rows import row, store


def lead(folder, rows) -> str:
    (study,) = studies(store(folder, rows))
    return CHAPTER.content(study).lead


def test_cells_that_came_out_negative_are_counted_apart_from_unresolved_ones(tmp_path):
    rows = [row("relu"), row("sigmoid", 50)]
    # of two seeds one came out as 0 or below; of another cell both are noise above 0
    rows += [row("sigmoid", 100, seed=s, lambda_min=s * 1e-12) for s in (0, 1)]
    rows += [row("sigmoid", 150, seed=s, lambda_min=1e-12) for s in (0, 1)]
    said = lead(tmp_path, rows)
    assert (
        "Unresolved cells: Sigmoid 2 of 3, in 1 of them with a seed whose λ_min was computed as 0 "
        "or below." in said
    )
    assert "ReLU" not in said


def test_nothing_is_said_where_all_is_resolved(tmp_path):
    assert lead(tmp_path, [row()]) == LEAD
