"""Protects the table of the cells most likely to be the best."""

from __future__ import annotations

from ntk_sweep.analysis.chapters.best_cell_probabilities import most_probable, probability_table
from ntk_sweep.analysis.chapters.needs import SEEDS, several_seeds
from ntk_sweep.analysis.chapters.table1 import beside_thesis, table1
from ntk_sweep.analysis.rows.best_cells import best_cells, probabilities
from ntk_sweep.analysis.rows.cells import cells
from ntk_sweep.analysis.rows.study import Study
from ntk_sweep.analysis.writing.tables import markdown
from ntk_sweep.store.store import Store
from tests.helpers.analysis_rows import failed, group, row


def test_table_1_says_how_probable_its_cells_are():
    one = group(
        [
            row(width=w, seed=s, lambda_min=value + s)
            for w, value in ((10, 1.0), (20, 1.2), (30, 50.0))
            for s in (0, 1)
        ]
    )
    assert probabilities(one.rows)["probability"].tolist() == [0, 0, 1]
    best = beside_thesis(best_cells(cells(one.rows)), probabilities(one.rows), one)
    text = markdown(table1(one, cells(one.rows), best))
    assert "100 %" in text
    assert "50.0 to 51.0" in text
    assert "With fewer than five seeds the interval is their range" in text
    assert most_probable(probabilities(one.rows), cells(one.rows))["width"].tolist() == [30]


def test_single_seeds_tell_no_probability():
    one = group([row(), row(width=50), failed(width=60)])
    assert probabilities(one.rows)["probability"].isna().all()
    assert (
        probability_table(one, most_probable(probabilities(one.rows), cells(one.rows))).rows == []
    )
    missing = [
        several_seeds(Study(rows, Store("results", "spectrum")), SEEDS)
        for rows in (one, group([failed()]))
    ]
    assert missing[0].sentence.startswith("Every cell holds one seed")
    assert missing[1].sentence == "There is no cell with a resolved λ_min."
