"""Protects measured and predicted λ_min: ratios, states, shared colours."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest

from ntk_sweep.analysis.chapters import prediction
from ntk_sweep.analysis.chapters.convergence.figures import convergence_figure
from ntk_sweep.analysis.chapters.convergence.numbers import distances, slopes
from ntk_sweep.analysis.drawing import cell_grid
from ntk_sweep.analysis.drawing import stacked_heatmaps as panels
from ntk_sweep.analysis.drawing.rendering import render
from ntk_sweep.analysis.rows.cells import cells
from ntk_sweep.analysis.rows.quantities import LAMBDA_MIN, LIMIT_LAMBDA_MIN, RATIO
from ntk_sweep.analysis.writing.tables import markdown
from tests.helpers.analysis_rows import failed, frame, grid, group, row
from tests.helpers.pixels import colours


def compared_cells(rows):
    return [cells(rows, quantity) for quantity in prediction.COMPARED]


@pytest.mark.parametrize(
    ("measured", "predicted", "states"),
    [
        (1.0, 1.0, ("resolved", "resolved", "resolved")),
        (0.0, 1.0, ("unresolved", "resolved", "unresolved")),
        (1.0, 1e-10, ("resolved", "unresolved", "unresolved")),
        (1.0, -1.0, ("resolved", "unresolved", "unresolved")),
        (1.0, 1e-9, ("resolved", "unresolved", "unresolved")),  # equal to its bound
    ],
)
def test_what_does_not_exceed_its_bound_is_unresolved(measured, predicted, states):
    rows = frame([row(lambda_min=measured, limit_lambda_min=predicted)])
    table = prediction.numbers(compared_cells(rows), "relu").iloc[0]
    assert tuple(table[["measured_state", "predicted_state", "ratio_state"]]) == states
    for quantity, state in zip((LAMBDA_MIN, LIMIT_LAMBDA_MIN, RATIO), states, strict=True):
        shown = cell_grid.grid(cells(rows, quantity), "relu", quantity)
        assert shown.unresolved.all() == (state == "unresolved") == np.isnan(shown.value).all()


def test_measured_and_predicted_have_the_same_colours():
    rows = frame([row(width=w, lambda_min=float(w), limit_lambda_min=100.0 * w) for w in (1, 10)])
    figure = panels.stacked(prediction.blocks(compared_cells(rows), "relu"), "title")
    meshes = [axes.collections[0] for axes in figure.axes[:3]]
    assert meshes[0].get_clim() == meshes[1].get_clim() == pytest.approx((1.0, 1000.0))
    assert meshes[2].get_clim() == pytest.approx((0.005, 0.02))
    assert panels.alt_text(prediction.blocks(compared_cells(rows), "relu")).count("Heat map") == 3


@pytest.mark.parametrize(
    "rows", [grid(), [row()], [row(lambda_min=0.0)], [row(limit_lambda_min=0.0)]]
)
def test_every_prediction_can_be_drawn(rows):
    assert (
        colours(panels.stacked(prediction.blocks(compared_cells(frame(rows)), "relu"), "title"))
        > 10
    )


def test_the_table_of_ratios_names_the_extremes():
    rows = [
        row(width=w, depth=d, lambda_min=1.0, limit_lambda_min=float(w * d))
        for w in (10, 20)
        for d in (2, 3)
    ]
    rows += [row("sigmoid", 10, 2, limit_lambda_min=0.0), failed("elu")]
    line, sigmoid = prediction.ratios(compared_cells(frame(rows))).to_dict("records")
    assert (line["least"], line["least_width"], line["least_depth"]) == pytest.approx(
        (1 / 60, 20, 3)
    )
    assert (line["greatest"], line["greatest_width"], line["greatest_depth"]) == pytest.approx(
        (1 / 20, 10, 2)
    )
    assert (sigmoid["cells"], sigmoid["unresolved_cells"]) == (1, 1)
    text = markdown(prediction.ratio_table(group(rows), compared_cells(frame(rows))))
    assert "| 20 × 3 |" in text
    assert "1 of 1" in text


def test_the_ratios_of_an_activation_have_colours_of_their_own():
    rows = [
        row("relu", width=w, lambda_min=2.0, limit_lambda_min=limit)
        for w, limit in ((50, 2.0), (60, 20.0))
    ]
    rows += [row("elu", width=w, lambda_min=1e3, limit_lambda_min=2e3) for w in (50, 60)]
    compared = compared_cells(frame(rows))
    norms = {}
    for act in ("relu", "elu"):
        figure = panels.stacked(prediction.blocks(compared, act), "title")
        norms[act] = [axes.collections[0].norm for axes in figure.axes[:3]]
    assert [(norm.vmin, norm.vmax) for norm in (norms["relu"][2], norms["elu"][2])] == [
        (pytest.approx(0.1), pytest.approx(1.0)),
        (pytest.approx(0.25), pytest.approx(1.0)),
    ]
    # Measured and predicted share theirs, each activation its own.
    assert norms["relu"][0] is norms["relu"][1]
    assert (norms["relu"][0].vmax, norms["elu"][0].vmax) == pytest.approx((20.0, 2e3))


def test_the_same_rows_give_the_same_bytes():
    def draw() -> list[bytes]:
        rows = frame(grid())
        points = distances(rows)
        figures = [
            panels.stacked(prediction.blocks(compared_cells(rows), "sigmoid"), "a"),
            convergence_figure(points, slopes(points), "relu", "b"),
        ]
        return [render(figure, "svg") for figure in figures]

    first = draw()
    with matplotlib.rc_context({"font.size": 20, "savefig.dpi": 30, "svg.hashsalt": None}):
        assert draw() == first
