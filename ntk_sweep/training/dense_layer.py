"""A layer in training by its weights, with low-rank updates that are delayed.

A step changes W by a matrix of rank B, the batch size: W ← W - c gᵀa. Here a (B, n_below) are the
layer's inputs. g (B, n_l) are the gradients of the loss with respect to its pre-activations, times
the step size. To write this into W costs twice the memory traffic of a product with W. For small
batches traffic is all that a step of a wide layer costs.

So the factors a and g of several steps stay pending. Products with W are corrected by them,

    c a' W_nowᵀ + β b_now = c a' Wᵀ + β b - (c² a' aᵀ + β²) g,   c g' W_now = c g' W - c² (g' gᵀ) a,

and they are added to W in one matrix product, in blocks. This is the same step in exact arithmetic,
and rounds differently. A narrow layer stays in the cache, and its steps cost the calls that they
make: it is updated at every step, and all views are made beforehand.

Nothing here depends on values, only on shapes, and every result has its memory from the beginning,
so that an epoch can be captured as a CUDA graph. `ntk_sweep.training.input_layer` has the first
layer, whose inputs never change.

Dimension letters in the annotations: N samples, B samples of a batch, P pending rows, n_l the width
of layer l, n_below that of the layer below.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.network.linear_layer import LinearLayer

PENDING_ROWS = 16
"""How many rows of factors may be pending before they are added to W.

Tuned at widths 200 to 1000 in float64 on one core, where 8 to 32 are nearly as good."""

IMMEDIATE_BELOW = 224 * 224
"""W with fewer entries is updated at every step.

