"""Double-double arithmetic on tensors: an unevaluated sum hi + lo of two float64 tensors, about 106 significant bits.

Elementwise operations are the error-free transformations of Dekker (1971) and Knuth (TAOCP 2, section 4.2.2). Matrix products use
the scheme of Ozaki, Ogita, Oishi and Rump (2012): each matrix is cut into slices of so few bits that a product of two slices adds
up without any rounding, whatever the order of the sum, so ordinary float64 GEMMs on any device do the work.

Everything here assumes round-to-nearest and no overflow (entries below about 1e130). Underflow costs absolute errors of about
1e-320, nothing beside a kernel, whose diagonal is at least 1 (the last bias).
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

MANTISSA = 53
"""Bits of a float64 significand."""

_SPLITTER = 2.0**27 + 1
"""Veltkamp's constant: cuts 53 bits into two halves of at most 26 (Dekker 1971, section 5)."""

UNIT = 2.0**-103
"""Bound of the relative error of `add` (of operands of one sign) and `multiply`: 2⁻¹⁰⁴ and 2⁻¹⁰³·⁴ (Joldes, Muller, Popescu 2017,
algorithms 6 and 12, theorems 3.1 and 5.1), rounded up."""


class Doubled(NamedTuple):
    """The number hi + lo, with |lo| at most half a unit in the last place of hi."""

    hi: Float[Tensor, " ..."]
    lo: Float[Tensor, " ..."]

    @property
    def T(self) -> Doubled:  # noqa: N802 - the name of the operation on tensors
        """The transpose."""
        return Doubled(self.hi.T, self.lo.T)

    def __getitem__(self, index: Any) -> Doubled:  # type: ignore[override]  # an index selects elements, not the fields
        """The selected elements."""
        return Doubled(self.hi[index], self.lo[index])

    def to(self, device: torch.device | str) -> Doubled:
        """The same numbers on another device."""
        return Doubled(self.hi.to(device), self.lo.to(device))


def doubled(a: Float[Tensor, " ..."]) -> Doubled:
    """A float64 tensor as a double-double."""
    return Doubled(a, torch.zeros_like(a))


def two_sum(a: Tensor, b: Tensor) -> Doubled:
    """A + b without error (Knuth): hi = fl(a + b), lo = a + b - hi."""
    hi = a + b
    shadow = hi - a
    return Doubled(hi, (a - (hi - shadow)) + (b - shadow))


def two_prod(a: Tensor, b: Tensor) -> Doubled:
    """A · b without error (Dekker, with Veltkamp's splitting: torch has no fused multiply-add to call)."""
    hi = a * b
    a1, a2 = _halves(a)
    b1, b2 = _halves(b)
    return Doubled(hi, ((a1 * b1 - hi) + a1 * b2 + a2 * b1) + a2 * b2)


def add(x: Doubled, y: Doubled) -> Doubled:
    """X + y (Joldes, Muller, Popescu 2017, algorithm 6)."""
    s, t = two_sum(x.hi, y.hi), two_sum(x.lo, y.lo)
    s = _renormalise(s.hi, s.lo + t.hi)
    return _renormalise(s.hi, s.lo + t.lo)


def add_plain(x: Doubled, y: Tensor) -> Doubled:
    """X + y for a float64 tensor y (Joldes, Muller, Popescu 2017, algorithm 4)."""
    s = two_sum(x.hi, y)
    return _renormalise(s.hi, x.lo + s.lo)


def multiply(x: Doubled, y: Doubled) -> Doubled:
    """X · y elementwise (Joldes, Muller, Popescu 2017, algorithm 12 without fused multiply-add)."""
    product = two_prod(x.hi, y.hi)
    cross = x.hi * y.lo + x.lo * y.hi
    return _renormalise(product.hi, product.lo + (cross + x.lo * y.lo))


def symmetrised(x: Doubled) -> Doubled:
    """The upper triangle mirrored to the lower: exactly symmetric."""
    return Doubled(*(part.triu() + part.triu(1).T for part in x))


