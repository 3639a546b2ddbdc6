"""Training runs: how they are kept apart and chosen, their curves, and the bounds they are held
against."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from analysis import bounds, curves
from analysis.cli import main
from analysis.figures import FORMATS, render
from analysis.formats import html, latex, markdown
from analysis.frame import AnalysisError
from analysis.lines import network_colours
from analysis.runs import Setting, choose, network_name, network_title, parse_network, runs
from tests.helpers import analysis_rows
from tests.helpers.analysis_training_rows import failed_run, group, only_runs, run, store, sweep
from tests.helpers.pixels import colours


def table_row(table, *beginning):
    (found,) = [row for row in table.rows if list(row[: len(beginning)]) == list(beginning)]
    return found


@pytest.mark.parametrize(
    "other",
    [
        {"learning_rate": 0.1},
        {"learning_rate_unit": "inverse_lambda_max"},
        {"batch_size": 200},
        {"losses": [1.0, 0.5]},
        {"shuffle": False},
    ],
)
def test_runs_with_different_settings_are_never_mixed(other):
    found = runs(group([run(), run(seed=1), run(**other)]))
    assert sorted(len(one.rows) for one in found) == [1, 2]
    assert len({one.setting.title for one in found}) == len({one.slug for one in found}) == 2


def test_a_setting_in_words_and_on_a_command_line():
    thesis = Setting(1e-3, "absolute", 1, 100, True)
    assert thesis.title == "learning rate 0.001, batch size 1, 100 epochs"
    assert thesis.slug == "lr0.001-b1-e100"
    scaled = Setting(0.5, "inverse_lambda_max", 200, 10, False)
    assert (
        scaled.title == "learning rate 0.5/λ_max, batch size 200, 10 epochs, order of samples kept"
    )
    assert scaled.slug == "lr0.5_over_lambda_max-b200-e10-fixed"


def test_a_run_with_a_recorded_kernel_and_one_without_count_once():
    found = only_runs([run(record_kernel_every=2), run(), run(record_kernel_every=1), run(seed=1)])
    assert found.rows["record_kernel_every"].fillna(0).tolist() == [1, 0]


def test_failed_runs_are_no_runs_and_diverged_ones_are():
    found = only_runs([run(), failed_run(seed=1), run(seed=2, losses=[1.0, math.inf], epochs=2)])
    assert found.rows["seed"].tolist() == [0, 2]
    with pytest.raises(
        AnalysisError,
        match=r"none of the 1 runs of .* has a result(.|\n)*\+experiment=thesis_training",
    ):
        runs(group([failed_run()]))


def test_networks_have_names():
    assert parse_network("relu-800x3") == ("relu", 800, 3)
    assert network_name(("relu", 800, 3)) == "relu-800x3"
    assert network_title(("lrelu", 50, 2)) == "LeakyReLU 50 × 2"
    with pytest.raises(
        AnalysisError, match=r"--network relu800 does not name a network: .* for example relu-800x3"
    ):
        parse_network("relu800")


def test_a_choice_of_networks():
    every = runs(group([run(width=width) for width in range(1, 10)]))
    with pytest.raises(
        AnalysisError,
        match=r"9 networks were trained, and a figure shows at most 8: choose some with --network relu-1x3",
    ):
        choose(every, [], best=False)
    assert choose(every, ["relu-5x3", "relu-77x3"], best=False) == [("relu", 5, 3)]
    with pytest.raises(
        AnalysisError,
        match=r"none of those asked for was trained \(elu-5x3\)(.|\n)*launch.py -m task=training .* act=elu width=5 depth=3",
    ):
        choose(every, ["elu-5x3"], best=False)
    with pytest.raises(
        AnalysisError, match=r"a figure shows at most 8 networks, and --network names 9"
    ):
        choose(every, [f"relu-{width}x3" for width in range(1, 10)], best=False)
    few = runs(group([run(width=width) for width in range(1, 9)]))
    assert len(choose(few, [], best=False)) == 8


def test_a_network_has_the_colour_of_its_activation_where_activations_differ():
    assert (
        network_colours([("sigmoid", 1, 2)])
        == network_colours([("relu", 1, 2), ("sigmoid", 9, 9)])[1:]
    )
    same = network_colours([("relu", 1, 2), ("relu", 2, 2), ("elu", 3, 2)])
    assert len(set(same)) == 3


def test_courses_are_medians_with_the_least_and_greatest():
    found = only_runs(
        [run(seed=s, losses=[v, v / 2, v / 4]) for s, v in enumerate((1.0, 2.0, 8.0))]
    )
    points = curves.courses(found)
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
    points = curves.courses(found)
    assert points["diverged"].tolist() == [0, 0, 1, 1, 1]
    assert points["loss"].tolist() == [1.0, 0.9, 0.8, 0.7, 0.6]
    assert points["loss_high"].tolist() == [1.0, 3.0, 0.8, 0.7, 0.6]
    most = curves.courses(
        only_runs(
            [run(seed=s, losses=[1.0, math.inf], epochs=3) for s in (0, 1)]
            + [run(seed=2, losses=[1.0] * 4)]
        )
    )
    assert most["loss"].tolist() == [1.0, math.inf, math.inf, math.inf]
    assert most["loss_high"].tolist() == [1.0] * 4


def test_the_table_gives_the_loss_before_and_after_and_predicted():
    predicted = {
        "linearised_losses": [2.0, 0.3],
        "descent_losses": [2.0, 0.2],
        "flow_losses": [2.0, 0.1],
    }
    table = curves.outcome_table(only_runs([run(losses=[2.0, 0.4], **predicted)]))
    assert table.rows == [
        ["ReLU 100 × 3", 1, 0, "2.00", "0.400", "1.00", "0.300", "0.200", "0.100"]
    ]
    assert "One seed: each number is that of a single draw" in markdown(table)
    several = curves.outcome_table(
        only_runs([run(seed=s, losses=[2.0, v]) for s, v in enumerate((0.1, 0.2, 0.4))])
    )
    assert several.rows[0][4] == "0.200 [0.100, 0.400]"
    assert "median over 3 seeds" in markdown(several)
    assert "diverged:" not in markdown(several)


def test_a_network_whose_runs_all_diverged_is_called_infinite():
    table = curves.outcome_table(
        only_runs([run(losses=[1.0, math.inf], epochs=5), run(width=7, losses=[1.0] * 6)])
    )
    assert table_row(table, "ReLU 100 × 3")[1:6] == [1, 1, "1.00", "infinite", "—"]
    assert "1 of 2 runs diverged" in markdown(table)


EDGES = {
    "one run": [run()],
    "one epoch": [run(losses=[1.0, 0.1])],
    "all diverged": [run(losses=[1.0, math.inf], epochs=5)],
    "at once": [
        run(losses=[math.nan], epochs=5, initial_loss=math.nan),
        run(seed=1, losses=[1.0] * 6),
    ],
    "zero loss": [run(losses=[1.0, 0.0, 0.0])],
    "no predictions": [run(flow_losses=None, descent_losses=None, linearised_losses=None)],
    "infinite predictions": [run(descent_losses=[1.0, 1e200, math.inf], seed=s) for s in (0, 1)],
    "eight networks": [
        run(act, width, seed=s)
        for act in ("relu", "elu", "odd", "sigmoid")
        for width in (10, 20)
        for s in (0, 1)
    ],
}


@pytest.mark.parametrize("rows", EDGES.values(), ids=EDGES)
def test_every_course_can_be_drawn(rows, recwarn):
    found = only_runs(rows)
    points = curves.courses(found)
    assert colours(curves.course_figure(points, "title")) > 10
    assert colours(curves.prediction_figure(points, "title")) > 10
    assert "Loss over" in curves.alt_text(points)
    table = curves.outcome_table(found)
    assert markdown(table) and latex(table) and html(table)
    assert [str(warning.message) for warning in recwarn] == []


def curve_of(axes, colour: str) -> np.ndarray:
    (line,) = [line for line in axes.get_lines() if line.get_color() == colour]
    return line.get_xydata()


def test_what_is_drawn_are_the_medians_and_the_band():
    points = curves.courses(
        only_runs([run(seed=s, losses=[v, v / 2, v / 4]) for s, v in enumerate((1.0, 2.0, 8.0))])
    )
    loss, running, accuracy = curves.course_figure(points).axes
    (colour,) = network_colours([("relu", 100, 3)])
    assert curve_of(loss, colour).tolist() == [[0, 2], [1, 1], [2, 0.5]]
    assert curve_of(running, colour).tolist() == [[0.5, 1], [1.5, 0.5]]
    assert curve_of(accuracy, colour)[:, 1].tolist() == [0.5, 0.75, 1.0]
    (band,) = loss.collections
    assert band.get_paths()[0].get_extents().bounds == pytest.approx((0, 0.25, 2, 7.75))
    assert loss.get_yscale() == running.get_yscale() == "log"
    single = curves.course_figure(curves.courses(only_runs([run()])))
    assert not single.axes[0].collections


def test_a_run_that_diverges_at_once_is_seen_as_a_point():
    points = curves.courses(
        only_runs([run(losses=[1.0, math.inf], epochs=3), run("elu", losses=[1.0, 0.5, 0.4, 0.3])])
    )
    lines = {line.get_label(): line for line in curves.course_figure(points).axes[0].lines}
    assert [line.get_marker() for line in lines.values()] == ["o", "None"]


def test_bounds_by_hand():
    # N = 200, batch size 1, λ_min = 20, η = 0.1: an epoch is 200 steps and 20 units of flow time.
    rows = [run(losses=[2.0, 1e-4, 1e-9], lambda_min=20.0, learning_rate=0.1)]
    values = bounds.bound_values(only_runs(rows))
    assert values["flow"].tolist() == pytest.approx([2.0, 2 * math.exp(-8), 2 * math.exp(-16)])
    assert values["du"].tolist() == pytest.approx([2.0, 2 * 0.99**200, 2 * 0.99**400])
    assert values["thesis"].tolist() == pytest.approx([2.0, 0.0, 0.0], abs=1e-8)
    batches = bounds.bound_values(
        only_runs([run(losses=[2.0, 1.0], lambda_min=20.0, learning_rate=0.01, batch_size=100)])
    )
    assert batches["flow"].tolist() == pytest.approx([2.0, 2 * math.exp(-4 / 200 * 20 * 0.02)])
    assert batches["du"].tolist() == pytest.approx([2.0, 2 * 0.999**2])
    assert batches["thesis"].tolist() == pytest.approx([2.0, 2 * 0.9])


def test_the_first_epoch_above_a_bound_by_hand():
    # The flow bound falls by e^-1 an epoch, that of the thesis by 1 - 0.125.
    step = {"lambda_min": 50.0, "learning_rate": 0.005}
    falls = math.exp(-1)
    rows = [
        run(
            seed=0, losses=[1.0, 0.9 * falls, 1.1 * falls**2, 0.9 * falls**3], **step
        ),  # above in epoch 2 only
        run(
            seed=1, losses=[1.0, 1.1 * falls, 1.1 * falls**2, 1.1 * falls**3], **step
        ),  # from epoch 1
        run(seed=2, losses=[1.0, 0.9 * falls, 0.9 * falls**2, 0.9 * falls**3], **step),  # never
    ]
    found = only_runs(rows)
    table = bounds.violations(bounds.bound_values(found)).set_index("bound")
    flow = table.loc["flow"]
    assert (flow["seeds"], flow["exceeding"], flow["first_low"], flow["first_high"]) == (3, 2, 1, 2)
    assert flow["epochs"] == pytest.approx(4 / 9)
    assert (flow["ratio"], flow["ratio_low"], flow["ratio_high"]) == pytest.approx((0.9, 0.9, 1.1))
    assert table.loc["thesis", "exceeding"] == 0
    assert math.isnan(table.loc["thesis", "first"])
    shown = bounds.violation_table(found, bounds.bound_values(found))
    assert table_row(shown, "ReLU 100 × 3", "gradient flow")[2:5] == [
        "2 of 3 seeds",
        "1 to 2",
        "44 %",
    ]
    assert table_row(shown, "ReLU 100 × 3", bounds.TITLES["thesis"])[2:5] == ["never", "—", "0 %"]


def test_a_step_too_large_for_a_bound_has_none():
    found = only_runs([run(losses=[1.0, 0.5], lambda_min=5.0, learning_rate=1.0)])
    values = bounds.bound_values(found)
    assert values["thesis"].isna().all()
    assert values["du"].notna().all()
    table = bounds.violation_table(found, values)
    assert table_row(table, "ReLU 100 × 3", bounds.TITLES["thesis"])[2:] == [
        "no bound",
        "—",
        "—",
        "—",
    ]
    assert "No bound: the step is so large" in markdown(table)
    assert colours(bounds.bound_figure(found, values)) > 10


def test_the_bound_is_that_of_the_eigenvalue_less_its_error():
    values = bounds.bound_values(
        only_runs([run(losses=[1.0, 0.5], lambda_min=1.0, error_bound=0.5, learning_rate=0.1)])
    )
    assert values["flow"].tolist() == pytest.approx([1.0, math.exp(-4 / 200 * 0.5 * 20)])


def test_a_diverged_run_is_above_every_bound():
    table = bounds.violations(
        bounds.bound_values(only_runs([run(losses=[1.0, 0.1, math.inf], epochs=4, lambda_min=1.0)]))
    )
    assert table["first"].tolist() == [2.0, 2.0, 2.0]
    assert np.isinf(table["ratio"]).all()


def test_without_a_resolved_eigenvalue_there_is_no_bound():
    mixed = only_runs([run(lambda_min=1e-12), run(seed=1)])
    values = bounds.bound_values(mixed)
    assert values["seed"].unique().tolist() == [1]
    assert "1 of 2 runs are left out" in markdown(bounds.violation_table(mixed, values))
    with pytest.raises(
        AnalysisError,
        match=r"does not exceed its error bound in any run, so there is no bound to compare with$",
    ):
        bounds.bound_values(only_runs([run(lambda_min=1e-12)]))
    with pytest.raises(
        AnalysisError, match=r"to compare with: networks of dtype=float64 have smaller errors$"
    ):
        bounds.bound_values(only_runs([run(lambda_min=1e-12, dtype="float32")]))


@pytest.mark.parametrize("rows", EDGES.values(), ids=EDGES)
def test_every_bound_can_be_drawn(rows, recwarn):
    found = only_runs(rows)
    values = bounds.bound_values(found)
    assert colours(bounds.bound_figure(found, values, "title")) > 10
    assert "three bounds" in bounds.alt_text(values)
    table = bounds.violation_table(found, values)
    assert markdown(table) and latex(table) and html(table)
    assert [str(warning.message) for warning in recwarn] == []


@pytest.mark.parametrize("kind", FORMATS)
def test_the_same_rows_give_the_same_bytes(kind):
    def draw() -> list[bytes]:
        found = only_runs(sweep(widths=(50,), depths=(3,), epochs=5))
        points, values = curves.courses(found), bounds.bound_values(found)
        drawn = (
            curves.course_figure(points),
            curves.prediction_figure(points),
            bounds.bound_figure(found, values),
        )
        return [render(figure, kind) for figure in drawn]

    assert draw() == draw()


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> str:
    """A store in which ReLU 100 × 2 and Sigmoid 50 × 2 have the greatest λ_min, of the spectra and
    not of the runs."""
    folder = tmp_path_factory.mktemp("results")
    spectra = [
        analysis_rows.row(act, width, 2, seed, float(value))
        for act, width, value in (
            ("relu", 50, 1),
            ("relu", 100, 2),
            ("sigmoid", 50, 3),
            ("sigmoid", 70, 1),
        )
        for seed in (0, 1)
    ]
    analysis_rows.store(folder, spectra)
    rows = [
        run(act, width, 2, seed)
        for act in ("relu", "sigmoid")
        for width in (50, 100, 200, 300, 400)
        for seed in (0, 1)
    ]
    rows += [
        run(width=800, depth=3, learning_rate=0.5, learning_rate_unit="inverse_lambda_max"),
        run(width=800, depth=3),
    ]
    return store(folder, rows)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_best_networks_are_those_of_the_spectra(results, tmp_path, capsys):
    assert main(["training", results, "--best", "-o", str(tmp_path)]) == 0
    kinds = {
        f"{name}-best-lr0.001-b1-e2-fashion_mnist-thesis"
        for name in ("training", "curves", "predicted")
    }
    assert {re.sub(r"\.\w+$", "", name) for name in names(tmp_path)} == kinds
    table = (tmp_path / "training-best-lr0.001-b1-e2-fashion_mnist-thesis.md").read_text()
    assert [
        line.split(" |")[0]
        for line in table.splitlines()
        if line.startswith(("| ReLU", "| Sigmoid"))
    ] == [
        "| ReLU 100 × 2  ",
        "| Sigmoid 50 × 2",
    ]
    assert table in capsys.readouterr().out


def test_every_setting_of_a_chosen_network_gets_files_of_its_own(results, tmp_path):
    assert (
        main(
            [
                "training",
                results,
                "--network",
                "relu-800x3",
                "--network",
                "relu-50x2",
                "-o",
                str(tmp_path),
            ]
        )
        == 0
    )
    assert {
        f"curves-{name}-fashion_mnist-thesis.png"
        for name in ("relu-50x2-relu-800x3-lr0.001-b1-e2", "relu-800x3-lr0.5_over_lambda_max-b1-e2")
    } == {name for name in names(tmp_path) if name.startswith("curves") and name.endswith("png")}


def test_bounds_shows_the_network_of_figure_11(results, tmp_path, capsys):
    assert main(["bounds", results, "-o", str(tmp_path)]) == 0
    assert "bounds-relu-800x3-lr0.001-b1-e2-fashion_mnist-thesis.svg" in names(tmp_path)
    assert re.search(r"\| ReLU 800 × 3 \| gradient flow +\| never ", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["training", "{tmp}/none"],
            r"there are no rows in .*none/training: make some first.*\n  python launch.py \+experiment=thesis_training",
        ),
        (["bounds", "{tmp}/none"], r"python launch.py \+experiment=thesis_kernels_training"),
        (["drift", "{tmp}/none"], r"python launch.py \+experiment=drift"),
        (["speed", "{tmp}/none"], r"python launch.py \+experiment=speed_study"),
        (
            ["training", "{results}"],
            r"11 networks were trained, and a figure shows at most 8: choose some with --network",
        ),
        (["training", "{results}", "--network", "elu-1x2"], r"none of those asked for was trained"),
        (
            ["drift", "{results}"],
            r"no run recorded its kernel during training(.|\n)*\+experiment=drift",
        ),
        (
            ["speed", "{results}", "--threshold", "0"],
            r"--threshold 0 is never reached: give a loss above 0",
        ),
    ],
)
def test_mistakes_are_told_in_one_message(results, tmp_path, capsys, arguments, message):
    assert main([argument.format(tmp=tmp_path, results=results) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert "Traceback" not in error


def test_the_best_networks_need_spectra_and_runs_of_them(tmp_path, capsys):
    lone = store(tmp_path / "a", [run()])
    assert main(["training", lone, "--best"]) == 2
    assert re.search(
        r"holds no spectra of .*\n  python launch.py \+experiment=thesis_grid",
        capsys.readouterr().err,
    )
    analysis_rows.store(tmp_path / "a", [analysis_rows.row("elu", 7, 2)])
    assert main(["training", lone, "--best"]) == 2
    error = capsys.readouterr().err
    assert re.search(r"none of the networks with the greatest λ_min was trained \(elu-7x2\)", error)
    assert "+experiment=thesis_training" in error


@pytest.mark.parametrize("command", ["training", "bounds", "drift", "speed"])
def test_help_gives_examples(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert f"python -m analysis {command}" in text.partition("examples:")[2]
    assert "RESULTS/training" in text.replace("\n", "")
