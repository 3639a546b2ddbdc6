"""Protects eigenvalues in double-double that are computed in blocks."""

import numpy as np
import pytest
import torch

from ntk_sweep.numerics import graded_eigenvalues, gram_tiles
from ntk_sweep.numerics.double_double import from_float64, gram
from ntk_sweep.numerics.graded_eigenvalues import graded_spectrum


def rows(count, features, spread):
    generator = torch.Generator().manual_seed(3)
    size = torch.logspace(0, -spread, features, dtype=torch.float64)
    return torch.randn(count, features, generator=generator, dtype=torch.float64) * size


@pytest.mark.parametrize("spread", [1, 6, 12])
@pytest.mark.parametrize("start", [True, False])
def test_blocks_give_the_same_eigenvalues(monkeypatch, spread, start):
    factor = rows(23, 23, spread)
    theta = from_float64(factor @ factor.T)
    vectors = torch.linalg.eigh(theta.hi + 1e-9).eigenvectors if start else None
    whole = graded_spectrum(theta, 2, vectors)
    monkeypatch.setattr(graded_eigenvalues, "ROWS", 8)
    monkeypatch.setattr(graded_eigenvalues, "COLUMNS", 5)
    blocks = graded_spectrum(theta, 2, vectors)
    error = whole.relative * whole.eigenvalues + whole.absolute
    assert ((blocks.eigenvalues - whole.eigenvalues).abs() <= error).all()
    assert blocks.relative == pytest.approx(whole.relative, rel=0.5, abs=1e-15)
    assert blocks.absolute == pytest.approx(whole.absolute, rel=0.5)
    assert (blocks.vectors.T @ blocks.vectors - torch.eye(23)).abs().max() < 1e-12


@pytest.mark.parametrize("orders", [1, 2])
@pytest.mark.parametrize("centred", [True, False])
def test_a_tile_is_a_part_of_the_gram_matrix(orders, centred):
    a = rows(12, 30, 3)
    centre = 1e3 * rows(1, 30, 0) if centred else None
    whole, tile = gram(a, centre, orders), gram_tiles.gram_tile(a[:5], a[5:], centre, orders)
    upper = np.triu_indices(12)
    places = {place: index for index, place in enumerate(zip(*upper, strict=True))}
    wanted = torch.tensor([[places[i, j] for j in range(5, 12)] for i in range(5)])
    difference = (tile.hi - whole.hi[wanted]) + (tile.lo - whole.lo[wanted])
    largest = float(whole.hi.abs().max())
    assert float(difference.abs().max()) <= 2.0 ** (-21 * orders - 53) * 64 * largest
    assert bool((tile.lo != 0).any())
