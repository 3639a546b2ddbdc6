"""Protects the chapter on training speed: by hand, and words that go as far as intervals."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ntk_sweep
from ntk_sweep.analysis.chapters.speed import conclusion, figures, tables
from ntk_sweep.analysis.chapters.speed.associations import LEAST_REACHING, associate
from ntk_sweep.analysis.chapters.speed.candidates import (
    CANDIDATES,
    LAMBDA_MIN,
    SHARES,
    eigenvalues,
    stay_times,
)
from ntk_sweep.analysis.cli import main
from ntk_sweep.analysis.drawing.rendering import render
from ntk_sweep.analysis.rows.runs import runs
from ntk_sweep.analysis.writing.tables import html, latex, markdown
from tests.helpers.analysis_training_rows import group, only_runs, run, store, sweep
from tests.helpers.pixels import colours

SHARE = 0.1


def falling(rate: float, epochs: int = 40, **changes) -> dict:
    """Losses that fall by e^-rate an epoch: below a share s after log(1/s)/rate epochs."""
    losses = list(np.exp(-rate * np.arange(epochs + 1)))
    return {"losses": losses, "epochs": epochs} | changes


def ladder(acts=("relu",), networks: int = 8, seeds: int = 1, epochs: int = 40, **changes):
    """Networks of which a wider one is faster and has a greater λ_min and smaller λ_max."""
    return [
        run(
            act,
            10 * (n + 1),
            seed=s,
            lambda_min=1.0 + n + 0.01 * s,
            lambda_max=100.0 / (n + 1 + 0.01 * s),
            **falling(0.1 + 0.02 * n + 0.0001 * s, epochs) | changes,
        )
        for act in acts
        for n in range(networks)
        for s in range(seeds)
    ]


def found(rows, share: float = SHARE):
    return associate(only_runs(rows), share)


def table(rows, share: float = SHARE):
    return found(rows, share).table.set_index("candidate")


@pytest.mark.parametrize(
    ("losses", "time", "observed"),
    [
        ([1.0, 0.1, 0.1], 1.0, True),
        ([2.0, 0.02, 0.02], 0.5, True),
        # it is below first, then above again
        ([1.0, 0.05, 0.5, 0.05], 2 + math.log(0.5 / 0.1) / math.log(10), True),
        ([1.0, 0.05, 0.5, 0.5], 3.0, False),
        ([1.0, 0.5], 1.0, False),
        ([1.0, 0.01, math.inf], math.inf, False),
    ],
)
def test_the_time_to_stay_below_a_share_by_hand(losses, time, observed):
    rows = only_runs([run(losses=losses, epochs=len(losses) - 1)]).rows
    times = stay_times(rows, 0.1)
    assert times.times[0] == pytest.approx(time)
    assert times.observed[0] == observed


def test_a_perfect_ranking_has_d_of_one():
    known = table(ladder())
    assert known.loc["width", "d"] == -1
    assert known.loc[LAMBDA_MIN, "d"] == -1
    assert known.loc["eta_lambda_max", "d"] == 1
    # what is the same in all tells nothing
    assert known.loc["depth", "d"] == 0
    assert found(ladder()).ceiling[0] == 1


def test_within_activations_another_order_than_over_all():
    slow = [
        run("elu", 10 * (n + 1), lambda_min=100.0 + n, **falling(0.06 + 0.002 * n))
        for n in range(8)
    ]
    known = table([*ladder(), *slow]).loc[LAMBDA_MIN]
    assert known["within"] == -1
    # Of 56 pairs within, all agree; of 64 across, all oppose.
    assert known["d"] == pytest.approx((64 - 56) / 120)


def test_runs_that_do_not_stay_below_are_censored():
    rows = [
        *ladder(),
        run("relu", 500, lambda_min=50.0, losses=[1.0] * 41, epochs=40),
        run("relu", 600, lambda_min=60.0, losses=[1.0, 0.01, math.inf], epochs=40),
    ]
    one = found(rows)
    assert (one.networks, one.reaching, one.diverged) == (10, 8, 1)
    # 28 pairs of the ladder agree; 16 of it with the two slowest oppose; those two cannot be told.
    assert one.of(LAMBDA_MIN)["d"] == pytest.approx((16 - 28) / 44)
    assert "1 runs diverged, and never do" in tables.counts_text(one)


def test_an_unresolved_lambda_min_is_left_out_and_counted():
    rows = [*ladder(), run("relu", 500, lambda_min=1e-30, **falling(0.5))]
    known = table(rows)
    assert known.loc[LAMBDA_MIN, "left_out"] == 1
    assert known.loc["width", "left_out"] == 0
    assert known.loc[LAMBDA_MIN, "d"] == -1


def test_seeds_count_as_one_network():
    one = found(ladder(seeds=3))
    assert one.networks == 8
    assert one.of("width")["d"] == -1


def test_eigenvalues_go_from_the_greatest_and_leave_out_what_is_unresolved():
    row = run(eigenvalues=[1e-9, 2.0, 3.0], eigenvalue_errors=[1e-6, 1e-9, 1e-9], n_samples=3)
    values = eigenvalues(only_runs([row]).rows)
    assert values[0, :2].tolist() == [3.0, 2.0]
    assert np.isnan(values[0, 2])


def test_too_few_networks_that_stay_below():
    one = found(ladder(networks=LEAST_REACHING - 1))
    assert one.table.empty
    (text,) = conclusion.conclusion([one])
    assert "nothing can be said" in text


@pytest.mark.parametrize(
    ("low", "high", "d", "words"),
    [
        (-0.9, -0.1, -0.5, "the greater, the faster"),
        (0.1, 0.9, 0.5, "the greater, the slower"),
        (-0.5, 0.1, -0.2, "which could be chance"),
        (math.nan, math.nan, -0.9, "of which too few cells tell how certain it is"),
        (math.nan, math.nan, -1.0, "the greater, the faster in every pair of these"),
        (math.nan, math.nan, 1.0, "the greater, the slower in every pair of these"),
    ],
)
def test_a_reading_goes_as_far_as_its_interval(low, high, d, words):
    assert conclusion.reading(pd.Series({"d": d, "low": low, "high": high})) == words


def test_no_reading_is_written_in_advance():
    for path in Path(ntk_sweep.__file__).parent.rglob("*.py"):
        assert "against what a bound suggests" not in path.read_text(), path


def pair():
    """The same networks with f₀ as drawn, where the ladder is turned round, and removed."""
    drawn = [
        run("relu", 10 * (n + 1), lambda_min=8.0 - n, **falling(0.1 + 0.02 * n)) for n in range(8)
    ]
    return [*drawn, *ladder(centre_outputs=True)]


def test_removing_the_initial_function_is_compared_in_words():
    every = [associate(one, SHARE) for one in runs(group(pair()))]
    assert [one.runs.setting.centre_outputs for one in every] == [False, True]
    last = conclusion.conclusion(every)[-1]
    assert "with f₀ as drawn η λ_min has D = 1.00" in last
    assert "with f₀ removed -1.00" in last


def test_settings_are_compared_at_a_share_that_tells_of_both():
    # With f₀ as drawn no run comes to a hundredth of its first loss.
    rows = [*ladder(epochs=80), *ladder(epochs=80, centre_outputs=True)]
    for one in rows[: len(rows) // 2]:
        one["losses"] = [max(loss, 0.05) for loss in one["losses"]]
    every = [associate(one, share) for one in runs(group(rows)) for share in SHARES]
    assert "epochs to stay below L(0)/10: with f₀ as drawn" in conclusion.conclusion(every)[-1]


def test_the_share_spoken_of_is_one_that_enough_networks_stay_below():
    one = only_runs(ladder())
    every = [associate(one, share) for share in SHARES]
    (spoken,) = conclusion.spoken_of(every)
    assert spoken.share == (0.1 if every[1].reaching < LEAST_REACHING else 0.01)


@pytest.mark.parametrize("rows", [ladder(networks=12), pair(), sweep(epochs=12, seeds=2)])
def test_everything_can_be_drawn_and_written(rows):
    every = [associate(one, SHARE) for one in runs(group(rows))]
    light = [one.light() for one in every]
    for draw in (figures.curve_figure, figures.ranking_figure):
        assert colours(draw(light, "title")) > 3
        assert render(draw(light, "title"), "svg") == render(draw(light, "title"), "svg")
    assert "Somers' D" in figures.alt_text(every)
    summary = tables.summary_table(every, conclusion.conclusion(every))
    for one in (summary, *map(tables.ranking_table, every)):
        assert html(one)
        assert latex(one)
        assert "Somers' D" in markdown(one)
    numbers = tables.numbers(every)
    assert len(numbers) == len(every) * len(CANDIDATES)
    assert set(numbers.columns) >= {"learning_rate", "share", "d", "partial", "within", "p"}


def test_rows_of_an_earlier_version_lack_some_candidates_only():
    later = ("linear_stability", "residual_rate", "residual_complexity", "max_diagonal")
    rows = ladder(**dict.fromkeys(later))
    known = table(rows)
    assert known.loc[LAMBDA_MIN, "d"] == -1
    assert np.isnan(known.loc["linear_stability", "d"])
    assert known.loc["linear_stability", "left_out"] == 8


def test_the_command_writes_what_it_prints(tmp_path, capsys):
    results = store(tmp_path / "r", ladder(networks=12))
    arguments = ["speed", results, "-o", str(tmp_path / "out"), "--share", "0.1"]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "L(0)/10" in printed
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert any(name.startswith("speed-modes-") and name.endswith(".png") for name in written)
    assert any(name.startswith("speed-ranking-") and name.endswith(".csv") for name in written)


def test_flows_do_not_enter(tmp_path, capsys):
    flows = ladder(networks=12, optimiser="flow", flow_tolerance=0.01, learning_rate=None)
    results = store(tmp_path / "r", flows)
    assert main(["speed", results, "-o", str(tmp_path / "out")]) != 0
    assert "only of the gradient flow" in capsys.readouterr().err