def slices(rows: Float[Tensor, "m k"], count: int, bits: int) -> Float[Tensor, "count m k"]:
    """Cuts each row into `count` slices that add up to it exactly; each but the last has at most `bits` bits.

    Slice s of a row whose largest entry lies below 2^e holds integer multiples of 2^(e - s·bits), at most 2^bits of them; the last
    slice is the remainder, at most 2^(e - (count - 1)·bits - 1), with whatever bits are left.
    """
    parts, power = rows.new_empty(count, *rows.shape), _powers(rows)
    for index in range(count - 1):
        # adding and subtracting 1.5 · 2^(52 + e - s·bits) rounds to a multiple of 2^(e - s·bits)
        shifter = power * (1.5 * 2.0 ** (MANTISSA - 1 - (index + 1) * bits))
        torch.add(rows, shifter, out=parts[index]).sub_(shifter)
        rows = rows - parts[index]
    parts[-1] = rows
    return parts


def slice_bits(terms: int) -> int:
    """Bits of a slice such that a sum of `terms` products of two slices is exact: 2·bits + log2(terms) ≤ 53."""
    return (MANTISSA - (max(terms, 1) - 1).bit_length()) // 2


def matmul(a: Doubled, b: Doubled) -> Doubled:
    """A · b to nearly the full accuracy of double-double.

    With slices A = Σ A_s and B = Σ B_s, the products A_s B_t with s + t ≤ 4 are summed exactly, one GEMM for each s + t; what is
    left is smaller by 2^(-3·bits + 2) and is summed in float64.

    Returns:
        The product, with a Frobenius error of at most `matmul_error(k)` ‖A‖_F ‖B‖_F.
    """
    bits = slice_bits(3 * a.hi.shape[1])
    left = _doubled_slices(a, bits)
    right = [part.T for part in _doubled_slices(b.T, bits)]
    total = doubled(left[0] @ right[0])
    for order in (2, 3):
        exact = torch.cat(left[:order], dim=1) @ torch.cat(right[:order][::-1], dim=0)
        total = add_plain(total, exact)
    # A_1 (B_4 + …) + A_2 (B_3 + …) + A_3 (B_2 + …) + (A_4 + …) B
    tails = [right[3], right[2] + right[3], right[1] + (right[2] + right[3]), b.hi]
    return add_plain(total, torch.cat(left, dim=1) @ torch.cat(tails, dim=0))


def matmul_error(terms: int) -> float:
    """Frobenius error of `matmul` over `terms` products, relative to ‖A‖_F ‖B‖_F.

    Three additions, each at most 2 UNIT relative to the sum of the moduli of what is added (≤ 3 ‖a_i‖ ‖b_j‖ row by column), and
    4 k products of size 2^(-3·bits + 2) max|a_i| max|b_j| summed in float64, with γ_4k ≤ 4k · 2⁻⁵² for the sum. b.hi for b in the
    last term adds 2^(-3·bits - 53).
    """
    bits = slice_bits(3 * terms)
    return 18 * UNIT + (4 * terms) * terms * 2.0 ** (-3 * bits + 2 - 52)


def gram(rows: Float[Tensor, "m k"], centre: Float[Tensor, " k"] | None = None) -> Doubled:
    """Gram matrix of the rows centre + rows_i (not rounded), exactly symmetric; its error is bounded by `gram_error`.

    The rows' own part takes three slices each: S_1 S_1ᵀ and S_1 S_2ᵀ + (S_1 S_2ᵀ)ᵀ are exact; with R = S_2 + S_3 what is left, S_1
    S_3ᵀ + (S_1 S_3ᵀ)ᵀ + R Rᵀ, is smaller by 2^(-2·bits) and is summed in float64. Products with the centre, which can be much
    larger, are taken as exactly as in `matmul`.
    """
    size, terms = rows.shape
    bits = slice_bits(terms)
    parts = slices(rows, 4 if centre is not None else 3, bits)
    third = parts[2].clone()
    if centre is not None:
        parts[2] += parts[3]
    # one wide product is faster than three
    wide = parts[0] @ parts[:3].reshape(3 * size, terms).T
    leading, cross, outer = wide.split(size, dim=1)
    rest = parts[1] + parts[2]
    tail = rest @ rest.T + (outer + outer.T)
    total = add_plain(add_plain(two_sum(cross, cross.T), leading), 0.5 * (tail + tail.T))
    if centre is None:
        return total
    right = slices(centre[None], 4, bits)[:, 0]
    column = _by_order(torch.stack([part @ right.T for part in (parts[0], parts[1], third, parts[3])]))
    square = _by_order((right @ right.T)[:, None, :])
    column = Doubled(column.hi[:, None], column.lo[:, None])
    return add(add(total, add(column, column.T)), square)


