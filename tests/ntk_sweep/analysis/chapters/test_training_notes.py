"""Protects what the chapter on training says in words: each sentence follows from the rows."""

from __future__ import annotations

import math

import pytest

from ntk_sweep.analysis.chapters.training import outcome_table
from ntk_sweep.analysis.chapters.training_notes import (
    kept_order_notes,
    order_notes,
    stability_notes,
)
from ntk_sweep.analysis.rows.courses import courses
from tests.helpers.analysis_training_rows import only_runs, recorded, run

LONG = {"step_size": 0.01, "trace": 200 * 150.0}
"""η tr Θ / N = 1.5."""

SHORT = {"step_size": 0.01, "trace": 200 * 50.0}


@pytest.mark.parametrize(("sigmoid", "agreeing"), [(0.9, 1), (0.1, 0)])
def test_the_order_of_losses_is_held_against_that_of_lambda_min(sigmoid, agreeing):
    rows = [run("relu", lambda_min=4.0, losses=[2.0, 0.3 + s / 100], seed=s) for s in range(3)]
    rows += [
        run("sigmoid", lambda_min=0.1, losses=[2.0, sigmoid + s / 100], seed=s) for s in (0, 1)
    ]
    (note,) = order_notes(only_runs(rows))
    assert "ReLU 100 × 3 0.310 (λ_min 4.00)" in note
    assert note.index("ReLU") < note.index("Sigmoid") if agreeing else "Sigmoid" in note[:60]
    assert f"In {agreeing} of 1 pair the network" in note
    assert f"of the 1 whose ranges over seeds do not overlap in {agreeing}." in note


def test_ranges_that_overlap_are_not_counted_as_apart():
    rows = [
        run("relu", lambda_min=4.0, losses=[2.0, loss], seed=s) for s, loss in enumerate((1, 3))
    ]
    rows += [
        run("elu", lambda_min=1.0, losses=[2.0, loss], seed=s) for s, loss in enumerate((2, 4))
    ]
    assert "In 1 of 1 pair" in order_notes(only_runs(rows))[0]
    assert "in none are the ranges over seeds apart" in order_notes(only_runs(rows))[0]


def test_one_network_and_unresolved_ones_have_no_order():
    unresolved = run("sigmoid", lambda_min=1e-12, lambda_min_error=1e-9)
    assert order_notes(only_runs([run(), unresolved])) == []


def test_runs_beyond_linear_stability_are_named_with_their_rise():
    rows = [
        run(losses=[1.0, 2.0, 0.1], **LONG),
        run(seed=1, losses=[1.0, 0.5, 0.1], **LONG),
        run("sigmoid", losses=[1.0, 9.0, 0.1], **SHORT),
    ]
    (note,) = stability_notes(only_runs(rows))
    assert "exceeds 1 before training, for ReLU 100 × 3 1.50." in note
    assert "Sigmoid" not in note
    assert "exceeds that before training in 1 of 2 runs; at the end it is below it in 2." in note
    assert "task.record_kernel_every=1" in note and "a catapult" in note


def test_a_catapult_is_called_so_only_where_the_kernel_shrank():
    fell = recorded(kernel_lambda_max=[10.0, 2.0], **LONG)
    grew = recorded(seed=1, **LONG)
    (note,) = stability_notes(only_runs([fell]))
    assert "λ_max after epoch 2 is 0.200 times that before training, in 1 run that" in note
    assert "fell in 1: a catapult (Lewkowycz et al. 2020)" in note
    (mixed,) = stability_notes(only_runs([fell, grew]))
    assert "in 2 runs that recorded it, and fell in 1." in mixed
    assert "catapult" not in mixed


def test_a_run_that_overflows_beyond_stability_rose_and_did_not_end_below():
    (note,) = stability_notes(only_runs([run(losses=[1.0, math.inf], epochs=3, **LONG)]))
    assert "in 1 of 1 run; at the end it is below it in 0" in note


def test_stable_means_are_no_promise_for_single_samples():
    (note,) = stability_notes(only_runs([run(**SHORT)]))
    assert note.startswith("No run begins beyond linear stability")
    assert "at most 0.500" in note and "single samples may lie above the mean" in note
    (note,) = stability_notes(only_runs([run(**SHORT, linear_stability=1.25)]))
    assert note.endswith("; of single samples η Θ_ii is at most 1.25.")


def test_the_flow_has_neither_steps_nor_an_order_and_a_loss_to_stop_at_no_order_of_losses():
    flow = dict.fromkeys(("step_size", "learning_rate", "batch_size", "epochs", "shuffle"))
    found = only_runs([run(seed=s, optimiser="flow", flow_tolerance=1e-8) | flow for s in (0, 1)])
    assert stability_notes(found) == [] and kept_order_notes(found) == []
    stopped = [run(act, lambda_min=v, stop_at_loss=0.5) for act, v in (("relu", 2.0), ("elu", 1.0))]
    assert order_notes(only_runs(stopped)) == []


def test_full_batches_have_another_limit_and_other_batches_none_that_is_known():
    whole = {"batch_size": 200, "step_size": 1.0, "lambda_max": 300.0}
    (note,) = stability_notes(only_runs([run(**whole)]))
    assert "η λ_max / N exceeds 1 before training, for ReLU 100 × 3 1.50." in note
    assert stability_notes(only_runs([run(**whole | {"batch_size": 10})])) == []


def test_a_kept_order_shows_the_loss_after_an_epoch_beside_that_on_the_way():
    rows = [run(shuffle=False, losses=[9.0, 0.5, 0.5], running_losses=[1.0, 0.025])]
    (note,) = kept_order_notes(only_runs(rows))
    assert "ReLU 100 × 3 0.500 beside 0.0250." in note
    assert "a constant output of ½ has a loss of 0.25" in note
    assert kept_order_notes(only_runs([run()])) == []


def test_the_sentences_stand_below_the_table():
    found = only_runs([run(**LONG), run("sigmoid", shuffle=True, **SHORT)])
    notes = outcome_table(found, courses(found)).notes
    assert any(note.startswith("Beyond linear stability") for note in notes)
    assert any(note.startswith("By loss after training") for note in notes)
