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

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.network.linear_layer import LinearLayer
from ntk_sweep.training.products import Call, Operand, added_product, by_numpy, operand, product

PENDING_ROWS = 16
"""How many rows of factors may be pending before they are added to W.

Tuned at widths 300 to 850 in float64 on one core, where 8 to 24 are nearly as good."""

IMMEDIATE_BELOW = 320 * 320
"""W with fewer entries is updated at every step.

Tuned as above: both ways cost the same at about this size."""


@dataclass(frozen=True)
class _Step:
    """The memory of one step and its products, given the number of its rows and of those pending.

    They are made once: to make a view takes as long as to multiply with a narrow matrix.

    Attributes:
        inputs: Where a is put, a part of ã, (B, n_below).
        forward: The calls that make z.
        z: c a W_nowᵀ + β b_now, (B, n_l).
        outputs: The memory of z.
        gradients: Where g is put, (B, n_l).
        backward: The calls that make the input gradients.
        input_gradients: c g W_now, (B, n_below).
        update: The calls that bring W̃ up to date; none if the step becomes pending.
        pending_after: The number of pending rows after the step.
    """

    inputs: Float[Tensor, "B n_below"]
    forward: tuple[Call, ...]
    z: Float[Tensor, "B n_l"]
    outputs: Float[Operand, "B n_l"]
    gradients: Float[Operand, "B n_l"]
    backward: tuple[Call, ...]
    input_gradients: Float[Operand, "B n_below"]
    update: tuple[Call, ...]
    pending_after: int


