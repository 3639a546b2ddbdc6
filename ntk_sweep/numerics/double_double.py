"""Double-double arithmetic on tensors: an unevaluated sum hi + lo, about 106 significant bits.

Elementwise operations are the error-free transformations of Dekker (1971) and Knuth (TAOCP 2,
section 4.2.2). Matrix products use the scheme of Ozaki, Ogita, Oishi and Rump (2012): each matrix
is cut into slices of so few bits that a product of two slices adds up without any rounding,
whatever the order of the sum, so ordinary float64 GEMMs on any device do the work.

Matrices may have leading dimensions, which stand for as many matrices side by side.

Everything here assumes round-to-nearest and no overflow (entries below about 1e130). Underflow
costs absolute errors of about 1e-320, nothing beside a kernel, whose diagonal is at least 1 (the
last bias).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

MANTISSA = 53
"""Bits of a float64 significand."""

_SPLITTER = 2.0**27 + 1
"""Veltkamp's constant: cuts 53 bits into two halves of at most 26 (Dekker 1971)."""

_HALF_ULP = 2.0**-MANTISSA
"""The unit of rounding u of float64."""

UNIT = 2.0**-102
"""16u². The error of `add` is at most a quarter of it relative to |x| + |y|, that of `add_plain`
relative to the result, and that of `multiply` half of it relative to |xy| (after Joldes, Muller,
Popescu 2017, sections 3 to 5)."""

ADD_USUAL, MULTIPLY_USUAL = UNIT / 32, UNIT / 16
"""What `add` and `multiply` err by in root mean square, relatively: half as much was measured."""

_GRAM_ORDERS = 4
"""Of `double_double_gram`: what is left is then below `UNIT`, whatever the number of terms."""

MOST_CENTRE_SLICES = 4
"""Of rows and centre in their products."""

LONG_CENTRES = (2.0**16, 2.0**35)
"""How many times larger than the rows a centre has to be for one slice more, and for two: with some
19 bits each, its products err less than those of the rows."""

THREADED_ROWS = 1000
"""Rows from which on NumPy multiplies on several threads. It has threads of its own, which wait for
further work on the cores that torch's need meanwhile; in small products that costs more than the
second triangle."""


class DoubleDouble(NamedTuple):
    """The number hi + lo, with |lo| at most half a unit in the last place of hi."""

    hi: Float[Tensor, " ..."]
    lo: Float[Tensor, " ..."]

    # an index selects elements, not the fields
    def __getitem__(self, index: Any) -> DoubleDouble:  # type: ignore[override]
        """The selected elements."""
        return DoubleDouble(self.hi[index], self.lo[index])

    def at(self, index: Int64[Tensor, " p"]) -> DoubleDouble:
        """The elements at these places of the last dimension."""
        return DoubleDouble(self.hi.index_select(-1, index), self.lo.index_select(-1, index))

    def to(self, device: torch.device | str) -> DoubleDouble:
        """The same numbers on another device."""
        return DoubleDouble(self.hi.to(device), self.lo.to(device))


def from_float64(a: Float[Tensor, " ..."]) -> DoubleDouble:
    """A float64 tensor as a double-double."""
    return DoubleDouble(a, torch.zeros_like(a))


def two_sum(a: Float[Tensor, " ..."], b: Float[Tensor, " ..."]) -> DoubleDouble:
    """The sum a + b without error (Knuth): hi = fl(a + b), lo = a + b - hi."""
    hi = a + b
    shadow = hi - a
    return DoubleDouble(hi, (a - (hi - shadow)) + (b - shadow))


def two_prod(a: Float[Tensor, " ..."], b: Float[Tensor, " ..."]) -> DoubleDouble:
    """The product a · b without error.

    Dekker's, with Veltkamp's splitting: torch has no fused multiply-add to call.

    Example:
        >>> from fractions import Fraction
        >>> tenth = torch.tensor(0.1, dtype=torch.float64)
        >>> product = two_prod(tenth, tenth)
        >>> Fraction(product.hi.item()) + Fraction(product.lo.item()) == Fraction(0.1) ** 2
        True
    """
    hi = a * b
    a1, a2 = _halves(a)
    b1, b2 = _halves(b)
    return DoubleDouble(hi, (a1 * b1 - hi).addcmul_(a1, b2).addcmul_(a2, b1).addcmul_(a2, b2))


