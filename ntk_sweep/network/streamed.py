"""Networks that are too large to be held: each layer is drawn when it is needed."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.network.activations.activation import Activation
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.architecture import Architecture
from ntk_sweep.network.initialisation import Initialisation
from ntk_sweep.network.layered import check_inputs
from ntk_sweep.network.linear_layer import LayerScale, LinearLayer


class StreamedNetwork:
    """A network at its initialisation, one layer at a time; passes take it for a `Network`.

    A layer is drawn when it is asked for and forgotten when another is, so that two passes draw the
    layers between the first and the last twice. That costs about as much as a product with 400
    inputs does.

    Args:
        initialisation: Its architecture, input size and seed.
    """

    def __init__(self, initialisation: Initialisation) -> None:
        self._initialisation = initialisation
        self._drawn: tuple[int, LinearLayer] | None = None

    @property
    def depth(self) -> int:
        """D, the number of weight layers."""
        return self._initialisation.architecture.depth

    @property
    def activation(self) -> str:
        """The activation's name."""
        return self._initialisation.architecture.activation

    @property
    def nonlinearity(self) -> Activation:
        """The activation itself."""
        return ACTIVATIONS[self.activation]

    @property
    def scales(self) -> tuple[LayerScale, ...]:
        """The scale of each layer, l = 1..D."""
        return self._initialisation.scales

    def with_architecture(self, architecture: Architecture) -> StreamedNetwork:
        """The network with the same draws, and another activation or other scales."""
        return StreamedNetwork(self._initialisation.with_architecture(architecture))

    def layer(self, index: int) -> LinearLayer:
        """The linear map of layer `index` + 1, drawn anew unless it was the last one asked for."""
        index %= self.depth
        if self._drawn is None or self._drawn[0] != index:
            self._drawn = None  # before the next one takes its room
            self._drawn = index, self._initialisation.layer(index)
        return self._drawn[1]

    def check_inputs(self, x: Float[Tensor, "N n_in"]) -> None:
        """Raises a ValueError if `x` does not fit the network."""
        own = self._initialisation
        check_inputs(x, own.n_inputs, own.dtype, torch.device(own.device))
