"""Protects Table 1: its numbers, its notes, and the thesis's values beside them."""

from __future__ import annotations

from ntk_sweep.analysis.chapters.table1 import beside_thesis, table1
from ntk_sweep.analysis.rows.best_cells import best_cells, probabilities
from ntk_sweep.analysis.rows.cells import cells
from ntk_sweep.analysis.writing.tables import markdown
from tests.helpers.analysis_rows import failed, grid, group, row


def beside(one):
    return beside_thesis(best_cells(cells(one.rows)), probabilities(one.rows), one)


def table(one):
    return table1(one, cells(one.rows), beside(one))


def test_the_thesis_stands_only_beside_its_own_setting():
    rows = [row("relu"), row("elu"), row("lrelu"), row("sigmoid")]
    own, digits, small = (
        group(rows),
        group([{**r, "data": "digits"} for r in rows]),
        group([{**r, "n_samples": 20} for r in rows]),
    )
    known = beside(own)
    assert known["thesis_depth"].tolist() == ["3 or 4", "2", "3 or 4", "2"]
    assert known["thesis_lambda_min"].iloc[0] == 5.490
    assert known["thesis_lambda_min"].iloc[1:].isna().all()
    for other in (digits, small, group([{**r, "parametrisation": "ntk"} for r in rows])):
        assert beside(other)["thesis_lambda_min"].isna().all()
        assert "thesis: λ_min" not in table(other).columns


def test_table_1_shows_no_digit_that_the_error_bound_does_not_leave():
    rows = [row(seed=seed, lambda_min=2.0 + seed / 8, error_bound=0.03) for seed in range(3)]
    text = markdown(table(group(rows)))
    assert "2.12 ± 0.12" in text and "2.125" not in text
    assert "2.00 to 2.25" in text and "0.030" in text
    text = markdown(table(group([{**one, "lambda_min_error": 0.3} for one in rows])))
    assert "2.1 ± 0.1" in text and "2.0 to 2.2" in text


def test_table_1_says_what_one_seed_means_and_what_was_left_out():
    one = group([row(), row(width=50), row(width=60, lambda_min=0.0), failed(width=70)])
    text = markdown(table(one))
    assert "the greatest of up to 3 draws is mostly luck" in text
    assert "1 of 3 cells are unresolved" in text
    assert "1 point failed or diverged and is left out" in text
    assert "±" not in text
    several = group(grid())
    text = markdown(table(several))
    assert "133.3 ± 94.3" not in text
    assert "300.0 ± 141.4" in text  # width 400, depth 2, of the values 200 and 400
    assert "cells hold 1 to 2 seeds" in text
    assert "mostly luck" not in text