def add(x: DoubleDouble, y: DoubleDouble) -> DoubleDouble:
    """The sum x + y, off by at most UNIT (|x| + |y|).

    Dekker 1971, add2; Joldes, Muller, Popescu 2017, algorithm 5.
    """
    s = two_sum(x.hi, y.hi)
    return _renormalise(s.hi, s.lo + (x.lo + y.lo))


def add_plain(x: DoubleDouble, y: Float[Tensor, " ..."]) -> DoubleDouble:
    """The sum x + y for a float64 tensor y (Joldes, Muller, Popescu 2017, algorithm 4)."""
    s = two_sum(x.hi, y)
    return _renormalise(s.hi, x.lo + s.lo)


def multiply(x: DoubleDouble, y: DoubleDouble) -> DoubleDouble:
    """The product x · y, elementwise.

    Joldes, Muller, Popescu 2017, algorithm 11, with Dekker's product.
    """
    product = two_prod(x.hi, y.hi)
    return _renormalise(product.hi, product.lo + torch.addcmul(x.hi * y.lo, x.lo, y.hi))


@lru_cache(maxsize=8)
def upper_places(
    size: int, device: torch.device
) -> tuple[Int64[Tensor, " p"], Int64[Tensor, " p"], Int64[Tensor, " p"]]:
    """Row, column and place in the flattened matrix of each entry of the upper triangle, (p,) each.

    The diagonal is included. Symmetric matrices are worked on as the vector of these entries, which
    is half the work.
    """
    rows, columns = torch.triu_indices(size, size, device=device)
    return rows, columns, rows * size + columns


def upper(matrix: Float[Tensor, "*b m m"]) -> Float[Tensor, "*b p"]:
    """The entries of the upper triangle, in the order of `upper_places`."""
    return matrix.flatten(-2).index_select(-1, upper_places(matrix.shape[-1], matrix.device)[2])


def symmetric(entries: Float[Tensor, "*b p"], size: int) -> Float[Tensor, "*b m m"]:
    """The symmetric matrix with this upper triangle."""
    rows, columns, _ = upper_places(size, entries.device)
    matrix = entries.new_empty(*entries.shape[:-1], size, size)
    matrix[..., rows, columns] = entries
    matrix[..., columns, rows] = entries
    return matrix


def slice_bits(terms: int) -> int:
    """Bits of a slice such that a sum of `terms` products of two slices is exact.

    2·bits + log2(terms) ≤ 53.
    """
    return (MANTISSA - (max(terms, 1) - 1).bit_length()) // 2


def slices(
    rows: Float[Tensor, "*b m k"],
    count: int,
    bits: int,
    power: Float[Tensor, "*b m 1"] | None = None,
) -> list[Float[Tensor, "*b m k"]]:
    """Cuts each row into `count` slices that add up to it exactly.

    Each but the last has at most `bits` bits. Slice s of a row whose largest entry lies below 2^e
    holds integer multiples of 2^(e - s·bits), at most 2^bits of them; the last slice is the
    remainder, at most 2^(e - (count - 1)·bits - 1), with whatever bits are left. `power` is 2^e,
    from `powers`.
    """
    power = powers(rows) if power is None else power
    parts = []
    for index in range(1, count):
        # adding and subtracting 1.5 · 2^(52 + e - s·bits) rounds to a multiple of 2^(e - s·bits)
        shifter = power * (1.5 * 2.0 ** (MANTISSA - 1 - index * bits))
        parts.append((rows + shifter).sub_(shifter))
        rows = rows - parts[-1]
    return [*parts, rows]


def powers(rows: Float[Tensor, "*b m k"]) -> Float[Tensor, "*b m 1"]:
    """For each row a power of two above its largest modulus and at most twice it; 1 for zeros."""
    largest = rows.abs().amax(dim=-1, keepdim=True)
    # the quotient is the power of two exactly; torch.ldexp would compute it in float32
    return (largest / torch.frexp(largest).mantissa).where(largest > 0, torch.ones_like(largest))


