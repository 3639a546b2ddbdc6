"""Networks of one shape side by side, as a GPU wants them: several draws, each with several
activations.

Everything that belongs to a network has two leading dimensions, S draws and A activations; what
does not depend on the activation has one for it all the same, of size 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.network.activations.registry import ACTIVATIONS, Activation
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.network.linear_layer import Linear


@dataclass(frozen=True)
class NetworkStack:
    """S draws of the weights, each under A activations.

    Attributes:
        draws: Networks that differ in their weights alone; their own activation does not count.
        activations: Names in `ntk_sweep.network.activations.registry.ACTIVATIONS`, all with a difference formula or
            all without one.

    Raises:
        ValueError: There is no draw or no activation, or the draws are not alike.
    """

    draws: Sequence[Network]
    activations: Sequence[str]

    def __post_init__(self) -> None:
        shapes = {
            (*(w.shape for w in draw.weights), draw.parametrisation, draw.weights[0].dtype)
            for draw in self.draws
        }
        if len(shapes) != 1 or not self.activations:
            raise ValueError(
                f"{len(self.draws)} draws of {len(shapes)} kinds and {len(self.activations)} "
                "activations: a stack holds draws of one shape, parametrisation and dtype, and at "
                "least one activation"
            )
        if len({ACTIVATIONS[name].differences is None for name in self.activations}) > 1:
            raise ValueError(
                f"of {', '.join(self.activations)} some have a difference formula and others do "
                "not: stack them apart"
            )

    @property
    def depth(self) -> int:
        """D, the number of weight layers."""
        return self.draws[0].depth

    @property
    def factors(self) -> tuple[float, ...]:
        """c_l for l = 1..D."""
        return self.draws[0].factors

    def check_inputs(self, x: Float[Tensor, "N n_in"]) -> None:
        """Raises a ValueError if `x` does not fit the networks."""
        self.draws[0].check_inputs(x)

    def layer(self, index: int) -> Linear:
        """The linear maps of layer `index` + 1."""
        return self._layers[index]

    @cached_property
    def _layers(self) -> tuple[Linear, ...]:
        weights = zip(*(draw.weights for draw in self.draws), strict=True)
        biases = zip(*(draw.biases for draw in self.draws), strict=True)
        layers = zip(weights, biases, self.factors, strict=True)
        return tuple(
            Linear(torch.stack(w), torch.stack(b)[:, None, None, :], factor)
            for w, b, factor in layers
        )

    @cached_property
    def nonlinearity(self) -> Activation:
        """The activations as one, each applied to its own part of dimension 1."""
        entries = [ACTIVATIONS[name] for name in self.activations]
        weight = self.draws[0].weights[0]

        def column(values: list[float | Tensor]) -> Tensor:
            return torch.tensor(values, dtype=torch.float64, device=weight.device)[:, None]

        differences = None
        if entries[0].differences is not None:
            parts = [entry.differences for entry in entries if entry.differences is not None]

            def differences(z: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
                pairs = [part(_own(z, index), _own(d, index)) for index, part in enumerate(parts)]
                functions, derivatives = zip(*pairs, strict=True)
                return torch.stack(functions, dim=1), torch.stack(derivatives, dim=1)

        kinked = any(entry.kinked for entry in entries)
        return Activation(
            title=", ".join(entry.title for entry in entries),
            function=_each([entry.function for entry in entries]),
            derivative=_each([entry.derivative for entry in entries]),
            curvature=column([entry.curvature for entry in entries]),
            jump=column([entry.jump for entry in entries]) if kinked else 0.0,
            differences=differences,
        )


def _each(functions: list[Callable[[Tensor], Tensor]]) -> Callable[[Tensor], Tensor]:
    return lambda z: torch.stack(
        [function(_own(z, index)) for index, function in enumerate(functions)], dim=1
    )


def _own(z: Tensor, index: int) -> Tensor:
    """The part of an activation; the first layer is the same for all of them."""
    return z[:, index if z.shape[1] > 1 else 0]
