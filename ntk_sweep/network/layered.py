"""What the passes of a kernel ask of a network: its layers one by one.

A network that is held, one that is drawn layer by layer, and several side by side all have it.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.network.activations.activation import Activation
from ntk_sweep.network.linear_layer import LayerScale, LinearLayer


@runtime_checkable
class LayeredNetwork(Protocol):
    """One network, or several side by side, with D weight layers."""

    @property
    def depth(self) -> int:
        """D, the number of weight layers."""

    @property
    def scales(self) -> tuple[LayerScale, ...]:
        """The scale of each layer, l = 1..D."""

    @property
    def nonlinearity(self) -> Activation:
        """The activation itself."""

    def layer(self, index: int) -> LinearLayer:
        """The linear map of layer `index` + 1; -1 is the last one."""

    def check_inputs(self, x: Float[Tensor, "N n_in"]) -> None:
        """Raises a ValueError if `x` does not fit the network."""


def check_inputs(
    x: Float[Tensor, "N n_in"],
    n_inputs: int,
    dtype: torch.dtype,
    device: torch.device,
    name: str = "x",
) -> None:
    """Raises a ValueError if `x` does not fit a network of `n_inputs` features.

    A device without an index, such as "cuda", is any of its type. The message calls the inputs by
    `name`.
    """
    if x.ndim != 2 or x.shape[1] != n_inputs:
        single = f": one input is {name}[None, :]" if x.shape == (n_inputs,) else ""
        raise ValueError(
            f"{name} has shape {tuple(x.shape)}, but the network takes (N, {n_inputs}){single}"
        )
    elsewhere = x.device.type != device.type or (
        None not in (x.device.index, device.index) and x.device.index != device.index
    )
    if x.dtype != dtype or elsewhere:
        raise ValueError(
            f"{name} is {x.dtype} on {x.device}, but the network is {dtype} on {device}: convert "
            "one of them"
        )
