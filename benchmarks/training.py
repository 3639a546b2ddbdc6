"""What a step of training costs, beside the same step through torch.nn.Module and torch.optim.SGD.

    python -m benchmarks.training

N = 200 inputs of 784 features in [0, 1], float64, batch size 1, one thread, as a worker has it; `standard` parametrisation, which
plain nn.Linear layers compute. Both take turns on the same network in
the same process; the microseconds are the least of `ROUNDS` of process time, so that other work on the machine counts as little as
can be. That both computed the same after an epoch is checked first.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from docs.remake import fill
from ntk_sweep.network import Network
from ntk_sweep.training import GradientDescent

ROOT = Path(__file__).parents[1]
NETWORKS = [
    *(("relu", 50, 2), ("relu", 50, 10), ("relu", 100, 3), ("sigmoid", 200, 5), ("relu", 400, 5), ("sigmoid", 300, 8)),
    *(("relu", 800, 3), ("relu", 850, 4), ("relu", 1000, 10)),
]
MODULES = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}
N_SAMPLES = 200
STEP_SIZE = 1e-6
MODULE_STEPS = 50
ROUNDS = 7


def main() -> None:
    """Prints the table and puts it into docs/performance.md."""
    torch.set_num_threads(1)
    lines = ["| network | nn.Module and optim.SGD, µs a step | ntk-sweep, µs a step | ratio |", "|---|---|---|---|"]
    print("\n".join(lines))
    for act, width, depth in NETWORKS:
        theirs, ours = measure(act, width, depth)
        lines.append(f"| {act} {width} × {depth} | {theirs:.0f} | {ours:.0f} | {theirs / ours:.1f} |")
        print(lines[-1], flush=True)
    fill(ROOT / "docs" / "performance.md", "training", "\n".join(lines))


def measure(act: str, width: int, depth: int) -> tuple[float, float]:
    """Microseconds of a step through the module and of one of ours."""
    x = torch.rand(N_SAMPLES, 784, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = (torch.arange(N_SAMPLES) >= N_SAMPLES // 2).double()
    network = Network.initialise(784, width, depth, act, "standard", seed=0)
    module = as_module(network)
    optimiser = torch.optim.SGD(module.parameters(), lr=STEP_SIZE)
    criterion = nn.MSELoss()

    def steps(count: int) -> None:
        for i in range(count):
            optimiser.zero_grad()
            criterion(module(x[i : i + 1])[:, 0], y[i : i + 1]).backward()
            optimiser.step()

    descent, order = GradientDescent(network, x, y, STEP_SIZE, batch_size=1), np.arange(N_SAMPLES)
    steps(N_SAMPLES)
    descent.epoch(order)
    torch.testing.assert_close(module(x)[:, 0].detach(), descent.outputs(), rtol=1e-9, atol=1e-9)
    theirs, ours = [], []
    for _ in range(ROUNDS):
        start = time.process_time()
        steps(MODULE_STEPS)
        middle = time.process_time()
        descent.epoch(order)
        ours.append((time.process_time() - middle) / N_SAMPLES)
        theirs.append((middle - start) / MODULE_STEPS)
    return min(theirs) * 1e6, min(ours) * 1e6


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
