"""Training by stochastic gradient descent on the squared error, from single samples up to the full
batch.

The loss of a batch of B samples is (1/B) Σ (f(x_i) - y_i)², and a step is θ ← θ - η ∇loss, as
`torch.optim.SGD` takes it with `torch.nn.MSELoss`. The step is the same; how it is computed is not
(`ntk_sweep.training.dense_layer` and `ntk_sweep.training.input_layer` say how a step does without rewriting the weight
matrices).

Dimension letters in the annotations: N samples, n_in features of an input, B samples of a batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.training.dense_layer import DenseLayer
from ntk_sweep.training.input_layer import InputLayer, input_layer

THRESHOLD = 0.5
"""Outputs above it are taken for the class with target 1."""

CAPTURED_STEPS = 2000
"""On a GPU, an epoch of up to so many steps is captured in one CUDA graph (some tens of nodes a
step); a longer one is launched kernel by kernel. A guess that has not been tuned."""


@dataclass(frozen=True)
class TrainingRun:
    """The history of a run, E being the number of epochs that were completed.

    Attributes:
        losses: (1/N) Σ (f - y)² over all samples, before training and after every epoch, (E + 1,).
        running_losses: The mean over the samples of their squared error when their turn came, each
            before its own step, (E,).
        accuracies: The share of samples on the right side of `THRESHOLD`, (E + 1,).
        initial_outputs: f(x) before training, (N,).
        outputs: f(x) at the end, (N,).
        steps: How many steps were taken.
        diverged: Whether the loss overflowed, which ended the run; `losses` then ends with an
            infinity or a NaN.
        network: The network at the end.
    """

    losses: Float[np.ndarray, " _"]
    running_losses: Float[np.ndarray, " _"]
    accuracies: Float[np.ndarray, " _"]
    initial_outputs: Float[np.ndarray, " N"]
    outputs: Float[np.ndarray, " N"]
    steps: int
    diverged: bool
    network: Network


def sample_orders(
    n_samples: int, epochs: int, seed: int, shuffle: bool = True
) -> Iterator[Int64[np.ndarray, " N"]]:
    """The order in which the samples take their turns, one array an epoch.

    Shuffled orders are successive permutations of ``Generator(SFC64(SeedSequence(seed,
    spawn_key=(0,))))``. They depend on the seed and the number of samples alone: networks that
    differ in activation, width or depth see the samples in the same orders, and the stream is none
    of those from which weights are drawn.
    """
    generator = np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=(0,))))
    for _ in range(epochs):
        yield generator.permutation(n_samples) if shuffle else np.arange(n_samples)


def train(
    network: Network,
    x: Float[Tensor, "N n_in"],
    y: Float[Tensor, " N"],
    *,
    step_size: float,
    batch_size: int,
    orders: Iterable[Int64[np.ndarray, " N"]],
    observe: Callable[[int, Network], None] | None = None,
    observe_every: int = 1,
) -> TrainingRun:
    """Trains a network by stochastic gradient descent; the network given stays as it is.

    Args:
        network: The network to begin with.
        x: Inputs, of the network's dtype and on its device.
        y: Targets, likewise.
        step_size: η.
        batch_size: B, from 1 (one sample a step) to N (gradient descent); where it does not divide
            N, the last batch of an epoch is smaller.
        orders: The order of the samples in each epoch, such as `sample_orders` makes; as many
            epochs as there are orders.
        observe: Called with the number of completed epochs and the network at that time: before
            training, and every `observe_every` epochs as long as the loss is finite.
        observe_every: See `observe`.

    Raises:
        ValueError: A size is out of range, an order is no permutation, or x and y do not fit.
    """
    descent = GradientDescent(network, x, y, step_size, batch_size)
    if observe_every < 1:
        raise ValueError(f"observe_every is {observe_every}, but must be at least 1")
    if observe:
        observe(0, network)
    outputs = descent.outputs()
    first = outputs.cpu().numpy()
    losses, running, accuracies = [_loss(outputs, y)], [], [_accuracy(outputs, y)]
    for order in orders:
        if not math.isfinite(losses[-1]):
            break
        running.append(descent.epoch(order))
        outputs = descent.outputs()
        losses.append(_loss(outputs, y))
        accuracies.append(_accuracy(outputs, y))
        if observe and len(running) % observe_every == 0 and math.isfinite(losses[-1]):
            observe(len(running), descent.network())
    return TrainingRun(
        losses=np.array(losses),
        running_losses=np.array(running),
        accuracies=np.array(accuracies),
        initial_outputs=first,
        outputs=outputs.cpu().numpy(),
        steps=len(running) * descent.steps_per_epoch,
        diverged=not math.isfinite(losses[-1]),
        network=descent.network(),
    )


class GradientDescent:
    """A network in training; `train` for one run from beginning to end.

    Args:
        network: The network to begin with; it stays as it is.
        x: Inputs, (N, n_in).
        y: Targets, (N,).
        step_size: η > 0.
        batch_size: B, from 1 to N.

    Raises:
        ValueError: A value is out of range, or x and y do not fit.
    """

    def __init__(
        self, network: Network, x: Tensor, y: Tensor, step_size: float, batch_size: int
    ) -> None:
        network.check_inputs(x)
        if y.shape != x.shape[:1] or y.dtype != x.dtype or y.device != x.device:
            raise ValueError(
                f"y is {y.dtype} of shape {tuple(y.shape)} on {y.device}, but must be {x.dtype} of "
                f"shape ({len(x)},) on {x.device}"
            )
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
        self._initial = network
        self._activation = ACTIVATIONS[network.activation]
        self._y = y
        self._y_in_order, self._residuals = y[:, None].clone(), torch.empty_like(y[:, None])
        # What a step needs, made once: the batch's targets, where its residuals are put, and the
        # factor of its gradients.
        batches = zip(
            self._y_in_order.split(batch_size), self._residuals.split(batch_size), strict=True
        )
        self._batches = [
            (targets, residuals, 2 * step_size / len(targets)) for targets, residuals in batches
        ]
        weights, biases = (
            [p.detach() for p in parameters] for parameters in (network.weights, network.biases)
        )
        factors = network.factors
        self._input: InputLayer = input_layer(weights[0], biases[0], factors[0], x, batch_size)
        later = zip(weights[1:], biases[1:], factors[1:], strict=True)
        self._later = [
            DenseLayer(weight, bias, factor, batch_size) for weight, bias, factor in later
        ]
        # from the last layer down, each with the one below it
        self._downwards = list(
            zip(self._later[::-1], [*self._later[-2::-1], self._input], strict=True)
        )
        self._graph: torch.cuda.CUDAGraph | None = None
        self._warm = False

    @property
    def steps_per_epoch(self) -> int:
        """⌈N/B⌉."""
        return len(self._batches)

    @torch.inference_mode()
    def epoch(self, order: Int64[np.ndarray, " N"]) -> float:
        """Takes the steps of one epoch, and returns the mean squared error of the samples, each
        before its own step.

        Raises:
            ValueError: `order` is no permutation of the samples.
        """
        if order.shape != self._y.shape or not np.array_equal(
            np.sort(order), np.arange(len(order))
        ):
            raise ValueError(
                f"the order of an epoch must be a permutation of the {len(self._y)} samples"
            )
        turns = torch.from_numpy(order).to(self._y.device)
        self._input.begin_epoch(turns)
        self._y_in_order[:, 0] = self._y[turns]
        if _capturable(self._y, self.steps_per_epoch):
            self._replay()
        else:
            self._steps()
        self._input.end_epoch(turns)
        return float(self._residuals.square().mean())

    def _replay(self) -> None:
        """The steps of an epoch as one CUDA graph: the same kernels on the same memory in every
        epoch, launched at once."""
        if not self._warm:
            # Libraries set themselves up at their first call, which cannot be captured.
            self._steps()
            self._warm = True
            return
        with torch.cuda.device(self._y.device):
            if self._graph is None:
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph, stream=torch.cuda.Stream()):
                    self._steps()
                self._graph = graph
            self._graph.replay()

    def _steps(self) -> None:
        for step, batch in enumerate(self._batches):
            self._step(step, *batch)
        for layer in self._later:
            layer.flush()

    def _step(
        self, step: int, y: Float[Tensor, "B 1"], residuals: Float[Tensor, "B 1"], rate: float
    ) -> None:
        """One step: forward, backward, update (ordinary back-propagation); f - y of its samples is
        put into `residuals`."""
        slopes = []
        z = self._input.forward(step)
        for layer in self._later:
            a, slope = self._activation.value_and_derivative(z)
            slopes.append(slope)
            z = layer.forward(a)
        torch.sub(z, y, out=residuals)
        # 2η/B is put into the gradient where it is smallest, so that every update has the factor
        # one.
        torch.mul(residuals, rate, out=self._later[-1].gradients)
        for (layer, below), slope in zip(self._downwards, slopes[::-1], strict=True):
            torch.mul(layer.backward(), slope, out=below.gradients)
            layer.update()
        self._input.update()

    @torch.inference_mode()
    def outputs(self) -> Float[Tensor, " N"]:
        """f(x) for all samples; not in the middle of an epoch."""
        z = self._input.pre_activations()
        for layer in self._later:
            z = layer.evaluate(self._activation.function(z))
        return z[:, 0]

    def network(self) -> Network:
        """The network as it stands, as a copy; not in the middle of an epoch."""
        layers = [self._input.parameters(), *(layer.parameters() for layer in self._later)]
        weights, biases = zip(*layers, strict=True)
        return Network(weights, biases, self._initial.activation, self._initial.parametrisation)


def _capturable(y: Tensor, steps: int) -> bool:
    return y.is_cuda and steps <= CAPTURED_STEPS


def _loss(outputs: Tensor, y: Tensor) -> float:
    return float((outputs - y).square().mean())


def _accuracy(outputs: Tensor, y: Tensor) -> float:
    return float(((outputs > THRESHOLD) == (y > THRESHOLD)).double().mean())
