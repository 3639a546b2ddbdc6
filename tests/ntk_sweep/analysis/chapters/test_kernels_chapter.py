"""Protects kernel images: first input on top, classes marked where they are known."""

from __future__ import annotations

import numpy as np

from ntk_sweep.analysis.chapters import kernels
from tests.helpers.analysis_rows import group, row
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
