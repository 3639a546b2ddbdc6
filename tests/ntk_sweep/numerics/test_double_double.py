"""Protects double-double arithmetic: exact rational arithmetic gives the same numbers."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from ntk_sweep.numerics.double_double import (
    UNIT,
    DoubleDouble,
    add,
    add_plain,
    from_float64,
    multiply,
    symmetric,
    two_prod,
    two_sum,
    upper,
)
from ntk_sweep.numerics.gram_matrices import (
    RowSizes,
    centre_terms,
    double_double_gram,
    double_double_gram_errors,
    gram,
    gram_error,
    gram_errors,
)
from ntk_sweep.numerics.sliced_products import (
    matmul,
    matmul_by_row,
    powers,
    slice_bits,
    slices,
    symmetric_product,
)


def numbers(*shape: int, seed: int = 0, decades: int = 0) -> Tensor:
    """Normal numbers, their sizes spread over so many powers of ten."""
    generator = torch.Generator().manual_seed(seed)
    scales = 10.0 ** -(torch.rand(*shape, dtype=torch.float64, generator=generator) * decades)
    return torch.randn(*shape, dtype=torch.float64, generator=generator) * scales


def double_double_numbers(*shape: int, seed: int = 0, decades: int = 0) -> DoubleDouble:
    """Numbers that use both parts."""
    return two_sum(
        numbers(*shape, seed=seed, decades=decades),
        1e-17 * numbers(*shape, seed=seed + 1, decades=decades),
    )


def fractions(x: Tensor | DoubleDouble) -> list[list[Fraction]]:
    """The exact entries of a matrix."""
    parts = [x] if isinstance(x, Tensor) else list(x)
    rows = [part.reshape(len(part), -1).tolist() for part in parts]
    return [
        [sum(map(Fraction, entry)) for entry in zip(*row, strict=True)]
        for row in zip(*rows, strict=True)
    ]


def product(a: list[list[Fraction]], b: list[list[Fraction]]) -> list[list[Fraction]]:
    """The exact product of two matrices."""
    columns = list(zip(*b, strict=True))
    return [
        [sum(p * q for p, q in zip(row, column, strict=True)) for column in columns] for row in a
    ]


def distance(a: list[list[Fraction]], b: list[list[Fraction]]) -> float:
    """Frobenius norm of the difference."""
    return (
        float(
            sum((p - q) ** 2 for r, s in zip(a, b, strict=True) for p, q in zip(r, s, strict=True))
        )
        ** 0.5
    )


def test_error_free_transformations():
    a, b = numbers(200, seed=1, decades=20), numbers(200, seed=2, decades=20)
    for (x,), (y,), (s,), (p,) in zip(
        *map(fractions, (a, b, two_sum(a, b), two_prod(a, b))), strict=True
    ):
        assert s == x + y
        assert p == x * y


def test_elementwise_operations_keep_their_error_bound():
    x, y = (
        double_double_numbers(300, seed=3, decades=9),
        double_double_numbers(300, seed=5, decades=9),
    )
    plain = numbers(300, seed=7, decades=9)
    results = add(x, y), multiply(x, y), add_plain(x, plain)
    for (a,), (b,), (c,), (s,), (p,), (t,) in zip(
        *map(fractions, (x, y, plain, *results)), strict=True
    ):
        assert abs(s - (a + b)) <= UNIT / 4 * (abs(a) + abs(b))
        assert abs(p - a * b) <= UNIT / 2 * abs(a * b)
        assert abs(t - (a + c)) <= UNIT / 4 * abs(a + c)
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
            assert all(
                multiple.denominator == 1 and abs(multiple) <= 2**bits for multiple in multiples
            )


@pytest.mark.parametrize("terms", [1, 2, 1000, 1024, 1025])
def test_sums_of_slice_products_are_exact(terms):
    bits = slice_bits(terms)
    assert terms * 2 ** (2 * bits) <= 2**53 < terms * 2 ** (2 * (bits + 1))


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 30, 4), (6, 200, 3)], ids=str)
@pytest.mark.parametrize("decades", [0, 15])
@pytest.mark.parametrize(("orders", "reached"), [(1, 1e-21), (2, 1e-27), (3, 1e-29)])
def test_matmul(shape, decades, orders, reached):
    m, k, n = shape
    a, b = (
        double_double_numbers(m, k, seed=11, decades=decades),
        numbers(k, n, seed=13, decades=decades),
    )
    result, bound = matmul(a, b, orders)
    error = distance(fractions(result), product(fractions(a), fractions(b)))
    assert error <= bound
    assert error <= reached * a.hi.norm().item() * b.norm().item()


def gram_matrix(rows: Tensor, centre: Tensor | None, orders: int) -> DoubleDouble:
    """By `gram`; without orders what stands for it."""
    if orders:
        return DoubleDouble(*(symmetric(part, len(rows)) for part in gram(rows, centre, orders)))
    product = from_float64(symmetric_product(rows))
    if centre is None:
        return product
    ends = centre_terms(rows, centre, powers(rows), powers(centre))
    column = DoubleDouble(ends.hi[:, None], ends.lo[:, None])
    return add_plain(add(column, ends), product.hi)


@pytest.mark.parametrize("orders", [0, 1, 2])
@pytest.mark.parametrize("spread", [None, 1.0, 1e-6, 1e-12])
@pytest.mark.parametrize("shape", [(1, 1), (4, 30), (3, 900)], ids=str)
def test_gram(shape, spread, orders):
    rows = numbers(*shape, seed=17, decades=3)
    centre = None
    total = fractions(rows)
    if spread is not None:
        rows, centre = spread * rows, numbers(1, shape[1], seed=19)
        total = [
            [x + c for x, c in zip(row, fractions(centre)[0], strict=True)]
            for row in fractions(rows)
        ]
    result = gram_matrix(rows, centre, orders)
    error = distance(
        fractions(result), product(total, [list(column) for column in zip(*total, strict=True)])
    )
    bound = float(gram_error(rows, centre, orders))
    assert error <= bound
    # informative: within six orders of magnitude, as worst-case sums grow with k² and real ones
    # hardly at all
    assert bound <= 1e6 * max(error, 2.0**-106 * result.hi.norm().item())


@pytest.mark.parametrize("length", [1.0, 1e4, 1e8])
def test_a_long_centre_costs_products_of_short_rows_little(length):
    rows, centre = numbers(4, 900, seed=17), length * numbers(1, 900, seed=19)
    assert gram_error(rows, centre, 0) < 10 * gram_error(rows, None, 0)


def difference(a: list[list[Fraction]], b: list[list[Fraction]]) -> Tensor:
    """Rounded to float64."""
    rows = [[float(p - q) for p, q in zip(r, s, strict=True)] for r, s in zip(a, b, strict=True)]
    return torch.tensor(rows, dtype=torch.float64)


def root_mean_square(parts: list[Tensor]) -> float:
    return float(torch.stack(parts).square().mean().sqrt())


def transposed(matrix: list[list[Fraction]]) -> list[list[Fraction]]:
    return [list(column) for column in zip(*matrix, strict=True)]


@pytest.mark.parametrize("orders", [1, 2])
@pytest.mark.parametrize("decades", [0, 3])
def test_looseness_of_products(decades, orders):
    """Worst cases, and root mean squares of rests as long as can be, so many times what is found.

    From half to about twice of what rows of 30 numbers showed: no factor of ten gets lost.
    """
    entries, norms, products = [], [], []
    for seed in range(4):
        rows = numbers(6, 30, seed=seed, decades=decades)
        exact = fractions(rows)
        found = DoubleDouble(*(symmetric(part, 6) for part in gram(rows, None, orders)))
        errors = difference(fractions(found), product(exact, transposed(exact)))
        norm, w = gram_errors(RowSizes.of(rows), None, orders)
        entries.append(errors / torch.outer(w, w).sqrt())
        norms.append(errors.norm() / norm)
        left, right = double_double_numbers(6, 30, seed=seed), numbers(30, 4, seed=seed + 9)
        result, bound = matmul(left, right, orders)
        wanted = product(fractions(left), fractions(right))
        products.append(difference(fractions(result), wanted).norm() / bound)
    assert 40 <= 1 / root_mean_square(entries) <= 250
    assert 100 <= 1 / root_mean_square(norms) <= 1000
    assert 100 <= 1 / root_mean_square(products) <= 1000


@pytest.mark.parametrize("orders", [0, 1, 2])
def test_errors_of_products_of_small_rows_do_not_underflow(orders):
    rows, centre, scale = 1e-5 * numbers(4, 30, seed=1), numbers(1, 30, seed=2), 2.0**-300

    def errors(x: Tensor, c: Tensor):
        return gram_errors(RowSizes.of(x), RowSizes.of(c), orders)

    for small, usual in zip(
        errors(scale * rows, scale * centre), errors(rows, centre), strict=True
    ):
        torch.testing.assert_close(small / scale**2, usual, rtol=1e-12, atol=0)


@pytest.mark.parametrize("terms", [1, 3, 40])
def test_looseness_of_products_in_double_double(terms):
    shares = []
    for seed in range(5):
        rows = double_double_numbers(6, terms, seed=seed)
        exact = fractions(rows)
        found = DoubleDouble(*(symmetric(part, 6) for part in double_double_gram(rows)))
        w = double_double_gram_errors(rows).entries
        errors = difference(fractions(found), product(exact, transposed(exact)))
        shares.append(errors / torch.outer(w, w).sqrt())
    assert 2 <= 1 / root_mean_square(shares) <= 12


@pytest.mark.parametrize("orders", [1, 2])
def test_matrices_side_by_side_are_those_alone(orders):
    rows, centres = numbers(2, 3, 4, 30, seed=21, decades=3), numbers(2, 3, 1, 30, seed=23)
    together, bounds = gram(rows, centres, orders), gram_error(rows, centres, orders)
    for i, j in itertools.product(range(2), range(3)):
        alone = gram(rows[i, j], centres[i, j], orders)
        torch.testing.assert_close(together.hi[i, j], alone.hi, rtol=1e-15, atol=1e-15)
        # sums in float64 round, and those of one matrix go another way
        torch.testing.assert_close(
            together.hi[i, j] - alone.hi + together.lo[i, j],
            alone.lo,
            rtol=0,
            atol=1e-20,
        )
        torch.testing.assert_close(
            bounds[i, j], gram_error(rows[i, j], centres[i, j], orders), rtol=1e-12, atol=0
        )


def test_symmetric_matrices_and_their_upper_triangles():
    matrix = numbers(2, 5, 5, seed=25)
    matrix = matrix + matrix.mT
    assert upper(matrix).shape == (2, 15)
    assert torch.equal(symmetric(upper(matrix), 5), matrix)
    rows = numbers(4, 9, seed=27)
    torch.testing.assert_close(symmetric_product(rows), rows @ rows.T, rtol=1e-13, atol=1e-15)
    assert torch.equal(symmetric_product(rows), symmetric_product(rows).T)
    torch.testing.assert_close(
        symmetric_product(rows[None])[0], symmetric_product(rows), rtol=1e-13, atol=1e-15
    )


def test_zero_rows():
    zeros = torch.zeros(3, 5, dtype=torch.float64)
    assert torch.equal(gram(zeros).hi, torch.zeros(6, dtype=torch.float64))
    assert torch.equal(
        matmul(from_float64(zeros), zeros.T, 2)[0].hi, torch.zeros(3, 3, dtype=torch.float64)
    )


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("threaded_rows", [0, 10**9])
def test_symmetric_products_on_any_number_of_threads(threads, threaded_rows, monkeypatch):
    """Of whole numbers, so that every way of summing them up is exact."""
    monkeypatch.setattr("ntk_sweep.numerics.sliced_products.THREADED_ROWS", threaded_rows)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        rows = torch.arange(-60, 60, dtype=torch.float64).reshape(12, 10)
        product = symmetric_product(rows)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(product, rows @ rows.T)
    assert torch.equal(product, product.T)


@pytest.mark.parametrize("spread", [0, 6])
@pytest.mark.parametrize("width", [3, 40])
def test_products_of_double_double_rows(width, spread):
    rows = double_double_numbers(5, width, seed=3, decades=spread)
    exact = fractions(rows)
    triangle = double_double_gram(rows)
    found = DoubleDouble(*(symmetric(part, 5) for part in triangle))
    apart = distance(fractions(found), product(exact, list(zip(*exact, strict=True))))
    norm, entries = double_double_gram_errors(rows)
    assert apart <= norm and apart <= 4 * entries.sum() <= 2 * UNIT * rows.hi.norm() ** 2
    right = numbers(width, 7, seed=8, decades=spread)
    result, errors = matmul_by_row(rows, right, 3)
    wanted = product(exact, fractions(right))
    for one, other, error in zip(fractions(result), wanted, errors.tolist(), strict=True):
        assert distance([one], [other]) <= error
    assert (errors <= 4 * UNIT * (rows.hi.norm(dim=1) * right.norm())).all()