def matmul(
    a: DoubleDouble | Sliced, b: Float[Tensor, "*b k n"], orders: int
) -> tuple[DoubleDouble, Float[Tensor, "*b"]]:
    """The product A · b of `matmul_by_column`, and a bound of its error's Frobenius norm.

    Args:
        a: A, or what `sliced` made of it with the same `orders`, if it has several products.
        b: The other factor.
        orders: As in `matmul_by_column`.
    """
    product, errors = matmul_by_column(a, b, orders)
    return product, torch.linalg.vector_norm(errors, dim=-1)


def matmul_by_column(
    a: DoubleDouble | Sliced, b: Float[Tensor, "*b k n"], orders: int
) -> tuple[DoubleDouble, Float[Tensor, "*b n"]]:
    """The product A · b for a float64 matrix b, exact up to what is smaller by 2^(-orders · bits).

    A slice has some 21 bits. A = A_1 + … and b = b_1 + … are cut into `orders` slices each and a
    rest. The products A_s b_t with s + t ≤ orders + 1 are summed exactly, one GEMM for each s + t;
    what is left is summed in float64:

        A_1 (b_orders+1 + …) + A_2 (b_orders + …) + … + A_orders+1 b.

    Returns:
        The product, and a bound of the Euclidean norm of each column of its error: a float64 sum of
        n products errs by at most n · 2⁻⁵³ times the sum of their moduli (Higham 2002, section
        3.1), and ‖ |X| |y| ‖ ≤ ‖X‖_F ‖y‖; each addition in double-double adds UNIT/4 of its result.
    """
    return _matmul(a, b, orders, _columns, lambda x, y: _frobenius(x)[..., None] * _columns(y))


def matmul_by_row(
    a: DoubleDouble, b: Float[Tensor, "*b k n"], orders: int
) -> tuple[DoubleDouble, Float[Tensor, "*b m"]]:
    """The product of `matmul_by_column`, and a bound of the norm of each row of its error."""
    return _matmul(a, b, orders, _rows, lambda x, y: _rows(x) * _frobenius(y)[..., None])


class Sliced(NamedTuple):
    """The slices A_1, A_2, … of a matrix side by side, (..., m, (orders + 1) k)."""

    whole: Float[Tensor, "*b m slices"]


def sliced(a: DoubleDouble, orders: int) -> Sliced:
    """Cuts the left factor of `matmul` for several products of as many orders."""
    bits = slice_bits(orders * a.hi.shape[-1])
    return Sliced(torch.cat(_double_double_slices(a, orders, bits), dim=-1))


def _matmul(
    a: DoubleDouble | Sliced,
    b: Float[Tensor, "*b k n"],
    orders: int,
    norms: Callable[[Tensor], Tensor],
    norms_of_products: Callable[[Tensor, Tensor], Tensor],
) -> tuple[DoubleDouble, Tensor]:
    """The product, and its error in some norms: those of a matrix, and of |X| |Y| at most."""
    terms = b.shape[-2]
    bits = slice_bits(orders * terms)
    left = a.whole if isinstance(a, Sliced) else sliced(a, orders).whole
    right = [part.mT for part in slices(b.mT, orders + 1, bits)]
    rests = [b]
    for part in right[:-1]:
        rests.append(rests[-1] - part)
    rests.reverse()
    moduli = sum(
        norms_of_products(part, rest)
        for part, rest in zip(left.split(terms, dim=-1), rests, strict=True)
    )
    # from the smallest on: only the last sum rounds what is large
    total = from_float64(left @ torch.cat(rests, dim=-2))
    sums = torch.zeros_like(norms(total.hi))
    upwards = torch.cat(right[orders - 1 :: -1], dim=-2)
    for order in range(orders, 0, -1):
        size = order * terms
        exact = left[..., :size] @ upwards[..., -size:, :]
        total = add_plain(total, exact)
        sums = sums + norms(total.hi)
    # lo of A and the last rests are rounded once more each
    errors = ((orders + 1) * terms + 4) * _HALF_ULP * moduli
    return total, errors + UNIT / 4 * 1.01 * sums


