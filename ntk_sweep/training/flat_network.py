"""A network with all its parameters in one vector: outputs, kernel, and Jᵀu.

Dimension letters in the annotations: N samples, P parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from ntk_sweep.network.fully_connected import Network


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
        self._activation, self._factors = network.nonlinearity, network.factors
        weights = [weight.detach() for weight in network.weights]
        self._x = x
        if len(x) < x.shape[1]:
            span, lower = torch.linalg.qr(x.T)
            self._x, weights[0] = lower.T.contiguous(), weights[0] @ span
        parameters = [*weights, *(bias.detach() for bias in network.biases)]
        self._shapes = [one.shape for one in parameters]
        self._ends = [0, *torch.tensor([math.prod(s) for s in self._shapes]).cumsum(0).tolist()]
        self.start = torch.cat([one.flatten() for one in parameters])

    def passes(self, parameters: Float[Tensor, " P"]) -> FlatPasses:
        """The forward and the backward pass."""
        weights, biases = self._split(parameters)
        inputs, slopes = [self._x], []
        for weight, bias, factor in zip(weights[:-1], biases, self._factors, strict=False):
            z = torch.addmm(bias, inputs[-1], weight.T, alpha=factor)
            value, slope = self._activation.value_and_derivative(z)
            inputs.append(value)
            slopes.append(slope)
        outputs = torch.addmm(biases[-1], inputs[-1], weights[-1].T, alpha=self._factors[-1])
        gradients = [torch.ones_like(outputs)]
        for weight, factor, slope in zip(
            weights[:0:-1], self._factors[:0:-1], slopes[::-1], strict=True
        ):
            gradients.append((gradients[-1] @ weight).mul_(factor).mul_(slope))
        return FlatPasses(inputs, gradients[::-1], outputs[:, 0])

    def outputs(self, parameters: Float[Tensor, " P"]) -> Float[Tensor, " N"]:
        """f(x)."""
        weights, biases = self._split(parameters)
        rows = self._x
        for weight, bias, factor in zip(weights[:-1], biases, self._factors, strict=False):
            rows = self._activation.function(torch.addmm(bias, rows, weight.T, alpha=factor))
        return torch.addmm(biases[-1], rows, weights[-1].T, alpha=self._factors[-1])[:, 0]

    def kernel(self, passes: FlatPasses) -> Float[Tensor, "N N"]:
        """Θ = Σ_l (δ^l δ^{lT}) ∘ (c_l² a^{l-1} a^{l-1T} + 1)."""
        theta = torch.zeros(len(self._x), len(self._x), dtype=self._x.dtype, device=self._x.device)
        for inputs, gradients, factor in zip(
            passes.inputs, passes.gradients, self._factors, strict=True
        ):
            gram = (inputs @ inputs.T).mul_(factor**2).add_(1)
            theta += gram.mul_(gradients @ gradients.T)
        return theta

    def pulled_back(self, passes: FlatPasses, vector: Float[Tensor, " N"]) -> Float[Tensor, " P"]:
        """Jᵀu: the gradient of uᵀf."""
        weighted = [gradients * vector[:, None] for gradients in passes.gradients]
        layers = zip(weighted, passes.inputs, self._factors, strict=True)
        weights = [(own.T @ inputs).mul_(factor) for own, inputs, factor in layers]
        return torch.cat([part.flatten() for part in (*weights, *(w.sum(0) for w in weighted))])

    def _split(self, parameters: Float[Tensor, " P"]) -> tuple[list[Tensor], list[Tensor]]:
        parts = [
            parameters[start:end].view(shape)
            for (start, end), shape in zip(pairwise(self._ends), self._shapes, strict=True)
        ]
        depth = len(parts) // 2
        return parts[:depth], parts[depth:]
