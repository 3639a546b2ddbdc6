"""The first layer in training: its inputs never change, so its weights need not be touched.

The pre-activations of all samples, Z = c X Wᵀ + β b, follow from those at the start and the Gram
matrix c² X Xᵀ + β², as in `ntk_sweep.training.dense_layer`. With many samples of few features the
weights are cheaper after all.

Both forms of the layer know all the inputs. Within an epoch samples are named by their position in
its order. A step is a call of `forward`; then the gradients of the loss with respect to z, times
the step size, are written into `gradients`; then comes a call of `update`.

Dimension letters in the annotations: N samples, M other inputs, n_in features of an input, B
samples of a batch, P earlier samples, n_l the width of the layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ntk_sweep.network.linear_layer import LinearLayer
from ntk_sweep.training.dense_layer import PENDING_ROWS, DenseLayer
from ntk_sweep.training.products import Call, Operand, added_product, copy, operand

GRAM_SAMPLES_PER_FEATURE = 3
"""Up to so many samples an input feature, the first layer is carried as pre-activations.

Beyond that the Gram matrix costs more than W. An estimate."""


@dataclass(frozen=True)
class _BatchViews:
    """The samples of a step; all of it views, made once.

    Attributes:
        forward: The calls that make z of what it was at the last block update.
        z: Their pre-activations, (B, n_l).
        gradients: Where their gradients are put, (B, n_l).
        block_update: After every `PENDING_ROWS` samples, and after the last, the call that brings
            the z of all samples up to date.
    """

    forward: tuple[Call, ...]
    z: Float[Tensor, "B n_l"]
    gradients: Float[Operand, "B n_l"]
    block_update: Call | None


class GramInputLayer:
    """The first layer as the pre-activations of all samples.

    With Δ (N, n_l) the sum of the gradients of each sample so far, Z = Z_0 - (c² X Xᵀ + β²) Δ, W =
    W_0 - c ΔᵀX and b = b_0 - β Σ Δ.

    Args:
        layer: W_0, b_0, c and β.
        x: The inputs, (N, n_in).
        batch_size: The number of samples of a step; the last of an epoch may have fewer.
        gram: c² X Xᵀ + β², (N, N), finite.
    """

    gradients: Float[Operand, "B n_l"]

    def __init__(
        self,
        layer: LinearLayer,
        x: Float[Tensor, "N n_in"],
        batch_size: int,
        gram: Float[Tensor, "N N"],
    ) -> None:
        self._layer, self._x, self._gram = layer, x, gram
        self._z = self._at_start(x)
        self._summed_gradients = torch.zeros_like(self._z)
        self._gram_in_order = torch.empty_like(self._gram)
        self._z_in_order, self._gradients = torch.empty_like(self._z), torch.empty_like(self._z)
        self._batches = list(self._batches_of_an_epoch(batch_size))

    def begin_epoch(self, order: Int64[Tensor, " N"]) -> None:
        """Sample order[t] has position t from now on."""
        torch.index_select(self._gram[order], 1, order, out=self._gram_in_order)
        torch.index_select(self._z, 0, order, out=self._z_in_order)

    def forward(self, step: int) -> Float[Tensor, "B n_l"]:
        """The pre-activations z of the samples of the given step of the epoch."""
        self._batch = batch = self._batches[step]
        self.gradients = batch.gradients
        for call in batch.forward:
            call()
        return batch.z

    def update(self) -> None:
        """The step on these samples."""
        if self._batch.block_update:
            self._batch.block_update()

    def end_epoch(self, order: Int64[Tensor, " N"]) -> None:
        """Every sample was visited."""
        self._z.index_copy_(0, order, self._z_in_order)
        self._summed_gradients.index_add_(0, order, self._gradients)

    def pre_activations(self) -> Float[Tensor, "N n_l"]:
        """The pre-activations of all samples in their own order; not in the middle of an epoch."""
        return self._z

    def others(self, x: Float[Tensor, "M n_in"]) -> Callable[[], Float[Tensor, "M n_l"]]:
        """A call that gives the pre-activations of other inputs; likewise."""
        gram = self._layer.scale.gram(x @ self._x.T)
        return partial(torch.addmm, self._at_start(x), gram, self._summed_gradients, alpha=-1)

    def parameters(self) -> tuple[Float[Tensor, "n_l n_in"], Float[Tensor, " n_l"]]:
        """Copies of W and b; likewise."""
        weight, bias, scale = (
            self._layer.weight.detach(),
            self._layer.bias.detach(),
            self._layer.scale,
        )
        gradients = self._summed_gradients
        return (
            torch.addmm(weight, gradients.T, self._x, alpha=-scale.factor),
            torch.sub(bias, gradients.sum(0), alpha=scale.bias),
        )

    def _at_start(self, x: Float[Tensor, "M n_in"]) -> Float[Tensor, "M n_l"]:
        weight, shift = self._layer.weight.detach(), self._layer.shift.detach()
        return torch.addmm(shift, x, weight.T, alpha=self._layer.scale.factor)

    def _batches_of_an_epoch(self, batch_size: int) -> Iterator[_BatchViews]:
        z, gram, gradients = self._z_in_order, self._gram_in_order, self._gradients
        size, first = len(z), 0  # z contains the gradients of samples before `first`
        current = torch.empty_like(z[:batch_size])
        for start in range(0, size, batch_size):
            end = min(start + batch_size, size)
            own, block_update = z[start:end], None
            forward: tuple[Call, ...] = ()
            if start > first:
                stale, own = own, current[: end - start]
                earlier = gram[start:end, first:start], gradients[first:start]
                forward = copy(stale, own), added_product(own, *earlier, -1.0)
            if end - first >= PENDING_ROWS or end == size:
                block_update = added_product(z, gram[:, first:end], gradients[first:end], -1.0)
                first = end
            yield _BatchViews(forward, own, operand(gradients[start:end]), block_update)


class DenseInputLayer:
    """The first layer by its weights.

    Args:
        layer: W, b, c and β at the start; it is copied.
        x: The inputs, (N, n_in).
        batch_size: The number of samples of a step; the last of an epoch may have fewer.
    """

    gradients: Float[Operand, "B n_l"]

    def __init__(self, layer: LinearLayer, x: Float[Tensor, "N n_in"], batch_size: int) -> None:
        self._layer = DenseLayer(layer, batch_size)
        self._x, self._x_in_order = x, torch.empty_like(x)
        self._batches = self._x_in_order.split(batch_size)

    def begin_epoch(self, order: Int64[Tensor, " N"]) -> None:
        """Sample order[t] has position t from now on."""
        torch.index_select(self._x, 0, order, out=self._x_in_order)

    def forward(self, step: int) -> Float[Tensor, "B n_l"]:
        """The pre-activations z of the samples of the given step of the epoch."""
        self._step = step
        layer, inputs = self._layer, self._batches[step]
        layer.begin(len(inputs))
        layer.inputs.copy_(inputs)
        self.gradients = layer.gradients
        return layer.forward()

    def update(self) -> None:
        """The step on these samples; the last one of an epoch brings the weights up to date."""
        self._layer.update()
        if self._step == len(self._batches) - 1:
            self._layer.flush()

    def end_epoch(self, order: Int64[Tensor, " N"]) -> None:
        """Every sample was visited."""

    def pre_activations(self) -> Float[Tensor, "N n_l"]:
        """Z of all samples in their own order; not in the middle of an epoch."""
        return self._layer.evaluate(self._x)

    def others(self, x: Float[Tensor, "M n_in"]) -> Callable[[], Float[Tensor, "M n_l"]]:
        """A call that gives the pre-activations of other inputs; likewise."""
        return partial(self._layer.evaluate, x)

    def parameters(self) -> tuple[Float[Tensor, "n_l n_in"], Float[Tensor, " n_l"]]:
        """Copies of W and b; likewise."""
        return self._layer.parameters()


InputLayer = GramInputLayer | DenseInputLayer


def input_layer(layer: LinearLayer, x: Float[Tensor, "N n_in"], batch_size: int) -> InputLayer:
    """The first layer in the cheaper of its two forms.

    Where squares of the inputs overflow it goes by its weights. The arguments are those of
    `DenseInputLayer`.

    Example:
        >>> from ntk_sweep.network.linear_layer import LayerScale, LinearLayer
        >>> x = torch.eye(2)
        >>> start = LinearLayer(torch.ones(3, 2), torch.zeros(3), LayerScale(1.0))
        >>> layer = input_layer(start, x, batch_size=1)
        >>> type(layer).__name__, layer.pre_activations().tolist()
        ('GramInputLayer', [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    """
    if len(x) <= GRAM_SAMPLES_PER_FEATURE * x.shape[1]:
        # how the gradients of the samples move their z
        gram = x @ x.T
        gram = layer.scale.gram(gram, out=gram)
        if gram.isfinite().all():
            return GramInputLayer(layer, x, batch_size, gram)
    return DenseInputLayer(layer, x, batch_size)
