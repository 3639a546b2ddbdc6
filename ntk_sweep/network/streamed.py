"""Networks whose weights are drawn when they are needed, for those that are too large to be
held."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.network.activations.registry import ACTIVATIONS, Activation
from ntk_sweep.network.fully_connected import check_initialisation, layer_normals, layer_sizes
from ntk_sweep.network.linear_layer import Linear
from ntk_sweep.network.parametrisations import PARAMETRISATIONS


@dataclass
class StreamedNetwork:
    """The network that `Network.initialise` draws, one layer at a time; passes take it in its
    stead.

    A layer is drawn when it is asked for and forgotten when another is, so that two passes draw the
    layers between the first and the last twice. That costs about as much as a product with 400
    inputs does.

    Attributes:
        n_inputs: n_0.
        width: n.
        depth: D ≥ 2.
        activation: A name in `ntk_sweep.network.activations.registry.ACTIVATIONS`.
        parametrisation: A name in `ntk_sweep.network.parametrisations.PARAMETRISATIONS`.
        seed: Any non-negative integer.
        dtype: Draws are made in float64 and then rounded to it.
        device: Where layers are put.

    Raises:
        ValueError: A size is out of range, or a name unknown.
    """

    n_inputs: int
    width: int
    depth: int
    activation: str
    parametrisation: str
    seed: int
    dtype: torch.dtype = torch.float64
    device: torch.device | str = "cpu"

    def __post_init__(self) -> None:
        check_initialisation(
            self.n_inputs, self.width, self.depth, self.activation, self.parametrisation, self.seed
        )
        self._drawn: tuple[int, Linear] | None = None

    @property
    def nonlinearity(self) -> Activation:
        """The activation itself."""
        return ACTIVATIONS[self.activation]

    @property
    def factors(self) -> tuple[float, ...]:
        """c_l for l = 1..D."""
        factor = PARAMETRISATIONS[self.parametrisation].factor
        sizes = layer_sizes(self.n_inputs, self.width, self.depth)
        return tuple(
            factor(*size, layer == self.depth) for layer, size in enumerate(sizes, start=1)
        )

    def with_activation(self, activation: str) -> StreamedNetwork:
        """The network with the same weights and another activation."""
        return StreamedNetwork(
            self.n_inputs,
            self.width,
            self.depth,
            activation,
            self.parametrisation,
            self.seed,
            self.dtype,
            self.device,
        )

    def layer(self, index: int) -> Linear:
        """The linear map of layer `index` + 1, drawn anew unless it was the last one asked for."""
        index %= self.depth
        if self._drawn is None or self._drawn[0] != index:
            self._drawn = None  # before the next one takes its room
            weight, bias = layer_normals(
                self.n_inputs, self.width, self.depth, self.seed, index + 1
            )
            std = PARAMETRISATIONS[self.parametrisation].weight_std(weight.shape[1])
            if std != 1.0:
                weight.mul_(std)
            weight, bias = weight.to(self.device, self.dtype), bias.to(self.device, self.dtype)
            self._drawn = index, Linear(weight, bias, self.factors[index])
        return self._drawn[1]

    def check_inputs(self, x: Float[Tensor, "N n_in"]) -> None:
        """Raises a ValueError if `x` does not fit the network."""
        if x.ndim != 2 or x.shape[1] != self.n_inputs:
            raise ValueError(
                f"x has shape {tuple(x.shape)}, but the network takes (N, {self.n_inputs})"
            )
        if x.dtype != self.dtype or x.device.type != torch.device(self.device).type:
            raise ValueError(
                f"x is {x.dtype} on {x.device}, but the network is {self.dtype} on {self.device}: "
                "convert one of them"
            )
