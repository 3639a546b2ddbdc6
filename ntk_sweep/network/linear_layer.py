"""The linear map of a layer, z = c W a + β b, and how its inputs enter the kernel.

The derivative of z_k with respect to the layer's parameters is [c a, β]. So the Gram matrix of the
layer's inputs enters Θ as c² a aᵀ + β²: `LayerScale` says so, once, for every kernel. The scales
σ_w and σ_b are in c and β, as `ntk_sweep.network.parametrisations` has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.network.parametrisations import PARAMETRISATIONS, exact_square
from ntk_sweep.numerics.double_double import (
    DoubleDouble,
    add,
    multiply,
    two_prod,
)
from ntk_sweep.numerics.double_double_functions import constant, square_root

ROWS_AT_ONCE = 256
"""40 MB at width 20,000."""


@dataclass(frozen=True)
class LayerScale:
    """The factors with which the weights and the bias of a layer enter its pre-activations.

    Attributes:
        factor: c, that of the weights, σ_w c_l or c_l alone.
        bias: β, that of the bias, σ_b or 1; 0 for a layer without one, which then neither adds a
            value nor is trained.
        exact_square: c², with c_l = 1/√n itself; None where c is no more than its float64.
    """

    factor: float
    bias: float = 1.0
    exact_square: Fraction | None = None

    @property
    def exact_factor(self) -> DoubleDouble:
        """The factor c in double-double, with c_l = 1/√n itself."""
        square = self.exact_square
        return square_root(constant(Fraction(self.factor) ** 2 if square is None else square))

    @property
    def square(self) -> float:
        """c²."""
        return self.factor * self.factor

    def gram(
        self, gram: Float[Tensor, "*shape"], out: Float[Tensor, "*shape"] | None = None
    ) -> Float[Tensor, "*shape"]:
        """c² · gram + β²: the layer's inputs in Θ.

        Args:
            gram: Entries of the Gram matrix of the inputs, or bounds of them.
            out: Where the result is put; `gram` itself if it is not needed any more.

        Example:
            >>> LayerScale(0.5).gram(torch.tensor([[4.0, 8.0], [8.0, 16.0]]))
            tensor([[2., 3.],
                    [3., 5.]])
        """
        return torch.mul(gram, self.square, out=out).add_(self.bias * self.bias)

    def derivatives(self, inputs: Float[Tensor, "N n"]) -> Float[Tensor, "N n_and_1"]:
        """[c a, β], whose Gram matrix is `gram` of that of the inputs."""
        bias = inputs.new_full((len(inputs), 1), self.bias)
        return torch.cat((self.factor * inputs, bias), dim=1)


class LayerGrams(NamedTuple):
    """The two Gram matrices of a layer: Θ_l is the product of `gradients` and `scale.gram(inputs)`.

    Attributes:
        scale: c and β.
        gradients: δ^l δ^lᵀ.
        inputs: a^{l-1} a^{l-1}ᵀ.
    """

    scale: LayerScale
    gradients: DoubleDouble
    inputs: DoubleDouble


def summed_layers(layers: Iterable[LayerGrams]) -> DoubleDouble:
    """Σ_l (δ^l δ^lᵀ) ∘ `scale.gram(inputs)` in double-double, entry by entry.

    Terms of one factor are added up first:

        Σ_c c² Σ_l (δ^l δ^lᵀ) ∘ (a^{l-1} a^{l-1}ᵀ) + Σ_β β² Σ_l δ^l δ^lᵀ,

    where c and β run over the different factors and l over their layers.
    """
    of_biases: dict[float, DoubleDouble] = {}
    of_weights: dict[float, DoubleDouble] = {}
    for scale, gradients, inputs in layers:
        if scale.bias:
            _add_to(of_biases, scale.bias, gradients)
        _add_to(of_weights, scale.factor, multiply(gradients, inputs))
    total: DoubleDouble | None = None
    for factor, part in (*of_biases.items(), *of_weights.items()):
        term = part
        if factor != 1:
            number = part.hi.new_tensor(factor)
            term = multiply(part, two_prod(number, number))
        total = term if total is None else add(total, term)
    assert total is not None
    return total


def _add_to(sums: dict[float, DoubleDouble], factor: float, term: DoubleDouble) -> None:
    sums[factor] = add(sums[factor], term) if factor in sums else term


def layer_scales(
    parametrisation: str,
    sizes: Sequence[tuple[int, int]],
    weight_std: float = 1.0,
    bias_std: float | None = 1.0,
) -> tuple[LayerScale, ...]:
    """The scale of each layer.

    Args:
        parametrisation: A name in `PARAMETRISATIONS`.
        sizes: Fan-in and fan-out of each layer.
        weight_std: σ_w.
        bias_std: σ_b; None for a network without biases.
    """
    own, scales = PARAMETRISATIONS[parametrisation], []
    std = Fraction(1 if own.scales_draws else weight_std)
    for index, size in enumerate(sizes):
        is_last = index == len(sizes) - 1
        factors = own.layer(*size, is_last, weight_std, bias_std)
        square = std**2 * exact_square(own.factor(*size, is_last))
        scales.append(LayerScale(factors.weight, factors.bias, square))
    return tuple(scales)


class LinearLayer:
    """The weights of one layer, or of the same layer of several networks side by side.

    Rows are then (networks, activations, N, n), since networks that differ in their activation
    share weights; for a single layer they are (N, n).

    Args:
        weight: W, (n_l, n_{l-1}), or (networks, n_l, n_{l-1}).
        bias: b, (n_l,), or (networks, 1, 1, n_l).
        scale: c and β.
    """

    def __init__(
        self,
        weight: Float[Tensor, "*s n_l n_below"],
        bias: Float[Tensor, "*t n_l"],
        scale: LayerScale,
    ) -> None:
        self.weight, self.bias, self.scale = weight, bias, scale

    @property
    def shift(self) -> Float[Tensor, "*t n_l"]:
        """The vector β b, which pre-activations contain."""
        return self.bias if self.scale.bias == 1 else self.bias * self.scale.bias

    def forward(self, rows: Float[Tensor, "*r n_below"]) -> Float[Tensor, "*q n_l"]:
        """The product c · rows · Wᵀ, without the bias."""
        return self.product(rows).mul_(self.scale.factor)

    def product(self, rows: Float[Tensor, "*r n_below"]) -> Float[Tensor, "*q n_l"]:
        """The product rows · Wᵀ, which networks that differ in scale share."""
        return self._product(rows, self.weight.mT)

    def float64_pre_activations(self, rows: Float[Tensor, "*r n_below"]) -> Float[Tensor, "*q n_l"]:
        """Pre-activations c · rows · Wᵀ + β b in float64, of weights of any dtype."""
        parts = self.weight.split(ROWS_AT_ONCE, dim=-2)
        product = torch.cat([self._product(rows, part.double().mT) for part in parts], dim=-1)
        return product.mul_(self.scale.factor).add_(self.bias.double() * self.scale.bias)

    def backward(self, rows: Float[Tensor, "*r n_l"]) -> Float[Tensor, "*q n_below"]:
        """The product c · rows · W."""
        return self._product(rows, self.weight).mul_(self.scale.factor)

    @cached_property
    def column_squares(self) -> Float[Tensor, "*t n_below 1"]:
        """c² ‖W_:k‖² of each column, float64; computed once."""
        # some rows at a time and in one place: the squares of a whole matrix may be too large to be
        # held beside it
        parts = self.weight.split(ROWS_AT_ONCE, dim=-2)
        place = torch.empty_like(parts[0], dtype=torch.float64)
        total = torch.zeros_like(place[..., 0, :])
        for part in parts:
            total += torch.square(part.double(), out=place[..., : part.shape[-2], :]).sum(dim=-2)
        return self._aligned(total * self.scale.factor**2)

    @cached_property
    def row_squares(self) -> Float[Tensor, "*t n_l 1"]:
        """c² ‖W_k:‖² of each row, float64; computed once."""
        return self._aligned(
            torch.linalg.vector_norm(self.weight, dim=-1, dtype=torch.float64) ** 2
            * self.scale.factor**2
        )

    def _product(
        self, rows: Float[Tensor, "*r m"], matrix: Float[Tensor, "*s m k"]
    ) -> Float[Tensor, "*q k"]:
        if matrix.ndim == 2:
            return rows @ matrix
        if rows.ndim == 2:  # the inputs, the same for all
            return (rows @ matrix)[:, None]
        # one product a network, over the rows of all its activations
        product = rows.flatten(1, -2) @ matrix
        return product.unflatten(1, rows.shape[1:-1])

    def _aligned(self, squares: Float[Tensor, "*s m"]) -> Float[Tensor, "*t m 1"]:
        return squares[:, None, :, None] if squares.ndim == 2 else squares[:, None]
