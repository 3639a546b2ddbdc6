"""Protects the choice of single networks."""

from __future__ import annotations

from ntk_sweep.analysis.rows.networks import Selection, exemplars, select, with_spectrum
from tests.helpers.analysis_rows import group, row


def test_the_networks_of_the_thesis_are_shown_first():
    rows = [
        row("relu", 800, 3, 1),
        row("relu", 800, 3, 0),
        row("relu", 10, 3, kernel_file="k"),
        row("sigmoid", 300, 8, 4),
    ]
    assert exemplars(group(rows).ok)[["act", "seed"]].values.tolist() == [
        ["relu", 0],
        ["sigmoid", 4],
    ]
    assert exemplars(group(rows[2:3]).ok)["width"].tolist() == [10]
    saved = [row("relu", 800, 3, 0), row("relu", 800, 3, 1, kernel_file="k")]
    assert exemplars(group(saved).ok)["seed"].tolist() == [1]
    assert len(exemplars(group([row(width=w) for w in range(1, 100)]).ok)) == 0
    assert len(select(with_spectrum(group(rows).ok), Selection(act="relu", width=800))) == 2
