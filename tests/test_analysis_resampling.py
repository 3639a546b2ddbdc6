"""Bootstrap over seeds, spread, and numbers inside a page, against independent reckoning."""

from __future__ import annotations

import base64
import gzip
import itertools

import numpy as np
import pytest
from scipy.stats import bootstrap

from analysis import heatmaps, spread
from analysis.cells import cells
from analysis.contenders import contenders, contenders_table, probabilities
from analysis.explorer import ENDS, thinned
from analysis.formats import markdown
from analysis.packing import Packer, rounded
from analysis.resampling import ENUMERATED, draws, mean_intervals, probability_greatest, tail
from analysis.table1 import table1
from tests.helpers.analysis_rows import failed, frame, grid, group, row


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


def test_cells_have_the_interval_of_each_mean():
    rows = [
        row(seed=seed, lambda_min=value) for seed, value in enumerate((1.0, 2.0, 4.0, 8.0, 16.0))
    ]
    cell = cells(
        frame([*rows, row(width=7), row(width=8), row(width=8, seed=1, lambda_min=0.0)])
    ).set_index("width")
    low, high = mean_intervals(np.array([[1.0, 2.0, 4.0, 8.0, 16.0]]))
    assert (cell["low"][100], cell["high"][100]) == (low[0], high[0])
    low, high = mean_intervals(np.log(np.array([[1.0, 2.0, 4.0, 8.0, 16.0]])))
    assert (cell["geometric_low"][100], cell["geometric_high"][100]) == pytest.approx(
        (np.exp(low[0]), np.exp(high[0]))
    )
    assert (
        cell.loc[[7, 8], ["low", "high", "geometric_low", "geometric_high"]].isna().all(axis=None)
    )


def test_table_1_says_how_probable_its_cells_are():
    one = group(
        [
            row(width=w, seed=s, lambda_min=value + s)
            for w, value in ((10, 1.0), (20, 1.2), (30, 50.0))
            for s in (0, 1)
        ]
    )
    assert probabilities(one.rows)["probability"].tolist() == [0, 0, 1]
    text = markdown(table1(one, cells(one.rows)))
    assert "100 %" in text
    assert "50.0 to 51.0" in text
    assert "With fewer than five seeds the interval is their range" in text
    assert contenders(one.rows, cells(one.rows))["width"].tolist() == [30]


def test_single_seeds_tell_no_probability():
    one = group([row(), row(width=50), failed(width=60)])
    assert probabilities(one.rows)["probability"].isna().all()
    assert contenders_table(one, contenders(one.rows, cells(one.rows))).rows == []
    assert spread.missing(cells(one.rows)).startswith("Every cell holds one seed")
    assert spread.missing(cells(frame([failed()]))) == "There is no cell with a resolved λ_min."


def test_an_unresolved_cell_is_no_contender():
    rows = [row(seed=s, lambda_min=1.0 + s) for s in (0, 1)] + [
        row(width=50, seed=0, lambda_min=9.0),
        row(width=50, seed=1, lambda_min=0.0),
    ]
    assert probabilities(frame(rows))["width"].tolist() == [100]


def test_spreads_of_all_activations_have_the_same_colours():
    values = {"relu": (1.0, 3.0), "elu": (9.0, 11.0)}
    rows = [
        row(act, seed=seed, lambda_min=value)
        for act in values
        for seed, value in enumerate(values[act])
    ]
    statistics = cells(frame(rows))
    scale = spread.scale(statistics)
    figures = [
        heatmaps.heatmap(spread.spread_grid(statistics, act), "", scale) for act in ("relu", "elu")
    ]
    ends = [
        (norm.vmin, norm.vmax)
        for norm in (figure.axes[0].collections[0].norm for figure in figures)
    ]
    assert ends == [pytest.approx((0.2 / np.sqrt(2), 1 / np.sqrt(2)))] * 2


def test_spread_is_the_sd_over_the_mean():
    statistics = cells(frame([*grid(seeds=3), row("relu", 75, 2, 0, 5.0)]))
    shown = spread.spread_grid(statistics, "relu")
    assert shown.value[0, 0] == pytest.approx(0.5)  # values v, 2 v, 3 v
    assert shown.unresolved[0, 1]  # a single seed
    assert shown.best is None
    table = spread.numbers(statistics, "relu").set_index(["width", "depth"])["spread"]
    assert table[30, 2] == pytest.approx(0.5)
    assert np.isnan(table[75, 2])


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


def test_thinned_spectra_keep_their_ends():
    np.testing.assert_array_equal(thinned(30, 40), np.arange(30))
    kept = thinned(1000, 50)
    assert len(kept) <= 50
    assert kept[:ENDS].tolist() == list(range(ENDS))
    assert kept[-ENDS:].tolist() == list(range(1000 - ENDS, 1000))
    assert (np.diff(kept) > 0).all()


def test_the_error_of_a_geometric_mean_holds_what_rounding_may_do():
    values, errors = (1.0, 100.0, 3.0), (1e-9, 1e-9, 0.5)
    rows = [
        row(seed=seed, lambda_min=value, error_bound=error)
        for seed, (value, error) in enumerate(zip(values, errors, strict=True))
    ]
    for count in (1, 2, 3):
        (cell,) = cells(frame(rows[:count])).to_dict("records")
        corners = [
            np.exp(
                np.log(
                    [
                        value + sign * error
                        for value, error, sign in zip(values, errors, signs, strict=False)
                    ]
                ).mean()
            )
            for signs in itertools.product((-1, 1), repeat=count)
        ]
        worst = np.abs(np.array(corners) - cell["geometric_mean"]).max()
        assert cell["geometric_error"] == pytest.approx(worst, rel=1e-5)
