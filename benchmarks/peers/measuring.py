"""What the scripts of the peers share; they run in environments of their own, with NumPy only in
common.

A script is called with the file that `benchmarks.kernels` writes, holding x and the weights of a
fully connected network, and with the name of an implementation. It prints one line of JSON.
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
    """Inputs, weights and biases by layer, the activation, and the implementation that was asked
    for.
    """
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))
    with np.load(sys.argv[1], allow_pickle=False) as file:
        count = sum(name.startswith("weight") for name in file.files)
        layers = [(file[f"weight{index}"], file[f"bias{index}"]) for index in range(count)]
        return file["x"], layers, str(file["act"]), sys.argv[2]


def report(kernel: Callable[[], np.ndarray]) -> None:
    """Prints seconds, peak memory and a checksum of the kernel; the first call, which may compile,
    does not count.
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
    """Greatest memory of this process in MB; that of `getrusage` would be its parent's where that
    was greater.
    """
    (line,) = (
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )
    return int(line.split()[1]) / 1024
