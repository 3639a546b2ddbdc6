"""A network in training: forward pass, backward pass and update of every step of an epoch.

The loss of a batch of B samples is (1/B) Σ (f(x_i) - y_i)², and a step is θ ← θ - η ∇loss, as
`torch.optim.SGD` takes it with `torch.nn.MSELoss`. `ntk_sweep.training.dense_layer` and
`ntk_sweep.training.input_layer` take the step without rewriting the weight matrices.

Dimension letters in the annotations: N samples, n_in features of an input, B samples of a batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64, Integer, Shaped
from torch import Tensor

from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.fully_connected import Inputs, Network
from ntk_sweep.numerics.tensors import as_vector, check_finite
from ntk_sweep.training.cuda_graph import CudaGraph, capturable
from ntk_sweep.training.dense_layer import DenseLayer
from ntk_sweep.training.input_layer import InputLayer, input_layer
from ntk_sweep.training.products import Operand, entrywise, operand

Targets = Shaped[Any, " N"] | Shaped[Any, "N 1"] | Sequence
"""N targets as users pass them: a tensor, a NumPy array, or a list of numbers."""


@dataclass(frozen=True)
class _Batch:
    """The memory of a step, made once.

    Attributes:
        targets: y of its samples, or y + f_0 where f - f_0 is trained, (B, 1).
        residuals: Where f - y is put, (B, 1).
        rate: 2η/B, without dimensions.
        slopes: Where σ'(z) of each layer but the last is put, (B, n_l).
        backward_slopes: The same memory, from the last layer down.
    """

    targets: Float[Operand, "B 1"]
    residuals: Float[Operand, "B 1"]
    rate: Float[Operand, ""]
    slopes: list[Float[Tensor, "B _"]]
    backward_slopes: list[Float[Operand, "B _"]]

    @classmethod
    def of(
        cls,
        targets: Float[Tensor, "B 1"],
        residuals: Float[Tensor, "B 1"],
        step_size: float,
        slopes: list[Float[Tensor, "_ _"]],
    ) -> _Batch:
        """The batch of these samples, with slopes in memory that all batches share."""
        own = [slope[: len(targets)] for slope in slopes]
        rate = targets.new_tensor(2 * step_size / len(targets))
        backward = [operand(slope) for slope in own[::-1]]
        return cls(operand(targets), operand(residuals), operand(rate), own, backward)


class GradientDescent:
    """A network in training by stochastic gradient descent.

    Args:
        network: The network to begin with; it stays as it is.
        x: Inputs: a NumPy array, lists, or a tensor of the network's dtype and on its device.
        y: Targets, (N,) or (N, 1), likewise.
        step_size: η > 0.
        batch_size: B, from 1 (one sample a step) to N (gradient descent). Where it does not divide
            N, the last batch of an epoch is smaller.
        centred: Whether f - f_0 is trained, with f_0 = f before training, in place of f: the
            function then starts at 0, with the same gradients (Chizat, Oyallon, Bach 2019).

    Raises:
        ValueError: A value is out of range or not finite, or x and y do not fit.

    Example:
        >>> network = Network.initialise(3, 10, 2, "relu", "ntk", seed=0)
        >>> x, y = torch.eye(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
        >>> descent = GradientDescent(network, x, y, step_size=0.1, batch_size=2)
        >>> descent.steps_per_epoch
        2
        >>> errors = [descent.epoch(np.array([2, 0, 1])) for _ in range(20)]
        >>> errors[-1] < 0.1 * errors[0]
        True
        >>> torch.allclose(descent.network()(x), descent.outputs())
        True
    """

    def __init__(
        self,
        network: Network,
        x: Inputs,
        y: Targets,
        step_size: float,
        batch_size: int,
        centred: bool = False,
    ) -> None:
        x = network.as_inputs(x)
        y = as_vector("y", y, x.dtype, x.device)
        _check_arguments(x, y, step_size, batch_size)
        self._initial, self._stepped = network, False
        self._activation = ACTIVATIONS[network.activation]
        self._y = y
        self._y_in_order, self._residuals = y[:, None].clone(), torch.empty_like(y[:, None])
        self._subtract, self._multiply = entrywise(y).subtract, entrywise(y).multiply
        self._input: InputLayer = input_layer(network.layer(0), x, batch_size)
        self._upper = [
            DenseLayer(network.layer(index), batch_size) for index in range(1, network.depth)
        ]
        widths = [layer.weight.shape[1] for layer in map(network.layer, range(1, network.depth))]
        slopes = [y.new_empty(batch_size, width) for width in widths]
        self._batches = [
            _Batch.of(targets, residuals, step_size, slopes)
            for targets, residuals in zip(
                self._y_in_order.split(batch_size), self._residuals.split(batch_size), strict=True
            )
        ]
        # The layers of the backward pass, from the last one down, each with the one below it.
        self._backward_layers = list(
            zip(self._upper[::-1], [*self._upper[-2::-1], self._input], strict=True)
        )
        self._graph = CudaGraph()
        self._start = self._evaluate() if centred else torch.zeros_like(y)

    @property
    def targets(self) -> Float[Tensor, " N"]:
        """The targets y."""
        return self._y

    @property
    def steps_per_epoch(self) -> int:
        """⌈N/B⌉."""
        return len(self._batches)

    @torch.inference_mode()
    def epoch(self, order: Integer[Any, " N"] | Sequence) -> float:
        """Takes the steps of one epoch.

        Args:
            order: A permutation of the samples, the order in which they are visited.

        Returns:
            The mean squared error of the samples, each before its own step.

        Raises:
            ValueError: `order` is no permutation of the samples.
        """
        order = np.asarray(order)
        if (
            order.shape != self._y.shape
            or order.dtype.kind not in "iu"
            or not np.array_equal(np.sort(order), np.arange(len(order)))
        ):
            raise ValueError(
                f"the order of an epoch must be a permutation of the {len(self._y)} samples"
            )
        self._stepped = True
        samples = torch.from_numpy(order.astype(np.int64)).to(self._y.device)
        self._begin_epoch(samples)
        if capturable(self._y, self.steps_per_epoch):
            self._graph.launch(self._steps, self._y.device)
        else:
            with np.errstate(over="ignore", invalid="ignore"):  # the loss tells of an overflow
                self._steps()
        self._input.end_epoch(samples)
        return float(self._residuals.square().mean())

    def outputs(self) -> Float[Tensor, " N"]:
        """What is trained, f(x) or f(x) - f_0(x), for all samples; not in mid-epoch."""
        return self._evaluate() - self._start

    @torch.inference_mode()
    def outputs_at(self, x: Float[Tensor, "M n_in"]) -> Callable[[], Float[Tensor, " M"]]:
        """A call that gives f at other inputs, tensors like the samples; not in mid-epoch."""
        pre_activations = self._input.others(x)

        @torch.inference_mode()
        def outputs() -> Float[Tensor, " M"]:
            return self._outputs_above(pre_activations())

        return outputs

    @torch.inference_mode()
    def _evaluate(self) -> Float[Tensor, " N"]:
        return self._outputs_above(self._input.pre_activations())

    def _outputs_above(self, z: Float[Tensor, "N n_1"]) -> Float[Tensor, " N"]:
        with np.errstate(over="ignore", invalid="ignore"):
            for layer in self._upper:
                z = layer.evaluate(self._activation.function(z))
        return z[:, 0]

    def network(self) -> Network:
        """The network as it stands: before the first epoch the one given, then a copy."""
        if not self._stepped:
            return self._initial
        layers = [self._input.parameters(), *(layer.parameters() for layer in self._upper)]
        return self._initial.with_parameters(*zip(*layers, strict=True))

    def _begin_epoch(self, order: Int64[Tensor, " N"]) -> None:
        self._input.begin_epoch(order)
        self._y_in_order[:, 0] = (self._y + self._start)[order]

    def _steps(self) -> None:
        for step, batch in enumerate(self._batches):
            self._step(step, batch)
        for layer in self._upper:
            layer.flush()

    def _step(self, step: int, batch: _Batch) -> None:
        """One step of back-propagation; f - y of its samples is put into the residuals."""
        evaluate, multiply = self._activation.evaluate, self._multiply
        z = self._input.forward(step)
        for layer, slope in zip(self._upper, batch.slopes, strict=True):
            layer.begin(len(z))
            evaluate(z, layer.inputs, slope)
            z = layer.forward()
        top = self._upper[-1]
        self._subtract(top.outputs, batch.targets, out=batch.residuals)
        # 2η/B is put into the gradient where it is smallest, so that every update has the factor
        # one.
        multiply(batch.residuals, batch.rate, out=top.gradients)
        for (layer, below), factors in zip(
            self._backward_layers, batch.backward_slopes, strict=True
        ):
            multiply(layer.backward(), factors, out=below.gradients)
            layer.update()
        self._input.update()


def _check_arguments(
    x: Float[Tensor, "N n_in"],
    y: Float[Tensor, " N"],
    step_size: float,
    batch_size: int,
) -> None:
    if y.shape != x.shape[:1] or y.dtype != x.dtype or y.device != x.device:
        raise ValueError(
            f"y is {y.dtype} of shape {tuple(y.shape)} on {y.device}, but must be {x.dtype} of "
            f"shape ({len(x)},) on {x.device}"
        )
    check_finite("y", y)
    if not (math.isfinite(step_size) and step_size > 0):
        raise ValueError(f"step_size is {step_size}, but must be a positive number")
    if (
        isinstance(batch_size, bool)
        or not isinstance(batch_size, int)
        or not 1 <= batch_size <= len(x)
    ):
        raise ValueError(
            f"batch_size is {batch_size}, but must be an integer from 1 to the {len(x)} samples"
        )
