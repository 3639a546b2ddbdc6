"""Products of matrices beyond float64.

They use the scheme of Ozaki, Ogita, Oishi and Rump (2012): each matrix is cut into slices of so few
bits that a product of two slices adds up without any rounding, whatever the order of the sum, so
ordinary float64 GEMMs on any device do the work. What `ntk_sweep.numerics.double_double` assumes is
assumed here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.numerics.double_double import (
    UNIT,
    DoubleDouble,
    add_plain,
    from_float64,
    renormalise,
    two_sum,
)

MANTISSA = 53
"""Bits of a float64 significand."""

HALF_ULP = 2.0**-MANTISSA
"""The unit of rounding u of float64."""

FULL_ORDERS = 4
"""Of `double_double_gram`: what is left is then below `UNIT`, whatever the number of terms."""

THREADED_ROWS = 1000
"""Rows from which on NumPy multiplies on several threads. It has threads of its own, which wait for
further work on the cores that torch's need meanwhile; in small products that costs more than the
second triangle."""


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
    return _matmul(
        a, b, orders, row_lengths, lambda x, y: row_lengths(x) * _frobenius(y)[..., None]
    )


class Sliced(NamedTuple):
    """The slices A_1, A_2, … of a matrix side by side, (..., m, (orders + 1) k)."""

    whole: Float[Tensor, "*b m slices"]


def sliced(a: DoubleDouble, orders: int) -> Sliced:
    """Cuts the left factor of `matmul` for several products of as many orders."""
    bits = slice_bits(orders * a.hi.shape[-1])
    return Sliced(torch.cat(double_double_slices(a, orders, bits), dim=-1))


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
    errors = ((orders + 1) * terms + 4) * HALF_ULP * moduli
    return total, errors + UNIT / 4 * 1.01 * sums


def narrow_product(left: DoubleDouble, right: DoubleDouble) -> DoubleDouble:
    """Left · rightᵀ, (m, p), of matrices of few columns, to some UNIT of the products of row norms.

    Four slices and a rest of each, as in `matmul_by_column`; what lies beyond S_1 R and its like is
    below `UNIT`.
    """
    terms, count = left.hi.shape[-1], FULL_ORDERS
    bits = slice_bits(count * terms)
    a, b = (double_double_slices(part, count, bits) for part in (left, right))
    whole, upwards = torch.cat(a, dim=-1), torch.cat(b[::-1], dim=-1).mT
    total = from_float64(whole @ upwards)
    for order in range(count, 0, -1):
        size = order * terms
        total = add_plain(total, whole[..., :size] @ upwards[..., -size:, :])
    return total


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


def double_double_slices(x: DoubleDouble, count: int, bits: int) -> list[Float[Tensor, "*b m k"]]:
    """`count` exact slices of hi + lo, and the remainder rounded to float64."""
    # those that hi alone makes up; lo lies below half an ulp of hi and may reach into what is left
    first = min(count - 1, MANTISSA // bits)
    *parts, rest = slices(x.hi, first + 1, bits)
    total, power = two_sum(rest, x.lo), powers(x.hi)
    for index in range(first + 1, count + 1):
        shifter = power * (1.5 * 2.0 ** (MANTISSA - 1 - index * bits))
        parts.append((total.hi + shifter) - shifter)
        total = renormalise(total.hi - parts[-1], total.lo)
    return [*parts, total.hi + total.lo]


def _frobenius(x: Float[Tensor, "*b m n"]) -> Float[Tensor, "*b"]:
    return torch.linalg.matrix_norm(x)


def row_lengths(x: Float[Tensor, "*b m n"]) -> Float[Tensor, "*b m"]:
    """Euclidean norm of each row."""
    return torch.linalg.vector_norm(x, dim=-1)


def _columns(x: Float[Tensor, "*b m n"]) -> Float[Tensor, "*b n"]:
    """Euclidean norm of each column."""
    return torch.linalg.vector_norm(x, dim=-2)