class DenseLayer:
    """z = c a Wᵀ + β b, with W and b in training, as z = ã W̃ᵀ with W̃ = c [W, b], ã = [a, β/c].

    The step W̃ ← W̃ - c² gᵀã updates weights and bias in one call: W by -c gᵀa and b by -β Σ g.
    Without a bias β is 0, and b stays what it is.

    A step is a call of `begin`; then a is written into `inputs`; then comes a call of `forward`;
    then the gradients of the loss with respect to z, times the step size, are written into
    `gradients`; then come calls of `backward`, if it is wanted, and `update`. The next step
    overwrites what they return.

    Args:
        layer: W, b, c and β at the start; it is copied.
        batch_size: The largest number of rows of a step.

    Attributes:
        inputs: Where a is to be put, (B, n_below).
        outputs: z, (B, n_l).
        gradients: Where g is to be put, (B, n_l).

    Example:
        >>> from ntk_sweep.network.linear_layer import LayerScale
        >>> start = LinearLayer(torch.ones(1, 2), torch.zeros(1), LayerScale(1.0))
        >>> layer = DenseLayer(start, batch_size=1)
        >>> layer.begin(1)
        >>> _ = layer.inputs.copy_(torch.tensor([[1.0, 2.0]]))
        >>> layer.forward()
        tensor([[3.]])
        >>> layer.gradients[:] = 0.5
        >>> layer.update()
        >>> layer.parameters()
        (tensor([[0.5000, 0.0000]]), tensor([-0.5000]))
    """

    inputs: Float[Tensor, "B n_below"]
    outputs: Float[Operand, "B n_l"]
    gradients: Float[Operand, "B n_l"]

    def __init__(self, layer: LinearLayer, batch_size: int) -> None:
        weight, bias, factor = layer.weight.detach(), layer.bias.detach(), layer.scale.factor
        n_out, n_in = weight.shape
        self._factor, self._update_scale = factor, -(factor**2)
        # Nothing is gained by a delay if no second batch finds room.
        self._immediate = weight.numel() < IMMEDIATE_BELOW or 2 * batch_size > PENDING_ROWS
        capacity = batch_size if self._immediate else PENDING_ROWS
        # The pending inputs lie below W̃, so that one call multiplies with both.
        stacked = _aligned_zeros(n_out + capacity, n_in + 1, weight)
        self._stacked, (self._rows, self._input_rows) = stacked, stacked.split([n_out, capacity])
        self._bias_input = layer.scale.bias / factor
        self._input_rows[:, : n_in + 1] = self._bias_input
        self._weight, self._bias = self._rows[:, :n_in], self._rows[:, n_in]
        torch.mul(weight, factor, out=self._weight)
        torch.mul(bias, factor, out=self._bias)
        self._gradients = weight.new_empty(capacity, n_out)
        self._products = weight.new_empty(
            batch_size, n_out if self._immediate else n_out + capacity
        )
        self._input_gradients = weight.new_empty(batch_size, stacked.shape[1])
        self._pending, self._capacity = 0, capacity
        self._steps: dict[tuple[int, int], _Step] = {}
        self._flushes: dict[int, Call] = {}

    def begin(self, count: int) -> None:
        """Makes room for a step of so many rows."""
        if self._pending + count > self._capacity:
            self.flush()
        self._step = step = self._steps.get((self._pending, count)) or self._new_step(count)
        self.inputs, self.outputs, self.gradients = step.inputs, step.outputs, step.gradients

    def forward(self) -> Float[Tensor, "B n_l"]:
        """The pre-activations z for each row a of `inputs`."""
        for call in self._step.forward:
            call()
        return self._step.z

    def backward(self) -> Float[Operand, "B n_below"]:
        """The product c g W, the gradients with respect to the layer's inputs."""
        for call in self._step.backward:
            call()
        return self._step.input_gradients

    def update(self) -> None:
        """W̃ ← W̃ - c² gᵀã, at once or pending."""
        for call in self._step.update:
            call()
        self._pending = self._step.pending_after

    def flush(self) -> None:
        """Adds the pending updates to W̃."""
        if self._pending:
            self._added(self._pending)()
            self._pending = 0

    def evaluate(self, inputs: Float[Tensor, "N n_below"]) -> Float[Tensor, "N n_l"]:
        """The pre-activations z for any number of rows; not in the middle of a step."""
        self.flush()
        z = inputs.new_empty(len(inputs), len(self._weight))
        product(inputs, self._weight.T, z)()
        return z.add_(self._bias * self._bias_input)

    def parameters(self) -> tuple[Float[Tensor, "n_l n_below"], Float[Tensor, " n_l"]]:
        """Copies of W and b."""
        self.flush()
        return self._weight / self._factor, self._bias / self._factor

    def _added(self, count: int) -> Call:
        """Adds the update of so many rows to W̃."""
        if count not in self._flushes:
            self._flushes[count] = added_product(
                self._rows,
                self._gradients[:count].T,
                self._input_rows[:count],
                self._update_scale,
            )
        return self._flushes[count]

    def _new_step(self, count: int) -> _Step:
        n_out, n_in = self._weight.shape
        pending, after = self._pending, self._pending + count
        inputs, gradients = self._input_rows[pending:after], self._gradients[pending:after]
        earlier_inputs, earlier_gradients = self._input_rows[:pending], self._gradients[:pending]
        products = self._products[:count, : n_out + pending]
        z, overlaps = products[:, :n_out], products[:, n_out:]
        input_gradients = self._input_gradients[:count]
        forward = [product(inputs, self._stacked[: n_out + pending].T, products)]
        backward = [product(gradients, self._rows, input_gradients)]
        if pending:
            scale, gradient_overlaps = self._update_scale, gradients.new_empty(count, pending)
            forward += [added_product(z, overlaps, earlier_gradients, scale)]
            backward += [
                product(gradients, earlier_gradients.T, gradient_overlaps),
                added_product(input_gradients, gradient_overlaps, earlier_inputs, scale),
            ]
        self._steps[pending, count] = step = _Step(
            inputs=inputs[:, :n_in],
            forward=tuple(forward),
            z=z,
            outputs=operand(z),
            gradients=operand(gradients),
            backward=tuple(backward),
            input_gradients=operand(input_gradients[:, :n_in]),
            update=(self._added(count),) if self._immediate else (),
            pending_after=0 if self._immediate else after,
        )
        return step


def _aligned_zeros(rows: int, columns: int, like: Float[Tensor, "_ _"]) -> Float[Tensor, "_ _"]:
    """Zeros whose rows all begin at a multiple of 64 bytes, with up to 63 bytes more of columns.

    On the CPU the memory is NumPy's, which asks for huge pages: without them products with more
    than about 10 MB of weights take a tenth to a fifth longer.
    """
    entries = 64 // like.element_size()
    width = -(-columns // entries) * entries
    if not by_numpy(like):
        return like.new_zeros(rows, width)
    memory = torch.from_numpy(np.zeros(rows * width + entries, dtype=like[:0].numpy().dtype))
    start = -memory.data_ptr() % 64 // like.element_size()
    return memory[start : start + rows * width].view(rows, width)
