"""The cost of a network among many on a GPU, beside the floor and the CPU of the same machine.

    python -m benchmarks.numerics.gpu [check]

`make gpu` calls it after the tests; with `check` it only looks for a device. Needs torch with CUDA,
NumPy and this checkout; neither Ray nor Hydra nor anything else of ntk-sweep's dependencies. Stacks
of draws, each under four activations, N = 200 inputs of 784 features, float64. Prints a table and
puts it into docs/reference/performance.md:

- drawing the weights on the CPU and taking them to the device;
- passes, kernel in float64 and kernel one order beyond it, for the whole stack, per network;
- the floor: the multiply-adds of passes and contractions at the device's rate of batched float64
  products, measured in the same run;
- eigenvalues on the CPU, per network, which go on while the device is at work on the next stack.

On a machine without a GPU it says so and stops.
"""

from __future__ import annotations

import importlib.util
import sys
import time
import types
from collections.abc import Callable

import torch

from benchmarks.places import ROOT
from docs.tools.pages import fill

ACTIVATIONS = ("relu", "elu", "lrelu", "sigmoid")
STACKS = [(300, 3, 16), (500, 5, 16), (1000, 5, 8), (1000, 10, 8)]
N_SAMPLES, N_INPUTS = 200, 784
REPEATS = 5


def main() -> None:
    """Prints the table and puts it into docs/reference/performance.md."""
    if not torch.cuda.is_available():
        raise SystemExit("torch finds no CUDA device: nothing is tested or measured")
    if sys.argv[1:] == ["check"]:
        return
    _without_jaxtyping()
    from ntk_sweep.kernel.centred_passes import centred_passes
    from ntk_sweep.kernel.double_double_kernel import double_double_kernel, rounded_kernel
    from ntk_sweep.kernel.pass_errors import pass_errors
    from ntk_sweep.network.fully_connected import Network
    from ntk_sweep.network.stacked import NetworkStack

    lines = [f"{torch.cuda.get_device_name()}, torch {torch.__version__}; milliseconds a network:"]
    head = (
        "| stack | drawing | passes | kernel in float64 | beyond float64 | error bounds | their "
        "floor | eigenvalues, CPU |"
    )
    lines += ["", head, "|---" * 8 + "|"]
    print("\n".join(lines))
    x = torch.rand(
        N_SAMPLES, N_INPUTS, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    ).cuda()
    for width, depth, seeds in STACKS:
        networks = seeds * len(ACTIVATIONS)

        def draw(width: int = width, depth: int = depth, seeds: int = seeds) -> NetworkStack:
            draws = [
                Network.initialise(N_INPUTS, width, depth, "relu", "thesis", seed, device="cuda")
                for seed in range(seeds)
            ]
            stack = NetworkStack(draws, ACTIVATIONS)
            stack.layer(0)
            return stack

        stack = draw()
        passes = centred_passes(stack, x)
        theta = rounded_kernel(passes, 1)[0].theta[0, 0].cpu()
        cells = [
            seconds(draw, 1),
            seconds(lambda stack=stack: centred_passes(stack, x)),
            seconds(lambda passes=passes: rounded_kernel(passes, 1)),
            seconds(lambda passes=passes: double_double_kernel(passes, 1)),
            seconds(lambda passes=passes: pass_errors(passes)),
            floor(width, depth, seeds),
        ]
        per_network = [f"{1000 * cell / networks:.3g}" for cell in cells]
        eigenvalues = seconds(lambda theta=theta: torch.linalg.eigh(theta))
        lines.append(
            f"| {networks} networks {width} × {depth} | {' | '.join(per_network)} | "
            f"{1000 * eigenvalues:.3g} |"
        )
        print(lines[-1], flush=True)
        del stack, passes
    fill(ROOT / "docs" / "reference" / "performance.md", "gpu", "\n".join(lines))


def floor(width: int, depth: int, seeds: int) -> float:
    """Seconds for the products of the passes and of one contraction, batched as in a stack."""
    rows = len(ACTIVATIONS) * N_SAMPLES
    a, square = _normal(seeds, rows, width), _normal(seeds, width, width)
    x, first = _normal(N_SAMPLES, N_INPUTS), _normal(seeds, width, N_INPUTS)
    networks = _normal(seeds * len(ACTIVATIONS), N_SAMPLES, width)
    passes = seconds(lambda: x @ first.mT) + (depth - 2) * (
        seconds(lambda: a @ square.mT) + seconds(lambda: a @ square)
    )
    return (
        passes
        + seconds(lambda: x @ x.T)
        + 2 * (depth - 1) * seconds(lambda: networks @ networks.mT)
    )


def _normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, device="cuda")


def seconds(compute: Callable[[], object], repeats: int = REPEATS) -> float:
    """The least of several calls, each until the device is done, after a first one."""
    compute()
    spent = []
    for _ in range(repeats):
        torch.cuda.synchronize()
        start = time.perf_counter()
        compute()
        torch.cuda.synchronize()
        spent.append(time.perf_counter() - start)
    return min(spent)


def _without_jaxtyping() -> None:
    """The numerics name jaxtyping in annotations and aliases, which nothing evaluates here."""
    if importlib.util.find_spec("jaxtyping") is None:
        module = types.ModuleType("jaxtyping")
        vars(module)["__getattr__"] = lambda name: _Shaped
        sys.modules["jaxtyping"] = module


class _Shaped:
    """Stands for each of jaxtyping's types."""

    def __class_getitem__(cls, shape: object) -> type:
        return cls


if __name__ == "__main__":
    main()
