"""Protects heat maps: their numbers, and what is seen of them."""

from __future__ import annotations

import numpy as np
import pytest

from ntk_sweep.analysis.drawing import cell_grid
from ntk_sweep.analysis.drawing import heatmap as heatmaps
from ntk_sweep.analysis.rows.best_cells import with_probabilities
from ntk_sweep.analysis.rows.cells import cells
from ntk_sweep.analysis.rows.quantities import LAMBDA_MIN, QUANTITIES
from tests.helpers.analysis_rows import failed, frame, grid, row
from tests.helpers.pixels import colours, pixels


def test_a_grid_tells_resolved_unresolved_and_missing_cells_apart():
    table = cells(frame(grid()))
    relu, sigmoid = cell_grid.grid(table, "relu"), cell_grid.grid(table, "sigmoid")
    assert relu.columns == [30, 75, 400]
    assert relu.rows == [2, 3]
    assert relu.missing.tolist() == [[False, True, False], [False, False, False]]
    assert sigmoid.unresolved.tolist() == [[False, False, False], [True, False, False]]
    assert relu.value[1, 2] == pytest.approx(400 / 3 * 2**0.5)  # the geometric mean of v and 2 v
    assert relu.best == sigmoid.best == (0, 2)


def test_the_numbers_of_a_heat_map_hold_every_cell():
    table = cell_grid.numbers(cells(frame([*grid(), failed("relu", 75, 2)])), "relu")
    assert table.set_index(["width", "depth"])["state"].to_dict() == {
        (30, 2): "resolved",
        (30, 3): "resolved",
        (75, 2): "failed",
        (75, 3): "resolved",
        (400, 2): "resolved",
        (400, 3): "resolved",
    }
    missing = (
        cell_grid.numbers(cells(frame(grid())), "relu").set_index(["width", "depth"]).loc[(75, 2)]
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
    shown = cell_grid.grid(cells(frame(rows)), "relu")
    assert colours(heatmaps.heatmap(shown, "subtitle")) > 10
    assert "Heat map" in cell_grid.alt_text(shown)


def test_unresolved_cells_are_hatched_and_missing_ones_empty():
    rows = [row(width=w, depth=d, lambda_min=1.0 + w) for w in (10, 20) for d in (2, 3)]
    full, hatched, missing = rows, [*rows[:3], row(width=20, depth=3, lambda_min=0.0)], rows[:3]
    images = [
        pixels(heatmaps.heatmap(cell_grid.grid(cells(frame(one)), "relu")))
        for one in (full, hatched, missing)
    ]
    grey = [(abs(image.astype(int) - 0x77).max(axis=1) < 3).mean() for image in images]
    white = [(image == 255).all(axis=1).mean() for image in images]
    assert grey[1] > 5 * max(grey[0], grey[2])
    assert white[2] > white[0] + 0.05


def test_ticks_are_thinned_and_name_actual_widths():
    shown = cell_grid.grid(cells(frame([row(width=7 * w) for w in range(1, 70)])), "relu")
    axes = heatmaps.heatmap(shown).axes[0]
    labels = [int(label.get_text()) for label in axes.get_xticklabels()]
    assert len(labels) == 20
    assert (labels[0], labels[-1]) == (7, 483)
    assert all(
        shown.columns[round(tick)] == label
        for tick, label in zip(axes.get_xticks(), labels, strict=True)
    )


def test_hatches_and_frame_stand_on_their_cells():
    # Widths 30, 75, 400 and depths 2, 3: of the sigmoid networks (30, 3) is unresolved and (400, 2)
    # is the greatest.
    axes = heatmaps.heatmap(cell_grid.grid(cells(frame(grid())), "sigmoid")).axes[0]
    (framed,) = axes.patches
    assert framed.get_xy() == (1.5, -0.5)
    (hatched,) = (collection for collection in axes.collections if collection.get_hatch())
    (path,) = hatched.get_paths()
    assert path.get_extents().bounds == (-0.5, 0.5, 1, 1)


def test_frames_stand_on_the_cells_that_may_have_the_greatest_geometric_mean():
    # The arithmetic means are 5, 4, 4; the geometric ones 3, 4, 3.98. The seeds of the latter two
    # are as good as equal, and either may draw the greater one.
    seeds = {50: (1.0, 9.0), 60: (3.9, 4.1), 70: (3.9, 4.07), 80: (1.0, 1.1), 90: (9.0, 1e-12)}
    rows = frame(
        [
            row(width=width, seed=seed, lambda_min=value)
            for width, both in seeds.items()
            for seed, value in enumerate(both)
        ]
    )
    table = with_probabilities(cells(rows), rows, LAMBDA_MIN, ("width", "depth"))
    found = table.set_index("width")["probability"]
    # Of two seeds the draws are both the first, mixed or both the second with 1/4, 1/2, 1/4. The
    # logarithms' mean of 50 is above all others where both are 9, and else below. The others are
    # equal where both draw 3.9 twice, and share that.
    assert found.to_numpy()[:4] == pytest.approx(
        [1 / 4, 3 / 4 * 10.5 / 16, 3 / 4 * 5.5 / 16, 0], abs=0.015
    )
    assert np.isnan(found[90])
    shown = cell_grid.grid(table, "relu")
    assert (shown.best, shown.likely) == ((0, 1), ((0, 0), (0, 1), (0, 2)))
    figure = heatmaps.heatmap(shown)
    assert [patch.get_xy() for patch in figure.axes[0].patches] == [
        (-0.5, -0.5),
        (0.5, -0.5),
        (1.5, -0.5),
    ]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[0] == "greatest mean: probability above 5 %"
    assert "3 cells have it with more than 5 %" in cell_grid.alt_text(shown)
    assert cell_grid.numbers(table, "relu")["probability"][:4].tolist() == found[:4].tolist()


def test_the_cells_of_other_maps_are_no_rivals():
    rows = frame([row(width=w, depth=d, seed=s, lambda_min=w * d) for w in (1, 2) for d in (1, 2)
                  for s in (0, 1)])  # fmt: skip
    apart = with_probabilities(cells(rows), rows, LAMBDA_MIN, ("width", "weight_std"))
    assert apart.set_index(["width", "depth"])["probability"].to_dict() == {
        (1, 1): 0, (1, 2): 0, (2, 1): 1, (2, 2): 1
    }  # fmt: skip


ROWS = {
    "grid": grid(),
    "one cell": [row()],
    "failed": [failed()],
    "negative": [row(class_contrast=-0.1), row(seed=1)],
}


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        *(pytest.param(name, ROWS["grid"], id=f"grid-{name}") for name in QUANTITIES),
        *(
            pytest.param(name, rows, id=f"{kind}-{name}")
            for kind, rows in ROWS.items()
            for name in ("lambda_min", "class_contrast", "ratio")
            if kind != "grid"
        ),
    ],
)
def test_every_quantity_can_be_drawn(name, rows):
    quantity = QUANTITIES[name]
    shown = cell_grid.grid(cells(frame(rows), quantity), "relu", quantity)
    assert colours(heatmaps.heatmap(shown, "subtitle")) > 10
    assert quantity.words in cell_grid.alt_text(shown)
    assert (
        cell_grid.numbers(cells(frame(rows), quantity), "relu", quantity)["state"]
        .isin(["resolved", "unresolved", "missing", "failed"])
        .all()
    )
