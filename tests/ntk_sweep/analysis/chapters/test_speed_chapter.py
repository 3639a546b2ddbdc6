"""Protects the ranking by training speed: by hand and against scipy; figures that show it."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau, spearmanr

from ntk_sweep.analysis.chapters.speed import candidates as speed_candidates
from ntk_sweep.analysis.chapters.speed import conclusion
from ntk_sweep.analysis.chapters.speed import correlations as speed
from ntk_sweep.analysis.chapters.speed import figures as speed_figures
from ntk_sweep.analysis.chapters.speed import tables as speed_tables
from ntk_sweep.analysis.cli import main
from ntk_sweep.analysis.drawing.rendering import render
from ntk_sweep.analysis.writing.tables import html, latex, markdown
from tests.helpers.analysis_training_rows import only_runs, run, store, sweep
from tests.helpers.pixels import colours

LOSS = 0.1


def falling(rate: float, epochs: int = 40, **changes) -> dict:
    """Losses that fall by e^-rate an epoch: they reach `LOSS` after log(1/LOSS)/rate epochs."""
    return {"losses": list(np.exp(-rate * np.arange(epochs + 1))), "epochs": epochs} | changes


def ladder(
    acts=("relu",), networks: int = 8, seeds: int = 1, epochs: int = 40, **changes
) -> list[dict]:
    """Networks of which a wider one is faster and has a greater λ_min; λ_max falls with width, and
    depth is the same."""
    return [
        run(
            act,
            10 * (n + 1),
            seed=s,
            lambda_min=1.0 + n + 0.01 * s,
            **falling(0.1 + 0.02 * n + 0.0001 * s, epochs, lambda_max=100.0 / (n + 1 + 0.01 * s))
            | changes,
        )
        for act in acts
        for n in range(networks)
        for s in range(seeds)
    ]


def found(rows, threshold: float = LOSS):
    return speed.correlations(only_runs(rows), (threshold,)).set_index(["candidate", "scope"])


@pytest.mark.parametrize(
    ("losses", "epochs"),
    [
        ([1.0, 0.1], 1.0),
        ([1.0, 0.01], 0.5),
        ([1.0, 1.0, 0.001], 1 + 1 / 3),
        ([1.0, 0.5, 0.01, 0.5, 0.01], 1 + math.log(0.5 / 0.1) / math.log(0.5 / 0.01)),
        ([0.1, 1.0], 0.0),
        ([0.05], 0.0),
        ([1.0, 0.0], 0.0),
        ([1.0, 0.11], math.inf),
        ([math.nan, math.nan], math.inf),
        ([1.0, math.inf, 0.1], 2.0),
        (None, math.nan),
    ],
)
def test_epochs_to_a_loss_by_hand(losses, epochs):
    # Also beside a longer history and an unknown one.
    found = speed_candidates.epochs_to_loss([losses, [1.0] * 9, None], 0.1)
    assert found.tolist() == pytest.approx([epochs, math.inf, math.nan], nan_ok=True)


def test_a_run_that_diverges_later_never_reached_the_loss():
    rows = only_runs(
        [run(losses=[1.0, 0.01, math.inf], epochs=3), run(seed=1, losses=[1.0, 0.01, 0.01, 0.01])]
    ).rows
    assert speed_candidates.measured_epochs(rows, 0.1).tolist() == [math.inf, 0.5]


def test_a_perfect_ranking_has_correlation_one():
    table = found(ladder())
    for name, rho in (
        ("width", -1),
        ("lambda_min", -1),
        ("lambda_max", 1),
        ("linearised_epochs", 1),
        ("flow_epochs", 1),
    ):
        assert table.loc[(name, "across"), "rho"] == pytest.approx(rho)
        assert table.loc[(name, "relu"), "tau"] == pytest.approx(rho)
        assert tuple(table.loc[(name, "within"), ["low", "high"]]) == pytest.approx((rho, rho))
    assert math.isnan(table.loc[("depth", "across"), "rho"])
    assert table.loc[("lambda_max", "across"), "gain"] == pytest.approx(0.0)


def test_within_and_across_activations_can_disagree():
    # Within each activation a greater λ_min is faster, but the activation with the greater ones is
    # slower.
    rows = ladder() + [
        run("elu", 10 * (n + 1), lambda_min=100.0 + n, **falling(0.06 + 0.002 * n))
        for n in range(8)
    ]
    table = found(rows).loc["lambda_min"]
    assert table.loc[["relu", "elu", "within"], "rho"].tolist() == pytest.approx([-1, -1, -1])
    # 16 ranks: 1..8 of λ_min have times 8..1, and 9..16 have 16..9.
    assert table.loc["across", "rho"] == pytest.approx(
        spearmanr(range(16), [*range(8, 0, -1), *range(16, 8, -1)]).statistic
    )
    assert table.loc["across", "rho"] > 0


def test_correlations_agree_with_scipy_ties_included():
    found_runs = only_runs(sweep(epochs=12, seeds=2))
    frame = speed.correlations(found_runs, (0.1, 0.02)).set_index(
        ["threshold", "candidate", "scope"]
    )
    for threshold in (0.1, 0.02):
        epochs = speed_candidates.measured_epochs(found_runs.rows, threshold)
        assert np.isinf(epochs).sum() > 1
        for one in speed_candidates.candidates(found_runs):
            value = one.value(found_runs.rows, threshold)
            if len(np.unique(value)) > 1:
                line = frame.loc[(threshold, one.name, "across")]
                assert line["rho"] == pytest.approx(
                    spearmanr(value, epochs).statistic, abs=1e-12
                ), one.name
                assert line["tau"] == pytest.approx(
                    kendalltau(value, epochs).statistic, abs=1e-12
                ), one.name


def test_seeds_of_a_network_do_not_narrow_the_interval():
    rng = np.random.default_rng(4)
    rates = 0.1 + 0.1 * rng.random(12)
    widths = rng.permutation(12) * 10 + 10

    def interval(seeds: int) -> float:
        rows = [
            run(width=int(w), seed=s, **falling(float(rate)))
            for w, rate in zip(widths, rates, strict=True)
            for s in range(seeds)
        ]
        line = found(rows).loc[("width", "across")]
        return line["high"] - line["low"]

    assert interval(4) == pytest.approx(interval(1), rel=0.02)
    assert interval(1) > 0.5


def test_the_interval_is_the_bootstraps():
    # A slow reimplementation: draw networks with replacement, repeat their runs, correlate.
    rows = sweep(widths=(50, 100, 300), depths=(2, 3), seeds=2, epochs=12, acts=("relu", "elu"))
    found_runs = only_runs(rows)
    table = found_runs.rows
    epochs = speed_candidates.measured_epochs(table, LOSS)
    cells = list(table.groupby(["act", "width", "depth"]).groups.items())
    rng = np.random.default_rng(9)
    drawn = []
    for _ in range(1000):
        own = [
            places
            for act in ("relu", "elu")
            for places in _drawn([p for (a, *_), p in cells if a == act], rng)
        ]
        places = np.concatenate(own)
        drawn.append(spearmanr(table["lambda_max"].to_numpy()[places], epochs[places]).statistic)
    line = found(rows).loc[("lambda_max", "across")]
    assert (line["low"], line["high"]) == pytest.approx(
        tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.03
    )


def _drawn(places: list, rng: np.random.Generator) -> list:
    return [places[place] for place in rng.integers(len(places), size=len(places))]


def test_not_reached_and_diverged_are_slowest_and_tie():
    rows = [
        *ladder(networks=6),
        run(width=1, losses=[1.0] * 41),
        run(width=2, losses=[1.0, 0.01, math.inf], epochs=40),
    ]
    line = found(rows).loc[("width", "across")]
    assert line["rho"] == pytest.approx(
        spearmanr([1, 2, *range(10, 70, 10)], [9, 9, 6, 5, 4, 3, 2, 1]).statistic
    )
    found_runs = only_runs(rows)
    text = markdown(
        speed_tables.ranking_table(found_runs, speed.correlations(found_runs, (LOSS,)), LOSS)
    )
    assert "8 runs of 8 networks: 6 reach the loss, 1 do not within 40 epochs, 1 diverged" in text


def test_an_unresolved_eigenvalue_leaves_its_run_out_of_that_candidate_only():
    rows = [*ladder(), run(width=5, lambda_min=1e-10, **falling(0.09))]
    table = found(rows)
    assert tuple(table.loc[("lambda_min", "across"), ["runs", "left_out"]]) == (8, 1)
    assert tuple(table.loc[("condition_number", "across"), ["runs", "left_out"]]) == (8, 1)
    assert tuple(table.loc[("width", "across"), ["runs", "left_out", "networks"]]) == (9, 0, 9)
    assert table.loc[("lambda_min", "across"), "rho"] == pytest.approx(-1)
    # The gain compares the two on the runs where both are known.
    assert table.loc[("width", "across"), "gain"] == pytest.approx(0)
    found_runs = only_runs(rows)
    assert "Left out: runs in which" in markdown(
        speed_tables.ranking_table(found_runs, speed.correlations(found_runs, (LOSS,)), LOSS)
    )


def test_a_gain_over_lambda_min_by_hand():
    order = [0, 1, 2, 3, 5, 4, 7, 6]  # λ_min swaps two pairs
    rows = [
        run(width=10 * (n + 1), lambda_min=1.0 + order[n], **falling(0.1 + 0.02 * n))
        for n in range(8)
    ]
    table = found(rows)
    least = -spearmanr(range(8), order).statistic
    assert table.loc[("lambda_min", "across"), "rho"] == pytest.approx(least)
    assert table.loc[("width", "across"), "gain"] == pytest.approx(1 + least)
    assert table.loc[("width", "across"), "gain_high"] >= table.loc[("width", "across"), "gain"]


def test_four_networks_that_reach_the_loss_are_too_few():
    for networks, defined in ((4, False), (5, True)):
        rows = [
            *ladder(networks=networks, seeds=3),
            *(run(width=500 + w, losses=[1.0] * 41) for w in range(6)),
        ]
        assert np.isfinite(found(rows).loc[("width", "across"), "rho"]) == defined


def test_a_step_in_units_of_lambda_max_is_no_ranking_by_rounding():
    rng = np.random.default_rng(0)
    rows = [
        run(
            width=10 * (n + 1),
            learning_rate=0.3,
            learning_rate_unit="inverse_lambda_max",
            **falling(0.1 + 0.02 * n, lambda_max=rng.random()),
        )
        for n in range(8)
    ]
    table = found(rows)
    assert math.isnan(table.loc[("step_size_lambda_max", "across"), "rho"])
    assert np.isfinite(table.loc[("step_size_lambda_min", "across"), "rho"])
    assert "step_size_lambda_min" not in found(ladder()).index.get_level_values("candidate")


def test_candidates_are_those_known_before_training():
    after = {"final_loss", "final_accuracy", "steps", "training_seconds"}
    names = {one.name for one in speed_candidates.CANDIDATES}
    assert not names & after
    assert {
        "lambda_min",
        "alignment",
        "linearised_epochs",
        "step_size_lambda_max",
        "width",
        "limit_lambda_min",
        "initial_loss",
    } <= names


def test_the_summary_names_the_best_candidate():
    found_runs = only_runs(ladder(networks=12, lambda_max=5.0))
    every = [(found_runs, speed.correlations(found_runs, (LOSS, 1e-9)))]
    first, second = speed_tables.summary_table(every).rows
    assert first[:5] == ["0.001", "0.1", 12, 12, 0]
    assert first[6:8] == ["-1.00 [-1.00, -1.00]", "-1.00 [-1.00, -1.00]"]
    assert second[3] == 0
    assert second[5:] == ["—", "—", "—", "—", "—", "—"]


def test_the_conclusion_reads_the_intervals():
    """Sixteen networks whose epochs fall with λ_min: the conclusion says so.

    It speaks of the smallest loss that half of the runs reach."""
    found_runs = only_runs(ladder(networks=16))
    every = [(found_runs, speed.correlations(found_runs, (0.5, LOSS, 1e-9)))]
    (text,) = conclusion.conclusion(every)
    assert text.startswith(
        "At learning rate 0.001, epochs to a loss of 0.1, which 16 of 16 runs reach. λ_min has ρ = "
        "-1.00 ["
    )
    assert text.count("the greater, the fewer epochs") == 2
    assert conclusion.answer_table(every).notes[0] == text
    assert conclusion.spoken_of(found_runs, every[0][1]) == LOSS


@pytest.mark.parametrize(
    ("rho", "low", "high", "words"),
    [
        (-0.5, -0.7, -0.2, "the greater, the fewer epochs"),
        (0.5, 0.2, 0.7, "the greater, the more epochs, against what a bound suggests"),
        (-0.1, -0.4, 0.2, "no ranking that could be told from chance"),
        (np.nan, np.nan, np.nan, "too few networks reach the loss to say"),
        (0.9, np.nan, np.nan, "no ranking that could be told from chance"),
    ],
)
def test_a_reading_goes_as_far_as_the_interval(rho, low, high, words):
    assert conclusion.reading(pd.Series({"rho": rho, "low": low, "high": high})) == words


def test_where_no_loss_is_reached_the_conclusion_says_so():
    found_runs = only_runs(ladder(networks=12))
    (text,) = conclusion.conclusion([(found_runs, speed.correlations(found_runs, (1e-9, 1e-8)))])
    assert text == (
        "At learning rate 0.001, epochs to a loss of 1e-08, which 0 of 12 runs reach: too few for "
        "a ranking."
    )


def test_candidates_are_ordered_by_strength():
    frame = speed.correlations(only_runs(sweep(epochs=12)), (LOSS,))
    order = speed_tables.ranked(frame)
    rho = frame[frame["scope"] == "across"].set_index("candidate")["rho"].abs()[order].fillna(-1)
    assert rho.is_monotonic_decreasing
    assert speed_tables.best(frame) == order[0]


EDGES = {
    "ladder": ladder(networks=12),
    "sweep": sweep(epochs=12),
    "unresolved": [*ladder(networks=8), run(width=5, lambda_min=1e-10, **falling(0.09))],
    "at the start": [run(width=w, losses=[0.01 * w, 0.001]) for w in range(1, 13)],
    "no predictions": ladder(
        networks=6, flow_losses=None, descent_losses=None, linearised_losses=None
    ),
}


@pytest.mark.parametrize("rows", EDGES.values(), ids=EDGES)
def test_every_ranking_can_be_drawn(rows, recwarn):
    found_runs = only_runs(rows)
    every = [(found_runs, speed.correlations(found_runs, (LOSS,)))]
    assert colours(speed_figures.ranking_figure(every, LOSS, "title")) > 10
    assert colours(speed_figures.scatter_figure(every, LOSS, "title")) > 10
    assert "Rank correlations" in speed_figures.alt_text(every, LOSS)
    for table in (conclusion.answer_table(every), speed_tables.ranking_table(*every[0], LOSS)):
        assert markdown(table) and latex(table) and html(table)
    assert len(speed_tables.scatter_numbers([found_runs], LOSS)) == len(found_runs.rows)
    assert [str(warning.message) for warning in recwarn] == []


def test_the_dots_are_the_correlations():
    found_runs = only_runs(sweep(epochs=12))
    frame = speed.correlations(found_runs, (LOSS,))
    axes = speed_figures.ranking_figure([(found_runs, frame)], LOSS).axes[0]
    shown = [
        one
        for one in speed_tables.ranked(frame)
        if np.isfinite(frame.set_index(["candidate", "scope"]).loc[(one, "across"), "rho"])
    ]
    assert len(axes.get_yticks()) == len(shown)
    dots = [
        line.get_xdata()[0]
        for line in axes.get_lines()
        if line.get_color() == "#000000" and line.get_marker() == "o"
    ]
    expected = frame[frame["scope"] == "across"].set_index("candidate")["rho"][shown]
    assert dots == pytest.approx(expected.tolist())


def test_the_same_rows_give_the_same_bytes():
    def draw() -> list[bytes]:
        found_runs = only_runs(EDGES["sweep"])
        every = [(found_runs, speed.correlations(found_runs, (LOSS,)))]
        drawn = (
            speed_figures.ranking_figure(every, LOSS),
            speed_figures.scatter_figure(every, LOSS),
        )
        return [render(figure, "svg") for figure in drawn]

    assert draw() == draw()


def test_the_command_writes_what_it_prints(tmp_path, capsys):
    rows = sweep(widths=(50, 100, 300), depths=(2,), seeds=2, epochs=12)
    results = store(
        tmp_path / "r",
        [
            *rows,
            *sweep(
                widths=(50, 100, 300),
                depths=(2,),
                seeds=2,
                epochs=12,
                learning_rate=0.5,
                learning_rate_unit="inverse_lambda_max",
            ),
        ],
    )
    assert (
        main(
            [
                "speed",
                results,
                "-o",
                str(tmp_path / "out"),
                "--threshold",
                "0.1",
                "--threshold",
                "1e-20",
            ]
        )
        == 0
    )
    out = capsys.readouterr().out
    assert sorted(line for line in out.splitlines() if line.startswith(str(tmp_path))) == sorted(
        map(str, (tmp_path / "out").iterdir())
    )
    names = {path.name for path in (tmp_path / "out").iterdir()}
    tail = "fashion_mnist-thesis"
    assert {
        f"speed-{tail}.md",
        f"speed-loss0.1-{tail}.png",
        f"speed-scatter-loss0.1-{tail}.csv",
        f"speed-loss0.1-lr0.001-b1-e12-{tail}.tex",
    } <= names
    assert f"speed-loss0.1-lr0.5_over_lambda_max-b1-e12-{tail}.md" in names
    assert not any("1e-20" in name for name in names)


def test_a_handful_of_networks_is_no_ranking(tmp_path, capsys):
    results = store(tmp_path / "r", ladder(networks=9))
    assert main(["speed", results]) == 2
    error = capsys.readouterr().err
    assert "needs at least 10 networks trained in the same way, and there are at most 9" in error
    assert "ntk-sweep run +experiment=speed_study" in error
