"""From a seed to weights.

The draws depend on (seed, width, depth) and the layer shapes alone. Networks that differ only in
activation, parametrisation or scale share them (common random numbers), so that these are compared
on equal draws.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.network.architecture import Architecture, check_names
from ntk_sweep.network.integers import integer_fault
from ntk_sweep.network.linear_layer import LayerScale, LinearLayer, layer_scales
from ntk_sweep.network.parametrisations import PARAMETRISATIONS

WORTH_A_THREAD = 2**16
"""Draws of a layer that take longer than to start a thread, about half a millisecond."""

WeightAndBias = tuple[Float[Tensor, "n_l n_below"], Float[Tensor, " n_l"]]


@dataclass(frozen=True)
class Initialisation:
    """A network at its initialisation: everything that determines its weights.

    Attributes:
        architecture: The network without its weights.
        n_inputs: n_0, the number of input features.
        seed: Any non-negative integer.
        dtype: Draws are made in float64 and then rounded to it.
        device: Where the weights are put; the draws are always made on the CPU.

    Raises:
        ValueError: A size is out of range, or a name unknown.

    Example:
        >>> initialisation = Initialisation(Architecture("relu", 50, 3, "standard"), 784, seed=0)
        >>> [tuple(layer.weight.shape) for layer in initialisation.layers()]
        [(50, 784), (50, 50), (1, 50)]
    """

    architecture: Architecture
    n_inputs: int
    seed: int
    dtype: torch.dtype = torch.float64
    device: torch.device | str = "cpu"

    def __post_init__(self) -> None:
        check_names(self.architecture.activation, self.architecture.parametrisation)
        _check_sizes(*self._sizes)

    @property
    def _sizes(self) -> tuple[int, int, int, int]:
        return self.n_inputs, self.architecture.width, self.architecture.depth, self.seed

    @property
    def scales(self) -> tuple[LayerScale, ...]:
        """The scale of each layer."""
        own = self.architecture
        return layer_scales(
            own.parametrisation, layer_sizes(*self._sizes[:3]), own.weight_std, own.bias_std
        )

    def with_architecture(self, architecture: Architecture) -> Initialisation:
        """The same weights under another activation or other scales."""
        assert architecture.draw == self.architecture.draw
        return replace(self, architecture=architecture)

    def layers(self) -> Iterator[LinearLayer]:
        """All layers in order."""
        for index, normals in enumerate(standard_normals(*self._sizes)):
            yield self._layer(index, normals)

    def layer(self, index: int) -> LinearLayer:
        """Layer `index` + 1 alone."""
        return self._layer(index, layer_normals(*self._sizes, index + 1))

    def _layer(self, index: int, normals: WeightAndBias) -> LinearLayer:
        """Scales the draws of a layer, in place."""
        own, (weight, bias) = self.architecture, normals
        factors = PARAMETRISATIONS[own.parametrisation].layer(
            weight.shape[1],
            len(weight),
            index == own.depth - 1,
            own.weight_std,
            own.bias_std,
        )
        for part, deviation in (
            (weight, factors.weight_deviation),
            (bias, factors.bias_deviation),
        ):
            if deviation != 1.0:
                part.mul_(deviation)
        weight, bias = (part.to(self.device, self.dtype) for part in (weight, bias))
        return LinearLayer(weight, bias, self.scales[index])


def standard_normals(n_inputs: int, width: int, depth: int, seed: int) -> list[WeightAndBias]:
    """The independent N(0, 1) draws (W^l, b^l), l = 1..D, behind a network, float64, on the CPU.

    Layer l (from 1) has a stream of its own, ``Generator(SFC64(SeedSequence(seed, spawn_key=(width,
    depth, l))))``, from which W^l is drawn row by row and then b^l. Streams of different layers,
    sizes and seeds are independent, and the same on every platform (NumPy's policy for bit
    generators, NEP 19); `tests/ntk_sweep/network/test_initialisation.py` pins the values.

    Raises:
        ValueError: A size or the seed is out of range.
    """
    _check_sizes(n_inputs, width, depth, seed)
    threads = min(torch.get_num_threads(), depth - 1)
    layers = range(1, depth + 1)

    def draw(layer: int) -> WeightAndBias:
        return layer_normals(n_inputs, width, depth, seed, layer)

    if threads == 1 or width * max(n_inputs, width) < WORTH_A_THREAD:
        return list(map(draw, layers))
    with ThreadPoolExecutor(threads) as pool:  # NumPy lets other threads run while it draws
        return list(pool.map(draw, layers))


def layer_normals(n_inputs: int, width: int, depth: int, seed: int, layer: int) -> WeightAndBias:
    """(W^l, b^l) of `standard_normals` for one layer, counted from 1; sizes are not checked."""
    fan_in, fan_out = layer_sizes(n_inputs, width, depth)[layer - 1]
    stream = np.random.SeedSequence(seed, spawn_key=(width, depth, layer))
    generator = np.random.Generator(np.random.SFC64(stream))
    weight = generator.standard_normal((fan_out, fan_in))
    return torch.from_numpy(weight), torch.from_numpy(generator.standard_normal(fan_out))


def layer_sizes(n_inputs: int, width: int, depth: int) -> list[tuple[int, int]]:
    """Fan-in and fan-out of each layer."""
    return list(pairwise([n_inputs] + [width] * (depth - 1) + [1]))


def _check_sizes(n_inputs: int, width: int, depth: int, seed: int) -> None:
    for name, value, least in (
        ("n_inputs", n_inputs, 1),
        ("width", width, 1),
        ("depth", depth, 2),
        ("seed", seed, 0),
    ):
        if fault := integer_fault(value, least):
            raise ValueError(f"{name} is {value!r}, but {fault}")
