"""Double-double arithmetic against exact rational arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from ntk_sweep.doubled import (
    UNIT,
    Doubled,
    add,
    add_plain,
    doubled,
    gram,
    gram_error,
    matmul,
    matmul_error,
    multiply,
    slice_bits,
    slices,
    two_prod,
    two_sum,
)


def numbers(*shape: int, seed: int = 0, decades: int = 0) -> Tensor:
    """Normal numbers, their sizes spread over so many powers of ten."""
    generator = torch.Generator().manual_seed(seed)
    scales = 10.0 ** -(torch.rand(*shape, dtype=torch.float64, generator=generator) * decades)
    return torch.randn(*shape, dtype=torch.float64, generator=generator) * scales


def doubled_numbers(*shape: int, seed: int = 0, decades: int = 0) -> Doubled:
    """Numbers that use both parts."""
    return two_sum(numbers(*shape, seed=seed, decades=decades), 1e-17 * numbers(*shape, seed=seed + 1, decades=decades))


def fractions(x: Tensor | Doubled) -> list[list[Fraction]]:
    """The exact entries of a matrix."""
    parts = [x] if isinstance(x, Tensor) else list(x)
    rows = [part.reshape(len(part), -1).tolist() for part in parts]
    return [[sum(map(Fraction, entry)) for entry in zip(*row, strict=True)] for row in zip(*rows, strict=True)]


def product(a: list[list[Fraction]], b: list[list[Fraction]]) -> list[list[Fraction]]:
    """The exact product of two matrices."""
    columns = list(zip(*b, strict=True))
    return [[sum(p * q for p, q in zip(row, column, strict=True)) for column in columns] for row in a]


def distance(a: list[list[Fraction]], b: list[list[Fraction]]) -> float:
    """Frobenius norm of the difference."""
    return float(sum((p - q) ** 2 for r, s in zip(a, b, strict=True) for p, q in zip(r, s, strict=True))) ** 0.5


def test_error_free_transformations():
    a, b = numbers(200, seed=1, decades=20), numbers(200, seed=2, decades=20)
    for (x,), (y,), (s,), (p,) in zip(*map(fractions, (a, b, two_sum(a, b), two_prod(a, b))), strict=True):
        assert s == x + y
        assert p == x * y


def test_elementwise_operations_keep_their_error_bound():
    x, y = doubled_numbers(300, seed=3, decades=9), doubled_numbers(300, seed=5, decades=9)
    plain = numbers(300, seed=7, decades=9)
    results = add(x, y), multiply(x, y), add_plain(x, plain)
    for (a,), (b,), (c,), (s,), (p,), (t,) in zip(*map(fractions, (x, y, plain, *results)), strict=True):
        assert abs(s - (a + b)) <= UNIT * abs(a + b)
        assert abs(p - a * b) <= UNIT * abs(a * b)
        assert abs(t - (a + c)) <= UNIT * abs(a + c)
    for result in results:
        assert torch.equal(result.hi + result.lo, result.hi), "lo lies below half a unit of hi"


@pytest.mark.parametrize("count", [3, 4])
def test_slices_are_short_and_add_up(count):
    rows = numbers(7, 40, seed=9, decades=12)
    rows[2] = 0
    bits = slice_bits(40)
    parts = slices(rows, count, bits)
    for total, *entries in zip(*map(fractions, (rows, *parts)), strict=True):
        assert total == [sum(entry) for entry in zip(*entries, strict=True)]
    for index, part in enumerate(parts[:-1], start=1):
        for row, largest in zip(part, rows.abs().amax(dim=1).tolist(), strict=True):
            unit = Fraction(2) ** (math.frexp(largest)[1] - index * bits)
            multiples = [Fraction(entry) / unit for entry in row.tolist()]
            assert all(multiple.denominator == 1 and abs(multiple) <= 2**bits for multiple in multiples)


@pytest.mark.parametrize("terms", [1, 2, 1000, 1024, 1025])
def test_sums_of_slice_products_are_exact(terms):
    bits = slice_bits(terms)
    assert terms * 2 ** (2 * bits) <= 2**53 < terms * 2 ** (2 * (bits + 1))


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 30, 4), (6, 200, 3)], ids=str)
@pytest.mark.parametrize("decades", [0, 15])
def test_matmul(shape, decades):
    m, k, n = shape
    a, b = doubled_numbers(m, k, seed=11, decades=decades), doubled_numbers(k, n, seed=13, decades=decades)
    error = distance(fractions(matmul(a, b)), product(fractions(a), fractions(b)))
    assert error <= matmul_error(k) * a.hi.norm().item() * b.hi.norm().item()
    assert error <= 1e-29 * a.hi.norm().item() * b.hi.norm().item()


@pytest.mark.parametrize("spread", [None, 1.0, 1e-6])
@pytest.mark.parametrize("shape", [(1, 1), (4, 30), (3, 900)], ids=str)
def test_gram(shape, spread):
    rows = numbers(*shape, seed=17, decades=3)
    centre = None
    total = fractions(rows)
    if spread is not None:
        rows, centre = spread * rows, numbers(shape[1], seed=19)
        total = [[x + c for x, (c,) in zip(row, fractions(centre), strict=True)] for row in fractions(rows)]
    result = gram(rows, centre)
    assert torch.equal(result.hi, result.hi.T) and torch.equal(result.lo, result.lo.T)
    error = distance(fractions(result), product(total, [list(column) for column in zip(*total, strict=True)]))
    assert error <= gram_error(rows, centre)
    # informative: within six orders of magnitude, as worst-case sums grow with k² and real ones hardly at all
    assert gram_error(rows, centre) <= 1e6 * max(error, 2.0**-106 * result.hi.norm().item())


def test_zero_rows():
    zeros = torch.zeros(3, 5, dtype=torch.float64)
    assert torch.equal(gram(zeros).hi, torch.zeros(3, 3, dtype=torch.float64))
    assert torch.equal(matmul(doubled(zeros), doubled(zeros.T)).hi, torch.zeros(3, 3, dtype=torch.float64))
