"""Fully connected networks: weights, outputs, and the plain forward and backward pass.

Dimension letters in the annotations: N inputs, n_in features of the input, n_l the width of layer
l.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from ntk_sweep.network.parameters import as_layers, check_layers
from ntk_sweep.network.torch_modules import parts_of_module, parts_of_state
from ntk_sweep.numerics.tensors import all_finite, as_tensor, check_finite, overflow

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
        weights, biases = as_layers(weights, biases, optional=bias_std is None)
        check_layers(weights, biases)
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

    @classmethod
    def from_module(cls, module: torch.nn.Module, dtype: torch.dtype | None = None) -> Network:
        """The network that a `torch.nn.Sequential` of Linear layers and one activation is.

        Its weights and biases are copied as they are; all factors are 1, as under `standard`. A
        Flatten may stand first: the network takes inputs of one row each, (N, n_in).

        Args:
            module: The Sequential. Activations are ReLU, ELU, LeakyReLU, Sigmoid, Tanh, GELU and
                SiLU with torch's default options. Layers have biases all or none.
            dtype: Of the network; None for the module's. In torch.float64 kernels are far more
                accurate, and nothing is lost of a module in single precision.

        Raises:
            ValueError: The module is not a fully connected network with one output, or its
                parameters are not those of its layers (shared, pruned, some frozen).

        Example:
            >>> from torch import nn
            >>> module = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
            >>> network, x = Network.from_module(module), torch.rand(4, 2)
            >>> bool(torch.isclose(network(x), module(x)[:, 0]).all())
            True
        """
        return cls._from_parts(*parts_of_module(module, dtype))

    @classmethod
    def from_state_dict(
        cls, state: Mapping[str, Any], activation: str, dtype: torch.dtype | None = None
    ) -> Network:
        """As `from_module`, from the state dict of such a Sequential, for which torch saves files.

        A state dict holds neither activations nor anything else without parameters. So that the
        activation stands between the layers, and nothing behind the last one, is taken on trust.

        Args:
            state: Names as 0.weight, 0.bias, 2.weight, and tensors or NumPy arrays.
            activation: A name in `ACTIVATIONS`.
            dtype: As in `from_module`.

        Raises:
            ValueError: It is not the state of a fully connected network with one output, or the
                activation is unknown.

        Example:
            >>> from torch import nn
            >>> module = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
            >>> Network.from_state_dict(module.state_dict(), "relu").depth
            2
        """
        return cls._from_parts(*parts_of_state(state, activation, dtype))

    @classmethod
    def _from_parts(
        cls, weights: Sequence[Any], biases: Sequence[Any] | None, activation: str
    ) -> Network:
        bias_std = None if biases is None else 1.0
        return cls(weights, biases, activation, "standard", bias_std=bias_std)

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

    def with_architecture(self, architecture: Architecture) -> Network:
        """The network of the same draws, in the same memory, and other activation or scales.

        Args:
            architecture: An architecture of the network's parametrisation, whose `draw` is that of
                the network's own.
        """
        scales = architecture.weight_std, architecture.bias_std
        if scales == (self.weight_std, self.bias_std):
            other = copy(self)
            other.activation = architecture.activation
            return other
        weights, biases = [w.weight for w in self._layers], [b.bias for b in self._layers]
        return Network(
            weights, biases, architecture.activation, architecture.parametrisation, *scales
        )

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

    def passes(self, x: Inputs) -> Passes:
        """One forward and one backward pass, keeping what the kernel needs.

        δ^D = 1, and δ^l = (σ_w c_{l+1} δ^{l+1} W^{l+1}) ∘ σ'(z^l) (ordinary back-propagation of f).

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
                parameter is not; or torch.autocast would round a float32 network's products.
        """
        weight = self._layers[0].weight
        if weight.dtype == torch.float32 and torch.is_autocast_enabled(weight.device.type):
            raise ValueError(
                "torch.autocast is on, and rounds the products of a float32 network to fewer "
                "digits: compute the kernel outside of it"
            )
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
    """The pre-activations z = c a Wᵀ + β b, rounded once."""
    return torch.addmm(layer.shift, rows, layer.weight.T, alpha=layer.scale.factor)


def _not_overflowed(place: str, values: Float[Tensor, "N _"]) -> Float[Tensor, "N _"]:
    if not all_finite(values):
        raise overflow("the network", place, values.dtype)
    return values