def gram(
    rows: Float[Tensor, "*b m k"],
    centre: Float[Tensor, "*b 1 k"] | None = None,
    orders: int = 2,
    power: Float[Tensor, "*b m 1"] | None = None,
) -> DoubleDouble:
    """Gram matrix of the rows centre + rows_i (not rounded), to 2^(-orders · bits).

    A slice has some 21 bits. With slices S_1, S_2 and the rest R, the products S_1 S_1ᵀ and, for
    two orders, S_1 S_2ᵀ + (S_1 S_2ᵀ)ᵀ are exact. What is left is summed in float64: for one order T
    + Tᵀ with T = (S_1 + R/2) Rᵀ, for two S_1 Rᵀ + (S_1 Rᵀ)ᵀ + (S_2 + R)(S_2 + R)ᵀ; for none the
    products of the rows, which errs little beside the centre where the rows are short.

    Products with the centre, which can be much longer than the rows, are taken to three orders; to
    one or two where those of the rows are to none and it is not so long (`centre_slices`). Its own
    square, one number, always is to three.

    Args:
        rows: The rows, float64.
        centre: Added to each of them; None for zero.
        orders: 1 or 2.
        power: `powers` of the rows, where they are known.

    Returns:
        Its upper triangle, (..., p) as in `upper_places`; `gram_error` bounds its error.
    """
    bits, power = slice_bits(rows.shape[-1]), powers(rows) if power is None else power
    parts = slices(rows, orders + 1, bits, power)
    exact = upper(symmetric_product(parts[0]))
    if orders == 1:
        first, rest = parts
        half = torch.add(first, rest, alpha=0.5) @ rest.mT
        total = two_sum(exact, upper(half) + upper(half.mT))
    else:
        first, second, rest = parts
        cross, half = (first @ torch.cat((second, rest), dim=-2).mT).chunk(2, dim=-1)
        tail = (upper(half) + upper(half.mT)) + upper(symmetric_product(second + rest))
        total = add_plain(add_plain(two_sum(upper(cross), upper(cross.mT)), exact), tail)
    if centre is None:
        return total
    column = _centre_products(parts, centre, bits, power, MOST_CENTRE_SLICES, powers(centre))
    rows_of, columns_of, _ = upper_places(rows.shape[-2], rows.device)
    return add(total, add(column.at(rows_of), column.at(columns_of)))


def centre_terms(
    rows: Float[Tensor, "*b m k"],
    centre: Float[Tensor, "*b 1 k"],
    power: Float[Tensor, "*b m 1"],
    centre_power: Float[Tensor, "*b 1 1"],
    orders: int = 0,
) -> DoubleDouble:
    """c·a_i + c·c/2 for the rows a_i and the centre c, (..., m): the Gram matrix less rows · rowsᵀ.

    Args:
        rows: The rows, float64.
        centre: The centre.
        power: `powers` of the rows.
        centre_power: That of the centre.
        orders: Of the products of the rows; for 0, those in float64, it is as accurate as they are.
    """
    bits, count = slice_bits(rows.shape[-1]), centre_slices(power, centre_power, orders)
    return _centre_products([rows], centre, bits, power, count, centre_power)


def double_double_gram(rows: DoubleDouble) -> DoubleDouble:
    """Gram matrix of rows in double-double: its upper triangle, as `gram` has it.

    With rows X + x it is (X + x) Xᵀ + (X + x) xᵀ, each a product of `matmul`, the second of fewer
    orders, since it is smaller by 2⁻⁵³. `double_double_gram_errors` bounds the error.
    """
    return add(*(DoubleDouble(*map(upper, part)) for part in _double_double_products(rows, rows)))


def double_double_gram_tile(rows: DoubleDouble, others: DoubleDouble) -> DoubleDouble:
    """The entries of `double_double_gram` between two parts of its rows, (m, p)."""
    return add(*_double_double_products(rows, others))


def _double_double_products(
    rows: DoubleDouble, others: DoubleDouble
) -> tuple[DoubleDouble, DoubleDouble]:
    product, _ = matmul_by_row(rows, others.hi.mT, _GRAM_ORDERS)
    rest, _ = matmul_by_row(rows, others.lo.mT, _GRAM_ORDERS - 2)
    return product, rest