Tuned as above: both ways cost the same at about this size."""


class _Pending(NamedTuple):
    """The factors of earlier steps that W̃ does not contain yet.

    Attributes:
        overlaps: ã times theirs, transposed, (B, P).
        gradients: Their g, (P, n_l).
        gradients_transposed: Their gᵀ.
        inputs: Their a, (P, n_below).
    """

    overlaps: Float[Tensor, "B P"]
    gradients: Float[Tensor, "P n_l"]
    gradients_transposed: Float[Tensor, "n_l P"]
    inputs: Float[Tensor, "P n_below"]


@dataclass(frozen=True)
class _StepViews:
    """The memory of one step, given the number of its rows and of those pending; all of it views.

    They are made once: to make a view takes as long as to multiply with a narrow matrix.

    Attributes:
        extended_inputs: ã, (B, n_below + 1).
        inputs: a, a part of ã.
        gradients: g, (B, n_l).
        gradients_transposed: gᵀ.
        stacked: W̃ above the pending ã, transposed, (n_below + 1, n_l + P).
        products: ã times `stacked`, (B, n_l + P).
        z: c a W_nowᵀ + β b_now, (B, n_l), the first part of `products`.
        input_gradients: c g W_now, (B, n_below).
        pending: The factors of earlier steps; None if W̃ contains all of them.
        pending_after: The number of pending rows after the step.
    """

    extended_inputs: Float[Tensor, "B _"]
    inputs: Float[Tensor, "B n_below"]
    gradients: Float[Tensor, "B n_l"]
    gradients_transposed: Float[Tensor, "n_l B"]
    stacked: Float[Tensor, "_ _"]
    products: Float[Tensor, "B _"]
    z: Float[Tensor, "B n_l"]
    input_gradients: Float[Tensor, "B n_below"]
    pending: _Pending | None
    pending_after: int


class DenseLayer:
    """z = c a Wᵀ + β b, with W and b in training, as z = ã W̃ᵀ with W̃ = c [W, b], ã = [a, β/c].

    The step W̃ ← W̃ - c² gᵀã updates weights and bias in one call: W by -c gᵀa and b by -β Σ g.
    Without a bias β is 0, and b stays what it is.

    A step is a call of `forward`; then the gradients of the loss with respect to z, times the step
    size, are written into `gradients`; then come calls of `backward`, if it is wanted, and
    `update`. The next step overwrites what they return.

    Args:
        layer: W, b, c and β at the start; it is copied.
        batch_size: The largest number of rows that `forward` is given.

    Attributes:
        gradients: Where g is to be put, (B, n_l).

    Example:
        >>> from ntk_sweep.network.linear_layer import LayerScale
        >>> start = LinearLayer(torch.ones(1, 2), torch.zeros(1), LayerScale(1.0))
        >>> layer = DenseLayer(start, batch_size=1)
        >>> layer.forward(torch.tensor([[1.0, 2.0]]))
        tensor([[3.]])
        >>> _ = layer.gradients.fill_(0.5)
        >>> layer.update()
        >>> layer.parameters()
        (tensor([[0.5000, 0.0000]]), tensor([-0.5000]))
    """

    gradients: Float[Tensor, "B n_l"]

    def __init__(self, layer: LinearLayer, batch_size: int) -> None:
        weight, bias, factor = layer.weight.detach(), layer.bias.detach(), layer.scale.factor
        n_out, n_in = weight.shape
        self._factor, self._update_scale = factor, -(factor**2)
        # Nothing is gained by a delay if no second batch finds room.
        self._immediate = weight.numel() < IMMEDIATE_BELOW or 2 * batch_size > PENDING_ROWS
        capacity = batch_size if self._immediate else PENDING_ROWS
        # The pending inputs lie below W̃, so that one call multiplies with both.
        self._stacked = _aligned(n_out + capacity, n_in + 1, weight)
        self._extended_weight, self._extended_inputs = self._stacked.split([n_out, capacity])
        torch.mul(torch.cat([weight, bias[:, None]], 1), factor, out=self._extended_weight)
        self._bias_input = layer.scale.bias / factor
        self._extended_inputs.fill_(self._bias_input)
        self._weight = self._extended_weight[:, :-1]
        self._gradients = weight.new_empty(capacity, n_out)
        self._products = weight.new_empty(
            batch_size, n_out if self._immediate else n_out + capacity
        )
        self._input_gradients = weight.new_empty(batch_size, n_in)
        self._pending, self._capacity = 0, capacity
        self._views: dict[tuple[int, int], _StepViews] = {}

    def forward(self, inputs: Float[Tensor, "B n_below"]) -> Float[Tensor, "B n_l"]:
        """The pre-activations z for each row a of `inputs`."""
        count = inputs.shape[0]
        if self._pending + count > self._capacity:
            self.flush()
        self._step = step = self._views.get((self._pending, count)) or self._new_views(count)
        self.gradients = step.gradients
        step.inputs.copy_(inputs)
        torch.mm(step.extended_inputs, step.stacked, out=step.products)
        if step.pending:
            overlaps, gradients, _, _ = step.pending
            step.z.addmm_(overlaps, gradients, alpha=self._update_scale)
        return step.z

    def backward(self) -> Float[Tensor, "B n_below"]:
        """The product c g W, the gradients with respect to the layer's inputs."""
        step = self._step
        torch.mm(step.gradients, self._weight, out=step.input_gradients)
        if step.pending:
            _, _, gradients_transposed, inputs = step.pending
            step.input_gradients.addmm_(
                torch.mm(step.gradients, gradients_transposed), inputs, alpha=self._update_scale
            )
        return step.input_gradients

    def update(self) -> None:
        """W̃ ← W̃ - c² gᵀã, at once or pending."""
        step = self._step
        if self._immediate:
            self._extended_weight.addmm_(
                step.gradients_transposed, step.extended_inputs, alpha=self._update_scale
            )
        else:
            self._pending = step.pending_after

    def flush(self) -> None:
        """Adds the pending updates to W̃."""
        if self._pending:
            self._extended_weight.addmm_(
                self._gradients[: self._pending].T,
                self._extended_inputs[: self._pending],
                alpha=self._update_scale,
            )
            self._pending = 0

    def evaluate(self, inputs: Float[Tensor, "N n_below"]) -> Float[Tensor, "N n_l"]:
        """The pre-activations z for any number of rows; not in the middle of a step."""
        weight, bias = self._flushed()
        return torch.addmm(bias * self._bias_input, inputs, weight.T)

    def parameters(self) -> tuple[Float[Tensor, "n_l n_below"], Float[Tensor, " n_l"]]:
        """Copies of W and b."""
        weight, bias = self._flushed()
        return weight / self._factor, bias / self._factor

    def _flushed(self) -> tuple[Float[Tensor, "n_l n_below"], Float[Tensor, " n_l"]]:
        """The two parts of W̃, c W and c b, up to date."""
        self.flush()
        return self._weight, self._extended_weight[:, -1]

    def _new_views(self, count: int) -> _StepViews:
        pending, after = self._pending, self._pending + count
        extended_inputs, gradients = (
            self._extended_inputs[pending:after],
            self._gradients[pending:after],
        )
        n_out, earlier = len(self._extended_weight), self._gradients[:pending]
        products = self._products[:count, : n_out + pending]
        self._views[pending, count] = views = _StepViews(
            extended_inputs=extended_inputs,
            inputs=extended_inputs[:, :-1],
            gradients=gradients,
            gradients_transposed=gradients.T,
            stacked=self._stacked[: n_out + pending].T,
            products=products,
            z=products[:, :n_out],
            input_gradients=self._input_gradients[:count],
            pending=_Pending(
                products[:, n_out:], earlier, earlier.T, self._extended_inputs[:pending, :-1]
            )
            if pending
            else None,
            pending_after=after,
        )
        return views


def _aligned(rows: int, columns: int, like: Float[Tensor, "_ _"]) -> Float[Tensor, "_ _"]:
    """An empty matrix whose rows all begin at a multiple of 64 bytes.

    This saves up to 5 % of a step at the widths of `PENDING_ROWS`.
    """
    entries = 64 // like.element_size()
    return like.new_empty(rows, -(-columns // entries) * entries)[:, :columns]
