"""The network drawn last: the next point most often wants its weights, and alters the rest."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ntk_sweep.data.dataset import Dataset
from ntk_sweep.kernel.centred_rows import ExactInputs
from ntk_sweep.kernel.pre_activations import FirstLayer, first_layer
from ntk_sweep.network.architecture import Architecture
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.network.initialisation import Initialisation
from ntk_sweep.network.streamed import StreamedNetwork
from ntk_sweep.settings.point import Point


@dataclass(frozen=True)
class _Inputs:
    dataset: Dataset
    dtype: torch.dtype
    device: torch.device
    exact: ExactInputs


@dataclass(frozen=True)
class _Draw:
    key: tuple[Architecture, int, bool]
    architecture: Architecture
    network: Network | StreamedNetwork
    first: FirstLayer

    def serves(self, architecture: Architecture) -> bool:
        """Whether its scales are those of an architecture of the same draw."""
        own = self.architecture
        return (own.weight_std, own.bias_std) == (architecture.weight_std, architecture.bias_std)

    def rescaled(self, architecture: Architecture) -> _Draw:
        """The same draw at other scales."""
        network = self.network.with_architecture(architecture)
        first = first_layer(network, self.first.inputs, like=self.first)
        again = network.with_architecture(architecture)
        return _Draw(self.key, architecture, again, first)


class LastDraw:
    """The inputs and the network of the last point, for points that want the same."""

    def __init__(self) -> None:
        self._inputs: _Inputs | None = None
        self._draw: _Draw | None = None

    def inputs(self, dataset: Dataset, dtype: torch.dtype, device: torch.device) -> ExactInputs:
        """The inputs of a data set."""
        last = self._inputs
        if (
            last is None
            or last.dataset is not dataset
            or (last.dtype, last.device) != (dtype, device)
        ):
            x = torch.from_numpy(dataset.x).to(device, dtype)
            last = self._inputs = _Inputs(dataset, dtype, device, ExactInputs(x))
        return last.exact

    def network(
        self, point: Point, inputs: ExactInputs, held: bool
    ) -> tuple[Network | StreamedNetwork, FirstLayer]:
        """The network of a point, and its first layer on these inputs.

        Args:
            point: The point.
            inputs: From `inputs`.
            held: Whether the weights are held, rather than drawn layer by layer.
        """
        wanted = point.architecture
        key = (wanted.draw, point.seed, held)
        if self._draw is None or self._draw.key != key or self._draw.first.inputs is not inputs:
            self._draw = None  # before the next one takes its room
            network = _initialise(point, inputs, held)
            first = first_layer(network, inputs)
            # another of the same draw, since one that is streamed holds the layer drawn last
            again = network.with_architecture(wanted)
            self._draw = _Draw(key, wanted, again, first)
        elif not self._draw.serves(wanted):
            self._draw = self._draw.rescaled(wanted)
        return self._draw.network.with_architecture(wanted), self._draw.first


def _initialise(point: Point, inputs: ExactInputs, held: bool) -> Network | StreamedNetwork:
    initialisation = initialisation_of(point, inputs)
    if held:
        return Network.from_initialisation(initialisation)
    return StreamedNetwork(initialisation)


def initialisation_of(point: Point, inputs: ExactInputs) -> Initialisation:
    """The network of a point at its initialisation, for these inputs."""
    x = inputs.rows
    return Initialisation(point.architecture, x.shape[1], point.seed, x.dtype, x.device)
