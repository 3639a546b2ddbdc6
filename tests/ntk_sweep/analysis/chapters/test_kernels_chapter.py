"""Protects kernel images: first input on top, classes marked where they are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ntk_sweep.analysis.chapters import kernels
from ntk_sweep.analysis.rows.study import studies
from ntk_sweep.store.store import Store
from tests.helpers.analysis_rows import group, row, store
from tests.helpers.pixels import colours


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


def test_a_kernel_image_shows_the_kernel_with_its_first_input_on_top():
    theta = np.arange(16.0).reshape(4, 4)
    image = kernels.kernel_image(theta, "title").axes[0].images[0]
    np.testing.assert_array_equal(image.get_array(), theta)
    assert (image.origin, tuple(image.get_extent())) == ("upper", (0.5, 4.5, 4.5, 0.5))


BLOCKS = np.kron(np.array([[2.0, 1.0], [1.0, 2.0]]), np.ones((10, 10)))


def test_what_is_left_after_centring_is_drawn_beside_the_kernel():
    # rows and columns that are constant hide the blocks of the classes
    theta = 1e6 + np.add.outer(np.arange(20.0), np.arange(20.0)) + BLOCKS
    figure = kernels.kernel_image(theta, "title", 10, (0, 9))
    # entries from 1000002 to 1000040
    assert figure.axes[2].get_ylabel() == r"$\Theta_{ij}$, all within 4e-05 of the greatest"
    assert figure.axes[3].get_ylabel() == r"$(H\Theta H)_{ij}$"
    kernel, rest = (axes.images[0].get_array() for axes in figure.axes[:2])
    np.testing.assert_array_equal(kernel, theta)
    np.testing.assert_allclose(rest, BLOCKS - 1.5, atol=1e-8)


@pytest.mark.parametrize(
    ("theta", "dtype"),
    [
        (np.full((20, 20), 1 / 3), "float64"),
        (1e7 + BLOCKS, "float32"),
        (np.ones((1, 1)), "float64"),
    ],
)
def test_what_may_be_rounding_is_not_drawn(theta, dtype):
    assert kernels.centred(theta, dtype) is None
    figure = kernels.kernel_image(theta, "title", dtype=dtype)
    assert sum(bool(axes.images) for axes in figure.axes) == 1


def test_the_table_tells_scale_from_order():
    one = group([row(), row("sigmoid"), row("elu", centred_alignment=None)])
    lines = {line["act"]: line for _, line in one.rows.iterrows()}
    large = kernels.structure(BLOCKS, lines["relu"])
    small = kernels.structure(1e6 + BLOCKS, lines["sigmoid"])
    flat = kernels.structure(np.ones((20, 20)), lines["elu"])
    assert large["centred"] == pytest.approx(0.5 / np.sqrt(2.5))
    assert small["varying"] == pytest.approx(0.5e-6, rel=1e-3)
    assert np.isnan(flat["centred"]) and np.isnan(flat["centred_alignment"])
    large["centred_alignment"], small["centred_alignment"] = 0.75, 0.8
    table = kernels.structure_table(one, pd.DataFrame([large, small, flat]))
    assert table.rows[2][-2:] == ["—", "—"]
    assert table.notes[-1].endswith(
        "differs by a factor of up to 6.3e+05, centred alignment by up to 0.050."
    )


def test_the_table_stands_with_the_images_and_not_without(tmp_path):
    lines = [row("relu", 800, 3), row("sigmoid", 300, 8)]
    for line in lines:
        line["kernel_file"] = Store(str(tmp_path), "spectrum").save_kernel(line["key"], BLOCKS)
    (study,) = studies(store(tmp_path, lines))
    content = kernels.CHAPTER.content(study)
    assert [line[0] for line in content.tables[0].table.rows] == ["ReLU 800 × 3", "Sigmoid 300 × 8"]
    assert len(content.figures) == 2
    (bare,) = studies(store(tmp_path / "bare", [row()]))
    assert kernels.CHAPTER.content(bare).tables == []
