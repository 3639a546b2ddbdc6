"""Protects which rows are drawn together, and which outcomes change places."""

from __future__ import annotations

import numpy as np
import pytest

from ntk_sweep.analysis.statistics.resampling import permutations, resample_cells


@pytest.mark.parametrize("kind", [str, object])
def test_rows_of_a_cell_are_drawn_together(kind):
    cells = np.array(["b", "a", "b", "c", "a", "a"], dtype=kind)
    found = resample_cells(cells, resamples=400)
    rows = found.of_rows()
    for cell in "abc":
        own = rows[:, cells == cell]
        assert (own == own[:, :1]).all()
    assert (rows[:, [0, 1, 3]].sum(axis=1) == 3).all(), "as many cells as there are"
    assert found.clusters == 3
    assert rows.mean(axis=0) == pytest.approx(np.ones(6), abs=0.15)


def test_cells_of_several_columns():
    pairs = np.array([[1, 2], [1, 3], [1, 2]])
    assert resample_cells(pairs).unit.tolist() == [0, 1, 0]


def test_crossed_factors_multiply():
    cells, pairs = np.repeat(np.arange(5), 3), np.tile(np.arange(3), 5)
    rows = resample_cells(cells, pairs, resamples=50).of_rows().reshape(50, 5, 3)
    assert (rows.sum(axis=(1, 2)) == 15).all()
    assert all(np.linalg.matrix_rank(one) <= 1 for one in rows)
    assert resample_cells(cells, pairs).clusters == 3


def test_same_seed_same_resamples():
    first, second, other = (resample_cells(np.arange(9), seed=seed).weights for seed in (1, 1, 2))
    assert (first == second).all() and (first != other).any()


@pytest.mark.parametrize("factors", [(), (np.array([]),)])
def test_nothing_to_draw_is_a_mistake(factors):
    with pytest.raises(ValueError, match="of no rows were given"):
        resample_cells(*factors)


def test_permutations_stay_in_their_stratum():
    strata = np.array([0, 1, 0, 1, 1, 0])
    found = permutations(strata, count=300)
    assert (np.sort(found, axis=1) == np.arange(6)).all()
    assert (strata[found] == strata).all()
    # Each row takes each place of its stratum about equally often.
    assert all(abs((found[:, 0] == place).mean() - 1 / 3) < 0.1 for place in (0, 2, 5))


def test_cells_change_places_jointly():
    strata, cells = np.array([0, 0, 0, 1, 1, 1]), np.array([7, 8, 9, 9, 7, 8])
    found = permutations(strata, cells, count=100)
    assert (np.sort(found, axis=1) == np.arange(6)).all() and (strata[found] == strata).all()
    taken = cells[found]
    for cell in (7, 8, 9):
        assert (taken[:, cells == cell].T[0] == taken[:, cells == cell].T).all()


def test_a_grid_with_holes_has_no_joint_permutations():
    with pytest.raises(ValueError, match="2 rows in 2 of 3 cells"):
        permutations(np.array([0, 0, 0, 1, 1]), np.array([1, 2, 3, 1, 2]))
