"""Protects eigenvalues in double-double: mpmath gives the same, and so do blocks."""

from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
import torch

from ntk_sweep.numerics import congruence, graded_eigenvalues, gram_tiles
from ntk_sweep.numerics.double_double import (
    DoubleDouble,
    from_float64,
)
from ntk_sweep.numerics.graded_eigenvalues import graded_spectrum
from ntk_sweep.numerics.gram_matrices import (
    centre_terms,
    gram,
)
from ntk_sweep.numerics.sliced_products import powers


def rows(count, features, spread):
    generator = torch.Generator().manual_seed(3)
    size = torch.logspace(0, -spread, features, dtype=torch.float64)
    return torch.randn(count, features, generator=generator, dtype=torch.float64) * size


def normal(*shape):
    return torch.randn(
        *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape))
    )


def gram_of(factor):
    theta = factor @ factor.T
    return (theta + theta.T) / 2


def plane(angle):
    """Eigenvectors of a diagonal matrix, turned."""
    return torch.tensor([[angle, 1], [1, -angle]], dtype=torch.float64)


def diagonal(*values):
    return torch.diag(torch.tensor(values, dtype=torch.float64))


FULL = {spread: gram_of(normal(10, 10) * torch.logspace(0, -spread, 10)) for spread in (3, 8, 12)}
WHOLE = gram_of((4 * normal(10, 4)).round())
"""Of rank 4, exactly."""

NEARLY_EQUAL = torch.ones(10, 10, dtype=torch.float64) + torch.diag(
    torch.arange(10, dtype=torch.float64) * 2.0**-45
)
STARTS = {
    **{f"10^-{spread}": (theta, 0.0) for spread, theta in FULL.items()},
    **{f"float32, 10^-{spread}": (theta, None) for spread, theta in FULL.items()},
    **{f"10^-{spread}, V off": (theta, 1e-5) for spread, theta in FULL.items()},
    "V far off": (FULL[3], 1e-2),
    "of no full rank": (gram_of(normal(10, 4)), 0.0),
    "of no full rank, float32": (WHOLE, None),
    **{f"a null space that V misses by {off}": (diagonal(0, 1), off) for off in (3e-8, 3e-7)},
    "slightly negative": (WHOLE - 1e-9 * torch.eye(10), 0.0),
    "nearly equal rows": (NEARLY_EQUAL, 0.0),
}


def assert_within(theta, spectrum):
    with mp.workdps(60):
        exact = sorted(mp.eigsy(mp.matrix(theta.tolist()), eigvals_only=True))
        errors = spectrum.relative * spectrum.eigenvalues + spectrum.absolute
        for value, wanted, error in zip(
            spectrum.eigenvalues.tolist(), exact, errors.tolist(), strict=True
        ):
            assert abs(mp.mpf(value) - wanted) <= error


@pytest.mark.parametrize("orders", [1, 2, 3])
@pytest.mark.parametrize("start", STARTS)
def test_bounds_hold_against_mpmath(start, orders):
    """From LAPACK's vectors, from those rounded to float32 and from such that are off."""
    theta, noise = STARTS[start]
    vectors = torch.linalg.eigh(theta).eigenvectors
    if noise is None:
        vectors = vectors.float().double()
    elif noise:
        vectors = vectors + noise * normal(*vectors.shape)
    assert_within(theta, graded_spectrum(from_float64(theta), orders, vectors))


