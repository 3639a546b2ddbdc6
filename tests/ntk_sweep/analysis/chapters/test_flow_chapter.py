"""Protects the chapter on the gradient flow: rates and onsets by hand, sentences, figures."""

from __future__ import annotations

import math
import shlex

import numpy as np
import pytest

from ntk_sweep.analysis.chapters.flow import composition, figures, numbers, tables
from ntk_sweep.analysis.cli import main
from ntk_sweep.analysis.rows.study import studies
from ntk_sweep.analysis.writing.tables import html, latex, markdown
from tests.helpers.analysis_training_rows import failed_run, flow, only_runs, run, store
from tests.helpers.pixels import colours

UNIT = 0.04
"""4 λ_min/N of λ_min = 2 and N = 200."""


def decay(parts, decades=20.0, lambda_min=2.0, **changes):
    """A sum of exponentials of the rates `parts`, in units, by their weights."""
    end = decades * math.log(10) / (UNIT * min(parts))
    times = np.r_[0.0, np.geomspace(1e-6 * end, end, 3000)]
    losses = sum(w * np.exp(-UNIT * rate * times) for rate, w in parts.items())
    return flow(times, losses, lambda_min=lambda_min, **changes)


def end(row):
    (only,) = numbers.ends(numbers.resolved(only_runs([row]))).to_dict("records")
    return only


def notes(rows) -> str:
    found = only_runs(rows)
    return "\n".join(tables.flow_table(found, numbers.ends(numbers.resolved(found))).notes)


@pytest.mark.parametrize("ratio", [0.6, 1.0, 1.9])
def test_a_single_exponential_has_its_rate_everywhere(ratio):
    row = decay({ratio: 3.0})
    points = numbers.curves(numbers.resolved(only_runs([row])))
    assert points["rate"].to_numpy() == pytest.approx(np.full(len(points), ratio))
    assert points["level"].tolist() == [0.5 * place for place in range(1, len(points) + 1)]
    values = end(row)
    assert values["unit"] == pytest.approx(UNIT)
    assert values["final_rate"] == pytest.approx(ratio)
    assert values["settled"] is True
    assert values["onset"] == values["own_onset"] == pytest.approx(10**-0.5)
    assert values["onset_loss"] == pytest.approx(3 * 10**-0.5)
    assert values["onset_time"] == pytest.approx(0.5 * math.log(10) / ratio)
    assert values["time"] == pytest.approx(2 * math.log(10) / (UNIT * ratio))
    assert values["kernel_drift"] == 0.25


def test_lambda_min_matters_from_where_its_mode_dominates():
    # A fast mode, and one of λ_min with 1e-5 of the loss: the rate comes down at 1e-5.
    values = end(decay({1000.0: 1.0, 1.0: 1e-5}))
    assert values["final_rate"] == pytest.approx(1.0)
    assert 1e-6 < values["onset"] < 1e-5
    assert 0 < values["onset_time"] < 2.5
    assert values["end_time"] == pytest.approx(20 * math.log(10))


@pytest.mark.parametrize("ratio", [0.3, 30.0])
def test_a_settled_rate_of_another_kernel_is_not_that_of_lambda_min(ratio):
    values = end(decay({1000.0: 1.0, ratio: 1e-5}))
    assert (values["onset"], values["onset_loss"]) == (0.0, 0.0)
    assert math.isinf(values["onset_time"])
    assert values["settled"] is True and 1e-6 < values["own_onset"] < 1e-4


def test_passing_by_the_rate_of_lambda_min_is_no_onset():
    # The rate is near the unit for some decades, and far below it in the end.
    values = end(decay({1.0: 1.0, 0.01: 1e-8}))
    assert values["onset"] == 0.0 and values["final_rate"] == pytest.approx(0.01)


@pytest.mark.parametrize(("decades", "onset"), [(0.5, 0.0), (1.0, 0.0), (3.0, 1e-5)])
def test_a_rate_that_comes_near_at_the_very_end_is_no_onset(decades, onset):
    # log L falls at 10 units for five decades, and then at one; the decade around 5 at 1.8.
    ends = np.cumsum([0.0, 5 / 10, decades]) * math.log(10) / UNIT
    losses = [1.0, 1e-5, 10 ** (-5 - decades)]
    values = end(flow(ends, losses, lambda_min=2.0))
    assert values["onset"] == pytest.approx(onset)


