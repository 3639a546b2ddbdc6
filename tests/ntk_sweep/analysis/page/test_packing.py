"""Protects numbers inside a page: they can be read back."""

from __future__ import annotations

import base64
import gzip

import numpy as np
import pytest

from ntk_sweep.analysis.page.packing import Packer, rounded


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
    raw = gzip.decompress(base64.b64decode(packer.text()))
    for place, values in zip(places, (first, second), strict=True):
        block = np.frombuffer(raw, np.uint8)[
            place["offset"] : place["offset"] + 8 * place["length"]
        ].reshape(8, -1)
        np.testing.assert_allclose(block.T.copy().view("<f8")[:, 0], values.ravel(), rtol=2**-20)
    assert packer.text() == packer.text()
