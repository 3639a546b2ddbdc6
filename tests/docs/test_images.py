"""Protects the spread over images beside that over seeds."""

from __future__ import annotations

import numpy as np
import torch

from docs.tools import images


def test_each_spread_is_that_of_its_factor():
    draws, seeds = np.arange(images.DRAWS), np.arange(images.SEEDS)
    values = 10.0 + draws[:, None] + 0 * seeds
    _, mean, over_seeds, over_both, seeds_sd, images_sd = images.line(("relu", 10, 2), values)
    assert float(mean) == values.mean()
    assert (float(seeds_sd), float(images_sd)) == (0.0, float(f"{draws.std(ddof=1):.3g}"))
    low, high = map(float, over_seeds.split(" to "))
    assert low == high
    low, high = map(float, over_both.split(" to "))
    assert low < values.mean() < high


def test_a_draw_takes_images_of_both_classes_once():
    labels = np.repeat([0, 9, 5], 120)
    pixels = np.arange(360.0)[:, None, None] * np.ones((1, 2, 2))
    drawn = images.subset(pixels, labels, 3) * images.WHITE
    numbers = drawn[:, 0].round().to(torch.int64)
    assert drawn.shape == (200, 4)
    assert len(set(numbers.tolist())) == 200
    assert (labels[numbers] == np.repeat([0, 9], 100)).all()
    assert not torch.equal(drawn, images.subset(pixels, labels, 4) * images.WHITE)