def test_a_rate_that_still_falls_has_not_settled():
    times = np.linspace(0, 1e4, 2001)
    values = end(flow(times, (1 + times) ** -2.0, lambda_min=2.0))
    assert values["settled"] is False and math.isnan(values["own_onset"])


def test_a_loss_that_rises_between_counts_where_it_stays_below():
    times = np.arange(0.0, 60.0, 1.0)
    smooth = 10 ** (-times / 4)
    jumping = smooth.copy()
    jumping[5::8] *= 3.0
    rates = numbers.curves(numbers.resolved(only_runs([flow(times, jumping, lambda_min=2.0)])))[
        "rate"
    ]
    assert (rates > 0).all() and np.isfinite(rates).all()
    assert rates.median() == pytest.approx(math.log(10) / 4 / UNIT, rel=0.2)


def test_the_time_predicted_stands_beside_the_measured_one():
    row = decay({1.0: 1.0})
    times = np.asarray(row["times"])
    faster = row | {"flow_losses": list(np.exp(-2 * UNIT * times))}
    values = end(faster)
    assert values["time"] == pytest.approx(2 * values["predicted_time"])
    assert "2.0 times that of a constant kernel" in notes([faster])
    never = end(row | {"flow_losses": [1.0] * len(times)})
    assert math.isinf(never["predicted_time"])


@pytest.mark.parametrize("losses", [[1.0], [1.0, 0.9, 0.8], [0.0, 0.0], [1.0, 0.0]])
def test_a_flow_too_short_for_a_rate_has_none(losses):
    row = flow(range(len(losses)), losses)
    values = end(row)
    assert math.isnan(values["final_rate"]) and values["settled"] is None
    assert math.isinf(values["time"])
    assert "follow the flow further" in notes([row])


def test_sentences_count_networks_of_every_seed_and_name_the_others():
    rows = [decay({ratio: 1.0}, act="tanh", seed=s) for s, ratio in enumerate((1.0, 1.5))]
    rows += [decay({ratio: 1.0}, act="elu", seed=s) for s, ratio in enumerate((1.0, 3.0))]
    rows += [decay({ratio: 1.0}, act="sigmoid", seed=s) for s, ratio in enumerate((30.0, 40.0))]
    rows += [decay({0.1: 1.0}, act="relu", seed=s, flow_steps_missed=300 * s) for s in (0, 1)]
    text = notes(rows)
    assert (
        "The final rate is within a factor of 2 of 4λ_min/N in 1 of 4 networks for every seed; "
        "rates run from 0.10 to 40 times 4λ_min/N. It is greater in 1: Sigmoid 100 × 3 (30 to 40). "
        "It is less in 1: ReLU 100 × 3 (0.10). Seeds differ in 1: ELU 100 × 3 (1.0 to 3.0)."
    ) in text
    assert "λ_min comes to matter in 3 of 8 runs" in text
    assert "at the end is not λ_min before: with drifts 0.25" in text
    assert "Of 8 runs 1 took steps that miss the tolerance" in text and "10 % of the steps" in text


def test_where_lambda_min_never_matters_the_sentence_says_so():
    text = notes([decay({30.0: 1.0})])
    assert "In no run λ_min comes to matter before the flow ends." in text
    assert "in 0 of 1 network; rates run" in text


def test_the_table_says_never_and_takes_the_later_event():
    rows = [decay({ratio: 1.0}, seed=s) for s, ratio in enumerate((1.0, 3.0))]
    found = only_runs(rows)
    (line,) = tables.flow_table(found, numbers.ends(numbers.resolved(found))).rows
    shown = dict(zip(tables.COLUMNS, line, strict=True))
    assert shown["seeds"] == 2
    assert shown["λ_min matters below L/L(0)"] == "never [never, 0.316]"
    assert shown["from time × 4λ_min/N"] == "never [1.15, never]"
    assert shown["final rate / (4λ_min/N)"] == "2.00 [1.00, 3.00]"