def narrow_product(left: DoubleDouble, right: DoubleDouble) -> DoubleDouble:
    """Left · rightᵀ, (m, p), of matrices of few columns, to some UNIT of the products of row norms.

    Four slices and a rest of each, as in `matmul_by_column`; what lies beyond S_1 R and its like is
    below `UNIT`.
    """
    terms, count = left.hi.shape[-1], _GRAM_ORDERS
    bits = slice_bits(count * terms)
    a, b = (_double_double_slices(part, count, bits) for part in (left, right))
    whole, upwards = torch.cat(a, dim=-1), torch.cat(b[::-1], dim=-1).mT
    total = from_float64(whole @ upwards)
    for order in range(count, 0, -1):
        size = order * terms
        total = add_plain(total, whole[..., :size] @ upwards[..., -size:, :])
    return total


class GramError(NamedTuple):
    """What a Gram matrix of `gram` errs by.

    Attributes:
        norm: Bound of the Frobenius norm.
        entries: w, (..., m): the entry (i, j) errs by (w_i w_j)^½ at most in root mean square,
            roundings taken as independent with mean zero (Higham and Mary 2019). Of `gram` that is
            30 to 700 times what was measured, more for longer rows, since rests are taken as long
            as they can be; of `double_double_gram` 3 to 20 times.
    """

    norm: Float[Tensor, "*b"]
    entries: Float[Tensor, "*b m"]


def gram_error(
    rows: Float[Tensor, "*b m k"], centre: Float[Tensor, "*b 1 k"] | None = None, orders: int = 2
) -> Float[Tensor, "*b"]:
    """Bound of the Frobenius norm of the error of `gram`, at the cost of a few norms."""
    of_centre = None if centre is None else RowSizes.of(centre)
    return gram_errors(RowSizes.of(rows), of_centre, orders).norm


class RowSizes(NamedTuple):
    """What is known of the rows of a matrix.

    Attributes:
        terms: How many numbers a row has.
        lengths: Euclidean norms.
        powers: As `powers` has them.
    """

    terms: int
    lengths: Float[Tensor, "*b m"]
    powers: Float[Tensor, "*b m 1"]

    @classmethod
    def of(cls, rows: Float[Tensor, "*b m k"]) -> RowSizes:
        """Those of these rows, float64."""
        return cls(rows.shape[-1], _rows(rows), powers(rows))


def gram_errors(rows: RowSizes, centre: RowSizes | None = None, orders: int = 2) -> GramError:
    """The error of `gram` of rows and a centre of these sizes.

    For no orders it is that of products of the rows in float64 and of `centre_terms` together.

    A float64 sum of k products errs by at most k · 2⁻⁵³ times the product of the lengths of its
    factors, √k · 2⁻⁵³ in root mean square. With M_i = 2^e ≤ 2 max|a_i| the rest R is at most √k M_i
    2^(-orders · bits - 1) long, S_2 + R at most √k M_i 2^(-bits - 1), and slice s at most √k M_i
    2^(-(s-1)·bits). Of the products with the centre those of slices with s + t > count, counted
    from 1, are summed in float64: two with s + t = count + 1 are of a first slice, count - 2 are
    not, and all others are smaller by 2^-bits. Additions in double-double err by UNIT/4 relative to
    what they add up to, at most 8 of them in a row.
    """
    terms, lengths, _ = rows
    bits = slice_bits(terms)
    power = terms**0.5 * rows.powers[..., 0]
    rest = 2.0 ** (-orders * bits) * power if orders else lengths
    parts = [(_units(terms, 6 if orders else 1), lengths, rest)]
    if orders == 2:
        shorter_power = 2.0 ** (-bits - 1) * power
        parts.append((_units(terms, 6), shorter_power, shorter_power))
    if centre is not None:
        largest, length = terms**0.5 * centre.powers[..., 0], centre.lengths
        for count, of_rows in (
            (centre_slices(rows.powers, centre.powers, orders), True),
            (MOST_CENTRE_SLICES, False),
        ):
            units = _units(terms, count**2, 2.0 ** (-(count - 1) * (bits - 2)))
            others = (count - 2 + count**2 * 2.0 ** (2 - bits)) * largest
            if of_rows:
                column = lengths * largest + power * length + others * power
            else:
                column = (0.5 * (2 * length + others) * largest).expand_as(lengths)
            parts.append((units, 2 * column, torch.ones_like(column)))
        lengths = lengths + length
    parts.append(((2 * UNIT * 1.01, 8**0.5 / 4 * UNIT), lengths, lengths))
    return _summed_errors(parts, lengths)


