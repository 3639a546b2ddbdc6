"""Rows around a centre, with an estimate of their rounding errors, and their Gram matrices.

A centre is a matrix of one row. Shapes are written for one network; several side by side have
leading dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.kernel.rounding import row_norms
from ntk_sweep.numerics.double_double import (
    DoubleDouble,
    GramError,
    RowSizes,
    gram,
    gram_errors,
    powers,
    symmetric_product,
)
from ntk_sweep.numerics.gram_tiles import gram_tile
from ntk_sweep.numerics.thresholds import TILE_ROWS

INPUT_ORDERS = 2
"""Of products of the inputs, whatever those of later layers: the inputs have no centre, and their
Gram matrix is kept."""

ALIKE = 1e-13
"""Of the length of inputs, how far apart they may be for their passes to round alike: some hundred
units of rounding."""

TILED_INPUT_ORDERS = 1
"""The same, at least, where they are too many for it to be kept."""


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
        """Each ‖centre + row‖² to rounding; costs nothing after `gram`."""
        if self._total_squares is None:
            self._total_squares = row_norms(self.total) ** 2
        return self._total_squares

    def double_double_gram(self, orders: int) -> DoubleDouble:
        """The same in double-double, its upper triangle; see `double_double.gram`.

        Args:
            orders: As there. Without any, what is short beside the centre is multiplied in float64.
        """
        return gram(self.rows.double(), self._double_centre, orders, self._powers)

    def double_double_tile(self, rows: slice, columns: slice, orders: int) -> DoubleDouble:
        """A tile of the same Gram matrix."""
        own, others = (self.rows[part].double() for part in (rows, columns))
        return gram_tile(own, others, self._double_centre, orders)

    def double_double_gram_errors(self, orders: int) -> GramError:
        """The error of `double_double_gram`."""
        sizes = RowSizes(self.rows.shape[-1], self.row_norms, self._powers)
        return gram_errors(sizes, self._double_centre, orders)

    @cached_property
    def largest_square(self) -> Float[Tensor, "*r"]:
        """An upper bound of the greatest ‖centre + row‖²."""
        return self.squares.amax(dim=-1)

    @cached_property
    def squares(self) -> Float[Tensor, "*r N"]:
        """An upper bound of each ‖centre + row‖²."""
        lengths = self.row_norms
        if self.centre is not None:
            lengths = lengths + row_norms(self.centre)
        return lengths**2

    @cached_property
    def _powers(self) -> Float[Tensor, "*r N 1"]:
        return powers(self.rows.double())

    @property
    def _double_centre(self) -> Float[Tensor, "*c 1 n"] | None:
        return None if self.centre is None else self.centre.double()


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

    def double_double_gram(self, orders: int) -> DoubleDouble:
        """The same in double-double, its upper triangle, whatever the orders."""
        if self._double_double_gram is None:
            self._double_double_gram = super().double_double_gram(INPUT_ORDERS)
        return self._double_double_gram

    def double_double_tile(self, rows: slice, columns: slice, orders: int) -> DoubleDouble:
        """A tile of the same Gram matrix."""
        return super().double_double_tile(rows, columns, self._own_orders(orders))

    def double_double_gram_errors(self, orders: int) -> GramError:
        """The error of `double_double_gram`."""
        return super().double_double_gram_errors(self._own_orders(orders))

    def _own_orders(self, orders: int) -> int:
        tiled = len(self.rows) > TILE_ROWS
        return max(orders, TILED_INPUT_ORDERS) if tiled else INPUT_ORDERS
