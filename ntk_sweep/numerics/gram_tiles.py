"""Tiles of Gram matrices in double-double, where whole ones would need too much memory."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.numerics.double_double import (
    DoubleDouble,
    add,
    add_plain,
    two_sum,
)
from ntk_sweep.numerics.sliced_products import (
    THREADED_ROWS,
    slice_bits,
    slices,
)
from ntk_sweep.numerics.thresholds import DOUBLE_DOUBLE_TILE_ROWS


def upper_tiles(size: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of the tiles on and above the diagonal of a symmetric matrix."""
    step = DOUBLE_DOUBLE_TILE_ROWS
    parts = [slice(top, min(top + step, size)) for top in range(0, size, step)]
    for index, rows in enumerate(parts):
        for columns in parts[index:]:
            yield rows, columns


def gram_tile(
    rows: Float[Tensor, "m k"],
    others: Float[Tensor, "p k"],
    ends: tuple[DoubleDouble, DoubleDouble] | None = None,
    orders: int = 2,
) -> DoubleDouble:
    """The entries of `gram_matrices.gram` between two parts of its rows, (m, p).

    The sums are the same, and the bounds those of `gram_matrices.gram_errors`.

    Args:
        rows: One part.
        others: The other.
        ends: `gram_matrices.centre_terms` of both; None without a centre.
        orders: As there.
    """
    bits = slice_bits(rows.shape[-1])
    a, b = (slices(part, orders + 1, bits) for part in (rows, others))
    exact = rows_product(a[0], b[0])
    if orders == 1:
        left, right = (torch.add(part[0], part[1], alpha=0.5) for part in (a, b))
        total = two_sum(exact, rows_product(left, b[1]).add_(rows_product(a[1], right)))
    else:
        tail = rows_product(a[0], b[2]).add_(rows_product(a[2], b[0]))
        tail.add_(rows_product(a[1] + a[2], b[1] + b[2]))
        cross = two_sum(rows_product(a[0], b[1]), rows_product(a[1], b[0]))
        total = add_plain(add_plain(cross, exact), tail)
    if ends is None:
        return total
    own, beside = ends
    return add(total, add(DoubleDouble(own.hi[:, None], own.lo[:, None]), beside))


def mirrored(tile: Float[Tensor, "m m"]) -> Float[Tensor, "m m"]:
    """The symmetric matrix with the upper triangle of a tile on the diagonal."""
    return tile.triu() + tile.triu(1).mT


def rows_product(rows: Float[Tensor, "m k"], others: Float[Tensor, "p k"]) -> Float[Tensor, "m p"]:
    """Rows · othersᵀ.

    NumPy's BLAS is the faster one on some processors, and never the slower on one thread.
    """
    if rows.device.type == "cpu" and (torch.get_num_threads() == 1 or len(rows) >= THREADED_ROWS):
        return torch.from_numpy(rows.numpy() @ others.numpy().T)
    return rows @ others.mT
