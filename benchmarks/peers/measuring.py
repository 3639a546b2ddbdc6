"""What the scripts of the peers share, in environments that have only NumPy in common.

`benchmarks.numerics.kernels` calls a script with a file of x and the weights of a network, and with
the name of an implementation. The script prints one line of JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

LIMIT_BYTES = 18 * 2**30
"""Beyond it a peer fails, rather than the machine: the larger Jacobians need more."""

REPEATS = 3
ENOUGH_SECONDS = 5
"""A peer that took so long is asked once more instead of `REPEATS` times."""


def arguments() -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]], str, str]:
    """Inputs, weights and biases by layer, the activation, and the implementation asked for."""
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))
    with np.load(sys.argv[1], allow_pickle=False) as file:
        count = sum(name.startswith("weight") for name in file.files)
        layers = [(file[f"weight{index}"], file[f"bias{index}"]) for index in range(count)]
        return file["x"], layers, str(file["act"]), sys.argv[2]


def report(kernel: Callable[[], np.ndarray]) -> None:
    """Prints seconds, peak memory and a checksum of the kernel.

    The first call may compile and does not count.
    """
    start = time.perf_counter()
    theta = kernel()
    seconds = []
    for _ in range(REPEATS if time.perf_counter() - start < ENOUGH_SECONDS else 1):
        start = time.perf_counter()
        theta = kernel()
        seconds.append(time.perf_counter() - start)
    sums = {"trace": float(np.trace(theta)), "norm": float(np.linalg.norm(theta))}
    print(json.dumps({"seconds": min(seconds), "peak": peak_memory()} | sums))


def peak_memory() -> float:
    """Greatest memory of this process in MB; `getrusage` may give that of its parent."""
    (line,) = (
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )
    return int(line.split()[1]) / 1024
