"""Protects the course of training over seeds: medians, ranges and diverged runs."""

from __future__ import annotations

import math

from ntk_sweep.analysis.rows.courses import courses
from tests.helpers.analysis_training_rows import only_runs, run


def test_courses_are_medians_with_the_least_and_greatest():
    found = only_runs(
        [run(seed=s, losses=[v, v / 2, v / 4]) for s, v in enumerate((1.0, 2.0, 8.0))]
    )
    points = courses(found)
    assert points["loss"].tolist() == [2.0, 1.0, 0.5]
    assert points["loss_low"].tolist() == [1.0, 0.5, 0.25]
    assert points["loss_high"].tolist() == [8.0, 4.0, 2.0]
    assert math.isnan(points["running_loss"].iloc[0])
    assert points["running_loss"].tolist()[1:] == [1.0, 0.5]
    assert points["accuracy"].tolist() == [0.5, 0.75, 1.0]
    assert points["flow"].tolist() == [2.0, 1.0, 0.5]
    assert points["seeds"].tolist() == [3, 3, 3]


def test_a_diverged_run_is_infinite_from_where_it_stopped():
    found = only_runs(
        [
            run(seed=0, losses=[1.0, 3.0, math.nan], epochs=4),
            *(run(seed=s, losses=[1.0, 0.9, 0.8, 0.7, 0.6]) for s in (1, 2)),
        ]
    )
    points = courses(found)
    assert points["diverged"].tolist() == [0, 0, 1, 1, 1]
    assert points["loss"].tolist() == [1.0, 0.9, 0.8, 0.7, 0.6]
    assert points["loss_high"].tolist() == [1.0, 3.0, 0.8, 0.7, 0.6]
    most = courses(
        only_runs(
            [run(seed=s, losses=[1.0, math.inf], epochs=3) for s in (0, 1)]
            + [run(seed=2, losses=[1.0] * 4)]
        )
    )
    assert most["loss"].tolist() == [1.0, math.inf, math.inf, math.inf]
    assert most["loss_high"].tolist() == [1.0] * 4


def test_a_run_that_stopped_early_keeps_its_last_values():
    early = run(
        seed=0, losses=[1.0, 0.1], epochs=3, stop_at_loss=0.1, linearised_losses=[1.0, 0.3, 0.1]
    )
    late = run(seed=1, losses=[1.0, 0.8, 0.4, 0.2], stop_at_loss=0.1)
    points = courses(only_runs([early, late]))
    assert points["loss_low"].tolist() == [1.0, 0.1, 0.1, 0.1]
    assert points["loss_high"].tolist() == [1.0, 0.8, 0.4, 0.2]
    assert points["linearised_low"].tolist() == [1.0, 0.3, 0.1, 0.1]
    assert points["running_loss_low"].tolist()[1:] == [0.1, 0.1, 0.1]
    assert points["accuracy_low"].tolist()[-1] == early["accuracies"][-1]
    assert points["diverged"].tolist() == [0, 0, 0, 0]