def test_an_unresolved_lambda_min_is_left_out_and_counted():
    rows = [decay({1.0: 1.0}), decay({1.0: 1.0}, seed=1, lambda_min=1e-30, lambda_min_error=1e-9)]
    found = only_runs(rows)
    assert numbers.resolved(found)["seed"].tolist() == [0]
    assert "1 run left out: λ_min does not exceed its error bound" in notes(rows)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([run()], "no run along the gradient flow"),
        ([run(), failed_run(seed=1)], "no run along the gradient flow"),
        ([decay({1.0: 1.0}, lambda_min=0.0)], "λ_min of no run"),
    ],
    ids=["descent", "failed", "unresolved"],
)
def test_without_a_flow_the_command_that_makes_some_is_named(rows, words, tmp_path):
    (study,) = studies(store(tmp_path, rows))
    missing = composition.CHAPTER.content(study).missing
    assert words in missing.sentence
    assert shlex.split(missing.command)[:3] == ["ntk-sweep", "run", "+experiment=study_small"]
    assert missing.command in missing.message


def test_the_command_follows_a_flow_in_double_precision(tmp_path):
    (study,) = studies(store(tmp_path, [run(dtype="float32")]))
    assert "dtype=float32" not in composition.CHAPTER.content(study).missing.command


def test_settings_have_panels_and_tables_of_their_own(tmp_path, capsys, undrawn):
    rows = [decay({1.0: 1.0}, seed=s, centre_outputs=c) for s in (0, 1) for c in (False, True)]
    rows.append(decay({30.0: 1.0}, act="tanh"))
    results = store(tmp_path / "r", [*rows, run()])
    assert main(["flow", results, "-o", str(tmp_path / "files")]) == 0
    assert "The rate of the gradient flow and λ_min" in capsys.readouterr().out
    names = {path.stem for path in (tmp_path / "files").iterdir()}
    assert names == {
        "flow-flow-tol0.001-fashion_mnist-thesis",
        "flow-flow-tol0.001-centred-fashion_mnist-thesis",
        "flow-rates-fashion_mnist-thesis",
    }
    (study,) = studies(results)
    content = composition.CHAPTER.content(study)
    (figure,) = content.figures
    assert figure.numbers["setting"].nunique() == 2
    assert "1 of 2 networks (gradient flow, tolerance 0.001)" in content.lead
    assert "1 of 1 network (gradient flow, tolerance 0.001, initial" in content.lead


def test_many_networks_are_drawn_by_activation():
    rows = [decay({1.0: 1.0}, act=a, width=w) for a in ("relu", "tanh") for w in range(10, 60, 10)]
    points = numbers.curves(numbers.resolved(only_runs(rows)))
    panels = [("one", points)]
    assert figures.drawn_by(panels) == ["act"]
    assert figures.drawn(panels)["runs"].max() == 5
    few = [("one", points[points["act"] == "relu"])]
    assert figures.drawn_by(few) == ["act", "width", "depth"]
    assert colours(figures.rate_figure(panels, "title")) > 10


def test_a_curve_ends_where_most_runs_do():
    rows = [decay({1.0: 1.0}, decades=d, seed=s) for s, d in enumerate((5.0, 5.0, 12.0))]
    table = numbers.medians(numbers.curves(numbers.resolved(only_runs(rows))), ["act"])
    assert table["level"].max() == pytest.approx(4.5, abs=0.5)


EDGES = {
    "one run": [decay({1.0: 1.0})],
    "one level": [flow([0.0, 1.0, 2.0], [1.0, 0.3, 0.09])],
    "three settings": [
        *(decay({1.0: 1.0}, flow_tolerance=t) for t in (1e-2, 1e-3)),
        decay({1.0: 1.0}, centre_outputs=True),
    ],
}


@pytest.mark.long
@pytest.mark.parametrize("rows", EDGES.values(), ids=EDGES)
def test_every_flow_can_be_drawn(rows, tmp_path, recwarn):
    (study,) = studies(store(tmp_path, rows))
    content = composition.CHAPTER.content(study)
    for figure in content.figures:
        assert colours(figure.draw()) > 10 and "4 λ_min/N" in figure.alt
    for table in content.tables:
        assert markdown(table.table) and latex(table.table) and html(table.table)
    assert [str(warning.message) for warning in recwarn] == []
