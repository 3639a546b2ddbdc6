"""Protects the kernel's drift: ratios, slopes and intervals by hand; figures that show them."""

from __future__ import annotations

import math
import re

import pytest

from ntk_sweep.analysis.chapters.drift import figures as drift_figures
from ntk_sweep.analysis.chapters.drift import numbers as drift
from ntk_sweep.analysis.chapters.drift import tables as drift_tables
from ntk_sweep.analysis.chapters.drift import width_figure as against_width
from ntk_sweep.analysis.cli import main
from ntk_sweep.analysis.drawing.rendering import render
from ntk_sweep.analysis.errors import AnalysisError
from ntk_sweep.analysis.writing.entries import number
from ntk_sweep.analysis.writing.tables import html, latex, markdown
from tests.helpers.analysis_training_rows import only_runs, recorded, run, store, sweep
from tests.helpers.pixels import colours

WIDTHS = (50, 100, 200, 400)


def powers(exponent: float, widths=WIDTHS, factors=(1.0,), **changes):
    """Runs whose change is 3 width^exponent, times a factor for each seed."""
    return [
        recorded(width=w, seed=s, change=3 * w**exponent * f, **changes)
        for w in widths
        for s, f in enumerate(factors)
    ]


def test_ratios_are_to_the_kernel_before_training():
    points = drift.drift(only_runs([recorded(change=0.3), run(seed=1)]))
    assert points["seed"].tolist() == [0, 0]
    assert points["epoch"].tolist() == [0, 2]
    assert points["change"].tolist() == [0.0, 0.3]
    assert points["lambda_min_ratio"].tolist() == [1.0, 0.5]
    assert points["lambda_max_ratio"].tolist() == [1.0, 2.0]
    assert points["alignment"].tolist() == [0.5, 0.6]


@pytest.mark.parametrize(("before", "after"), [(1.0, 1e-10), (1e-10, 1.0), (1e-9, 1.0)])
def test_the_ratio_of_an_unresolved_eigenvalue_is_missing(before, after):
    found = only_runs([recorded(kernel_lambda_min=[before, after])])
    points = drift.drift(found)
    assert math.isnan(points["lambda_min_ratio"].iloc[1])
    table = drift_tables.end_table(found, points)
    assert table.rows[0][4:6] == ["—", "2.00"]
    assert "left out where λ_min does not exceed its error bound" in markdown(table)


def test_without_a_recorded_kernel_the_command_is_named():
    found = only_runs([run(), run(seed=1, kernel_epochs=[])])
    assert not drift.recorded(found)
    with pytest.raises(
        AnalysisError,
        match=r"no run recorded its kernel(.|\n)*\+experiment=drift(.|\n)*"
        r"task.record_kernel_every=10",
    ):
        drift.drift(found)


@pytest.mark.parametrize("exponent", [-0.5, -1.0, 0.0, 0.25])
def test_an_exact_power_law_gives_its_slope_back(exponent):
    (fit,) = drift.slopes(
        drift.drift(only_runs(powers(exponent, factors=(0.5, 1.0, 2.0))))
    ).to_dict("records")
    assert fit["slope"] == pytest.approx(exponent)
    assert fit["residual"] == pytest.approx(1.0)
    assert fit["level"] == pytest.approx(3.0)
    assert (fit["widths"], fit["seeds"], fit["narrowest"], fit["widest"]) == (4, 3, 50, 400)
    assert fit["change_widest"] == pytest.approx(3 * 400**exponent)
    assert fit["low"] < exponent < fit["high"]


def test_seeds_that_agree_leave_no_interval_and_one_seed_has_none():
    (same,) = drift.slopes(drift.drift(only_runs(powers(-0.5, factors=(1.0, 1.0))))).to_dict(
        "records"
    )
    assert (same["low"], same["high"]) == pytest.approx((-0.5, -0.5))
    (single,) = drift.slopes(drift.drift(only_runs(powers(-0.5)))).to_dict("records")
    assert single["slope"] == pytest.approx(-0.5)
    assert math.isnan(single["low"])


def test_the_interval_of_two_widths_by_hand():
    # At width 100 the change is certain; at 200 it is 1 or e², so that the mean logarithm of two
    # draws is 0, 1 or 2 with probabilities ¼, ½, ¼: both ends of the 95 % interval are outcomes,
    # and the slope is that mean over log 2.
    rows = [recorded(width=100, seed=s, change=1.0) for s in (0, 1)]
    rows += [recorded(width=200, seed=s, change=math.exp(2 * s)) for s in (0, 1)]
    (fit,) = drift.slopes(drift.drift(only_runs(rows))).to_dict("records")
    assert (fit["low"], fit["slope"], fit["high"]) == pytest.approx(
        (0.0, 1 / math.log(2), 2 / math.log(2))
    )