def gram_error(rows: Float[Tensor, "m k"], centre: Float[Tensor, " k"] | None = None) -> float:
    """Bound of the Frobenius norm of the error of `gram`.

    With moduli below M_i = 2^e ≤ 2 max|a_i|, S_1 S_3ᵀ is below k M_i M_j 2^(-2·bits - 1) and R Rᵀ below k M_i M_j 2^(-2·bits - 2);
    S_1 S_3ᵀ counts twice. The float64 sum of their 2k products is off by γ_2k ≤ 2k · 2⁻⁵³ · 1.01 times that, and combining them by
    three more roundings. Of the products with the centre, ten pairs of slices are left for float64, each below k M_i M_0
    2^(-3·bits). Additions in double-double, at most 8 in a row, err by UNIT relative to what they add up to, which is below ‖a_i‖
    ‖a_j‖ and k M_i M_j.
    """
    terms = rows.shape[1]
    bits = slice_bits(terms)
    largest = 2 * torch.linalg.vector_norm(rows, ord=torch.inf, dim=1)
    own = terms * (3 * UNIT + (2 * terms + 6) * 1.25 * 2.0 ** (-2 * bits - 53) * 1.01)
    error = own * largest.square().sum().item()
    if centre is not None:
        most = 2 * centre.abs().max().item()
        tail = 10 * terms * (terms + 10) * 2.0 ** (-3 * bits - 53) * 1.01
        error += tail * (2 * most * len(rows) ** 0.5 * largest.norm().item() + len(rows) * most**2)
        # ten slices' worth of moduli for the sums by order, three additions of the parts
        norms = rows.norm().item() + len(rows) ** 0.5 * centre.norm().item()
        error += 14 * UNIT * norms**2
    return error


def _by_order(products: Float[Tensor, "4 m 4"]) -> Doubled:
    """Σ_{s,t} products[s, :, t], the pairs with s + t ≤ 4 (from 1), each exact, in double-double."""
    total, tail = doubled(products[0, :, 0]), torch.zeros_like(products[0, :, 0])
    for s, t in itertools.product(range(4), range(4)):
        if s + t > 2:
            tail = tail + products[s, :, t]
    for s, t in ((0, 1), (1, 0), (0, 2), (1, 1), (2, 0)):
        total = add_plain(total, products[s, :, t])
    return add_plain(total, tail)


def _doubled_slices(x: Doubled, bits: int) -> list[Tensor]:
    """Four slices of hi + lo: three exact ones, and the remainder rounded to float64."""
    *leading, rest = slices(x.hi, 3, bits).unbind()
    # the third slice is cut from what hi has left plus lo: lo lies below half an ulp of hi and may reach into it
    total = two_sum(rest, x.lo)
    shifter = _powers(x.hi) * (1.5 * 2.0 ** (MANTISSA - 1 - 3 * bits))
    third = (total.hi + shifter) - shifter
    return [*leading, third, (total.hi - third) + total.lo]


def _powers(rows: Tensor) -> Tensor:
    """For each row a power of two above its largest modulus and at most twice it, (m, 1)."""
    largest = torch.linalg.vector_norm(rows, ord=torch.inf, dim=1, keepdim=True)
    # the quotient is the power of two exactly; torch.ldexp would compute it in float32
    return (largest / torch.frexp(largest).mantissa).where(largest > 0, torch.ones_like(largest))


def _halves(a: Tensor) -> tuple[Tensor, Tensor]:
    scaled = _SPLITTER * a
    high = scaled - (scaled - a)
    return high, a - high


def _renormalise(a: Tensor, b: Tensor) -> Doubled:
    """Fast two-sum, exact for |a| ≥ |b| (Dekker)."""
    hi = a + b
    return Doubled(hi, b - (hi - a))