PAIR = torch.tensor([[2.0, 1.0], [1.0, 2.0]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("theta", "vectors"),
    [
        (diagonal(1, 4), plane(9e-8).flip(1)),
        (torch.block_diag(1e-20 * PAIR, diagonal(1)), torch.eye(3, dtype=torch.float64)),
        (torch.block_diag(1e-2 * PAIR, diagonal(1)), torch.eye(3, dtype=torch.float64)),
        (diagonal(0, 1), torch.tensor([[1, 3e-8], [1e-7, 1]], dtype=torch.float64)),
        (torch.tensor([[1e-8, 9e-5], [9e-5, 1.0]]).double(), torch.eye(2, dtype=torch.float64)),
    ],
    ids=["small angles", "null space", "no angles", "poor columns", "Weyl"],
)
def test_bounds_cover_what_rotations_leave(theta, vectors, monkeypatch):
    monkeypatch.setattr(graded_eigenvalues, "MAX_ROTATIONS", 0)
    spectrum = graded_spectrum(from_float64(theta), 1, vectors)
    assert_within(theta, spectrum)
    # the small ones do not spoil the greatest
    assert spectrum.relative + spectrum.absolute <= 0.75


def test_bounds_cover_what_poor_eigenvalues_of_a_rotation_leave(monkeypatch):
    """A noisy null space makes them far too large, and V is orthonormal to rounding only."""
    size, rotation = 300, graded_eigenvalues._rotation

    def poor(off, diagonal):
        turned, values = rotation(off, diagonal)
        return turned, 1e6 * values

    monkeypatch.setattr(graded_eigenvalues, "_rotation", poor)
    theta = torch.ones(size, size).double() + 2.0**-10 * torch.eye(size).double()
    vectors = torch.linalg.eigh(theta).eigenvectors + 1e-5 * normal(size, size)
    spectrum = graded_spectrum(from_float64(theta), 2, torch.linalg.qr(vectors).Q)
    greatest = spectrum.eigenvalues[-1].item()
    error = abs(Fraction(greatest) - size - Fraction(1, 2**10))
    assert error <= spectrum.relative * greatest + spectrum.single[-1].item()
    assert spectrum.absolute <= 1e-5 * greatest


@pytest.mark.parametrize("spread", [1, 6, 12])
@pytest.mark.parametrize("start", [True, False])
def test_blocks_give_the_same_eigenvalues(monkeypatch, spread, start):
    factor = rows(23, 23, spread)
    theta = from_float64(factor @ factor.T)
    vectors = torch.linalg.eigh(theta.hi + 1e-9).eigenvectors if start else None
    whole = graded_spectrum(theta, 2, vectors)
    for module in (congruence, graded_eigenvalues):
        monkeypatch.setattr(module, "GRADED_ROWS", 8)
        monkeypatch.setattr(module, "COLUMNS", 5)
    blocks = graded_spectrum(theta, 2, vectors)
    error = whole.relative * whole.eigenvalues + whole.absolute
    assert ((blocks.eigenvalues - whole.eigenvalues).abs() <= error).all()
    assert blocks.relative == pytest.approx(whole.relative, rel=0.5, abs=1e-15)
    assert blocks.absolute == pytest.approx(whole.absolute, rel=0.5, abs=0)
    assert (blocks.vectors.T @ blocks.vectors - torch.eye(23)).abs().max() < 1e-12


@pytest.mark.parametrize("orders", [1, 2])
@pytest.mark.parametrize("centred", [True, False])
def test_a_tile_is_a_part_of_the_gram_matrix(orders, centred):
    a = rows(12, 30, 3)
    centre = 1e3 * rows(1, 30, 0) if centred else None
    whole, ends = gram(a, centre, orders), None
    if centre is not None:
        terms = centre_terms(a, centre, powers(a), powers(centre), orders)
        ends = tuple(DoubleDouble(*(x[part] for x in terms)) for part in (slice(5), slice(5, 12)))
    tile = gram_tiles.gram_tile(a[:5], a[5:], ends, orders)
    upper = np.triu_indices(12)
    places = {place: index for index, place in enumerate(zip(*upper, strict=True))}
    wanted = torch.tensor([[places[i, j] for j in range(5, 12)] for i in range(5)])
    difference = (tile.hi - whole.hi[wanted]) + (tile.lo - whole.lo[wanted])
    largest = float(whole.hi.abs().max())
    assert float(difference.abs().max()) <= 2.0 ** (-21 * orders - 53) * 64 * largest
    assert bool((tile.lo != 0).any())