def test_a_point_off_the_line_is_told():
    changes = {50: 1.0, 100: 4.0, 200: 1.0}
    (fit,) = drift.slopes(
        drift.drift(only_runs([recorded(width=w, change=c) for w, c in changes.items()]))
    ).to_dict("records")
    assert fit["slope"] == pytest.approx(0.0)
    assert fit["residual"] == pytest.approx(4 ** (2 / 3))


def test_slopes_are_fitted_for_each_activation_and_depth():
    rows = [
        *powers(-0.5),
        *powers(-1.0, depth=5),
        *powers(0.5, act="elu"),
        *powers(1.0, widths=(50,), act="sigmoid"),
    ]
    fits = drift.slopes(drift.drift(only_runs(rows))).set_index(["act", "depth"])["slope"]
    assert fits.drop(("sigmoid", 3)).to_dict() == pytest.approx(
        {("relu", 3): -0.5, ("relu", 5): -1.0, ("elu", 3): 0.5}
    )
    assert math.isnan(fits[("sigmoid", 3)])


def test_a_note_says_which_slopes_are_those_of_one_over_root_width():
    factors = (0.8, 1.0, 1.25)
    slopes = {"relu": -0.5, "elu": -2.0, "lrelu": -0.25, "sigmoid": 0.0, "tanh": 1.0}
    found = only_runs(
        [row for act, slope in slopes.items() for row in powers(slope, act=act, factors=factors)]
    )
    points = drift.drift(found)
    notes = drift_tables.slope_table(found, points, drift.slopes(points)).notes
    assert (
        "At learning rate 0.001 the interval of the slope holds -0.5 for ReLU (-0.50); it lies "
        "below it, so that the change falls faster, for ELU (-2.00); it lies above it but below 0, "
        "so that it falls more slowly, for LeakyReLU (-0.25); it holds 0 and not it, so that no "
        "fall with width is seen, for Sigmoid (+0.00); it lies above 0, so that the change grows "
        "with width, for Tanh (+1.00)."
    ) in notes


def test_a_note_says_how_the_step_goes_with_width_at_the_rate_of_the_runs():
    def note(**setting) -> str:
        rows = [one for w in WIDTHS for one in powers(0.2, (w,), lambda_max=10.0 * w, **setting)]
        found = only_runs(rows)
        points = drift.drift(found)
        fits = drift.slopes(points)
        table = drift_tables.slope_table(found, points, fits)
        (text,) = [one for one in table.notes if re.match(r"At learning rate \S+ the step", one)]
        assert table.rows[0][-1] == f"{fits['step_slope'].iloc[0]:z.2f}"
        return text

    fixed = note()
    assert "At learning rate 0.001 the step" in fixed and ": ReLU +1.00. Slopes of" in fixed
    scaled = note(learning_rate=50.0, learning_rate_unit="inverse_lambda_max")
    assert scaled == (
        "At learning rate 50/λ_max the step in units of 1/λ_max is the same at all widths."
    )


def test_the_slope_under_gradient_flow_speaks_of_no_step():
    flow = dict.fromkeys(("step_size", "learning_rate", "batch_size", "epochs", "shuffle"))
    rows = powers(-0.5, factors=(0.9, 1.1), optimiser="flow", flow_tolerance=1e-8)
    found = only_runs([row | flow for row in rows])
    points = drift.drift(found)
    table = drift_tables.slope_table(found, points, drift.slopes(points))
    assert table.rows[0][-1] == "—"
    assert any(note.startswith("Under gradient flow the interval") for note in table.notes)
    assert not any(" the step in units of 1/λ_max " in note for note in table.notes[1:])


def test_a_diverged_run_is_left_out_of_the_end_and_counted():
    early = {
        "kernel_epochs": [0, 2],
        "kernel_changes": [0.0, 1e9],
        "losses": [1.0, math.inf],
        "epochs": 2,
    }
    found = only_runs([*powers(-0.5), recorded(width=100, seed=5, **early)])
    points = drift.drift(found)
    fits = drift.slopes(points)
    assert fits["slope"].tolist() == pytest.approx([-0.5])
    assert "1 run with recorded kernels diverged and is left out of slopes" in markdown(
        drift_tables.slope_table(found, points, fits)
    )


def test_the_tables_to_be_read():
    found = only_runs(powers(-0.5, factors=(1.0, 1.0), widths=(100, 400)))
    points = drift.drift(found)
    table = drift_tables.slope_table(found, points, drift.slopes(points))
    assert table.rows == [
        ["ReLU", 3, "100 to 400 (2)", 2, "0.300", "0.150", "-0.50 [-0.50, -0.50]", "1.00", "0.00"]
    ]
    assert "With fewer than five seeds" in markdown(table)
    ends = drift_tables.end_table(found, points)
    one = found.rows.iloc[0]
    step_trace = number(one["step_size"] * one["trace"] / one["n_samples"], 3)
    assert ends.rows[0] == [
        "ReLU 100 × 3",
        2,
        step_trace,
        "0.300",
        "0.500",
        "2.00",
        "0.500",
        "0.600",
    ]
    spread = only_runs(powers(0.0, factors=(1.0, 2.0, 4.0), widths=(100,)))
    assert drift_tables.end_table(spread, drift.drift(spread)).rows[0][3] == "6.00 [3.00, 12.0]"


