"""A network with all its parameters in one vector: outputs, kernel, and Jᵀu.

Dimension letters in the annotations: N samples, M other inputs, P parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.network.fully_connected import Network
from ntk_sweep.network.linear_layer import LinearLayer


@dataclass(frozen=True)
class OtherRows:
    """Inputs on which a flat network does not depend, as its first layer takes them.

    Attributes:
        rows: The part in the span of the network's own inputs, (M, n).
        start: What the rest adds to the first pre-activations, (M, n_1), or 0.
    """

    rows: Float[Tensor, "M n"]
    start: Float[Tensor, "M n_1"] | float


@dataclass(frozen=True)
class FlatPasses:
    """What one forward and one backward pass leave behind, layer by layer.

    Attributes:
        inputs: a^{l-1}, (N, n_{l-1}).
        gradients: δ^l, (N, n_l).
        outputs: f(x), (N,).
    """

    inputs: list[Float[Tensor, "N _"]]
    gradients: list[Float[Tensor, "N _"]]
    outputs: Float[Tensor, " N"]


class FlatNetwork:
    """The architecture of a network on fixed inputs, whose parameters are an argument.

    Weights move only within the span of the layer's inputs. So where there are fewer samples than
    features, the inputs are turned into their own span, and the first weights with them: every
    output and kernel stays, and N features are left.

    Args:
        network: In float64.
        x: Its N inputs.

    Attributes:
        start: The parameters of `network`, (P,).
    """

    def __init__(self, network: Network, x: Float[Tensor, "N n_in"]) -> None:
        self._activation, self._scales = network.nonlinearity, network.scales
        layers = [network.layer(index) for index in range(network.depth)]
        weights = [layer.weight.detach() for layer in layers]
        self._x, self._span, self._first = x, None, layers[0]
        if len(x) < x.shape[1]:
            self._span, lower = torch.linalg.qr(x.T)
            self._x, weights[0] = lower.T.contiguous(), weights[0] @ self._span
        parameters = [*weights, *(layer.bias.detach() for layer in layers)]
        self._shapes = [one.shape for one in parameters]
        self._ends = [0, *torch.tensor([math.prod(s) for s in self._shapes]).cumsum(0).tolist()]
        self.start = torch.cat([one.flatten() for one in parameters])

    def passes(self, parameters: Float[Tensor, " P"]) -> FlatPasses:
        """The forward and the backward pass."""
        layers = self._layers(parameters)
        inputs, slopes = [self._x], []
        for layer in layers[:-1]:
            value, slope = self._activation.value_and_derivative(_affine(layer, inputs[-1]))
            inputs.append(value)
            slopes.append(slope)
        outputs = _affine(layers[-1], inputs[-1])
        gradients = [torch.ones_like(outputs)]
        for layer, slope in zip(layers[:0:-1], slopes[::-1], strict=True):
            gradients.append(layer.backward(gradients[-1]).mul_(slope))
        return FlatPasses(inputs, gradients[::-1], outputs[:, 0])

    def outputs(self, parameters: Float[Tensor, " P"]) -> Float[Tensor, " N"]:
        """f(x)."""
        return self.outputs_at(OtherRows(self._x, 0.0), parameters)

    def others(self, x: Float[Tensor, "M n_in"]) -> OtherRows:
        """Other inputs, for `outputs_at`: weights do not move outside the span of the own ones."""
        if self._span is None:
            return OtherRows(x, 0.0)
        rows = x @ self._span
        return OtherRows(rows, self._first.forward(x - rows @ self._span.T))

    def outputs_at(self, others: OtherRows, parameters: Float[Tensor, " P"]) -> Float[Tensor, " M"]:
        """The outputs at other inputs."""
        first, *upper = self._layers(parameters)
        z = _affine(first, others.rows) + others.start
        for layer in upper:
            z = _affine(layer, self._activation.function(z))
        return z[:, 0]

    def kernel(self, passes: FlatPasses) -> Float[Tensor, "N N"]:
        """Θ = Σ_l (δ^l δ^{lT}) ∘ (c_l² a^{l-1} a^{l-1T} + β_l²)."""
        theta = torch.zeros(len(self._x), len(self._x), dtype=self._x.dtype, device=self._x.device)
        for inputs, gradients, scale in zip(
            passes.inputs, passes.gradients, self._scales, strict=True
        ):
            gram = inputs @ inputs.T
            theta += scale.gram(gram, out=gram).mul_(gradients @ gradients.T)
        return theta

    def pulled_back(self, passes: FlatPasses, vector: Float[Tensor, " N"]) -> Float[Tensor, " P"]:
        """Jᵀu: the gradient of uᵀf."""
        weighted = [gradients * vector[:, None] for gradients in passes.gradients]
        layers = list(zip(weighted, passes.inputs, self._scales, strict=True))
        weights = [(own.T @ inputs).mul_(scale.factor) for own, inputs, scale in layers]
        biases = [own.sum(0).mul_(scale.bias) for own, _, scale in layers]
        return torch.cat([part.flatten() for part in (*weights, *biases)])

    def _layers(self, parameters: Float[Tensor, " P"]) -> list[LinearLayer]:
        parts = [
            parameters[start:end].view(shape)
            for (start, end), shape in zip(pairwise(self._ends), self._shapes, strict=True)
        ]
        depth = len(parts) // 2
        return list(map(LinearLayer, parts[:depth], parts[depth:], self._scales))


def _affine(layer: LinearLayer, rows: Float[Tensor, "N n_below"]) -> Float[Tensor, "N n_l"]:
    """The pre-activations z = c a Wᵀ + β b."""
    return torch.addmm(layer.shift, rows, layer.weight.T, alpha=layer.scale.factor)
