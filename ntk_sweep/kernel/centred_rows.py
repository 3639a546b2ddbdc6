"""Rows around a centre, with an estimate of their rounding errors, and their Gram matrices.

A centre is a matrix of one row. Shapes are written for one network; several side by side have
leading dimensions.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.kernel.rounding import row_norms
from ntk_sweep.numerics.double_double import DoubleDouble
from ntk_sweep.numerics.double_double_functions import selected
from ntk_sweep.numerics.gram_matrices import (
    GramError,
    RowSizes,
    centre_slices,
    centre_terms,
    gram,
    gram_errors,
)
from ntk_sweep.numerics.gram_tiles import gram_tile, rows_product
from ntk_sweep.numerics.sliced_products import (
    powers,
    symmetric_product,
)
from ntk_sweep.numerics.thresholds import TILE_ROWS

INPUT_ORDERS = 2
"""Of products of the inputs, whatever those of later layers: the inputs have no centre, and their
Gram matrix is kept."""

TILED_INPUT_ORDERS = 1
"""The same, at least, where they are too many for it to be kept."""

ALIKE = 1e-13
"""Of the length of inputs, how far apart they may be for their passes to round alike: some hundred
units of rounding."""

CANCELLED = 1e-6
"""Of the squares of centre and row, what their sum may have left for its square to be known from
theirs."""


@dataclass(eq=False)
class CentredRows:
    """One factor of a layer's Jacobian, a^{l-1} or δ^l, as centre + rows; the sum is not rounded.

    Attributes:
        centre: Shared by all rows, (1, n); None for zero.
        rows: The differences, (N, n).
        row_norms: Euclidean norm of each, (N,), float64.
        centre_error: Root mean square estimate of the Euclidean norm of the centre's rounding
            error, (1,), float64.
        row_errors: The same for each row, (N,), float64.
    """

    centre: Float[Tensor, "*c 1 n"] | None
    rows: Float[Tensor, "*r N n"]
    row_norms: Float[Tensor, "*r N"]
    centre_error: Float[Tensor, "*e 1"]
    row_errors: Float[Tensor, "*f N"]
    _total_squares: Float[Tensor, "*r N"] | None = field(default=None, init=False, repr=False)

    @property
    def total(self) -> Float[Tensor, "*r N n"]:
        """Centre + rows, in float64 whatever the dtype of the pass."""
        rows = self.rows.double()
        return rows if self.centre is None else rows + self.centre

    def __getitem__(self, index: tuple[int, int]) -> CentredRows:
        """Those of one of several networks side by side; the inputs belong to all of them."""
        if self.rows.ndim == 2:
            return self
        centre = None if self.centre is None else self.centre[index]
        return CentredRows(
            centre,
            self.rows[index],
            self.row_norms[index],
            self.centre_error[index],
            self.row_errors[index],
        )

    def gram(self) -> Float[Tensor, "*r N N"]:
        """The Gram matrix of centre + rows in float64; not to be changed in place."""
        product = symmetric_product(self.total)
        self._total_squares = product.diagonal(dim1=-2, dim2=-1).clone()
        return product

    @property
    def total_squares(self) -> Float[Tensor, "*r N"]:
        """Each ‖centre + row‖² to rounding; costs nothing after `gram` or `centre_terms`."""
        if self._total_squares is None:
            self._total_squares = row_norms(self.total) ** 2
        return self._total_squares

    def product(self, rows: slice, columns: slice) -> Float[Tensor, "m p"]:
        """Products of the rows alone, in float64; symmetric where both are the same."""
        own = self.rows[rows].double()
        if rows == columns:
            return symmetric_product(own)
        return rows_product(own, self.rows[columns].double())

    def double_double_gram(self, orders: int) -> DoubleDouble:
        """The Gram matrix in double-double, its upper triangle; see `gram_matrices.gram`.

        Args:
            orders: As there.
        """
        return gram(self.rows.double(), self._double_centre, orders, self._powers)

    def double_double_tile(self, rows: slice, columns: slice, orders: int) -> DoubleDouble:
        """A tile of the same Gram matrix."""
        own, others = (self.rows[part].double() for part in (rows, columns))
        terms = self._long_centre_terms
        ends = None if terms is None else (selected(terms, rows), selected(terms, columns))
        return gram_tile(own, others, ends, orders)

    def double_double_gram_errors(self, orders: int) -> GramError:
        """The error of `double_double_gram`; for no orders, of `product` and `centre_terms`."""
        return gram_errors(self.sizes, self.centre_sizes, orders)

    def errors_like(self, orders: int) -> Hashable:
        """What rows have in common that `gram_errors` takes together."""
        if (centre := self.centre_sizes) is None:
            return self.rows.shape
        count = centre_slices(self._powers, centre.powers, orders)
        return self.rows.shape, centre.lengths.shape, count

    @cached_property
    def centre_terms(self) -> DoubleDouble | None:
        """What the centre adds to `product`: see `gram_matrices.centre_terms`, for short rows."""
        terms = self._centre_terms(0)
        if terms is not None:
            squares = self.row_norms**2 + 2 * terms.hi
            if bool((squares > CANCELLED * self.squares).all()):
                self._total_squares = squares
        return terms

    @cached_property
    def _long_centre_terms(self) -> DoubleDouble | None:
        return self._centre_terms(1)

    def _centre_terms(self, orders: int) -> DoubleDouble | None:
        centre, sizes = self._double_centre, self.centre_sizes
        if centre is None or sizes is None:
            return None
        return centre_terms(self.rows.double(), centre, self._powers, sizes.powers, orders)

    @property
    def sizes(self) -> RowSizes:
        """What bounds need to know of the rows."""
        return RowSizes(self.rows.shape[-1], self.row_norms, self._powers)

    @cached_property
    def centre_sizes(self) -> RowSizes | None:
        """And of the centre."""
        centre = self._double_centre
        return None if centre is None else RowSizes.of(centre)

    @cached_property
    def largest_square(self) -> Float[Tensor, "*r"]:
        """An upper bound of the greatest ‖centre + row‖²."""
        return self.squares.amax(dim=-1)

    @cached_property
    def squares(self) -> Float[Tensor, "*r N"]:
        """An upper bound of each ‖centre + row‖²."""
        lengths = self.row_norms
        if self.centre_sizes is not None:
            lengths = lengths + self.centre_sizes.lengths
        return lengths**2

    @cached_property
    def _powers(self) -> Float[Tensor, "*r N 1"]:
        return powers(self.rows.double())

    @property
    def _double_centre(self) -> Float[Tensor, "*c 1 n"] | None:
        return None if self.centre is None else self.centre.double()


def gram_errors_of(layers: Sequence[CentredRows], orders: int) -> GramError:
    """The errors of the Gram matrices of all layers, (D, ...)."""
    alike: dict[Hashable, list[int]] = {}
    for index, rows in enumerate(layers):
        alike.setdefault(rows.errors_like(orders), []).append(index)
    found: dict[int, GramError] = {}
    for places in alike.values():
        if len(places) == 1:
            found[places[0]] = layers[places[0]].double_double_gram_errors(orders)
            continue
        group = [layers[place] for place in places]
        sizes = _together([rows.sizes for rows in group])
        centres = [rows.centre_sizes for rows in group if rows.centre_sizes is not None]
        errors = gram_errors(sizes, _together(centres) if centres else None, orders)
        found.update(zip(places, map(GramError, *errors), strict=True))
    ordered = [found[index] for index in range(len(layers))]
    return GramError(*(stacked(parts) for parts in zip(*ordered, strict=True)))


def _together(sizes: Sequence[RowSizes]) -> RowSizes:
    return RowSizes(
        sizes[0].terms,
        torch.stack([one.lengths for one in sizes]),
        torch.stack([one.powers for one in sizes]),
    )


def stacked(layers: Sequence[Float[Tensor, ...]]) -> Float[Tensor, "D ..."]:
    """Values of each layer, those that several networks share repeated for each."""
    return torch.stack(torch.broadcast_tensors(*layers))


class ExactInputs(CentredRows):
    """The inputs of a first layer: exact, without a centre.

    All networks on the same inputs share it: each of its Gram matrices is computed once and kept.

    Args:
        x: N inputs, of the networks' dtype and on their device.
    """

    def __init__(self, x: Float[Tensor, "N n_in"]) -> None:
        norms = row_norms(x)
        super().__init__(None, x, norms, norms[..., :1] * 0, norms * 0)
        self._gram: Tensor | None = None
        self._double_double_gram: DoubleDouble | None = None
        self._errors: dict[int, GramError] = {}

    @cached_property
    def has_equals(self) -> bool:
        """Whether two inputs are equal."""
        # -0 becomes 0
        return len({row.tobytes() for row in (self.rows + 0.0).cpu().numpy()}) < len(self.rows)

    @cached_property
    def multiplicities(self) -> Float[Tensor, " N"]:
        """How many inputs round like each, itself included: those within `ALIKE` of it.

        They are neighbours in the order along one direction. Others may happen to lie there too,
        which makes bounds wider and no less true.
        """
        rows = self.rows.double().cpu()
        rows = rows / powers(rows.reshape(1, -1))
        direction = torch.arange(1.0, rows.shape[1] + 1, dtype=torch.float64).cos()
        places, order = (rows @ direction).sort()
        apart = places.diff() > ALIKE * rows.norm(dim=1).max() * direction.norm()
        groups = torch.cat((places.new_zeros(1), apart.cumsum(0))).long()
        counts = torch.empty_like(places)
        counts[order] = groups.bincount()[groups].double()
        return counts.to(self.row_norms)

    def gram(self) -> Float[Tensor, "N N"]:
        """The Gram matrix of the inputs in float64; not to be changed in place."""
        if self._gram is None:
            self._gram = super().gram()
        return self._gram

    def product(self, rows: slice, columns: slice) -> Float[Tensor, "m p"]:
        """Entries of the Gram matrix in float64; not to be changed in place."""
        if len(self.rows) > TILE_ROWS:
            return super().product(rows, columns)
        return self.gram()[rows, columns]

    def double_double_gram(self, orders: int) -> DoubleDouble:
        """The same in double-double, its upper triangle, whatever the orders."""
        if self._double_double_gram is None:
            self._double_double_gram = super().double_double_gram(INPUT_ORDERS)
        return self._double_double_gram

    def double_double_tile(self, rows: slice, columns: slice, orders: int) -> DoubleDouble:
        """A tile of the same Gram matrix."""
        if len(self.rows) > TILE_ROWS:
            return super().double_double_tile(rows, columns, self._own_orders(orders))
        size, gram = len(self.rows), self.double_double_gram(INPUT_ORDERS)
        places = torch.arange(size, device=self.rows.device)
        row, column = torch.meshgrid(places[rows], places[columns], indexing="ij")
        least = row.minimum(column)
        # rows of the triangle before this one, and what precedes the place in it
        index = least * (2 * size - least - 1) // 2 + row.maximum(column)
        return selected(gram, index)

    def double_double_gram_errors(self, orders: int) -> GramError:
        """The error of `double_double_gram`."""
        orders = self._own_orders(orders)
        if orders not in self._errors:
            self._errors[orders] = super().double_double_gram_errors(orders)
        return self._errors[orders]

    def errors_like(self, orders: int) -> Hashable:
        """Nothing, as the orders may be others."""
        return id(self)

    def _own_orders(self, orders: int) -> int:
        tiled = len(self.rows) > TILE_ROWS
        return max(orders, TILED_INPUT_ORDERS) if tiled else INPUT_ORDERS
