"""Protects loss curves, their table, and the commands that choose networks."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from ntk_sweep.analysis.chapters import training as curves
from ntk_sweep.analysis.chapters.bounds.figures import bound_figure
from ntk_sweep.analysis.chapters.bounds.numbers import bound_values
from ntk_sweep.analysis.cli import main
from ntk_sweep.analysis.drawing.axes import epoch_axis
from ntk_sweep.analysis.drawing.looks import network_looks
from ntk_sweep.analysis.drawing.rendering import render
from ntk_sweep.analysis.rows.courses import courses
from ntk_sweep.analysis.rows.study import studies
from ntk_sweep.analysis.writing.tables import html, latex, markdown
from tests.helpers import analysis_rows
from tests.helpers.analysis_training_rows import EDGES, only_runs, run, store, sweep, table_row
from tests.helpers.pixels import colours


def table_of(found):
    return curves.outcome_table(found, courses(found))


def test_the_table_gives_the_loss_before_and_after_and_predicted():
    predicted = {
        "linearised_losses": [2.0, 0.3],
        "descent_losses": [2.0, 0.2],
        "flow_losses": [2.0, 0.1],
    }
    table = table_of(only_runs([run(losses=[2.0, 0.4], **predicted)]))
    assert table.rows == [
        ["ReLU 100 × 3", 1, 0, "2.00", "0.400", "1.00", "0.300", "0.200", "0.100"]
    ]
    assert "One seed: each number is that of a single draw" in markdown(table)
    several = table_of(
        only_runs([run(seed=s, losses=[2.0, v]) for s, v in enumerate((0.1, 0.2, 0.4))])
    )
    assert several.rows[0][4] == "0.200 [0.100, 0.400]"
    assert "median over 3 seeds" in markdown(several)
    assert "diverged:" not in markdown(several)


def test_a_network_whose_runs_all_diverged_is_called_infinite():
    table = table_of(
        only_runs([run(losses=[1.0, math.inf], epochs=5), run(width=7, losses=[1.0] * 6)])
    )
    assert table_row(table, "ReLU 100 × 3")[1:6] == [1, 1, "1.00", "infinite", "—"]
    assert "1 of 2 runs diverged" in markdown(table)


@pytest.mark.long
@pytest.mark.parametrize("rows", EDGES.values(), ids=EDGES)
def test_every_course_can_be_drawn(rows, recwarn):
    found = only_runs(rows)
    points = courses(found)
    assert colours(curves.course_figure(points, "title")) > 10
    assert colours(curves.prediction_figure(points, "title")) > 10
    assert "Loss over" in curves.alt_text(points)
    table = table_of(found)
    assert markdown(table) and latex(table) and html(table)
    assert [str(warning.message) for warning in recwarn] == []


def curve_of(axes, colour: str) -> np.ndarray:
    (line,) = [line for line in axes.get_lines() if line.get_color() == colour]
    return line.get_xydata()


def test_what_is_drawn_are_the_medians_and_the_band():
    points = courses(
        only_runs([run(seed=s, losses=[v, v / 2, v / 4]) for s, v in enumerate((1.0, 2.0, 8.0))])
    )
    loss, running, accuracy = curves.course_figure(points).axes
    (look,) = network_looks([("relu", 100, 3)])
    colour = look.colour
    assert curve_of(loss, colour).tolist() == [[0, 2], [1, 1], [2, 0.5]]
    assert curve_of(running, colour).tolist() == [[0.5, 1], [1.5, 0.5]]
    assert curve_of(accuracy, colour)[:, 1].tolist() == [0.5, 0.75, 1.0]
    (band,) = loss.collections
    assert band.get_paths()[0].get_extents().bounds == pytest.approx((0, 0.25, 2, 7.75))
    assert loss.get_yscale() == running.get_yscale() == "log"
    single = curves.course_figure(courses(only_runs([run()])))
    assert not single.axes[0].collections


def test_a_run_that_diverges_at_once_is_seen_as_a_point():
    points = courses(
        only_runs([run(losses=[1.0, math.inf], epochs=3), run("elu", losses=[1.0, 0.5, 0.4, 0.3])])
    )
    loss, running, accuracy = curves.course_figure(points).axes
    lines = {line.get_label(): line for line in loss.lines}
    # Without a spacing, every point has its marker.
    assert [line.get_marker() for line in lines.values()] == ["o", "s"]
    assert [line.get_markevery() is None for line in lines.values()] == [True, False]
    assert [[text.get_text() for text in axes.texts] for axes in (loss, running, accuracy)] == [
        ["ReLU 100 × 3 diverges"],
        ["ReLU 100 × 3 diverges"],
        [],
    ]


def test_a_prediction_that_is_infinite_is_named_in_the_panel():
    rows = [run(flow_losses=None, descent_losses=[1.0, 1e200, math.inf]), run("elu")]
    figure = curves.prediction_figure(courses(only_runs(rows)))
    assert {
        axes.get_title("left"): [text.get_text() for text in axes.texts] for axes in figure.axes
    } == {
        "ReLU 100 × 3": ["full-batch gradient descent diverges"],
        "ELU 100 × 3": [],
    }


@pytest.mark.parametrize(
    ("epochs", "labelled"),
    [
        (1, [0, 1]),
        (30, [0, 1, 2, 5, 10, 20]),
        (100, [0, 1, 3, 10, 30, 100]),
        (2000, [0, 1, 10, 100, 1000]),
    ],
)
def test_epochs_are_logarithmic_from_the_first_on(epochs, labelled):
    axes = Figure().add_subplot()
    epoch_axis(axes, epochs)
    assert axes.get_xticks().tolist() == labelled
    place = axes.transData.transform([(x, 0.5) for x in (0, 0.999, 1, 1.001, 10, 100)])[:, 0]
    width = axes.bbox.width
    assert place[0] == pytest.approx(axes.bbox.x0)
    if epochs > 1:
        assert place[5] - place[4] == pytest.approx(place[4] - place[2])
        assert place[3] - place[2] == pytest.approx(place[2] - place[1], rel=1e-2)
        assert place[2] - place[0] < 0.3 * width


def test_the_same_rows_give_the_same_bytes():
    def draw() -> list[bytes]:
        found = only_runs(sweep(widths=(50,), depths=(3,), epochs=5))
        points, values = courses(found), bound_values(found)
        drawn = (
            curves.course_figure(points),
            curves.prediction_figure(points),
            bound_figure(found, values),
        )
        return [render(figure, "svg") for figure in drawn]

    assert draw() == draw()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_best_networks_are_those_of_the_spectra(trained, tmp_path, capsys):
    assert main(["training", trained, "--best", "-o", str(tmp_path)]) == 0
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


def test_headings_say_where_a_way_of_training_lacks_networks_of_a_figure(tmp_path):
    analysis_rows.store(tmp_path, [analysis_rows.row("relu", 50, 2), analysis_rows.row("elu", 7)])
    slow = {"learning_rate": 1e-4}
    results = store(
        tmp_path, [run("relu", 50, 2), run("elu", 7), run("elu", 7, **slow), run(width=800, **slow)]
    )
    (study,) = studies(results)
    best, part = "the best of each activation by λ_min (Figure 9)", "as far as trained in this way"
    titles = [section.title.split(": ")[1] for section in curves.CHAPTER.content(study).sections]
    assert titles == [f"{best}, {part}", f"those of Figure 10, {part}", best]


def test_every_setting_of_a_chosen_network_gets_files_of_its_own(trained, tmp_path):
    assert (
        main(
            [
                "training",
                trained,
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["training", "{tmp}/none"],
            r"there are no rows in .*none/training: make some first.*\n"
            r"  ntk-sweep run \+experiment=thesis_training",
        ),
        (["bounds", "{tmp}/none"], r"ntk-sweep run \+experiment=thesis_training"),
        (["flow", "{tmp}/none"], r"ntk-sweep run \+experiment=study_small"),
        (["flow", "{results}"], r"no run along the gradient flow(.|\n)*\+experiment=study_small"),
        (["drift", "{tmp}/none"], r"ntk-sweep run \+experiment=drift"),
        (["speed", "{tmp}/none"], r"ntk-sweep run \+experiment=study_small"),
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
            ["speed", "{results}", "--share", "0"],
            r"--share 0 is no share of the loss before training: give a number between 0 and 1",
        ),
    ],
)
def test_mistakes_are_told_in_one_message(trained, tmp_path, capsys, arguments, message):
    assert main([argument.format(tmp=tmp_path, results=trained) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert "Traceback" not in error


def test_the_best_networks_need_spectra_and_runs_of_them(tmp_path, capsys):
    lone = store(tmp_path / "a", [run()])
    assert main(["training", lone, "--best"]) == 2
    assert re.search(
        r"holds no spectra of .*\n  ntk-sweep run \+experiment=thesis_grid",
        capsys.readouterr().err,
    )
    analysis_rows.store(tmp_path / "a", [analysis_rows.row("elu", 7, 2)])
    assert main(["training", lone, "--best"]) == 2
    error = capsys.readouterr().err
    assert re.search(r"none of the networks with the greatest λ_min was trained \(elu-7x2\)", error)
    assert "+experiment=thesis_training" in error


@pytest.mark.parametrize("command", ["training", "bounds", "flow", "drift", "speed"])
def test_help_gives_examples(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert f"ntk-sweep {command}" in text.partition("examples:")[2]
    assert "RESULTS/training" in text.replace("\n", "")
