"""Fully connected networks: initialisation, forward pass, and the traces from which kernels and
gradients are built.

Dimension letters in the annotations: N inputs, n_in features of the input, n_l the width of layer
l.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.network.activations.registry import ACTIVATIONS, Activation
from ntk_sweep.network.integers import integer_fault
from ntk_sweep.network.linear_layer import Linear
from ntk_sweep.network.parametrisations import PARAMETRISATIONS

WORTH_A_THREAD = 2**16
"""Draws of a layer that take longer than to start a thread, about half a millisecond."""


@dataclass(frozen=True)
class Trace:
    """What one forward and one backward pass leave behind, layer by layer (l = 1..D).

    Attributes:
        inputs: a^{l-1}, the input of layer l, (N, n_{l-1}).
        gradients: δ^l, the gradient of f with respect to the pre-activation of layer l, (N, n_l).
        outputs: f(x), (N,).
    """

    inputs: tuple[Float[Tensor, "N _"], ...]
    gradients: tuple[Float[Tensor, "N _"], ...]
    outputs: Float[Tensor, " N"]


@dataclass(frozen=True)
class Network:
    """A fully connected network with one output.

    x^l = σ(c_l W^l x^{l-1} + b^l) for l = 1..D-1, and f(x) = c_D W^D x^{D-1} + b^D. The factors c_l
    stand in `ntk_sweep.network.parametrisations`.

    Attributes:
        weights: W^l, (n_l, n_{l-1}), for l = 1..D; all of one floating dtype and on one device.
        biases: b^l, (n_l,).
        activation: A name in `ntk_sweep.network.activations.registry.ACTIVATIONS`.
        parametrisation: A name in `ntk_sweep.network.parametrisations.PARAMETRISATIONS`.

    Raises:
        ValueError: A name is unknown, shapes do not chain, or dtypes or devices differ.
    """

    weights: Sequence[Float[Tensor, "_ _"]]
    biases: Sequence[Float[Tensor, " _"]]
    activation: str
    parametrisation: str

    def __post_init__(self) -> None:
        _check_name("activation", self.activation, ACTIVATIONS)
        _check_name("parametrisation", self.parametrisation, PARAMETRISATIONS)
        object.__setattr__(self, "weights", tuple(self.weights))
        object.__setattr__(self, "biases", tuple(self.biases))
        _check_layers(self.weights, self.biases)

    @classmethod
    def initialise(
        cls,
        n_inputs: int,
        width: int,
        depth: int,
        activation: str,
        parametrisation: str,
        seed: int,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Network:
        """Draws a network; see `standard_normals` for how the draws follow from the seed.

        The draws depend on (seed, width, depth) and the layer shapes alone: networks that differ
        only in activation or parametrisation share them (common random numbers), so that
        activations are compared on equal draws.

        Args:
            n_inputs: n_0, the number of input features.
            width: n, the width of every hidden layer.
            depth: D ≥ 2, the number of weight layers.
            activation: A name in `ACTIVATIONS`.
            parametrisation: A name in `PARAMETRISATIONS`.
            seed: Any non-negative integer.
            dtype: Draws are made in float64 and then rounded to it.
            device: Where the tensors are put; the draws are always made on the CPU.

        Raises:
            ValueError: A size is out of range, or a name unknown.
        """
        _check_name("parametrisation", parametrisation, PARAMETRISATIONS)
        weight_std = PARAMETRISATIONS[parametrisation].weight_std
        weights, biases = [], []
        for w, b in standard_normals(n_inputs, width, depth, seed):
            std = weight_std(w.shape[1])
            if std != 1.0:
                w.mul_(std)
            weights.append(w.to(device, dtype))
            biases.append(b.to(device, dtype))
        return cls(weights, biases, activation, parametrisation)

    @property
    def nonlinearity(self) -> Activation:
        """The activation itself."""
        return ACTIVATIONS[self.activation]

    def with_activation(self, activation: str) -> Network:
        """The network with the same weights and another activation."""
        other = Network(self.weights, self.biases, activation, self.parametrisation)
        other.__dict__["_layers"] = self._layers
        return other

    def layer(self, index: int) -> Linear:
        """The linear map of layer `index` + 1."""
        return self._layers[index]

    @cached_property
    def _layers(self) -> tuple[Linear, ...]:
        return tuple(map(Linear, self.weights, self.biases, self.factors))

    @property
    def depth(self) -> int:
        """D, the number of weight layers."""
        return len(self.weights)

    @property
    def factors(self) -> tuple[float, ...]:
        """c_l for l = 1..D."""
        factor = PARAMETRISATIONS[self.parametrisation].factor
        last = self.depth - 1
        return tuple(
            factor(w.shape[1], w.shape[0], layer == last) for layer, w in enumerate(self.weights)
        )

    def trace(self, x: Float[Tensor, "N n_in"]) -> Trace:
        """One forward and one backward pass, keeping what the kernel needs.

        δ^D = 1, and δ^l = (c_{l+1} δ^{l+1} W^{l+1}) ∘ σ'(z^l) (Jacot et al. 2018, appendix A;
        ordinary back-propagation of f).

        Args:
            x: Inputs, of the network's dtype and on its device.

        Raises:
            ValueError: `x` does not fit the network.
        """
        self.check_inputs(x)
        activation, factors = ACTIVATIONS[self.activation], self.factors
        inputs, derivatives = [x], []
        for weight, bias, factor in zip(
            self.weights[:-1], self.biases[:-1], factors[:-1], strict=True
        ):
            z = torch.addmm(bias, inputs[-1], weight.T, alpha=factor)
            inputs.append(activation.function(z))
            derivatives.append(activation.derivative(z))
        outputs = torch.addmm(self.biases[-1], inputs[-1], self.weights[-1].T, alpha=factors[-1])
        gradients = [torch.ones_like(outputs)]
        for weight, factor, derivative in zip(
            self.weights[:0:-1], factors[:0:-1], derivatives[::-1], strict=True
        ):
            gradients.append((gradients[-1] @ weight).mul_(factor).mul_(derivative))
        return Trace(tuple(inputs), tuple(gradients[::-1]), outputs[:, 0])

    def __call__(self, x: Float[Tensor, "N n_in"]) -> Float[Tensor, " N"]:
        """f(x) for each row of `x`."""
        self.check_inputs(x)
        activation = ACTIVATIONS[self.activation].function
        for layer, (weight, bias, factor) in enumerate(
            zip(self.weights, self.biases, self.factors, strict=True)
        ):
            x = torch.addmm(bias, x, weight.T, alpha=factor)
            if layer < self.depth - 1:
                x = activation(x)
        return x[:, 0]

    def check_inputs(self, x: Float[Tensor, "N n_in"]) -> None:
        """Raises a ValueError if `x` does not fit the network."""
        weight = self.weights[0]
        if x.ndim != 2 or x.shape[1] != weight.shape[1]:
            raise ValueError(
                f"x has shape {tuple(x.shape)}, but the network takes (N, {weight.shape[1]})"
            )
        if x.dtype != weight.dtype or x.device != weight.device:
            raise ValueError(
                f"x is {x.dtype} on {x.device}, but the network is {weight.dtype} on "
                f"{weight.device}: convert one of them"
            )


def standard_normals(
    n_inputs: int, width: int, depth: int, seed: int
) -> list[tuple[Tensor, Tensor]]:
    """The independent N(0, 1) draws (W^l, b^l), l = 1..D, behind a network, in float64 on the CPU.

    Layer l (from 1) has a stream of its own, ``Generator(SFC64(SeedSequence(seed, spawn_key=(width,
    depth, l))))``, from which W^l is drawn row by row and then b^l. Streams of different layers,
    sizes and seeds are independent, and the same on every platform (NumPy's policy for bit
    generators, NEP 19); `tests/ntk_sweep/network/test_fully_connected.py` pins the values.

    Raises:
        ValueError: A size or the seed is out of range.
    """
    _check_sizes(n_inputs, width, depth, seed)
    threads = min(torch.get_num_threads(), depth - 1)
    layers = range(1, depth + 1)

    def draw(layer: int) -> tuple[Tensor, Tensor]:
        return layer_normals(n_inputs, width, depth, seed, layer)

    if threads == 1 or width * max(n_inputs, width) < WORTH_A_THREAD:
        return list(map(draw, layers))
    with ThreadPoolExecutor(threads) as pool:  # NumPy lets other threads run while it draws
        return list(pool.map(draw, layers))


def layer_normals(
    n_inputs: int, width: int, depth: int, seed: int, layer: int
) -> tuple[Tensor, Tensor]:
    """(W^l, b^l) of `standard_normals` for one layer, counted from 1; sizes are not checked."""
    fan_in, fan_out = layer_sizes(n_inputs, width, depth)[layer - 1]
    stream = np.random.SeedSequence(seed, spawn_key=(width, depth, layer))
    generator = np.random.Generator(np.random.SFC64(stream))
    weight = generator.standard_normal((fan_out, fan_in))
    return torch.from_numpy(weight), torch.from_numpy(generator.standard_normal(fan_out))


def layer_sizes(n_inputs: int, width: int, depth: int) -> list[tuple[int, int]]:
    """Fan-in and fan-out of each layer."""
    return list(pairwise([n_inputs] + [width] * (depth - 1) + [1]))


def check_initialisation(
    n_inputs: int, width: int, depth: int, activation: str, parametrisation: str, seed: int
) -> None:
    """Raises a ValueError if a size is out of range, or a name unknown."""
    _check_name("activation", activation, ACTIVATIONS)
    _check_name("parametrisation", parametrisation, PARAMETRISATIONS)
    _check_sizes(n_inputs, width, depth, seed)


def _check_sizes(n_inputs: int, width: int, depth: int, seed: int) -> None:
    for name, value, least in (
        ("n_inputs", n_inputs, 1),
        ("width", width, 1),
        ("depth", depth, 2),
        ("seed", seed, 0),
    ):
        if fault := integer_fault(value, least):
            raise ValueError(f"{name} is {value!r}, but {fault}")


def _check_name(kind: str, name: str, known: dict) -> None:
    if name not in known:
        raise ValueError(f"unknown {kind} {name!r}: choose one of {', '.join(known)}")


def _check_layers(weights: Sequence[Tensor], biases: Sequence[Tensor]) -> None:
    if len(weights) < 2 or len(weights) != len(biases):
        raise ValueError(
            f"{len(weights)} weight matrices and {len(biases)} biases: a network has one of each a "
            "layer, and at least two layers (with one, the activation would not appear)"
        )
    fan_in = weights[0].shape[-1] if weights[0].ndim else 0
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True), start=1):
        if weight.ndim != 2 or weight.shape[1] != fan_in or bias.shape != weight.shape[:1]:
            raise ValueError(
                f"layer {layer}: W is {tuple(weight.shape)} and b is {tuple(bias.shape)}, but W "
                f"must be (n_l, {fan_in}) and b (n_l,)"
            )
        fan_in = weight.shape[0]
        for tensor in (weight, bias):
            if (
                not tensor.dtype.is_floating_point
                or tensor.dtype != weights[0].dtype
                or tensor.device != weights[0].device
            ):
                raise ValueError(
                    f"layer {layer} holds {tensor.dtype} on {tensor.device}, but the first weight "
                    f"matrix is {weights[0].dtype} on {weights[0].device}: all must be of one "
                    "floating dtype and on one device"
                )
    if fan_in != 1:
        raise ValueError(f"the last layer has {fan_in} outputs, but must have one")
