"""The first layer of a network in training, whose inputs never change.

So its weights need not be touched at all: the pre-activations of all samples, Z = c X Wᵀ + b,
follow from those at the start and the Gram matrix c² X Xᵀ + 1, in the same way as in
`ntk_sweep.training.dense_layer`. With many samples of few features the weights are cheaper after all.

Both forms of the layer know all the inputs; within an epoch samples are named by their turn. A step
is a call of `forward`; then the gradients of the loss with respect to z, times the step size, are
written into `gradients`; then comes a call of `update`.

Dimension letters in the annotations: N samples, n_in features of an input, B samples of a batch,
n_l the width of the layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ntk_sweep.training.dense_layer import KEPT_ROWS, DenseLayer

GRAM_WORTH_BELOW = 3
"""The first layer is carried as pre-activations of all samples if there are at most so many times
more of them than input features; beyond that the Gram matrix costs more than W. An estimate."""


@dataclass(frozen=True)
class _Turn:
    """The samples of a step; all of them views, made once.

    Attributes:
        z: Their pre-activations, as far as they are up to date, (B, n_l).
        gradients: Where their gradients are put, (B, n_l).
        missing: The rows of the Gram matrix and the gradients that bring z up to date; None if it
            is.
        later: After every `KEPT_ROWS` samples, the z of all samples to come and what brings them up
            to date.
    """

    z: Tensor
    gradients: Tensor
    missing: tuple[Tensor, Tensor] | None
    later: tuple[Tensor, Tensor, Tensor] | None


class GramInputLayer:
    """The first layer as the pre-activations of all samples.

    With Δ (N, n_1) the sum of the gradients of each sample so far, Z = Z_0 - (c² X Xᵀ + 1) Δ, W =
    W_0 - c ΔᵀX and b = b_0 - Σ Δ.

    Args:
        weight: W_0, (n_1, n_in).
        bias: b_0, (n_1,).
        factor: c.
        x: The inputs, (N, n_in).
        batch_size: The number of samples of a step; the last of an epoch may have fewer.
        gram: c² X Xᵀ + 1, (N, N), finite.
    """

    gradients: Float[Tensor, "B n_l"]

    def __init__(
        self, weight: Tensor, bias: Tensor, factor: float, x: Tensor, batch_size: int, gram: Tensor
    ) -> None:
        self._weight, self._bias, self._factor, self._x, self._gram = weight, bias, factor, x, gram
        self._z = torch.addmm(bias, x, weight.T, alpha=factor)
        self._total = torch.zeros_like(self._z)
        self._gram_in_order = torch.empty_like(self._gram)
        self._z_in_order, self._gradients = torch.empty_like(self._z), torch.empty_like(self._z)
        self._turns = list(self._turns_of_an_epoch(batch_size))

    def begin_epoch(self, order: Int64[Tensor, " N"]) -> None:
        """Sample order[t] has turn t from now on."""
        torch.index_select(self._gram[order], 1, order, out=self._gram_in_order)
        torch.index_select(self._z, 0, order, out=self._z_in_order)

    def forward(self, step: int) -> Float[Tensor, "B n_l"]:
        """Z of the samples whose turns make the given step of the epoch."""
        self._turn = turn = self._turns[step]
        self.gradients = turn.gradients
        return torch.addmm(turn.z, *turn.missing, alpha=-1) if turn.missing else turn.z

    def update(self) -> None:
        """The step on these samples; samples that had their turn are brought up to date at the end
        of the epoch."""
        if self._turn.later:
            z, gram, gradients = self._turn.later
            z.addmm_(gram, gradients, alpha=-1)

    def end_epoch(self, order: Int64[Tensor, " N"]) -> None:
        """Every sample had its turn."""
        z = torch.addmm(self._z[order], self._gram_in_order, self._gradients, alpha=-1)
        self._z.index_copy_(0, order, z)
        self._total.index_add_(0, order, self._gradients)

    def pre_activations(self) -> Float[Tensor, "N n_l"]:
        """Z of all samples in their own order; not in the middle of an epoch."""
        return self._z

    def parameters(self) -> tuple[Tensor, Tensor]:
        """Copies of W and b; likewise."""
        weight = torch.addmm(self._weight, self._total.T, self._x, alpha=-self._factor)
        return weight, self._bias - self._total.sum(0)

    def _turns_of_an_epoch(self, batch_size: int) -> Iterator[_Turn]:
        z, gram, gradients, size = (
            self._z_in_order,
            self._gram_in_order,
            self._gradients,
            len(self._z_in_order),
        )
        since = 0  # the gradients of turns before it are in the z of all turns to come
        for start in range(0, size, batch_size):
            end = min(start + batch_size, size)
            missing = (
                (gram[start:end, since:start], gradients[since:start]) if start > since else None
            )
            later = None
            if end - since >= KEPT_ROWS and end < size:
                later = (z[end:], gram[end:, since:end], gradients[since:end])
                since = end
            yield _Turn(z[start:end], gradients[start:end], missing, later)


class DenseInputLayer:
    """The first layer by its weights.

    Args:
        weight: W, (n_1, n_in); it is copied.
        bias: b, (n_1,); it is copied.
        factor: c.
        x: The inputs, (N, n_in).
        batch_size: The number of samples of a step; the last of an epoch may have fewer.
    """

    gradients: Float[Tensor, "B n_l"]

    def __init__(
        self, weight: Tensor, bias: Tensor, factor: float, x: Tensor, batch_size: int
    ) -> None:
        self._layer = DenseLayer(weight, bias, factor, batch_size)
        self._x, self._x_in_order = x, torch.empty_like(x)
        self._batches = self._x_in_order.split(batch_size)

    def begin_epoch(self, order: Int64[Tensor, " N"]) -> None:
        """Sample order[t] has turn t from now on."""
        torch.index_select(self._x, 0, order, out=self._x_in_order)

    def forward(self, step: int) -> Float[Tensor, "B n_l"]:
        """Z of the samples whose turns make the given step of the epoch."""
        self._step = step
        z = self._layer.forward(self._batches[step])
        self.gradients = self._layer.gradients
        return z

    def update(self) -> None:
        """The step on these samples; the last one of an epoch brings the weights up to date."""
        self._layer.update()
        if self._step == len(self._batches) - 1:
            self._layer.flush()

    def end_epoch(self, order: Int64[Tensor, " N"]) -> None:
        """Every sample had its turn."""

    def pre_activations(self) -> Float[Tensor, "N n_l"]:
        """Z of all samples in their own order; not in the middle of an epoch."""
        return self._layer.evaluate(self._x)

    def parameters(self) -> tuple[Tensor, Tensor]:
        """Copies of W and b; likewise."""
        return self._layer.parameters()


InputLayer = GramInputLayer | DenseInputLayer


def input_layer(
    weight: Tensor, bias: Tensor, factor: float, x: Float[Tensor, "N n_in"], batch_size: int
) -> InputLayer:
    """The first layer in the cheaper of its two forms; by its weights where squares of the inputs
    overflow."""
    if len(x) <= GRAM_WORTH_BELOW * x.shape[1]:
        gram = factor**2 * (x @ x.T) + 1
        if gram.isfinite().all():
            return GramInputLayer(weight, bias, factor, x, batch_size, gram)
    return DenseInputLayer(weight, bias, factor, x, batch_size)
