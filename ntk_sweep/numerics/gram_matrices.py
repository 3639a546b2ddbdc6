"""Gram matrices beyond float64, of rows around a centre, and bounds of their errors.

The products are those of `ntk_sweep.numerics.sliced_products`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.numerics.double_double import (
    ADD_USUAL,
    UNIT,
    DoubleDouble,
    add,
    add_plain,
    from_float64,
    two_sum,
    upper,
    upper_places,
)
from ntk_sweep.numerics.sliced_products import (
    FULL_ORDERS,
    HALF_ULP,
    matmul_by_row,
    powers,
    row_lengths,
    slice_bits,
    slices,
    symmetric_product,
)

MOST_CENTRE_SLICES = 4
"""Of rows and centre in their products."""

LONG_CENTRES = (2.0**16, 2.0**35)
"""How many times larger than the rows a centre has to be for one slice more, and for two: with some
19 bits each, its products err less than those of the rows."""


def gram(
    rows: Float[Tensor, "*b m k"],
    centre: Float[Tensor, "*b 1 k"] | None = None,
    orders: int = 2,
    power: Float[Tensor, "*b m 1"] | None = None,
) -> DoubleDouble:
    """Gram matrix of the rows centre + rows_i (not rounded), to 2^(-orders · bits).

    A slice has some 21 bits. With slices S_1, S_2 and the rest R, the products S_1 S_1ᵀ and, for
    two orders, S_1 S_2ᵀ + (S_1 S_2ᵀ)ᵀ are exact. What is left is summed in float64: for one order T
    + Tᵀ with T = (S_1 + R/2) Rᵀ, for two S_1 Rᵀ + (S_1 Rᵀ)ᵀ + (S_2 + R)(S_2 + R)ᵀ.

    Products with the centre, which can be much longer than the rows, are taken to three orders.

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
    product, _ = matmul_by_row(rows, others.hi.mT, FULL_ORDERS)
    rest, _ = matmul_by_row(rows, others.lo.mT, FULL_ORDERS - 2)
    return product, rest


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
        return cls(rows.shape[-1], row_lengths(rows), powers(rows))


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
    terms, count = rows.hi.shape[-1], FULL_ORDERS
    bits = slice_bits(count * terms)
    power = terms**0.5 * powers(rows.hi)[..., 0]
    lengths = row_lengths(rows.hi)
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
    unit = HALF_ULP * 1.01 * size
    return (terms + more) * unit, (terms**0.5 + more) * unit


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


def _scaled_rows(x: Float[Tensor, "*b m n"]) -> Float[Tensor, "*b m"]:
    """The same where squares of the entries, themselves products, may underflow."""
    power = powers(x)
    return row_lengths(x / power) * power[..., 0]
