"""Runs of stochastic gradient descent: the order of the samples, the epochs, the history.

`ntk_sweep.training.gradient_descent` takes the steps. Dimension letters in the annotations: N
samples, E completed epochs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int64, Integer

from ntk_sweep.network.fully_connected import Network
from ntk_sweep.training.gradient_descent import GradientDescent
from ntk_sweep.training.held_out_course import HeldOutCourse
from ntk_sweep.training.outcomes import THRESHOLD, accuracy, loss


@dataclass(frozen=True)
class TrainingRun:
    """The history of a run of E completed epochs.

    Attributes:
        losses: (1/N) Σ (f - y)² over all samples, before training and after every epoch, (E + 1,),
            with f - f_0 for f where that is trained.
        running_losses: The mean squared error of the samples in each epoch, each before its own
            step, (E,).
        accuracies: The share of samples on the right side of the threshold, (E + 1,).
        initial_outputs: What is trained, f or f - f_0, before training, (N,).
        outputs: The same at the end, (N,).
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
    """The order in which the samples are visited, one array an epoch.

    Shuffled orders are successive permutations of ``Generator(SFC64(SeedSequence(seed,
    spawn_key=(0,))))``. They depend on the seed and the number of samples alone: networks that
    differ in activation, width or depth see the samples in the same orders. The stream is none of
    those from which weights are drawn.

    Example:
        >>> for order in sample_orders(6, epochs=2, seed=0):
        ...     print(order)
        [1 0 5 2 4 3]
        [2 3 5 0 1 4]
    """
    generator = np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=(0,))))
    for _ in range(epochs):
        yield generator.permutation(n_samples) if shuffle else np.arange(n_samples)


def train(
    descent: GradientDescent,
    orders: Iterable[Integer[Any, " N"] | Sequence],
    observe: Callable[[int, Network], None] | None = None,
    observe_every: int = 1,
    stop_at_loss: float = 0.0,
    threshold: float = THRESHOLD,
    test: HeldOutCourse | None = None,
) -> TrainingRun:
    """Trains a network by stochastic gradient descent, until the loss overflows if it does.

    Args:
        descent: The network with samples, step size and batch size.
        orders: The order of the samples in each epoch, such as `sample_orders` makes; as many
            epochs as there are orders.
        observe: Called with the number of completed epochs and the network at that time: before
            training, and every `observe_every` epochs as long as the loss is finite.
        observe_every: See `observe`.
        stop_at_loss: The loss at which training ends early: after the first epoch with at most it.
        threshold: Outputs and targets above it are of the one class, all others of the other.
        test: What is recorded of test inputs, before training and after every epoch.

    Raises:
        ValueError: `observe_every` is out of range, or an order is no permutation.

    Example:
        >>> import torch
        >>> network = Network.initialise(3, 10, 2, "relu", "ntk", seed=0)
        >>> x, y = torch.eye(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
        >>> descent = GradientDescent(network, x, y, step_size=0.1, batch_size=1)
        >>> run = train(descent, sample_orders(3, epochs=20, seed=0))
        >>> len(run.losses), run.steps, bool(run.losses[-1] < 0.01 * run.losses[0])
        (21, 60, True)
    """
    if observe_every < 1:
        raise ValueError(f"observe_every is {observe_every}, but must be at least 1")
    if observe:
        observe(0, descent.network())
    if test:
        test_outputs = descent.outputs_at(test.x)
        test.record(test_outputs())
    y, outputs = descent.targets, descent.outputs()
    initial_outputs = outputs.cpu().numpy()
    losses, running_losses = [loss(outputs, y)], []
    accuracies = [accuracy(outputs, y, threshold)]
    for order in orders:
        if not (math.isfinite(losses[-1]) and losses[-1] > stop_at_loss):
            break
        running_losses.append(descent.epoch(order))
        outputs = descent.outputs()
        losses.append(loss(outputs, y))
        accuracies.append(accuracy(outputs, y, threshold))
        if test:
            test.record(test_outputs())
        epochs = len(running_losses)
        if observe and epochs % observe_every == 0 and math.isfinite(losses[-1]):
            observe(epochs, descent.network())
    return TrainingRun(
        losses=np.array(losses),
        running_losses=np.array(running_losses),
        accuracies=np.array(accuracies),
        initial_outputs=initial_outputs,
        outputs=outputs.cpu().numpy(),
        steps=len(running_losses) * descent.steps_per_epoch,
        diverged=not math.isfinite(losses[-1]),
        network=descent.network(),
    )