def double_double_gram_errors(rows: DoubleDouble) -> GramError:
    """The error of `double_double_gram`, at the cost of a few norms.

    Of entry (i, j) the product of X_i errs by what `matmul_by_column` says, with slices and rests
    bounded as in `gram_errors`, and that of x_j by much less.
    """
    terms, count = rows.hi.shape[-1], _GRAM_ORDERS
    bits = slice_bits(count * terms)
    power = terms**0.5 * powers(rows.hi)[..., 0]
    lengths = _rows(rows.hi)
    # slice s of one row and what s - 1 slices left of the other
    shorter = 2.0 ** (-count * bits) * power
    parts = [
        (_units((count + 1) * terms, 4), lengths, shorter),
        (_units((count + 1) * terms, 4, float(count)), power, shorter),
        # all but two sums are of small terms
        (((count + 2) / 4 * 1.01 * UNIT, 2**0.5 * 1.01 * ADD_USUAL), lengths, lengths),
    ]
    return _summed_errors(parts, lengths)


def _summed_errors(
    parts: list[tuple[tuple[float, float], Tensor, Tensor]], like: Float[Tensor, "*b m"]
) -> GramError:
    """The sum of errors of at most units (x_i y_j + y_i x_j) / 2 of entry (i, j) each.

    Args:
        parts: The units at most and in root mean square, x and y.
        like: Gives the shape.
    """
    factors = torch.broadcast_tensors(like, *(factor for _, *pair in parts for factor in pair))
    stacked = torch.stack(factors[1:])
    lengths = _scaled_rows(stacked[..., None, :])
    x, y, long, other = stacked[0::2], stacked[1::2], lengths[0::2], lengths[1::2]
    worst, usual = like.new_tensor([units for units, _, _ in parts]).T
    norm = torch.tensordot(worst, (long * other)[..., 0], 1)
    # by the inequality of Cauchy and Schwarz, x and y scaled to one length
    ratio = (other / long).nan_to_num(0.0, 0.0, 0.0)
    inverse = (1 / ratio).nan_to_num(0.0, 0.0, 0.0)
    entries = torch.tensordot(usual / 2, x * (x * ratio) + y * (y * inverse), 1)
    return GramError(norm, entries)


def _units(terms: int, more: int, size: float = 1.0) -> tuple[float, float]:
    """Rounding of a float64 sum and `more` operations: at most, and in root mean square."""
    unit = _HALF_ULP * 1.01 * size
    return (terms + more) * unit, (terms**0.5 + more) * unit


def symmetric_product(rows: Float[Tensor, "*b m k"]) -> Float[Tensor, "*b m m"]:
    """Rows · rowsᵀ in float64, exactly symmetric."""
    if (
        rows.device.type == "cpu"
        and rows.ndim == 2
        and (torch.get_num_threads() == 1 or len(rows) >= THREADED_ROWS)
    ):
        # NumPy computes one triangle only, in half the time; torch has no such product
        array = rows.numpy()
        with np.errstate(over="ignore", invalid="ignore"):
            return torch.from_numpy(array @ array.T)
    product = rows @ rows.mT
    return product.triu() + product.triu(1).mT


def centre_slices(
    power: Float[Tensor, "*b m 1"], centre_power: Float[Tensor, "*b 1 1"], orders: int
) -> int:
    """How many slices rows and centre have in their products.

    Args:
        power: `powers` of the rows.
        centre_power: That of the centre.
        orders: Of the products of the rows; 0 for float64.
    """
    if orders or power.device.type != "cpu":
        return MOST_CENTRE_SLICES  # a GPU would wait for the ratio
    ratio = float((centre_power / power.amax(dim=-2, keepdim=True)).max())
    more = sum(not ratio <= long for long in LONG_CENTRES)
    return 2 + more


