"""One measurement of `benchmarks.numerics.kernels` on ntk-sweep itself, printed as JSON."""

from __future__ import annotations

import json
import sys
from functools import partial

import numpy as np
import torch

from benchmarks.peers.measuring import peak_memory
from benchmarks.timing import least_seconds
from ntk_sweep import Network, empirical_ntk, ntk_spectrum
from ntk_sweep.executors.worker import prepare_process
from ntk_sweep.network.initialisation import standard_normals

REPEATS = 7
_least = partial(least_seconds, repeats=REPEATS)


def main() -> None:
    """Takes the network's file, what to measure, and its activation, width and depth."""
    path, what, act, width, depth = (
        sys.argv[1],
        sys.argv[2],
        sys.argv[3],
        int(sys.argv[4]),
        int(sys.argv[5]),
    )
    prepare_process(torch.get_num_threads())
    with np.load(path, allow_pickle=False) as file:
        x = torch.from_numpy(file["x"])
        weights = [torch.from_numpy(file[f"weight{index}"]) for index in range(depth)]
        biases = [torch.from_numpy(file[f"bias{index}"]) for index in range(depth)]
    network = Network(weights, biases, act, "standard")

    def draw() -> Network:
        return Network.initialise(x.shape[1], width, depth, act, "standard", seed=0)

    result: dict[str, float] = {}
    if what == "floor":
        result["seconds"] = floor(x, width, depth)
    elif what == "spectrum":
        result["seconds"] = _least(lambda: ntk_spectrum(draw(), x))
    else:
        compute = {
            "kernel": lambda: empirical_ntk(network, x),
            "drawn": lambda: empirical_ntk(draw(), x),
        }[what]
        result["seconds"] = _least(compute)
        theta = compute()
        result |= {"trace": theta.trace().item(), "norm": theta.norm().item()}
    if what != "floor":
        result["peak"] = peak_memory()
    print(json.dumps(result))


def floor(x: torch.Tensor, width: int, depth: int) -> float:
    """Seconds for the multiply-adds and for the draws, each at the rate measured here."""
    n_samples, n_inputs = x.shape
    a, first, square = (
        torch.rand(*shape, dtype=torch.float64)
        for shape in ((n_samples, width), (width, n_inputs), (width, width))
    )
    forward = _least(lambda: x @ first.T) + (depth - 2) * _least(lambda: a @ square.T)
    backward = (depth - 2) * _least(lambda: a @ square)
    grams = _least(lambda: x @ x.T) + 2 * (depth - 1) * _least(lambda: a @ a.T)
    draws = _least(lambda: standard_normals(n_inputs, width, depth, seed=0))
    return forward + backward + grams + draws


if __name__ == "__main__":
    main()
