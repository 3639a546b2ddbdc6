"""The layers of a network in training, each with its weights and the changes that are still to be made to them.

A step changes W by a matrix of rank B, the batch size: W ← W - c gᵀa, with a (B, n_{l-1}) the layer's inputs and g (B, n_l) the
gradients of the loss with respect to its pre-activations, times the step size. To write that into W costs twice the memory
traffic of a product with W, and for small batches traffic is all that a step costs. So the factors a and g of several steps are
kept, products with W are corrected by them,

    c a' W_nowᵀ + b_now = c a' Wᵀ + b - (c² a' aᵀ + 1) g,     c g' W_now = c g' W - c² (g' gᵀ) a,

and only now and then are they added to W, in one matrix product. For the first layer W need not be touched at all, since its
inputs never change: the pre-activations of all samples, Z = c X Wᵀ + b, follow from those at the start and the Gram matrix
c² X Xᵀ + 1 by the same correction. All this is the same step in exact arithmetic, and rounds differently.

Nothing here depends on values, only on shapes, so that an epoch can be captured as a CUDA graph.
"""

from __future__ import annotations

from typing import Protocol

import torch
from jaxtyping import Float, Int64
from torch import Tensor

KEPT_ROWS = 32
"""How many rows of factors are kept before they are added to W. Tuned at widths 400 to 1000 in float64 on one core, where 16 to
64 are equally good."""

DIRECT_BELOW = 128 * 128
"""W with fewer entries is written at every step: it stays in the cache, and the calls cost more than the traffic. Tuned as above."""

GRAM_WORTH_BELOW = 3
"""The first layer is carried as pre-activations of all samples if there are at most so many times more of them than input
features; beyond that the Gram matrix costs more than W. An estimate."""


class DenseLayer:
    """z = c a Wᵀ + b, with W and b in training, as z = ã W̃ᵀ with W̃ = c [W, b] and ã = [a, 1/c].

    So the step is W̃ ← W̃ - c² gᵀã, and a call does what three would do otherwise; for narrow layers calls are all that a step costs.

    Args:
        weight: W, (n_l, n_{l-1}); it is copied.
        bias: b, (n_l,); it is copied.
        factor: c.
        batch_size: The largest number of rows that `update` is given.
    """

    def __init__(self, weight: Float[Tensor, "n_l n_below"], bias: Float[Tensor, " n_l"], factor: float, batch_size: int) -> None:
        self._extended = factor * torch.cat([weight, bias[:, None]], 1)
        self._transposed, self._weight = self._extended.T, self._extended[:, :-1]
        self._factor, self._rate = factor, -(factor**2)
        rows = 0 if weight.numel() < DIRECT_BELOW or batch_size >= KEPT_ROWS else KEPT_ROWS
        self._inputs = weight.new_empty(rows, weight.shape[1] + 1)
        self._gradients = weight.new_empty(rows, weight.shape[0])
        self._kept = 0
        self._extensions: dict[int, tuple[Tensor, Tensor]] = {}

    def extend(self, inputs: Float[Tensor, "B n_below"]) -> Float[Tensor, "B n_below+1"]:
        """ã for each row a of `inputs`."""
        rows = len(inputs)
        if rows not in self._extensions:
            whole = inputs.new_full((rows, inputs.shape[1] + 1), 1 / self._factor)
            self._extensions[rows] = (whole, whole[:, :-1])
        whole, part = self._extensions[rows]
        part.copy_(inputs)
        return whole

    def forward(self, extended: Float[Tensor, "B n_below+1"]) -> Float[Tensor, "B n_l"]:
        """Z for each row ã."""
        z = extended @ self._transposed
        if self._kept:
            z.addmm_(extended @ self._inputs[: self._kept].T, self._gradients[: self._kept], alpha=self._rate)
        return z

    def backward(self, gradients: Float[Tensor, "B n_l"]) -> Float[Tensor, "B n_below"]:
        """C g W, the gradients with respect to the layer's inputs."""
        below = gradients @ self._weight
        if self._kept:
            overlaps = gradients @ self._gradients[: self._kept].T
            below.addmm_(overlaps, self._inputs[: self._kept, :-1], alpha=self._rate)
        return below

    def update(self, extended: Float[Tensor, "B n_below+1"], gradients: Float[Tensor, "B n_l"]) -> None:
        """W̃ ← W̃ - c² gᵀã."""
        if not len(self._inputs):
            self._extended.addmm_(gradients.T, extended, alpha=self._rate)
            return
        if self._kept + len(extended) > len(self._inputs):
            self.flush()
        rows = slice(self._kept, self._kept + len(extended))
        self._inputs[rows] = extended
        self._gradients[rows] = gradients
        self._kept = rows.stop

    def flush(self) -> None:
        """Adds what is kept to W̃."""
        if self._kept:
            self._extended.addmm_(self._gradients[: self._kept].T, self._inputs[: self._kept], alpha=self._rate)
            self._kept = 0

    def parameters(self) -> tuple[Tensor, Tensor]:
        """Copies of W and b."""
        self.flush()
        return self._weight / self._factor, self._extended[:, -1] / self._factor


