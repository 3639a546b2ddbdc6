"""Θ in double-double where products of rows, short beside their centres, are in float64.

With a_i = ā + g_i and δ_i = δ̄ + d_i,

    a aᵀ = G + p 1ᵀ + 1 pᵀ,   G = g gᵀ,   p_i = ⟨ā, g_i⟩ + ‖ā‖²/2,

likewise δ δᵀ = H + q 1ᵀ + 1 qᵀ, and layer l of Θ, (δ δᵀ) ∘ (c² a aᵀ + β²), is

    H_ij (c² (G_ij + p_i + p_j) + β²) + c² G_ij (q_i + q_j)
        + c² (q_i p_j + p_i q_j) + (c² q_i p_i + β² q_i) + (c² q_j p_j + β² q_j).

The first line is in float64. No rows shorten the second: p, q and it are in double-double. Summed
over the layers it is a product of matrices of a few columns. The inputs of the first layer are no
rows around a centre, and their Gram matrix is in double-double too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.kernel.centred_passes import CentredPasses
from ntk_sweep.kernel.centred_rows import CentredRows, ExactInputs
from ntk_sweep.kernel.rounding import unit_of
from ntk_sweep.network.linear_layer import LayerScale
from ntk_sweep.numerics.double_double import (
    ADD_USUAL,
    UNIT,
    DoubleDouble,
    add,
    add_plain,
    from_float64,
    multiply,
    two_prod,
)
from ntk_sweep.numerics.double_double_functions import scaled, selected
from ntk_sweep.numerics.gram_matrices import GramError
from ntk_sweep.numerics.gram_tiles import mirrored
from ntk_sweep.numerics.sliced_products import (
    narrow_product,
    powers,
)

Seen = Callable[[int, slice, slice, Tensor, Tensor], None]
"""Takes the index of a layer, rows, columns and what is there of c² a aᵀ + β² and of δ δᵀ, in
float64."""


class _Layer(NamedTuple):
    """A layer, p and q; None without a centre."""

    inputs: CentredRows
    gradients: CentredRows
    scale: LayerScale
    p: DoubleDouble | None
    q: DoubleDouble | None


class ShortRows:
    """Θ of centred passes of one network, tile by tile.

    Args:
        passes: The passes.
    """

    def __init__(self, passes: CentredPasses) -> None:
        layers = zip(passes.inputs, passes.gradients, passes.scales, strict=True)
        self._layers = [
            _Layer(a, delta, scale, a.centre_terms, delta.centre_terms)
            for a, delta, scale in layers
        ]
        self._left, self._right = self._factors()

    def tile(self, rows: slice, columns: slice, seen: Seen | None = None) -> DoubleDouble:
        """Some rows and columns of Θ; exactly symmetric where they are the same."""
        total = narrow_product(
            selected(self._left, rows),
            selected(self._right, columns),
        )
        short = torch.zeros_like(total.hi)
        for index, (a, delta, scale, p, q) in enumerate(self._layers):
            inputs, gradients = a.product(rows, columns), delta.product(rows, columns)
            ends = torch.zeros_like(short) if q is None else _ends(q.hi, rows, columns)
            products = scale.gram(inputs if p is None else inputs + _ends(p.hi, rows, columns))
            short.addcmul_(gradients, products)
            if isinstance(a, ExactInputs):
                if q is not None:
                    total = add(total, self._first(rows, columns))
            else:
                short.addcmul_(inputs, ends, value=scale.square)
            if seen is not None:
                seen(index, rows, columns, products, gradients + ends)
        total = add_plain(total, short)
        return DoubleDouble(*map(mirrored, total)) if rows == columns else total

    def _first(self, rows: slice, columns: slice) -> DoubleDouble:
        """c² G_ij (q_i + q_j) of the first layer."""
        a, _, scale, _, q = self._layers[0]
        assert q is not None
        ends = add(selected(q, (rows, None)), selected(q, columns))
        product = multiply(ends, a.double_double_tile(rows, columns, 0))
        return product if scale.factor == 1 else multiply(product, _squares(q.hi, [scale.factor]))

    def _factors(self) -> tuple[DoubleDouble, DoubleDouble]:
        """The two factors of the second line, (N, 2D + 2)."""
        *_, scales, p, q = zip(*self._layers, strict=True)
        like = self._layers[0].inputs.row_norms
        p, q = (_rows(values, like) for values in (p, q))
        of_weights = multiply(p, _squares(like, [scale.factor for scale in scales]))
        of_biases = multiply(q, _squares(like, [scale.bias for scale in scales]))
        alone = from_float64(like * 0)
        for own in _each(add(of_biases, multiply(q, of_weights))):
            alone = add(alone, own)
        ones = from_float64(torch.ones_like(like))
        x, y = _rows([*_each(of_weights), alone], like), _rows([*_each(q), ones], like)
        # all of a layer scaled by a power of two to about the same size; zeros make a zero of what
        # they are multiplied with, whose size would count in the error of the product
        roots = [powers(part.hi.abs().sqrt()) for part in (x, y)]
        present = torch.stack([(part.hi != 0).any(1, keepdim=True) for part in (x, y)]).all(0)
        x, y = (
            scaled(part, torch.where(present, other / own, 0.0))
            for part, own, other in zip((x, y), roots, roots[::-1], strict=True)
        )
        return _beside(x, y), _beside(y, x)


def _squares(like: Float[Tensor, " N"], numbers: Sequence[float]) -> DoubleDouble:
    """The exact squares, (D, 1)."""
    values = like.new_tensor(numbers)[:, None]
    return two_prod(values, values)


def _rows(values: Sequence[DoubleDouble | None], like: Float[Tensor, " N"]) -> DoubleDouble:
    """Vectors one below the other, (D, N); None for zeros."""
    zero = from_float64(like * 0)
    parts = zip(*(zero if one is None else one for one in values), strict=True)
    return DoubleDouble(*map(torch.stack, parts))


def _beside(x: DoubleDouble, y: DoubleDouble) -> DoubleDouble:
    """Rows of both, as columns."""
    return DoubleDouble(*(torch.cat(parts).T for parts in zip(x, y, strict=True)))


def _each(rows: DoubleDouble) -> Iterator[DoubleDouble]:
    return map(DoubleDouble, *rows)


def _ends(values: Float[Tensor, " N"], rows: slice, columns: slice) -> Float[Tensor, "m p"]:
    return values[rows, None] + values[columns]


def short_rows_errors(passes: CentredPasses) -> GramError:
    """What `ShortRows` adds to the errors of Gram matrices, as `GramError` has it.

    Of layer l the first line has ten roundings at most of |H_ij| (c² aaᵀ + β²) and of c² |G_ij|
    δδᵀ, and one a layer, all independent; the second, whose factors have rows of squares below 2
    max|δδᵀ| max|c² aaᵀ + β²| a layer, five additions of all of it.
    """
    layers = list(zip(passes.inputs, passes.gradients, passes.scales, strict=True))
    short = torch.zeros_like(passes.outputs, dtype=torch.float64)
    long = short[0] * 0
    for a, delta, scale in layers:
        short = short + delta.row_norms**2 * scale.gram(a.total_squares)
        if not isinstance(a, ExactInputs):
            short = short + scale.square * a.row_norms**2 * delta.total_squares
        long = long + scale.gram(a.largest_square) * delta.largest_square
    count, unit = 10 + len(layers), unit_of(torch.float64)
    norm = count * unit * short.sum() + 3 * len(short) * UNIT * long
    return GramError(norm, count**0.5 * unit * short + 10 * ADD_USUAL * long)
