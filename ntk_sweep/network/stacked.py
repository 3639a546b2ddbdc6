"""Networks of one shape side by side, as a GPU wants them: several draws, several activations.

Everything that belongs to a network has two leading dimensions, S draws and A activations; what
does not depend on the activation has one for it all the same, of size 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.network.activations.activation import Activation, Differences
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.network.linear_layer import LayerScale, LinearLayer


class NetworkStack:
    """S draws of the weights, each under A activations.

    The stack holds a copy of the weights of all draws.

    Args:
        draws: Networks that differ in their weights and biases alone; their own activation does
            not count.
        activations: Names in `ntk_sweep.network.activations.registry.ACTIVATIONS`, all with a
            difference formula or all without one.

    Raises:
        ValueError: There is no draw or no activation, or the draws are not alike.
    """

    def __init__(self, draws: Sequence[Network], activations: Sequence[str]) -> None:
        shapes = {
            (*(w.shape for w in draw.weights), draw.scales, draw.weights[0].dtype) for draw in draws
        }
        if len(shapes) != 1 or not activations:
            raise ValueError(
                f"{len(draws)} draws of {len(shapes)} kinds and {len(activations)} activations: a "
                "stack holds draws of one shape, scale and dtype, and at least one "
                "activation"
            )
        entries = [ACTIVATIONS[name] for name in activations]
        if len({entry.differences is None for entry in entries}) > 1:
            raise ValueError(
                f"of {', '.join(activations)} some have a difference formula and others do not: "
                "stack them apart"
            )
        self._first = draws[0]
        self._layers = tuple(
            _side_by_side([draw.layer(index) for draw in draws]) for index in range(draws[0].depth)
        )
        self.nonlinearity = _as_one(entries, draws[0].weights[0].device)

    @property
    def depth(self) -> int:
        """D, the number of weight layers."""
        return len(self._layers)

    @property
    def scales(self) -> tuple[LayerScale, ...]:
        """The scale of each layer, l = 1..D."""
        return self._first.scales

    def check_inputs(self, x: Float[Tensor, "N n_in"]) -> None:
        """Raises a ValueError if `x` does not fit the networks."""
        self._first.check_inputs(x)

    def layer(self, index: int) -> LinearLayer:
        """The linear maps of layer `index` + 1."""
        return self._layers[index]


def _side_by_side(layers: list[LinearLayer]) -> LinearLayer:
    weights = torch.stack([layer.weight for layer in layers])
    biases = torch.stack([layer.bias for layer in layers])
    return LinearLayer(weights, biases[:, None, None, :], layers[0].scale)


def _as_one(entries: list[Activation], device: torch.device) -> Activation:
    """The activations as one, each applied to its own part of dimension 1."""

    def column(values: list[float | Tensor]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64, device=device)[:, None]

    kinked = any(entry.kinked for entry in entries)
    return Activation(
        title=", ".join(entry.title for entry in entries),
        function=_each([entry.function for entry in entries]),
        derivative=_each([entry.derivative for entry in entries]),
        curvature=column([entry.curvature for entry in entries]),
        jump=column([entry.jump for entry in entries]) if kinked else 0.0,
        differences=_each_difference([entry.differences for entry in entries]),
        bend=_each_bend(entries),
    )


def _each(functions: list[Callable[[Tensor], Tensor]]) -> Callable[[Tensor], Tensor]:
    return lambda z: torch.stack(
        [function(_own(z, index)) for index, function in enumerate(functions)], dim=1
    )


def _each_difference(
    formulas: list[Callable[[Tensor, Tensor], Differences] | None],
) -> Callable[[Tensor, Tensor], Differences] | None:
    """The difference formulas as one; None if there are none."""
    known = [formula for formula in formulas if formula is not None]
    if not known:
        return None

    def differences(z: Tensor, d: Tensor) -> Differences:
        pairs = [part(_own(z, index), _own(d, index)) for index, part in enumerate(known)]
        functions, derivatives = zip(*pairs, strict=True)
        return torch.stack(functions, dim=1), torch.stack(derivatives, dim=1)

    return differences


def _each_bend(entries: list[Activation]) -> Callable[[Tensor, Tensor], Tensor]:
    """The bounds of |σ''| as one."""

    def bend(z: Tensor, slope: Tensor) -> Tensor:
        parts = []
        for index, entry in enumerate(entries):
            own = _own(slope, index)
            if entry.bend is None:
                parts.append(torch.full_like(own, float(entry.curvature)))
            else:
                parts.append(entry.bend(_own(z, index), own))
        return torch.stack(parts, dim=1)

    return bend


def _own(z: Tensor, index: int) -> Tensor:
    """The part of an activation; the first layer is the same for all of them."""
    return z[:, index if z.shape[1] > 1 else 0]