class InputLayer(Protocol):
    """The first layer, which knows all the inputs; within an epoch samples are named by their turn."""

    def begin_epoch(self, order: Int64[Tensor, " N"]) -> None:
        """Sample order[t] has turn t from now on."""

    def forward(self, start: int, end: int) -> Float[Tensor, "B n_l"]:
        """Z of the samples with turns start to end."""

    def update(self, start: int, end: int, gradients: Float[Tensor, "B n_l"]) -> None:
        """The step on these samples."""

    def end_epoch(self, order: Int64[Tensor, " N"]) -> None:
        """Every sample had its turn."""

    def pre_activations(self) -> Float[Tensor, "N n_l"]:
        """Z of all samples in their own order."""

    def parameters(self) -> tuple[Tensor, Tensor]:
        """Copies of W and b."""


def input_layer(weight: Tensor, bias: Tensor, factor: float, x: Float[Tensor, "N n_in"], batch_size: int) -> InputLayer:
    """The first layer in the cheaper of its two forms."""
    if len(x) <= GRAM_WORTH_BELOW * x.shape[1]:
        return GramInputLayer(weight, bias, factor, x)
    return DenseInputLayer(weight, bias, factor, x, batch_size)


class GramInputLayer:
    """The first layer as the pre-activations of all samples.

    With Δ (N, n_1) the sum of the gradients of each sample so far, Z = Z_0 - (c² X Xᵀ + 1) Δ, W = W_0 - c ΔᵀX and b = b_0 - Σ Δ.

    Args:
        weight: W_0, (n_1, n_in).
        bias: b_0, (n_1,).
        factor: c.
        x: The inputs, (N, n_in).
    """

    def __init__(self, weight: Tensor, bias: Tensor, factor: float, x: Tensor) -> None:
        self._weight, self._bias, self._factor, self._x = weight, bias, factor, x
        self._gram = factor**2 * (x @ x.T) + 1
        self._z = torch.addmm(bias, x, weight.T, alpha=factor)
        self._total = torch.zeros_like(self._z)
        self._gram_in_order = torch.empty_like(self._gram)
        self._z_in_order, self._gradients = torch.empty_like(self._z), torch.empty_like(self._z)
        self._written = 0

    def begin_epoch(self, order: Tensor) -> None:
        """Sample order[t] has turn t from now on."""
        self._gram_in_order.copy_(self._gram[order][:, order])
        self._z_in_order.copy_(self._z[order])
        self._written = 0

    def forward(self, start: int, end: int) -> Tensor:
        """Z of the samples with turns start to end."""
        z, since = self._z_in_order[start:end], self._written
        if since == start:
            return z
        return torch.addmm(z, self._gram_in_order[start:end, since:start], self._gradients[since:start], alpha=-1)

    def update(self, start: int, end: int, gradients: Tensor) -> None:
        """The step on these samples; samples that had their turn are brought up to date at the end of the epoch."""
        self._gradients[start:end] = gradients
        if end - self._written >= KEPT_ROWS:
            since, self._written = self._written, end
            self._z_in_order[end:].addmm_(self._gram_in_order[end:, since:end], self._gradients[since:end], alpha=-1)

    def end_epoch(self, order: Tensor) -> None:
        """Every sample had its turn."""
        self._z[order] = torch.addmm(self._z[order], self._gram_in_order, self._gradients, alpha=-1)
        self._total[order] += self._gradients

    def pre_activations(self) -> Tensor:
        """Z of all samples in their own order."""
        return self._z

    def parameters(self) -> tuple[Tensor, Tensor]:
        """Copies of W and b."""
        weight = torch.addmm(self._weight, self._total.T, self._x, alpha=-self._factor)
        return weight, self._bias - self._total.sum(0)


class DenseInputLayer:
    """The first layer by its weights.

    Args:
        weight: W, (n_1, n_in); it is copied.
        bias: b, (n_1,); it is copied.
        factor: c.
        x: The inputs, (N, n_in).
        batch_size: The largest number of samples of a step.
    """

    def __init__(self, weight: Tensor, bias: Tensor, factor: float, x: Tensor, batch_size: int) -> None:
        self._layer = DenseLayer(weight, bias, factor, batch_size)
        self._x = self._layer.extend(x)
        self._x_in_order = torch.empty_like(self._x)

    def begin_epoch(self, order: Tensor) -> None:
        """Sample order[t] has turn t from now on."""
        self._x_in_order.copy_(self._x[order])

    def forward(self, start: int, end: int) -> Tensor:
        """Z of the samples with turns start to end."""
        return self._layer.forward(self._x_in_order[start:end])

    def update(self, start: int, end: int, gradients: Tensor) -> None:
        """The step on these samples."""
        self._layer.update(self._x_in_order[start:end], gradients)
        if end == len(self._x):
            self._layer.flush()

    def end_epoch(self, order: Tensor) -> None:
        """Every sample had its turn; the weights are up to date."""

    def pre_activations(self) -> Tensor:
        """Z of all samples in their own order."""
        return self._layer.forward(self._x)

    def parameters(self) -> tuple[Tensor, Tensor]:
        """Copies of W and b."""
        return self._layer.parameters()
