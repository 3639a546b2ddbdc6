"""Protects the chapter on test inputs: its numbers by hand, its sentences, what is kept apart."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ntk_sweep.analysis.chapters.generalisation import composition, figures, numbers, tables
from ntk_sweep.analysis.cli import main
from ntk_sweep.analysis.rows.study import studies
from ntk_sweep.analysis.writing.tables import html, latex, markdown
from tests.helpers.analysis_training_rows import flow, group, probed, run, store, table_row
from tests.helpers.pixels import colours


def only(rows):
    (found,) = numbers.comparisons(group(rows))
    return found


def test_outcomes_are_medians_over_seeds():
    rows = [probed((1.0, loss), seed=seed) for seed, loss in enumerate((0.1, 0.2, 0.4))]
    (line,) = numbers.outcomes(only(rows)).to_dict("records")
    assert [line[f"measured{end}"] for end in ("", "_low", "_high")] == [0.2, 0.1, 0.4]
    assert (line["flow"], line["ntk"], line["nngp"], line["left_out"]) == (0.1, 0.1, 0.4, 0.05)
    assert math.isnan(line["limit"])
    assert (line["seeds"], line["centred"], line["measured_accuracy"]) == (3, False, 0.9)


def test_a_sentence_tells_how_far_predictions_miss():
    found = only([probed((1.0, loss), seed=seed) for seed, loss in enumerate((0.1, 0.2, 0.4))])
    text = tables.sentences(found)[0]
    assert "gradient flow with the kernel before training by a factor of 2.0 (below it)" in text
    assert "the NNGP kernel by a factor of 2.0 (above it)" in text
    assert "infinite-width" not in text  # unknown in every run
    assert len(tables.sentences(found)) == 1


def test_the_initial_function_counts_by_pairs_of_runs():
    rows = [probed((9.0, 0.1 * (seed + 1)), seed=seed) for seed in (0, 1, 2)]
    centred = {"centre_outputs": True, "ntk_test_loss": 0.05}
    rows += [probed((1.0, 0.1), seed=seed, **centred) for seed in (0, 1)]
    found = only(rows)
    np.testing.assert_allclose(numbers.effect_of_removal(found, "measured"), [1.0, 2.0])
    text = tables.sentences(found)[1]
    assert "measured by 1.5 [1.0, 2.0] in 2 pairs of runs" in text
    assert "for t → ∞ by 2.0 [2.0, 2.0] in 2 pairs" in text
    table = tables.losses_table(found, numbers.outcomes(found))
    assert table_row(table, "ReLU 100 × 3", "as drawn")[2] == 3
    assert table_row(table, "ReLU 100 × 3", "removed")[2] == 2
    assert "—" in table_row(table, "ReLU 100 × 3", "removed")


def test_other_test_inputs_and_settings_are_kept_apart():
    others = {"test_fingerprint": "b" * 64, "n_test_samples": 20, "seed": 1}
    rows = [probed(), probed(**others), probed(learning_rate=0.1), probed(seed=2), run(seed=3)]
    found = numbers.comparisons(group(rows))
    assert [(one.n_test, len(one.rows)) for one in found] == [(10, 2), (10, 1), (20, 1)]
    assert len({one.name for one in found}) == 3


def test_a_run_that_was_tested_stands_before_one_that_was_not():
    later, earlier = run(), probed()
    later["finished_at"] = later["finished_at"].replace(year=later["finished_at"].year + 1)
    assert len(only([earlier, later]).rows) == 1


def test_courses_are_drawn_with_and_without_the_initial_function():
    rows = [probed(), probed(centre_outputs=True, measured=(0.5, 0.2, 0.1))]
    points = numbers.courses(only(rows))
    assert points["measured"].tolist() == [1.0, 0.5, 0.2, 0.5, 0.2, 0.1]
    assert points["predicted"].tolist() == [1.0, 0.4, 0.1] * 2
    one, both = (
        colours(figures.course_figure(part)) for part in (points[~points["centred"]], points)
    )
    assert one < both
    words = figures.alt_text(points)
    assert "f₀ removed, ends at 0.1 (predicted 0.1)" in words


def test_flows_have_a_table_and_diverged_runs_an_infinite_loss(tmp_path):
    along = probed(of=flow, times=[0.0, 1.0, 2.0], losses=[1.0, 0.5, 0.25])
    gone = probed(losses=[1.0, math.inf], measured=(1.0, math.inf), epochs=2)
    (study,) = studies(store(tmp_path, [along, gone]))
    content = composition.CHAPTER.content(study)
    assert (len(content.tables), len(content.figures)) == (2, 1)
    for named in content.tables:
        for form in (html, latex, markdown):
            assert "gradient flow" in form(named.table)
    assert any("infinite" in markdown(named.table) for named in content.tables)
    for figure in content.figures:
        figure.draw()


def test_the_command_writes_tables_and_says_what_is_missing(tmp_path, capsys):
    results = store(tmp_path / "r", [probed()])
    assert main(["generalisation", results, "-o", str(tmp_path / "out")]) == 0
    assert "Loss on test inputs" in capsys.readouterr().out
    assert {path.suffix for path in (tmp_path / "out").iterdir()} >= {".csv", ".md", ".png"}
    results = store(tmp_path / "plain", [run()])
    assert main(["generalisation", results, "-o", str(tmp_path / "out")]) != 0
    assert "data.n_test_per_class=50" in capsys.readouterr().err


@pytest.mark.parametrize("count", [1, 12])
def test_a_figure_holds_the_networks_with_the_least_loss(tmp_path, count):
    rows = [probed((1.0, 0.5, 1 / width), width=width) for width in range(1, count + 1)]
    (study,) = studies(store(tmp_path, rows))
    (figure,) = composition.CHAPTER.content(study).figures
    assert figure.numbers["width"].unique().tolist() == list(range(max(count - 7, 1), count + 1))
