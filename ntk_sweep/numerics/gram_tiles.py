"""Tiles of Gram matrices in double-double, where whole ones would need too much memory."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.numerics.double_double import (
    THREADED_ROWS,
    DoubleDouble,
    add,
    add_plain,
    centre_products,
    centre_slices,
    from_float64,
    powers,
    slice_bits,
    slices,
    two_sum,
)

TILE = 512
"""Rows and columns of a tile: its temporaries of 2 MB each stay in the caches. Tuned on two
cores."""


def upper_tiles(size: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of the tiles on and above the diagonal of a symmetric matrix."""
    parts = [slice(top, min(top + TILE, size)) for top in range(0, size, TILE)]
    for index, rows in enumerate(parts):
        for columns in parts[index:]:
            yield rows, columns


def gram_tile(
    rows: Float[Tensor, "m k"],
    others: Float[Tensor, "p k"],
    centre: Float[Tensor, "1 k"] | None = None,
    orders: int = 2,
) -> DoubleDouble:
    """The entries of `double_double.gram` between two parts of its rows, (m, p).

    The sums are the same, or of more slices, and the bounds those of `double_double.gram_errors`.
    """
    bits = slice_bits(rows.shape[-1])
    scales = [powers(part) for part in (rows, others)]
    a, b = (
        slices(part, orders + 1, bits, scale)
        for part, scale in zip((rows, others), scales, strict=True)
    )
    exact = _product(a[0], b[0])
    if orders == 0:
        total = from_float64(exact)
    elif orders == 1:
        left, right = (torch.add(part[0], part[1], alpha=0.5) for part in (a, b))
        total = two_sum(exact, _product(left, b[1]).add_(_product(a[1], right)))
    else:
        tail = (
            _product(a[0], b[2]).add_(_product(a[2], b[0])).add_(_product(a[1] + a[2], b[1] + b[2]))
        )
        cross = two_sum(_product(a[0], b[1]), _product(a[1], b[0]))
        total = add_plain(add_plain(cross, exact), tail)
    if centre is None:
        return total
    of_rows, of_others = (
        centre_products(part, centre, bits, scale, centre_slices(scale, centre, orders))
        for part, scale in zip((a, b), scales, strict=True)
    )
    own = DoubleDouble(of_rows.hi[:, None], of_rows.lo[:, None])
    return add(total, add(own, of_others))


def mirrored(tile: Float[Tensor, "m m"]) -> Float[Tensor, "m m"]:
    """The symmetric matrix with the upper triangle of a tile on the diagonal."""
    return tile.triu() + tile.triu(1).mT


def _product(rows: Float[Tensor, "m k"], others: Float[Tensor, "p k"]) -> Float[Tensor, "m p"]:
    """Rows · othersᵀ.

    NumPy's BLAS is the faster one on some processors, and never the slower on one thread.
    """
    if rows.device.type == "cpu" and (torch.get_num_threads() == 1 or len(rows) >= THREADED_ROWS):
        return torch.from_numpy(rows.numpy() @ others.numpy().T)
    return rows @ others.mT
