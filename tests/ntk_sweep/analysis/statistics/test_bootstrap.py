"""Protects the bootstrap: draws, intervals and probabilities against independent reckoning."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import bootstrap, norm, t

from ntk_sweep.analysis.statistics import bootstrap as bootstrap_module
from ntk_sweep.analysis.statistics.bootstrap import (
    ENUMERATED,
    draws,
    mean_intervals,
    probability_greatest,
    tail,
)


@pytest.mark.parametrize("seeds", range(1, ENUMERATED + 1))
def test_all_draws_are_enumerated_with_their_probabilities(seeds):
    shares, probability = draws(seeds)
    every = np.array(
        [
            np.bincount(draw, minlength=seeds)
            for draw in itertools.product(range(seeds), repeat=seeds)
        ]
    )
    unique, counts = np.unique(every, axis=0, return_counts=True)
    order = np.lexsort((shares * seeds).T[::-1])
    np.testing.assert_array_equal((shares * seeds)[order], unique)
    np.testing.assert_allclose(probability[order], counts / counts.sum())


def test_many_seeds_are_drawn_the_same_every_time():
    draws.cache_clear()
    first = draws(20)[0]
    draws.cache_clear()
    np.testing.assert_array_equal(first, draws(20)[0])
    assert first.sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize(("seeds", "least"), [(5, 0.90), (6, 0.92), (10, 0.92), (30, 0.93)])
def test_intervals_hold_the_mean_as_often_as_they_say(seeds, least):
    values = np.random.default_rng(seeds).standard_normal((3000, seeds))
    low, high = mean_intervals(values)
    assert least <= ((low < 0) & (high > 0)).mean() <= 0.965


def test_few_seeds_have_their_range_and_one_has_none():
    low, high = mean_intervals(np.array([[3.0, 1.0], [5.0, 5.0]]))
    assert (low.tolist(), high.tolist()) == ([1.0, 5.0], [3.0, 5.0])
    assert np.isnan(mean_intervals(np.ones((2, 1)))).all()
    assert tail(10**6) == pytest.approx(0.025, rel=1e-3)
    # Student's t of four degrees of freedom is 2.776 at 97.5 %, and √(5/4) of it 3.104.
    assert tail(5) == pytest.approx(9.54e-4, rel=1e-3)


@pytest.mark.parametrize("seeds", [3, 5, 6, 12, 40])
def test_intervals_are_those_of_scipy_at_the_expanded_level(seeds):
    values = np.random.default_rng(seeds).lognormal(size=seeds)
    level = 1 - 2 * tail(seeds)
    other = bootstrap(
        (values,),
        np.mean,
        n_resamples=50_000,
        method="percentile",
        confidence_level=level,
        rng=np.random.default_rng(1),
    )
    (low,), (high,) = mean_intervals(values[None])
    # Exact up to `ENUMERATED` seeds; above, both rest on random draws.
    near = 1e-9 if seeds <= ENUMERATED else 0.15 * values.std() / np.sqrt(seeds)
    assert (low, high) == pytest.approx(tuple(other.confidence_interval), abs=near)


@pytest.mark.parametrize("seeds", [5, 20])
def test_either_side_of_an_interval_has_the_same_part_of_the_draws(seeds):
    values = np.random.default_rng(seeds).lognormal(size=(1, seeds))
    shares, probability = draws(seeds)
    low, high = mean_intervals(values)
    mean = (values @ shares.T)[0]
    assert probability[mean < low].sum() <= tail(seeds) < probability[mean <= low].sum()
    assert probability[mean > high].sum() <= tail(seeds) < probability[mean >= high].sum()
    np.testing.assert_allclose(mean_intervals(-values), (-high, -low), rtol=1e-12)


def test_the_probability_to_be_the_greatest_is_that_of_every_possible_draw():
    rng = np.random.default_rng(3)
    values = [
        level + scale * rng.standard_normal(n)
        for level, scale, n in ((3, 1, 3), (3.2, 0.6, 3), (0, 0.1, 2), (3, 0.5, 2))
    ]
    means = [
        np.array([np.mean(draw) for draw in itertools.product(one, repeat=len(one))])
        for one in values
    ]
    exact = [
        np.mean(
            [
                np.prod([(other < mine).mean() for other in means[:place] + means[place + 1 :]])
                for mine in means[place]
            ]
        )
        for place in range(4)
    ]
    found = probability_greatest(values)
    assert sum(exact) == pytest.approx(1)  # no two cells tie
    assert sorted(exact)[2] > 0.1
    assert found == pytest.approx(exact, abs=0.015)
    assert found[2] == 0


def test_a_single_draw_that_may_win_leaves_no_probability():
    several, lower = np.array([1.0, 3.0]), np.array([0.5])
    assert probability_greatest([several, lower]).tolist() == [1, 0]
    for single in (2.0, 9.0):
        assert np.isnan(probability_greatest([several, np.array([single])])).all()


def test_cells_of_equal_values_are_equally_probable():
    values = np.arange(1.0, 4.0)
    found = probability_greatest([values - 4, values, values, values])
    assert found[0] == 0 and found.sum() == pytest.approx(1)
    assert found[1:] == pytest.approx(np.full(3, 1 / 3), abs=0.015)


def test_above_the_normal_number_of_seeds_the_same_is_said_without_draws(monkeypatch):
    values = np.random.default_rng(3).gamma(2.0, size=(2, 1500))
    drawn = mean_intervals(values)
    contest = probability_greatest([values[0], values[1] + values[0].mean() - values[1].mean()])
    monkeypatch.setattr(bootstrap_module, "NORMAL", 1000)
    width = drawn[1] - drawn[0]
    for normal, own in zip(mean_intervals(values), drawn, strict=True):
        np.testing.assert_allclose(normal, own, atol=0.05 * width.max())
    again = probability_greatest([values[0], values[1] + values[0].mean() - values[1].mean()])
    np.testing.assert_allclose(again, contest, atol=0.02)
    np.testing.assert_allclose(again, 0.5, atol=0.02)


def test_normal_means_have_students_interval_and_their_own_standard_error(monkeypatch):
    monkeypatch.setattr(bootstrap_module, "NORMAL", 2)
    values = np.array([1.0, 2.0, 6.0])
    expected = t.interval(0.95, 2, values.mean(), values.std(ddof=1) / np.sqrt(3))
    assert np.ravel(mean_intervals(values[None])) == pytest.approx(expected)
    gap = values.std() * np.sqrt(2 / 3)
    found = probability_greatest([values, values + gap])
    assert found[1] == pytest.approx(norm.cdf(1), abs=0.015)
