"""Protects numbers inside a page: they can be read back."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from ntk_sweep.analysis.drawing.rendering import render
from ntk_sweep.analysis.page.packing import Packer, as_text, rounded
from ntk_sweep.analysis.page.pictures import slimmed
from tests.helpers.report_pages import inflated, numbers_at


@pytest.mark.parametrize("bits", [4, 12, 20])
def test_numbers_keep_their_leading_bits(bits):
    values = np.concatenate(
        [
            np.random.default_rng(0).standard_normal(1000) * 10.0 ** np.arange(-150, 150, 0.3),
            [0.0, 1.0, -5e-324],
        ]
    )
    kept = rounded(values, bits)
    ordinary = np.abs(values) > 1e-300
    assert np.abs(kept[ordinary] / values[ordinary] - 1).max() <= 2.0 ** -(bits + 1)
    above = np.abs(rounded(values, bits, up=True))
    assert (above >= np.abs(values)).all()
    assert (above[ordinary] / np.abs(values[ordinary])).max() <= 1 + 2.0**-bits
    strange = np.array([np.nan, np.inf, -np.inf, 1.7976931348623157e308])
    np.testing.assert_array_equal(rounded(strange, bits)[:3], strange[:3])


def test_packed_numbers_can_be_read_back():
    packer = Packer()
    first, second = np.arange(5.0), np.array([[1e-12, np.nan], [-3.0, 7e300]])
    places = [packer.add(first), packer.add(second)]
    strange = np.array([[1e300, 5e-324, 0.0], [-2.5, np.inf, np.nan], [-np.inf, 1.0, 1e-12]])
    logs = packer.add_logs(strange, 2048)
    bounds = packer.add_logs(np.abs(strange), 16, up=True)
    raw = inflated(packer.text())
    for place, values in zip(places, (first, second), strict=True):
        np.testing.assert_allclose(numbers_at(raw, place), values.ravel(), rtol=2**-20)
    np.testing.assert_allclose(numbers_at(raw, logs), strange.ravel(), rtol=1.7e-4)
    known = np.isfinite(strange.ravel()) & (strange.ravel() != 0)
    above = numbers_at(raw, bounds)[known] / np.abs(strange.ravel()[known])
    assert (above >= 1).all() and above.max() < 1.05
    assert packer.text() == packer.text()


def test_text_of_a_block_can_stand_in_a_script():
    raw = np.random.default_rng(0).bytes(100_000)
    assert not set("<>&\"'\\") & set(as_text(raw))


def test_a_slimmed_figure_is_the_same_to_the_eye():
    figure = Figure(figsize=(3, 2))
    axes = figure.subplots()
    axes.imshow(np.random.default_rng(0).random((80, 80)), interpolation="none")
    axes.plot([0.1234567, 79], [3, 7.7654321])
    svg = render(figure, "svg")
    small = slimmed(svg)
    assert len(small) < 0.7 * len(svg)
    images = [
        Image.open(io.BytesIO(base64.b64decode(re.search(rb"base64,\s*([^\"]*)", one)[1])))
        for one in (svg, small)
    ]
    assert images[1].mode == "P"
    np.testing.assert_array_equal(*(np.asarray(one.convert("RGB")) for one in images))
    for text in (svg, small):  # what is referred to is still there
        named = set(re.findall(rb' id="([^"]*)"', text))
        assert set(re.findall(rb"(?:url\(|href=\")#([^)\"]*)", text)) <= named
    scales = [
        [float(one) for one in re.findall(rb"scale\((-?[\d.]+)", text)] for text in (svg, small)
    ]
    assert scales[1] == pytest.approx(scales[0], rel=5e-3) and min(scales[0]) < 0.02  # letters