def test_few_widths_of_many_are_shown():
    points = drift.drift(only_runs(powers(-0.5, widths=range(50, 1001, 50))))
    assert [width for _, width, _ in drift.shown_networks(points, 3)] == [50, 550, 1000]


EDGES = {
    "power law": powers(-0.5, factors=(1.0, 1.2)),
    "one run": [recorded()],
    "one epoch only": [
        recorded(
            kernel_epochs=[0],
            kernel_changes=[0.0],
            kernel_lambda_min=[1.0],
            kernel_lambda_min_errors=[1e-9],
        )
        | {"kernel_lambda_max": [1.0], "kernel_alignments": [0.5]}
    ],
    "unresolved": [recorded(kernel_lambda_min=[0.0, -1.0])],
    "all diverged": [recorded(losses=[1.0, math.inf], epochs=2)],
    "two depths": [*powers(-0.5), *powers(-0.3, depth=5, act="elu")],
    "sweep": sweep(depths=(3,), epochs=12, seeds=2, acts=("relu", "sigmoid"), record=True),
}


@pytest.mark.long
@pytest.mark.parametrize("rows", EDGES.values(), ids=EDGES)
def test_every_drift_can_be_drawn(rows, recwarn):
    found = only_runs(rows)
    points = drift.drift(found)
    fits = drift.slopes(points)
    if len(fits):
        assert colours(against_width.width_figure(points, fits, "title")) > 10
    for depth in points.loc[points["epoch"] > 0, "depth"].unique():
        own = points[points["depth"] == depth]
        for draw in (drift_figures.epoch_figure, drift_figures.eigenvalue_figure):
            assert colours(draw(own, "title")) > 10
        assert f"at depth {depth}" in drift_figures.eigenvalue_text(own)
    assert "against width" in against_width.alt_text(points, fits)
    for table in (
        drift_tables.slope_table(found, points, fits),
        drift_tables.end_table(found, points),
    ):
        assert markdown(table) and latex(table) and html(table)
    assert [str(warning.message) for warning in recwarn] == []


def test_activations_that_change_by_far_less_have_panels_of_their_own():
    rows = [
        recorded(act, width, change=size * width**-0.5)
        for act, size in (("relu", 3.0), ("sigmoid", 0.01), ("elu", 1.0))
        for width in (50, 400)
    ]
    points = drift.drift(only_runs(rows))
    above, below = against_width.width_figure(points, drift.slopes(points)).axes
    names = [[t.get_text() for t in axes.get_legend().get_texts()] for axes in (above, below)]
    assert [[name.partition(":")[0] for name in own] for own in names] == [
        ["ReLU", "ELU"],
        ["Sigmoid"],
    ]
    assert below.get_ylim()[1] < above.get_ylim()[0]
    assert [axes.get_xlabel() for axes in (above, below)] == ["", "width"]


def test_medians_and_the_fitted_line_are_drawn():
    points = drift.drift(only_runs(powers(-0.5, factors=(1.0, 1.0))))
    axes = against_width.width_figure(points, drift.slopes(points)).axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    markers, line = [one for one in axes.get_lines() if len(one.get_xdata()) > 0][-2:]
    assert markers.get_ydata().tolist() == pytest.approx([3 * w**-0.5 for w in WIDTHS])
    assert line.get_xydata().ravel().tolist() == pytest.approx(
        [50, 3 * 50**-0.5, 400, 3 * 400**-0.5]
    )


def test_the_same_rows_give_the_same_bytes():
    def draw() -> list[bytes]:
        points = drift.drift(only_runs(EDGES["power law"]))
        drawn = (
            against_width.width_figure(points, drift.slopes(points)),
            drift_figures.epoch_figure(points),
            drift_figures.eigenvalue_figure(points),
        )
        return [render(figure, "svg") for figure in drawn]

    assert draw() == draw()


def test_the_command_writes_what_it_prints(tmp_path, capsys):
    results = store(tmp_path / "r", [*powers(-0.5, factors=(1.0, 1.1)), run("elu", 7)])
    assert main(["drift", results, "-o", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert sorted(line for line in out.splitlines() if line.startswith(str(tmp_path))) == sorted(
        map(str, (tmp_path / "out").iterdir())
    )
    names = {path.name for path in (tmp_path / "out").iterdir()}
    tail = "lr0.001-b1-e2-fashion_mnist-thesis"
    assert {
        f"drift-slopes-{tail}.csv",
        f"drift-ends-{tail}.md",
        f"drift-width-{tail}.png",
        f"drift-epochs-depth3-{tail}.pdf",
        f"drift-eigenvalues-depth3-{tail}.csv",
    } <= names
    assert "ELU" not in out
