"""Fully connected networks: weights, outputs, and the plain forward and backward pass.

Dimension letters in the annotations: N inputs, n_in features of the input, n_l the width of layer
l.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from ntk_sweep.network.activations.activation import Activation
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.architecture import Architecture, check_names, check_scales
from ntk_sweep.network.initialisation import Initialisation
from ntk_sweep.network.layered import check_inputs
from ntk_sweep.network.linear_layer import LayerScale, LinearLayer, layer_scales
from ntk_sweep.numerics.tensors import all_finite, as_tensor, as_tensors, check_finite, overflow

Inputs = Shaped[Any, "N n_in"] | Sequence
"""N inputs as users pass them: a tensor, a NumPy array, or lists of numbers."""

OtherInputs = Shaped[Any, "M n_in"] | Sequence
"""M other inputs for the same network, likewise."""


@dataclass(frozen=True)
class Passes:
    """What one forward and one backward pass leave behind, layer by layer (l = 1..D).

    Attributes:
        inputs: a^{l-1}, the input of layer l, (N, n_{l-1}).
        gradients: δ^l, the gradient of f with respect to the pre-activation of layer l, (N, n_l).
        outputs: f(x), (N,).
    """

    inputs: tuple[Float[Tensor, "N _"], ...]
    gradients: tuple[Float[Tensor, "N _"], ...]
    outputs: Float[Tensor, " N"]


class Network:
    """A fully connected network with one output.

    x^l = σ(σ_w c_l W^l x^{l-1} + σ_b b^l) for l = 1..D-1, and f(x) = σ_w c_D W^D x^{D-1} + σ_b b^D.
    The factors c_l stand in `ntk_sweep.network.parametrisations`. Under `standard`, σ_w and σ_b
    belong to the draws at initialisation (`Network.initialise`), not to f.

    Hidden widths may differ from layer to layer.

    Args:
        weights: W^l, (n_l, n_{l-1}), for l = 1..D: tensors of one floating dtype and on one device,
            NumPy arrays or lists. What is no tensor takes the dtype and device of the tensors; of
            arrays alone it is float64, or float32 where all are.
        biases: b^l, (n_l,), likewise; None where there are none. With `bias_std=None` they do not
            count, so that a draw serves with and without them.
        activation: A name in `ntk_sweep.network.activations.registry.ACTIVATIONS`.
        parametrisation: A name in `ntk_sweep.network.parametrisations.PARAMETRISATIONS`.
        weight_std: σ_w > 0.
        bias_std: σ_b ≥ 0; None for a network without biases, neither values nor parameters.

    Attributes:
        activation: As given, and so the others.

    Raises:
        ValueError: A name is unknown, a scale out of range, a part holds no real numbers,
            shapes do not chain, or dtypes or devices differ.

    Example:
        >>> weights = [torch.tensor([[1.0, 2.0], [0.0, -1.0]]), torch.tensor([[3.0, 1.0]])]
        >>> network = Network(weights, [torch.zeros(2), torch.ones(1)], "relu", "standard")
        >>> network(torch.tensor([[1.0, 1.0], [0.0, -2.0]]))
        tensor([10.,  3.])
        >>> Network(weights, None, "relu", "ntk", weight_std=2.0, bias_std=None).biases
        ()
    """

    def __init__(
        self,
        weights: Sequence[Shaped[Any, "_ _"] | Sequence],
        biases: Sequence[Shaped[Any, " _"] | Sequence] | None,
        activation: str,
        parametrisation: str,
        weight_std: float = 1.0,
        bias_std: float | None = 1.0,
    ) -> None:
        check_names(activation, parametrisation)
        check_scales(weight_std, bias_std)
        weights, biases = _as_layers(weights, biases, bias_std is None)
        _check_layers(weights, biases)
        sizes = [(w.shape[1], w.shape[0]) for w in weights]
        scales = layer_scales(parametrisation, sizes, weight_std, bias_std)
        self._layers = tuple(map(LinearLayer, weights, biases, scales))
        self.activation, self.parametrisation = activation, parametrisation
        self.weight_std, self.bias_std = weight_std, bias_std

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
        weight_std: float = 1.0,
        bias_std: float | None = 1.0,
    ) -> Network:
        """Draws a network; `ntk_sweep.network.initialisation` says how draws follow from the seed.

        The draws depend on (seed, width, depth) and the layer shapes alone: networks that differ
        only in activation, parametrisation or scale share them.

        Args:
            n_inputs: n_0, the number of input features.
            width: n, the width of every hidden layer.
            depth: D ≥ 2, the number of weight layers.
            activation: A name in `ACTIVATIONS`.
            parametrisation: A name in `PARAMETRISATIONS`.
            seed: Any non-negative integer.
            dtype: Draws are made in float64 and then rounded to it.
            device: Where the tensors are put; the draws are always made on the CPU.
            weight_std: σ_w > 0: a factor of all weights, under `standard` of their draws.
            bias_std: σ_b ≥ 0: likewise of all biases; None for a network without biases.

        Raises:
            ValueError: A size or a scale is out of range, or a name unknown.

        Example:
            >>> network = Network.initialise(784, 50, 3, "relu", "thesis", seed=0)
            >>> [tuple(w.shape) for w in network.weights]
            [(50, 784), (50, 50), (1, 50)]
            >>> network(torch.zeros(2, 784, dtype=torch.float64)).shape
            torch.Size([2])
        """
        architecture = Architecture(activation, width, depth, parametrisation, weight_std, bias_std)
        return cls.from_initialisation(Initialisation(architecture, n_inputs, seed, dtype, device))

    @classmethod
    def from_initialisation(cls, initialisation: Initialisation) -> Network:
        """Draws all weights of a network and holds them."""
        layers, own = tuple(initialisation.layers()), initialisation.architecture
        weights, biases = [layer.weight for layer in layers], [layer.bias for layer in layers]
        scales = own.weight_std, own.bias_std
        return cls(weights, biases, own.activation, own.parametrisation, *scales)

    @property
    def weights(self) -> tuple[Float[Tensor, "_ _"], ...]:
        """W^l for l = 1..D."""
        return tuple(layer.weight for layer in self._layers)

    @property
    def biases(self) -> tuple[Float[Tensor, " _"], ...]:
        """b^l for l = 1..D; none of a network without biases."""
        return () if self.bias_std is None else tuple(layer.bias for layer in self._layers)

    @property
    def nonlinearity(self) -> Activation:
        """The activation itself."""
        return ACTIVATIONS[self.activation]

    def with_activation(self, activation: str) -> Network:
        """The network with the same weights, in the same memory, and another activation."""
        check_names(activation, self.parametrisation)
        other = copy(self)
        other.activation = activation
        return other

    def with_parameters(
        self, weights: Sequence[Shaped[Any, "_ _"]], biases: Sequence[Shaped[Any, " _"]] | None
    ) -> Network:
        """The network at other weights and biases."""
        scales = self.weight_std, self.bias_std
        return Network(weights, biases, self.activation, self.parametrisation, *scales)

    def layer(self, index: int) -> LinearLayer:
        """The linear map of layer `index` + 1."""
        return self._layers[index]

    @property
    def depth(self) -> int:
        """D, the number of weight layers."""
        return len(self._layers)

    @property
    def scales(self) -> tuple[LayerScale, ...]:
        """The scale of each layer, l = 1..D."""
        return tuple(layer.scale for layer in self._layers)

    @property
    def factors(self) -> tuple[float, ...]:
        """The factors of the weights, σ_w c_l or c_l alone, for l = 1..D."""
        return tuple(scale.factor for scale in self.scales)

    def passes(self, x: Inputs) -> Passes:
        """One forward and one backward pass, keeping what the kernel needs.

        δ^D = 1, and δ^l = (σ_w c_{l+1} δ^{l+1} W^{l+1}) ∘ σ'(z^l) (Jacot et al. 2018, appendix A;
        ordinary back-propagation of f).

        Args:
            x: Inputs, as `as_inputs` takes them.

        Raises:
            ValueError: `x` does not fit the network, or a value overflows.
        """
        inputs, derivatives = [self.as_inputs(x)], []
        for index in range(self.depth - 1):
            z = self._pre_activations(index, inputs[-1])
            inputs.append(self.nonlinearity.function(z))
            derivatives.append(self.nonlinearity.derivative(z))
        outputs = self._pre_activations(self.depth - 1, inputs[-1])
        gradients = [torch.ones_like(outputs)]
        for index in range(self.depth - 1, 0, -1):
            gradient = self._layers[index].backward(gradients[-1]).mul_(derivatives[index - 1])
            gradients.append(_not_overflowed(f"the gradients of layer {index}", gradient))
        return Passes(tuple(inputs), tuple(gradients[::-1]), outputs[:, 0])

    def __call__(self, x: Inputs) -> Float[Tensor, " N"]:
        """f(x) for each row of `x`; takes and raises what `passes` does."""
        return self._pre_activations(self.depth - 1, self.last_hidden(self.as_inputs(x)))[:, 0]

    def last_hidden(self, rows: Float[Tensor, "N n_in"]) -> Float[Tensor, "N _"]:
        """The inputs of the last layer, a^{D-1} (N, n_{D-1}), for inputs from `as_inputs`.

        Raises:
            ValueError: A value overflows.
        """
        for index in range(self.depth - 1):
            rows = self.nonlinearity.function(self._pre_activations(index, rows))
        return rows

    def as_inputs(self, x: Inputs, name: str = "x") -> Float[Tensor, "N n_in"]:
        """`x` as a tensor that fits this network, whose parameters must be finite too.

        NumPy arrays and lists take the network's dtype and device; a tensor must have them.

        Args:
            x: N ≥ 1 inputs.
            name: What the caller calls them, for the message.

        Raises:
            ValueError: `x` holds no real numbers, is empty, does not fit, or is not finite, or a
                parameter is not.
        """
        weight = self._layers[0].weight
        x = as_tensor(name, x, weight.dtype, weight.device)
        check_inputs(x, weight.shape[1], weight.dtype, weight.device, name)
        if len(x) == 0:
            raise ValueError(f"{name} is empty, but the network takes at least one input")
        check_finite(name, x)
        for number, layer in enumerate(self._layers, start=1):
            check_finite(f"W of layer {number}", layer.weight)
            check_finite(f"b of layer {number}", layer.bias)
        return x

    def _pre_activations(self, index: int, rows: Float[Tensor, "N _"]) -> Float[Tensor, "N _"]:
        """z^l, l = `index` + 1."""
        z = _affine(self._layers[index], rows)
        return _not_overflowed(f"the pre-activations of layer {index + 1}", z)

    def check_inputs(self, x: Float[Tensor, "N n_in"]) -> None:
        """Raises a ValueError if `x` does not fit the network."""
        weight = self._layers[0].weight
        check_inputs(x, weight.shape[1], weight.dtype, weight.device)


def _affine(layer: LinearLayer, rows: Float[Tensor, "N n_below"]) -> Float[Tensor, "N n_l"]:
    """Z = c a Wᵀ + β b, rounded once."""
    return torch.addmm(layer.shift, rows, layer.weight.T, alpha=layer.scale.factor)


def _not_overflowed(place: str, values: Float[Tensor, "N _"]) -> Float[Tensor, "N _"]:
    if not all_finite(values):
        raise overflow("the network", place, values.dtype)
    return values


def _as_layers(
    weights: Sequence[Any], biases: Sequence[Any] | None, without_biases: bool
) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    if without_biases:
        named = {f"W of layer {number}": weight for number, weight in enumerate(weights, start=1)}
        tensors = as_tensors(named)
        return tensors, [weight.new_zeros(weight.shape[:1]) for weight in tensors]
    if biases is None:
        raise ValueError(
            "biases is None, but the network has some: give them, or bias_std=None for a network "
            "without biases"
        )
    named = {f"W of layer {number}": weight for number, weight in enumerate(weights, start=1)}
    named |= {f"b of layer {number}": bias for number, bias in enumerate(biases, start=1)}
    tensors = as_tensors(named)
    return tensors[: len(weights)], tensors[len(weights) :]


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
        if weight.numel() == 0:
            raise ValueError(f"layer {layer}: W is {tuple(weight.shape)}, but must not be empty")
        fan_in = weight.shape[0]
        for tensor in (weight, bias):
            _check_kind(layer, tensor, weights[0])
    if fan_in != 1:
        raise ValueError(f"the last layer has {fan_in} outputs, but must have one")


def _check_kind(layer: int, tensor: Tensor, first: Tensor) -> None:
    if (
        not tensor.dtype.is_floating_point
        or tensor.dtype != first.dtype
        or tensor.device != first.device
    ):
        raise ValueError(
            f"layer {layer} holds {tensor.dtype} on {tensor.device}, but the first weight matrix "
            f"is {first.dtype} on {first.device}: all must be of one floating dtype and on one "
            "device"
        )
