"""Protects the convergence with width: slopes and intervals by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ntk_sweep.analysis.chapters.convergence.figures import (
    MOST_LINES,
    alt_text,
    convergence_figure,
    shown_depths,
)
from ntk_sweep.analysis.chapters.convergence.numbers import (
    BAND,
    _fit,
    distances,
    is_pooled,
    pooled,
    slopes,
)
from ntk_sweep.analysis.chapters.convergence.tables import slope_table
from ntk_sweep.analysis.writing.tables import html, latex, markdown
from tests.helpers.analysis_rows import failed, frame, group, row
from tests.helpers.pixels import colours


def powers(exponent: float, widths=(50, 100, 200, 400), seeds=2, factor=1.0, **changes):
    """Rows whose distance is width^exponent, times 1 + seed · (factor - 1)."""
    return [
        row(width=w, seed=s, limit_distance=w**exponent * (1 + s * (factor - 1)), **changes)
        for w in widths
        for s in range(seeds)
    ]


@pytest.mark.parametrize("exponent", [-0.5, -1.0, 0.25])
def test_a_power_law_gives_its_exponent(exponent):
    fit = slopes(distances(frame(powers(exponent, factor=3.0)))).iloc[0]
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
        slope, half = _fit(np.log(widths), np.log(rows))
        inside += abs(slope + 0.5) <= half
    assert 0.92 <= inside / 400 <= 0.98  # 95 % ± 2.7 standard deviations of 400 trials


def test_distances_are_means_and_quantiles_over_seeds():
    rows = [row(seed=s, limit_distance=value) for s, value in enumerate((1.0, 2.0, 6.0))]
    line = distances(frame([*rows, row(seed=3, limit_distance=None), failed(seed=4)])).iloc[0]
    assert (line["seeds"], line["mean"]) == (3, 3.0)
    assert line["sd"] == pytest.approx(7**0.5)
    assert (line["low"], line["high"]) == pytest.approx(tuple(np.quantile([1.0, 2.0, 6.0], BAND)))


def test_the_table_of_slopes_has_a_row_a_depth():
    rows = [
        *powers(-0.5, depth=2),
        *powers(-1.0, depth=5, act="elu"),
        row("elu", 50, 2),
        *powers(-0.75, (50, 100), depth=7),
    ]
    one = group(rows)
    table = slope_table(one, slopes(distances(one.rows)))
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
    points = distances(frame(rows))
    fits = slopes(points)
    line = pooled(points) if is_pooled(points) else None
    figure = convergence_figure(points, fits, "relu", "subtitle", line)
    assert colours(figure) > 10
    assert len(shown_depths(points, "relu")) <= MOST_LINES
    assert "reference line of slope -1/2" in alt_text(points, fits, "relu")
    assert [str(warning.message) for warning in recwarn] == []


def test_single_seeds_are_points_with_one_line_for_all_depths():
    # parallel lines of slope -0.7 at heights 1 and 4, and scatter that no line explains
    noise = 1.1 ** np.array([1, -1, -1, 1])
    rows = [
        row(width=w, depth=d, limit_distance=height * w**-0.7 * off)
        for d, height in ((2, 1.0), (5, 4.0))
        for w, off in zip((50, 100, 200, 400), noise, strict=True)
    ]
    points = distances(frame(rows))
    slope, half, level = pooled(points)
    # Least squares with a column a depth, by the normal equations.
    x, y = np.log(points["width"]), np.log(points["mean"])
    design = np.column_stack([x, points["depth"] == 2, points["depth"] == 5]).astype(float)
    solution, rest, *_ = np.linalg.lstsq(design, y, rcond=None)
    variance = rest[0] / (8 - 3) * np.linalg.inv(design.T @ design)[0, 0]
    assert (slope, level) == pytest.approx((solution[0], np.exp(solution[1:].mean())))
    assert (slope, level) == pytest.approx((-0.7, 2.0))
    assert half == pytest.approx(2.570582 * np.sqrt(variance))  # 97.5 % of Student's t with 5
    axes = convergence_figure(points, slopes(points), "relu", "", (slope, half, level)).axes[0]
    (line,) = [
        line for line in axes.get_lines() if line.get_label().startswith("all depths: −0.70")
    ]
    assert line.get_ydata() == pytest.approx(2 * np.array([50.0, 400.0]) ** -0.7)
    assert [line.get_linestyle() for line in axes.get_lines()] == ["None", "None", "-", "--"]


def test_the_reference_line_has_slope_minus_one_half():
    points = distances(frame(powers(-1.0)))
    axes = convergence_figure(points, slopes(points), "relu").axes[0]
    (line,) = [line for line in axes.get_lines() if line.get_linestyle() == "--"]
    (x0, x1), (y0, y1) = line.get_data()
    assert np.log(y1 / y0) / np.log(x1 / x0) == pytest.approx(-0.5)
    assert axes.get_ylim()[0] < y1