def _centre_products(
    parts: list[Float[Tensor, "*b m k"]],
    centre: Float[Tensor, "*b 1 k"],
    bits: int,
    power: Float[Tensor, "*b m 1"],
    count: int,
    centre_power: Float[Tensor, "*b 1 1"],
) -> DoubleDouble:
    """`centre_terms` of rows that are cut into slices already.

    With shorter slices of the centre sums of products of equal order, four at the most, are exact
    too.

    Args:
        parts: The rows in slices of these bits, the last of them the rest.
        centre: c.
        bits: Of the slices.
        power: `powers` of the rows.
        count: Of slices of rows and centre.
        centre_power: `powers` of the centre.
    """
    *parts, rest = parts
    power = power * 2.0 ** (-len(parts) * bits)
    parts = [*parts, *slices(rest, count - len(parts), bits, power)]
    # its square is one number, which may be much larger than all others
    own = slices(centre, MOST_CENTRE_SLICES, bits - 2, centre_power)
    square = _sliced_products(own, own)
    *centres, rest = own[:count]
    rows = _sliced_products(parts, [*centres, sum(own[count:], rest)])
    return add(rows, DoubleDouble(0.5 * square.hi, 0.5 * square.lo))


def _sliced_products(
    left: list[Float[Tensor, "*b m k"]], right: list[Float[Tensor, "*b 1 k"]]
) -> DoubleDouble:
    # a few rows times the transpose take a quarter of the time of the same as columns
    rows = torch.cat(right, dim=-2)
    return _by_order(torch.stack([(rows @ part.mT).mT for part in left], dim=-1))


def _by_order(products: Float[Tensor, "*b m count count"]) -> DoubleDouble:
    """Σ_{s,t} products[..., s, t], those of one s + t together.

    Those with s + t ≤ count - 2 (from 0) are exact, the others are added up in float64.
    """
    count = products.shape[-1]
    by_order = products.flatten(-2) @ _orders(count, products.device)
    total = from_float64(by_order[..., 0])
    for index in range(1, count):
        total = add_plain(total, by_order[..., index])
    return total


@lru_cache(maxsize=8)
def _orders(count: int, device: torch.device) -> Float[Tensor, "squares count"]:
    """Of each s and t, one at s + t, and at `count` - 1 where that is more."""
    order = torch.arange(count, device=device)
    order = (order[:, None] + order).clamp(max=count - 1).flatten()
    return torch.nn.functional.one_hot(order).to(torch.float64)


def _double_double_slices(x: DoubleDouble, count: int, bits: int) -> list[Float[Tensor, "*b m k"]]:
    """`count` exact slices of hi + lo, and the remainder rounded to float64."""
    # those that hi alone makes up; lo lies below half an ulp of hi and may reach into what is left
    first = min(count - 1, MANTISSA // bits)
    *parts, rest = slices(x.hi, first + 1, bits)
    total, power = two_sum(rest, x.lo), powers(x.hi)
    for index in range(first + 1, count + 1):
        shifter = power * (1.5 * 2.0 ** (MANTISSA - 1 - index * bits))
        parts.append((total.hi + shifter) - shifter)
        total = _renormalise(total.hi - parts[-1], total.lo)
    return [*parts, total.hi + total.lo]


def _frobenius(x: Float[Tensor, "*b m n"]) -> Float[Tensor, "*b"]:
    return torch.linalg.matrix_norm(x)


def _rows(x: Float[Tensor, "*b m n"]) -> Float[Tensor, "*b m"]:
    """Euclidean norm of each row."""
    return torch.linalg.vector_norm(x, dim=-1)


def _scaled_rows(x: Float[Tensor, "*b m n"]) -> Float[Tensor, "*b m"]:
    """The same where squares of the entries, themselves products, may underflow."""
    power = powers(x)
    return _rows(x / power) * power[..., 0]


def _columns(x: Float[Tensor, "*b m n"]) -> Float[Tensor, "*b n"]:
    """Euclidean norm of each column."""
    return torch.linalg.vector_norm(x, dim=-2)


def _halves(a: Float[Tensor, "*b"]) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b"]]:
    scaled = _SPLITTER * a
    high = scaled - (scaled - a)
    return high, a - high


def _renormalise(a: Float[Tensor, "*b"], b: Float[Tensor, "*b"]) -> DoubleDouble:
    """Fast two-sum, exact for |a| ≥ |b| (Dekker)."""
    hi = a + b
    return DoubleDouble(hi, b - (hi - a))
