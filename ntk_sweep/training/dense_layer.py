"""The layers of a network in training, each with its weights and the changes that are still to be
made to them.

A step changes W by a matrix of rank B, the batch size: W ← W - c gᵀa, with a (B, n_{l-1}) the
layer's inputs and g (B, n_l) the gradients of the loss with respect to its pre-activations, times
the step size. To write that into W costs twice the memory traffic of a product with W, and for
small batches traffic is all that a step of a wide layer costs. So the factors a and g of several
steps are kept, products with W are corrected by them,

    c a' W_nowᵀ + b_now = c a' Wᵀ + b - (c² a' aᵀ + 1) g,     c g' W_now = c g' W - c² (g' gᵀ) a,

and only now and then are they added to W, in one matrix product. This is the same step in exact
arithmetic, and rounds differently. A narrow layer stays in the cache, and its steps cost the calls
that they take: it is written to at every step, and whatever can be made beforehand is.

Nothing here depends on values, only on shapes, and every result has its place from the beginning,
so that an epoch can be captured as a CUDA graph. `ntk_sweep.training.input_layer` has the first layer,
whose inputs never change.

Dimension letters in the annotations: N samples, B samples of a batch, n_l the width of layer l,
n_below that of the layer below.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

KEPT_ROWS = 16
"""How many rows of factors are kept before they are added to W. Tuned at widths 200 to 1000 in
float64 on one core, where 8 to 32 are nearly as good."""

DIRECT_BELOW = 224 * 224
"""W with fewer entries is written at every step. Tuned as above: both ways cost the same at about
this size."""


@dataclass(frozen=True)
class _Place:
    """Where a step puts its factors and results, and what it has to account for; all of them views.

    They are made once: to make a view takes as long as to multiply with a narrow matrix.

    Attributes:
        extended: ã, (B, n_below + 1).
        inputs: a, a part of ã.
        gradients: g, (B, n_l).
        gradients_transposed: gᵀ.
        rows: The rows of W̃, and below them the ã of the earlier steps that W̃ does not have yet;
            transposed.
        products: ã times `rows`, of which z is the first part.
        z: c a W_nowᵀ + b_now, (B, n_l).
        below: c g W_now, (B, n_below).
        kept: The products of ã with those of the earlier steps, and the g, gᵀ and a of these; None
            if W̃ has them all.
        kept_after: How many rows are kept when the step is taken.
    """

    extended: Tensor
    inputs: Tensor
    gradients: Tensor
    gradients_transposed: Tensor
    rows: Tensor
    products: Tensor
    z: Tensor
    below: Tensor
    kept: tuple[Tensor, Tensor, Tensor, Tensor] | None
    kept_after: int


class DenseLayer:
    """z = c a Wᵀ + b, with W and b in training, as z = ã W̃ᵀ with W̃ = c [W, b] and ã = [a, 1/c].

    So the step is W̃ ← W̃ - c² gᵀã, and a call does what three would do otherwise.

    A step is a call of `forward`; then the gradients of the loss with respect to z, times the step
    size, are written into `gradients`; then come calls of `backward`, if it is wanted, and
    `update`. What they return is overwritten by the next step.

    Args:
        weight: W, (n_l, n_{l-1}); it is copied.
        bias: b, (n_l,); it is copied.
        factor: c.
        batch_size: The largest number of rows that `forward` is given.

    Attributes:
        gradients: Where g is to be put, (B, n_l).
    """

    gradients: Float[Tensor, "B n_l"]

    def __init__(
        self,
        weight: Float[Tensor, "n_l n_below"],
        bias: Float[Tensor, " n_l"],
        factor: float,
        batch_size: int,
    ) -> None:
        n_out, n_in = weight.shape
        self._factor, self._rate = factor, -(factor**2)
        # Nothing is gained by keeping if no second batch finds room.
        self._direct = weight.numel() < DIRECT_BELOW or 2 * batch_size > KEPT_ROWS
        kept = batch_size if self._direct else KEPT_ROWS
        # What is kept of the inputs lies below W̃, so that one call multiplies with both.
        self._rows = _aligned(n_out + kept, n_in + 1, weight)
        self._extended, self._inputs = self._rows.split([n_out, kept])
        torch.mul(torch.cat([weight, bias[:, None]], 1), factor, out=self._extended)
        self._inputs.fill_(1 / factor)
        self._weight = self._extended[:, :-1]
        self._gradients = weight.new_empty(kept, n_out)
        self._products = weight.new_empty(batch_size, n_out if self._direct else n_out + kept)
        self._below = weight.new_empty(batch_size, n_in)
        self._kept, self._room = 0, kept
        self._places: dict[tuple[int, int], _Place] = {}

    def forward(self, inputs: Float[Tensor, "B n_below"]) -> Float[Tensor, "B n_l"]:
        """Z for each row a of `inputs`."""
        count = inputs.shape[0]
        if self._kept + count > self._room:
            self.flush()
        self._place = place = self._places.get((self._kept, count)) or self._place_of(count)
        self.gradients = place.gradients
        place.inputs.copy_(inputs)
        torch.mm(place.extended, place.rows, out=place.products)
        if place.kept:
            overlaps, gradients, _, _ = place.kept
            place.z.addmm_(overlaps, gradients, alpha=self._rate)
        return place.z

    def backward(self) -> Float[Tensor, "B n_below"]:
        """The product c g W, the gradients with respect to the layer's inputs."""
        place = self._place
        torch.mm(place.gradients, self._weight, out=place.below)
        if place.kept:
            _, _, gradients_transposed, inputs = place.kept
            place.below.addmm_(
                torch.mm(place.gradients, gradients_transposed), inputs, alpha=self._rate
            )
        return place.below

    def update(self) -> None:
        """W̃ ← W̃ - c² gᵀã."""
        place = self._place
        if self._direct:
            self._extended.addmm_(place.gradients_transposed, place.extended, alpha=self._rate)
        else:
            self._kept = place.kept_after

    def flush(self) -> None:
        """Adds what is kept to W̃."""
        if self._kept:
            self._extended.addmm_(
                self._gradients[: self._kept].T, self._inputs[: self._kept], alpha=self._rate
            )
            self._kept = 0

    def evaluate(self, inputs: Float[Tensor, "N n_below"]) -> Float[Tensor, "N n_l"]:
        """Z for each row of `inputs`, of which there may be any number; not in the middle of a
        step."""
        weight, bias = self._flushed()
        return torch.addmm(bias / self._factor, inputs, weight.T)

    def parameters(self) -> tuple[Tensor, Tensor]:
        """Copies of W and b."""
        weight, bias = self._flushed()
        return weight / self._factor, bias / self._factor

    def _flushed(self) -> tuple[Tensor, Tensor]:
        """The two parts of W̃, c W and c b, up to date."""
        self.flush()
        return self._weight, self._extended[:, -1]

    def _place_of(self, count: int) -> _Place:
        kept, after = self._kept, self._kept + count
        extended, gradients = self._inputs[kept:after], self._gradients[kept:after]
        n_out, theirs = len(self._extended), self._gradients[:kept]
        products = self._products[:count, : n_out + kept]
        self._places[kept, count] = place = _Place(
            extended=extended,
            inputs=extended[:, :-1],
            gradients=gradients,
            gradients_transposed=gradients.T,
            rows=self._rows[: n_out + kept].T,
            products=products,
            z=products[:, :n_out],
            below=self._below[:count],
            kept=(products[:, n_out:], theirs, theirs.T, self._inputs[:kept, :-1])
            if kept
            else None,
            kept_after=after,
        )
        return place


def _aligned(rows: int, columns: int, like: Tensor) -> Tensor:
    """An empty matrix whose rows all begin at a multiple of 64 bytes: up to 5 % of a step at the
    widths of `KEPT_ROWS`."""
    entries = 64 // like.element_size()
    return like.new_empty(rows, -(-columns // entries) * entries)[:, :columns]
