"""A forward pass in float64 through a network of a lower precision."""

from __future__ import annotations

from collections.abc import Iterator

from jaxtyping import Float
from torch import Tensor

from ntk_sweep.network.layered import LayeredNetwork


def float64_pre_activations(
    network: LayeredNetwork, x: Float[Tensor, "N n_in"]
) -> Iterator[Float[Tensor, "*b N n"]]:
    """z^l of each hidden layer; the weights and inputs are the exact numbers that they are."""
    rows = x.double()
    for index in range(network.depth - 1):
        z = network.layer(index).float64_pre_activations(rows)
        yield z
        rows = network.nonlinearity.function(z)
