"""What a step of training costs, beside the same step through torch.nn.Module and torch.optim.SGD.

    python -m benchmarks.training

N = 200 inputs of 784 features in [0, 1], one thread, as a worker has it; `standard`
parametrisation, which plain nn.Linear layers compute. Both take turns on the same network in the
same process, and that both computed the same after an epoch is checked first. The microseconds are
of process time, so that other work on the machine counts as little as can be; medians over
`ROUNDS`, and the ratio is the median of the rounds' ratios, between the least and the greatest of
them. "Products alone" is what multiplying with all weight matrices but the first takes, once from
either side, in the order of a step: less no step can cost that does both.

Then two processes train the networks of the thesis at the same time, as two workers do, and one of
them alone, in turns.
"""

from __future__ import annotations

import math
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.places import ROOT
from docs.tools.pages import fill, fill_filed
from ntk_sweep.executors.worker import prepare_process
from ntk_sweep.network.fully_connected import Network
from ntk_sweep.training.gradient_descent import GradientDescent

MODULES = {"relu": nn.ReLU, "elu": nn.ELU, "sigmoid": nn.Sigmoid, "gelu": nn.GELU}
N_SAMPLES = 200
STEP_SIZE = 1e-6
LEAST_STEPS = 50
ROUNDS = 9


@dataclass(frozen=True)
class Case:
    """What is trained, and how."""

    act: str
    width: int
    depth: int
    batch_size: int = 1
    dtype: torch.dtype = torch.float64

    def __str__(self) -> str:
        return (
            f"{self.act} {self.width} × {self.depth} | {self.batch_size} | "
            f"{str(self.dtype).removeprefix('torch.')}"
        )


CASES = [
    *(
        Case("relu", 50, 2),
        Case("relu", 50, 10),
        Case("relu", 100, 3),
        Case("elu", 100, 3),
        Case("gelu", 100, 3),
    ),
    *(
        Case("sigmoid", 200, 5),
        Case("relu", 400, 5),
        Case("sigmoid", 300, 8),
        Case("relu", 800, 3),
        Case("relu", 850, 4),
    ),
    *(
        Case("relu", 1000, 10),
        Case("relu", 100, 3, dtype=torch.float32),
        Case("relu", 800, 3, dtype=torch.float32),
    ),
    *(
        Case("relu", 800, 3, batch_size=4),
        Case("relu", 800, 3, batch_size=10),
        Case("relu", 800, 3, batch_size=N_SAMPLES),
    ),
]

OF_THE_THESIS = (Case("relu", 800, 3), Case("sigmoid", 300, 8))
"""What two processes train at once."""

EPOCHS_AT_ONCE = 20


@dataclass(frozen=True)
class Measured:
    """Seconds of a step, one entry a round."""

    theirs: np.ndarray
    ours: np.ndarray
    products: np.ndarray

    def __str__(self) -> str:
        ratios = self.theirs / self.ours
        microseconds = " | ".join(
            f"{np.median(seconds) * 1e6:.0f}" for seconds in (self.theirs, self.ours, self.products)
        )
        return f"{microseconds} | {np.median(ratios):.1f} ({ratios.min():.1f}, {ratios.max():.1f})"


