"""Protects the sentences at the head of a page, and what a row is computed by."""

from __future__ import annotations

import pytest

from ntk_sweep.analysis.page.answer import answer, progress, trend
from ntk_sweep.analysis.page.packing import Packer
from ntk_sweep.analysis.page.row_table import row_table
from ntk_sweep.analysis.rows.study import studies
from tests.helpers import analysis_training_rows as training_rows
from tests.helpers.analysis_rows import failed, frame, grid, row, store
from tests.helpers.report_pages import inflated, numbers_at


def test_the_sentences_are_those_of_the_rows(tmp_path):
    (study,) = studies(store(tmp_path, grid()))
    greatest, axes = answer(study)
    assert "for ReLU 400 × 2 (width × depth): 300 in the mean of 2 seeds (range: 200 to" in greatest
    # λ_min is w / d of every seed: a doubling doubles it, a layer more leaves two thirds.
    assert "With width, λ_min rises for ReLU (× 2.00 a doubling [2.00, 2.00], up at 3 of 3" in axes
    assert "With depth, λ_min falls for ReLU (× 0.667 a layer [0.667, 0.667], down at 2 of" in axes
    assert axes.endswith("In brackets: the range over seeds.")  # two seeds make no 95 %
    assert progress(study).startswith("11 of 12 networks of the grid computed")


def test_a_trend_is_that_of_all_widths_and_no_more_than_the_seeds_tell():
    steps = {10: 1.0, 20: 0.1, 40: 4.0, 80: 8.0, 160: 16.0, 320: 0.5}  # the outermost widths fall
    rows = [row(width=w, seed=s, lambda_min=v * (1 + s)) for w, v in steps.items() for s in (0, 1)]
    found = trend(frame(rows), "width", "depth")
    assert (found.verb, found.rises, found.falls, found.steps) == ("rises", 3, 2, 5)
    assert found.factor == pytest.approx(2.0) and found.low == pytest.approx(found.high)
    apart = [
        row(width=10 * 2**k, seed=s, lambda_min=(3.0 - s) ** k / 1.5**k)
        for k in range(3)
        for s in (0, 2)
    ]  # one seed's doubles, the other's falls
    assert trend(frame(apart), "width", "depth").verb == "neither clearly rises nor falls"
    assert trend(frame(rows[:2]), "width", "depth") is None


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([row()], "λ_min is greatest for ReLU 100 × 3 (width × depth): 1.00, of a single draw."),
        ([failed()], "No network has a resolved λ_min yet."),
    ],
    ids=["one", "failed"],
)
def test_a_single_draw_and_none_say_so(rows, told, tmp_path):
    (study,) = studies(store(tmp_path, rows))
    assert answer(study) == [told]


def test_whether_lambda_min_predicts_training_is_told_where_there_are_runs(tmp_path):
    runs = training_rows.sweep(widths=(50, 100, 300), depths=(2, 3), seeds=1, acts=("relu", "elu"))
    (study,) = studies(training_rows.store(tmp_path / "a", runs))
    assert answer(study)[-1].startswith("Of 12 networks trained at learning rate")
    (study,) = studies(training_rows.store(tmp_path / "b", runs[:2]))
    assert answer(study)[-1].startswith("Too few networks were trained")


def test_a_row_of_the_page_is_that_of_the_store(tmp_path):
    store(tmp_path, [row("relu", 10), row("relu", 20, method="extreme"), failed("elu", 30)])
    changes = {"n_test_samples": 8, "test_fingerprint": "e" * 64, "record_kernel_every": 2}
    runs = [training_rows.run("relu", 10, **changes)]
    (study,) = studies(training_rows.store(tmp_path, runs))
    packer = Packer()
    table = row_table(study, packer)
    raw = inflated(packer.text())
    columns = {one["name"]: one for one in table["columns"]}
    widths = numbers_at(raw, columns["width"]["values"]).tolist()
    assert sorted(widths) == [10, 10, 20, 30]
    assert columns["status"]["words"] == ["failed", "ok"]
    assert columns["n_samples"] == {"name": "n_samples", "kind": "whole", "constant": 200.0}
    ways = [
        table["commands"]["ways"][int(way)] for way in numbers_at(raw, table["commands"]["way"])
    ]
    told = dict(zip(widths[:-1], ways[:-1], strict=True))  # the run stands last
    assert told == {10: "", 20: "task.method=extreme", 30: ""}
    assert ways[-1] == (
        "task=training task.learning_rate=0.001 task.batch_size=1 task.epochs=2 "
        "task.record_kernel_every=2 data.n_test_per_class=4"
    )
