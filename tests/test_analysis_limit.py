"""Prediction, convergence and diagnostics: numbers against rows made by hand, figures that are not
blank and always the same."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest

from analysis import convergence, heatmaps, panels, prediction
from analysis.cells import cells
from analysis.colours import colour_scale
from analysis.diagnostics import SHOWN, diagnostics, diagnostics_table
from analysis.figures import FORMATS, render
from analysis.formats import html, latex, markdown
from analysis.quantities import LAMBDA_MIN, LIMIT_LAMBDA_MIN, QUANTITIES, RATIO
from ntk_sweep.store.columns import schema
from tests.helpers.analysis_rows import failed, frame, grid, group, row
from tests.helpers.pixels import colours


def powers(exponent: float, widths=(50, 100, 200, 400), seeds=2, factor=1.0, **changes):
    """Rows whose distance is width^exponent, times 1 + seed · (factor - 1)."""
    return [
        row(width=w, seed=s, limit_distance=w**exponent * (1 + s * (factor - 1)), **changes)
        for w in widths
        for s in range(seeds)
    ]


def test_every_quantity_is_a_column_or_made_of_some():
    assert set(QUANTITIES) - set(schema("spectrum").names) == {"ratio"}


@pytest.mark.parametrize("name", list(QUANTITIES))
@pytest.mark.parametrize(
    "rows",
    [grid(), [row()], [failed()], [row(class_contrast=-0.1), row(seed=1)]],
    ids=["grid", "one cell", "failed", "negative"],
)
def test_every_quantity_can_be_drawn(name, rows):
    quantity = QUANTITIES[name]
    shown = heatmaps.grid(cells(frame(rows), quantity), "relu", quantity)
    assert colours(heatmaps.heatmap(shown, "subtitle")) > 10
    assert quantity.words in heatmaps.alt_text(shown)
    assert (
        heatmaps.numbers(cells(frame(rows), quantity), "relu", quantity)["state"]
        .isin(["resolved", "unresolved", "missing", "failed"])
        .all()
    )


def test_the_ratio_is_the_geometric_mean_over_the_prediction():
    rows = [
        row(seed=s, lambda_min=value, limit_lambda_min=10.0) for s, value in enumerate((1.0, 4.0))
    ]
    cell = cells(frame(rows), RATIO).iloc[0]
    assert cell["geometric_mean"] == pytest.approx(0.2)
    assert (cell["least"], cell["greatest"]) == pytest.approx((0.1, 0.4))


def test_the_bound_of_the_ratio_holds_whatever_the_two_errors_are():
    rows = frame(
        [row(lambda_min=1.0, error_bound=0.3, limit_lambda_min=2.0, limit_lambda_min_error=0.5)]
    )
    bound = RATIO.error(rows).iloc[0]
    worst = max(abs(a / b - 0.5) for a in (0.7, 1.3) for b in (1.5, 2.5))
    assert worst <= bound < 1.2 * worst


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
    table = prediction.numbers(prediction.tables(rows), "relu").iloc[0]
    assert tuple(table[["measured_state", "predicted_state", "ratio_state"]]) == states
    for quantity, state in zip((LAMBDA_MIN, LIMIT_LAMBDA_MIN, RATIO), states, strict=True):
        shown = heatmaps.grid(cells(rows, quantity), "relu", quantity)
        assert shown.unresolved.all() == (state == "unresolved") == np.isnan(shown.value).all()


def test_a_value_that_does_not_exist_is_undefined():
    rows = frame([row(), row(seed=1, class_contrast=None)])
    table = heatmaps.numbers(
        cells(rows, QUANTITIES["class_contrast"]), "relu", QUANTITIES["class_contrast"]
    )
    assert table["state"].tolist() == ["undefined"]


def test_colour_scales():
    ratio = colour_scale(RATIO, np.array([0.1, np.nan, 0.5]))
    assert ratio.norm(1.0) == pytest.approx(0.5)
    assert (ratio.norm.vmin, ratio.norm.vmax) == pytest.approx((0.1, 10))
    assert ratio.ends == (0.1, 1.0)
    assert colour_scale(RATIO, np.array([1.0])).norm(1.0) == pytest.approx(0.5)
    shared = colour_scale(LAMBDA_MIN, np.array([1.0, 10.0]), np.array([0.1]))
    assert (shared.norm.vmin, shared.norm.vmax) == (0.1, 10.0)
    contrast = QUANTITIES["class_contrast"]
    assert type(colour_scale(contrast, np.array([1e-6, 1.0])).norm).__name__ == "LogNorm"
    assert type(colour_scale(contrast, np.array([-1e-6, 1.0])).norm).__name__ == "Normalize"
    assert colour_scale(LAMBDA_MIN, np.array([np.nan])) is None


def test_measured_and_predicted_have_the_same_colours():
    rows = frame([row(width=w, lambda_min=float(w), limit_lambda_min=100.0 * w) for w in (1, 10)])
    figure = panels.stacked(prediction.blocks(prediction.tables(rows), "relu"), "title")
    meshes = [axes.collections[0] for axes in figure.axes[:3]]
    assert meshes[0].get_clim() == meshes[1].get_clim() == pytest.approx((1.0, 1000.0))
    assert meshes[2].get_clim() == pytest.approx((0.01, 100.0))
    assert (
        panels.alt_text(prediction.blocks(prediction.tables(rows), "relu")).count("Heat map") == 3
    )


@pytest.mark.parametrize(
    "rows", [grid(), [row()], [row(lambda_min=0.0)], [row(limit_lambda_min=0.0)]]
)
def test_every_prediction_can_be_drawn(rows):
    assert (
        colours(panels.stacked(prediction.blocks(prediction.tables(frame(rows)), "relu"), "title"))
        > 10
    )


def test_the_table_of_ratios_names_the_extremes():
    rows = [
        row(width=w, depth=d, lambda_min=1.0, limit_lambda_min=float(w * d))
        for w in (10, 20)
        for d in (2, 3)
    ]
    rows += [row("sigmoid", 10, 2, limit_lambda_min=0.0), failed("elu")]
    line, sigmoid = prediction.ratios(prediction.tables(frame(rows))).to_dict("records")
    assert (line["least"], line["least_width"], line["least_depth"]) == pytest.approx(
        (1 / 60, 20, 3)
    )
    assert (line["greatest"], line["greatest_width"], line["greatest_depth"]) == pytest.approx(
        (1 / 20, 10, 2)
    )
    assert (sigmoid["cells"], sigmoid["unresolved_cells"]) == (1, 1)
    text = markdown(prediction.ratio_table(group(rows), prediction.tables(frame(rows))))
    assert "| 20 × 3 |" in text
    assert "1 of 1" in text


@pytest.mark.parametrize("exponent", [-0.5, -1.0, 0.25])
def test_a_power_law_gives_its_exponent(exponent):
    fit = convergence.slopes(convergence.distances(frame(powers(exponent, factor=3.0)))).iloc[0]
    assert fit["slope"] == pytest.approx(exponent)
    assert fit["half_width"] == pytest.approx(0, abs=1e-12)
    assert (fit["widths"], fit["seeds"], fit["narrowest"], fit["widest"]) == (4, 2, 50, 400)
    assert fit["distance_at_widest"] == pytest.approx(2 * 400**exponent)


def test_the_interval_of_a_slope_is_students():
    rng = np.random.default_rng(0)
    widths = np.array([50, 100, 200, 400, 800])
    inside = 0
    for _ in range(400):
        rows = np.exp(-0.5 * np.log(widths) + 0.3 * rng.standard_normal(5))
        slope, half = convergence._fit(np.log(widths), np.log(rows))
        inside += abs(slope + 0.5) <= half
    assert 0.92 <= inside / 400 <= 0.98  # 95 % ± 2.7 standard deviations of 400 trials


def test_distances_are_means_and_quantiles_over_seeds():
    rows = [row(seed=s, limit_distance=value) for s, value in enumerate((1.0, 2.0, 6.0))]
    line = convergence.distances(
        frame([*rows, row(seed=3, limit_distance=None), failed(seed=4)])
    ).iloc[0]
    assert (line["seeds"], line["mean"]) == (3, 3.0)
    assert line["sd"] == pytest.approx(7**0.5)
    assert (line["low"], line["high"]) == pytest.approx(
        tuple(np.quantile([1.0, 2.0, 6.0], convergence.BAND))
    )


def test_ratios_of_all_activations_have_the_same_colours():
    rows = [
        row("relu", width=w, lambda_min=2.0, limit_lambda_min=limit)
        for w, limit in ((50, 2.0), (60, 20.0))
    ]
    rows += [row("elu", width=w, lambda_min=1e3, limit_lambda_min=2e3) for w in (50, 60)]
    compared = prediction.tables(frame(rows))
    norms = {}
    for act in ("relu", "elu"):
        figure = panels.stacked(
            prediction.blocks(compared, act), "title", prediction.scales(compared)
        )
        norms[act] = [axes.collections[0].norm for axes in figure.axes[:3]]
    assert [(norm.vmin, norm.vmax) for norm in (norms["relu"][2], norms["elu"][2])] == [
        (pytest.approx(0.1), pytest.approx(10))
    ] * 2
    # Measured and predicted share theirs, each activation its own.
    assert norms["relu"][0] is norms["relu"][1]
    assert (norms["relu"][0].vmax, norms["elu"][0].vmax) == pytest.approx((20.0, 2e3))


def test_the_table_of_slopes_has_a_row_a_depth():
    rows = [
        *powers(-0.5, depth=2),
        *powers(-1.0, depth=5, act="elu"),
        row("elu", 50, 2),
        *powers(-0.75, (50, 100), depth=7),
    ]
    one = group(rows)
    table = convergence.slope_table(one, convergence.slopes(convergence.distances(one.rows)))
    assert list(table.columns) == ["Depth", "ReLU", "ELU"]
    assert [list(line) for line in table.rows] == [
        [2, "-0.50 ± 0.00", "—"],
        [5, "—", "-1.00 ± 0.00"],
        [7, "-0.75", "—"],
    ]
    assert "widths 50 to 400, 1 to 2 seeds" in table.notes[0]
    for write in (html, latex, markdown):
        assert "-0.50 ± 0.00" in write(table).replace(r"$\pm$", "±").replace("$-$", "-").replace(
            "−", "-"
        )


@pytest.mark.parametrize(
    "rows",
    [
        powers(-0.5),
        powers(-0.5, seeds=1),
        powers(-0.5, (50, 51)),
        [r for d in range(2, 30) for r in powers(-0.5, depth=d)],
        [row()],
    ],
    ids=["seeds", "one seed", "two widths", "many depths", "one point"],
)
def test_every_convergence_can_be_drawn(rows, recwarn):
    points = convergence.distances(frame(rows))
    fits = convergence.slopes(points)
    figure = convergence.convergence_figure(points, fits, "relu", "subtitle")
    assert colours(figure) > 10
    assert len(convergence.shown_depths(points, "relu")) <= convergence.MOST_LINES
    assert "reference line of slope -1/2" in convergence.alt_text(points, fits, "relu")
    assert [str(warning.message) for warning in recwarn] == []


def test_the_reference_line_has_slope_minus_one_half():
    points = convergence.distances(frame(powers(-1.0)))
    axes = convergence.convergence_figure(points, convergence.slopes(points), "relu").axes[0]
    (line,) = [line for line in axes.get_lines() if line.get_linestyle() == "--"]
    (x0, x1), (y0, y1) = line.get_data()
    assert np.log(y1 / y0) / np.log(x1 / x0) == pytest.approx(-0.5)
    assert axes.get_ylim()[0] < y1


def test_diagnostics_are_those_of_the_best_cell():
    rows = [row(width=100, effective_rank=9.0), row("sigmoid", lambda_min=0.0)]
    rows += [
        row(
            width=200,
            depth=2,
            seed=s,
            lambda_min=5.0,
            effective_rank=2.0 + s,
            layer_trace_shares=[0.25, 0.75],
        )
        for s in (0, 2)
    ]
    one = group(rows)
    (line,) = diagnostics(one, cells(one.rows)).to_dict("records")
    assert (line["act"], line["width"], line["depth"], line["seeds"]) == ("relu", 200, 2, 2)
    assert (line["effective_rank"], line["effective_rank_sd"]) == pytest.approx((3.0, 2**0.5))
    assert (line["layer_trace_share_1"], line["layer_trace_share_2"]) == (0.25, 0.75)
    text = markdown(diagnostics_table(one, cells(one.rows)))
    assert "| ReLU 200 × 2 |" in text
    assert "3.00 ± 1.41" in text
    assert "0.250 / 0.750" in text
    assert all(name in text for name in SHOWN.values())


def test_diagnostics_without_a_value_are_a_dash_and_without_a_best_cell_missing():
    one = group([row(class_contrast=None, layer_trace_shares=None)])
    assert [entry for entry in diagnostics_table(one, cells(one.rows)).rows[0] if entry == "—"] == [
        "—",
        "—",
    ]
    none = group([row(lambda_min=0.0)])
    assert diagnostics_table(none, cells(none.rows)).rows == []


@pytest.mark.parametrize("kind", FORMATS)
def test_the_same_rows_give_the_same_bytes(kind):
    def draw() -> list[bytes]:
        rows = frame(grid())
        points = convergence.distances(rows)
        figures = [
            panels.stacked(prediction.blocks(prediction.tables(rows), "sigmoid"), "a"),
            convergence.convergence_figure(points, convergence.slopes(points), "relu", "b"),
        ]
        return [render(figure, kind) for figure in figures]

    first = draw()
    with matplotlib.rc_context({"font.size": 20, "savefig.dpi": 30, "svg.hashsalt": None}):
        assert draw() == first
