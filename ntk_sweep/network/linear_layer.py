"""The linear map of a layer, a ↦ c W a + b, and what its rounding errors depend on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

ROWS_AT_ONCE = 256
"""40 MB at width 20,000."""


@dataclass(frozen=True)
class Linear:
    """The weights of one layer, or of the same layer of several networks side by side.

    Rows are then (networks, activations, N, n), since networks that differ in their activation
    share weights; for a single layer they are (N, n).

    Attributes:
        weight: W, (n_l, n_{l-1}), or (networks, n_l, n_{l-1}).
        bias: b, (n_l,), or (networks, 1, 1, n_l).
        factor: c.
    """

    weight: Float[Tensor, "*s n_l n_below"]
    bias: Float[Tensor, "*s n_l"]
    factor: float

    def forward(self, rows: Float[Tensor, "*r n_below"]) -> Float[Tensor, "*r n_l"]:
        """C · rows · Wᵀ."""
        return self._product(rows, self.weight.mT).mul_(self.factor)

    def backward(self, rows: Float[Tensor, "*r n_l"]) -> Float[Tensor, "*r n_below"]:
        """C · rows · W."""
        return self._product(rows, self.weight).mul_(self.factor)

    @cached_property
    def column_squares(self) -> Float[Tensor, "*s n_below 1"]:
        """c² ‖W_:k‖² of each column, float64."""
        # some rows at a time and in one place: the squares of a whole matrix may be too large to be
        # held beside it
        parts = self.weight.split(ROWS_AT_ONCE, dim=-2)
        place = torch.empty_like(parts[0], dtype=torch.float64)
        total = torch.zeros_like(place[..., 0, :])
        for part in parts:
            total += torch.square(part.double(), out=place[..., : part.shape[-2], :]).sum(dim=-2)
        return self._aligned(total * self.factor**2)

    @cached_property
    def row_squares(self) -> Float[Tensor, "*s n_l 1"]:
        """c² ‖W_k:‖² of each row, float64."""
        return self._aligned(
            torch.linalg.vector_norm(self.weight, dim=-1, dtype=torch.float64) ** 2 * self.factor**2
        )

    def _product(self, rows: Tensor, matrix: Tensor) -> Tensor:
        if matrix.ndim == 2:
            return rows @ matrix
        if rows.ndim == 2:  # the inputs, the same for all
            return (rows @ matrix)[:, None]
        # one product a network, over the rows of all its activations
        product = rows.flatten(1, -2) @ matrix
        return product.unflatten(1, rows.shape[1:-1])

    def _aligned(self, squares: Tensor) -> Tensor:
        return squares[:, None, :, None] if squares.ndim == 2 else squares[:, None]