def main() -> None:
    """Prints the table and files it beside docs/reference/performance.md."""
    # NumPy's and SciPy's BLAS have threads of their own
    prepare_process(1)
    lines = [
        (
            "| network | batch size | dtype | nn.Module and optim.SGD, µs a step | ntk-sweep, µs a "
            "step | products alone, µs | ratio |"
        ),
        "|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines))
    for case in CASES:
        lines.append(f"| {case} | {measure(case)} |")
        print(lines[-1], flush=True)
    page = ROOT / "docs" / "reference" / "performance.md"
    fill_filed(page, "training", "Microseconds a step, by network, batch size and precision", lines)
    lines = [
        "| network | one alone, µs a step | two at once, µs a step | ratio |",
        "|---|---|---|---|",
        *(
            f"| {case.act} {case.width} × {case.depth} | {at_once(case)} |"
            for case in OF_THE_THESIS
        ),
    ]
    print("\n".join(lines))
    fill(page, "training at once", "\n".join(lines))


def prepared(case: Case) -> tuple[torch.Tensor, torch.Tensor, Network]:
    """Inputs, targets and the network to begin with."""
    x = torch.rand(
        N_SAMPLES, 784, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    ).to(case.dtype)
    y = (torch.arange(N_SAMPLES) >= N_SAMPLES // 2).to(case.dtype)
    network = Network.initialise(
        784, case.width, case.depth, case.act, "standard", seed=0, dtype=case.dtype
    )
    return x, y, network


def measure(case: Case) -> Measured:
    """Both steps, in turns."""
    x, y, network = prepared(case)
    module = as_module(network)
    optimiser = torch.optim.SGD(module.parameters(), lr=STEP_SIZE)
    criterion = nn.MSELoss()
    batches = list(zip(x.split(case.batch_size), y.split(case.batch_size), strict=True))
    descent, order = (
        GradientDescent(network, x, y, STEP_SIZE, case.batch_size),
        np.arange(N_SAMPLES),
    )

    def their_epoch() -> None:
        for inputs, targets in batches:
            optimiser.zero_grad()
            criterion(module(inputs)[:, 0], targets).backward()
            optimiser.step()

    def our_epoch() -> None:
        descent.epoch(order)

    their_epoch()
    our_epoch()
    close = 1e-9 if case.dtype == torch.float64 else 1e-4
    torch.testing.assert_close(module(x)[:, 0].detach(), descent.outputs(), rtol=close, atol=close)
    contenders = (their_epoch, our_epoch, products(network, case.batch_size))
    epochs = math.ceil(LEAST_STEPS / len(batches))
    rounds = []
    for _ in range(ROUNDS):
        times = [time.process_time()]
        for epoch in contenders:
            for _ in range(epochs):
                epoch()
            times.append(time.process_time())
        rounds.append(np.diff(times) / epochs / len(batches))
    return Measured(*np.array(rounds).T)


def at_once(case: Case) -> str:
    """One process alone, and two at the same time, in turns."""
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(2)]
    processes = [
        context.Process(target=_train_when_asked, args=(case, theirs)) for _, theirs in pipes
    ]
    for process in processes:
        process.start()
    ours = [own for own, _ in pipes]
    try:
        for own in ours:
            own.recv()  # it is ready
        rounds = [(max(_asked(ours[:1])), max(_asked(ours))) for _ in range(ROUNDS)]
    finally:
        for own in ours:
            own.send(False)
        for process in processes:
            process.join()
    alone, both = np.array(rounds).T
    ratios = both / alone
    return (
        f"{np.median(alone) * 1e6:.0f} | {np.median(both) * 1e6:.0f} | "
        f"{np.median(ratios):.2f} ({ratios.min():.2f}, {ratios.max():.2f})"
    )


def _asked(connections: list[Connection]) -> list[float]:
    """Seconds of a step in each process, all of which train at the same time."""
    for connection in connections:
        connection.send(True)
    return [connection.recv() for connection in connections]


def _train_when_asked(case: Case, connection: Connection) -> None:
    """What each of the processes does."""
    prepare_process(1)
    x, y, network = prepared(case)
    descent, order = (
        GradientDescent(network, x, y, STEP_SIZE, case.batch_size),
        np.arange(N_SAMPLES),
    )
    descent.epoch(order)
    connection.send(None)
    while connection.recv():
        start = time.process_time()
        for _ in range(EPOCHS_AT_ONCE):
            descent.epoch(order)
        steps = EPOCHS_AT_ONCE * descent.steps_per_epoch
        connection.send((time.process_time() - start) / steps)


def products(network: Network, batch_size: int) -> Callable[[], None]:
    """An epoch of nothing but the products with the weights."""
    factors = [
        (
            torch.ones(batch_size, w.shape[1], dtype=w.dtype),
            torch.ones(batch_size, w.shape[0], dtype=w.dtype),
        )
        for w in network.weights
    ]
    upwards = [
        (a, w.T, torch.empty_like(g))
        for w, (a, g) in zip(network.weights[1:], factors[1:], strict=True)
    ]
    downwards = [
        (g, w, torch.empty_like(a))
        for w, (a, g) in zip(network.weights[:0:-1], factors[:0:-1], strict=True)
    ]

    def epoch() -> None:
        for _ in range(math.ceil(N_SAMPLES / batch_size)):
            for left, right, result in upwards + downwards:
                torch.mm(left, right, out=result)

    return epoch


class Plain(nn.Linear):
    """A linear layer with given parameters."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__(weight.shape[1], weight.shape[0], dtype=weight.dtype)
        with torch.no_grad():
            self.weight.copy_(weight)
            self.bias.copy_(bias)


def as_module(network: Network) -> nn.Sequential:
    """The network as a user of torch would write it."""
    layers: list[nn.Module] = []
    for weight, bias in zip(network.weights, network.biases, strict=True):
        layers += [Plain(weight, bias), MODULES[network.activation]()]
    return nn.Sequential(*layers[:-1])


if __name__ == "__main__":
    main()
