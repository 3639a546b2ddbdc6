"""Heat maps, kernels and spectra: their numbers, and that what is drawn is not blank and always the
same."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest

from analysis import heatmaps, kernels, spectra
from analysis.cells import cells
from analysis.figures import FORMATS, render
from analysis.networks import Selection, exemplars, select
from tests.helpers.analysis_rows import failed, frame, grid, group, row
from tests.helpers.pixels import colours, pixels


def test_a_grid_tells_resolved_unresolved_and_missing_cells_apart():
    table = cells(frame(grid()))
    relu, sigmoid = heatmaps.grid(table, "relu"), heatmaps.grid(table, "sigmoid")
    assert relu.widths.tolist() == [30, 75, 400]
    assert relu.depths.tolist() == [2, 3]
    assert relu.missing.tolist() == [[False, True, False], [False, False, False]]
    assert sigmoid.unresolved.tolist() == [[False, False, False], [True, False, False]]
    assert relu.value[1, 2] == pytest.approx(400 / 3 * 2**0.5)  # the geometric mean of v and 2 v
    assert relu.best == sigmoid.best == (0, 2)


def test_the_numbers_of_a_heat_map_hold_every_cell():
    table = heatmaps.numbers(cells(frame([*grid(), failed("relu", 75, 2)])), "relu")
    assert table.set_index(["width", "depth"])["state"].to_dict() == {
        (30, 2): "resolved",
        (30, 3): "resolved",
        (75, 2): "failed",
        (75, 3): "resolved",
        (400, 2): "resolved",
        (400, 3): "resolved",
    }
    missing = (
        heatmaps.numbers(cells(frame(grid())), "relu").set_index(["width", "depth"]).loc[(75, 2)]
    )
    assert (missing["state"], missing["seeds"]) == ("missing", 0)
    assert np.isnan(missing["geometric_mean"])


@pytest.mark.parametrize(
    "rows",
    [
        grid(),
        [row()],
        [row(lambda_min=0.0)],
        [failed()],
        [row(width=w, lambda_min=1 + w / 1e4) for w in range(1, 70)],
        [
            row(width=w, depth=d, lambda_min=10.0 ** (d % 7))
            for w in range(1, 60)
            for d in range(2, 41)
        ],
    ],
    ids=["grid", "one cell", "one unresolved", "one failed", "many widths", "large"],
)
def test_every_heat_map_can_be_drawn(rows):
    shown = heatmaps.grid(cells(frame(rows)), "relu")
    assert colours(heatmaps.heatmap(shown, "subtitle")) > 10
    assert "Heat map" in heatmaps.alt_text(shown)


def test_unresolved_cells_are_hatched_and_missing_ones_empty():
    rows = [row(width=w, depth=d, lambda_min=1.0 + w) for w in (10, 20) for d in (2, 3)]
    full, hatched, missing = rows, [*rows[:3], row(width=20, depth=3, lambda_min=0.0)], rows[:3]
    images = [
        pixels(heatmaps.heatmap(heatmaps.grid(cells(frame(one)), "relu")))
        for one in (full, hatched, missing)
    ]
    grey = [(abs(image.astype(int) - 0x77).max(axis=1) < 3).mean() for image in images]
    white = [(image == 255).all(axis=1).mean() for image in images]
    assert grey[1] > 5 * max(grey[0], grey[2])
    assert white[2] > white[0] + 0.05


def test_ticks_are_thinned_and_name_actual_widths():
    shown = heatmaps.grid(cells(frame([row(width=7 * w) for w in range(1, 70)])), "relu")
    axes = heatmaps.heatmap(shown).axes[0]
    labels = [int(label.get_text()) for label in axes.get_xticklabels()]
    assert len(labels) == 20
    assert (labels[0], labels[-1]) == (7, 483)
    assert all(
        shown.widths[round(tick)] == label
        for tick, label in zip(axes.get_xticks(), labels, strict=True)
    )


def test_a_spectrum_begins_with_the_greatest_eigenvalue():
    points = spectra.spectrum(np.array([1e-12, 2.0, 5.0]), np.array([1e-9, 1e-9, 1e-9]))
    assert points["eigenvalue"].tolist() == [5.0, 2.0, 1e-12]
    assert points["index"].tolist() == [1, 2, 3]
    assert points["resolved"].tolist() == [True, True, False]
    assert "1 lie below the error bound" in spectra.alt_text(points, "a network")


def test_unresolved_eigenvalues_are_drawn_as_upper_bounds():
    points = spectra.spectrum(np.array([0.0, 1e-10, 2.0]), np.full(3, 1e-9))
    axes = spectra.spectrum_figure(points, "title").axes[0]
    by_label = {line.get_label(): line for line in axes.get_lines()}
    (hollow,) = [line for label, line in by_label.items() if label.startswith("unresolved")]
    assert hollow.get_ydata().tolist() == pytest.approx([1.1e-9, 1e-9])
    assert hollow.get_markerfacecolor() == "none"
    assert by_label["eigenvalue"].get_ydata().tolist() == [2.0]


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ([1.0], 0.0),
        ([0.0], 0.0),
        ([0.0, 0.0], 1e-9),
        ([1e-100, 1e100], 1e-9),
        ([1.0, 1.0], 1e-9),
        ([1.0, 2.0], 0.0),
    ],
)
def test_every_spectrum_can_be_drawn(values, error, recwarn):
    points = spectra.spectrum(np.array(values), np.full(len(values), error))
    assert colours(spectra.spectrum_figure(points, "title")) > 10
    assert [str(warning.message) for warning in recwarn] == []


def test_a_kernel_shows_its_classes():
    theta = np.kron(np.array([[2.0, 1.0], [1.0, 3.0]]), np.ones((10, 10)))
    figure = kernels.kernel_image(theta, "title", 10, (0, 9))
    assert colours(figure) > 20
    assert "Entries run from 1 to 3" in kernels.alt_text(theta, "a network")
    assert colours(kernels.kernel_image(np.ones((1, 1)), "title")) > 10


def test_the_class_boundary_is_marked_only_where_it_is_known():
    assert kernels.class_boundary(group([row()])) == 100
    assert kernels.class_boundary(group([row(data_classes=None, data="npz")])) is None
    assert (
        kernels.class_boundary(group([row(data="digits", n_samples=358)])) is None
    )  # 178 zeros and 180 nines
    assert kernels.class_boundary(group([row(n_samples=7)])) is None


def test_the_networks_of_the_thesis_are_shown_first():
    rows = [
        row("relu", 800, 3, 1),
        row("relu", 800, 3, 0),
        row("relu", 10, 3, kernel_file="k"),
        row("sigmoid", 300, 8, 4),
    ]
    assert exemplars(group(rows).ok)[["act", "seed"]].values.tolist() == [
        ["relu", 0],
        ["sigmoid", 4],
    ]
    assert exemplars(group(rows[2:3]).ok)["width"].tolist() == [10]
    assert len(exemplars(group([row(width=w) for w in range(1, 100)]).ok)) == 0
    assert len(select(group(rows), Selection(act="relu", width=800), kernel=False)) == 2


@pytest.mark.parametrize("kind", FORMATS)
def test_the_same_rows_give_the_same_bytes_and_matplotlib_is_left_alone(kind):
    before = dict(matplotlib.rcParams)

    def draw() -> list[bytes]:
        heat = heatmaps.heatmap(heatmaps.grid(cells(frame(grid())), "sigmoid"))
        points = spectra.spectrum(np.array([0.0, 1.0]), np.full(2, 1e-9))
        return [
            render(figure, kind)
            for figure in (
                heat,
                spectra.spectrum_figure(points, "a"),
                kernels.kernel_image(np.eye(4), "b", 2),
            )
        ]

    first = draw()
    with matplotlib.rc_context({"font.size": 20, "savefig.dpi": 30, "svg.hashsalt": None}):
        second = draw()
    assert first == second
    assert dict(matplotlib.rcParams) == before


def test_hatches_and_frame_stand_on_their_cells():
    # Widths 30, 75, 400 and depths 2, 3: of the sigmoid networks (30, 3) is unresolved and (400, 2)
    # is the greatest.
    axes = heatmaps.heatmap(heatmaps.grid(cells(frame(grid())), "sigmoid")).axes[0]
    (framed,) = axes.patches
    assert framed.get_xy() == (1.5, -0.5)
    (hatched,) = (collection for collection in axes.collections if collection.get_hatch())
    (path,) = hatched.get_paths()
    assert path.get_extents().bounds == (-0.5, 0.5, 1, 1)


def test_a_kernel_image_shows_the_kernel_with_its_first_input_on_top():
    theta = np.arange(16.0).reshape(4, 4)
    image = kernels.kernel_image(theta, "title").axes[0].images[0]
    np.testing.assert_array_equal(image.get_array(), theta)
    assert (image.origin, tuple(image.get_extent())) == ("upper", (0.5, 4.5, 4.5, 0.5))
