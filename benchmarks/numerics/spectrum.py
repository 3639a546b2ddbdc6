"""What an exact spectrum costs: seconds and peak memory of each method, one network a process.

    python -m benchmarks.numerics.spectrum

N = 200 inputs of 784 features in [0, 1], float64, as many threads as cores. The seconds are those
of `ntk_spectrum` alone, the least of six calls after a first one; the peak is that of the whole
process, torch and the network included. A peer, `arb_mat.eig` of python-flint, takes the entries of
Θ in double-double as exact numbers and finds all eigenvalues in ball arithmetic, in one call and
for fewer inputs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from benchmarks.peers.measuring import peak_memory
from benchmarks.places import ROOT
from benchmarks.timing import least_seconds
from docs.tools.pages import fill_filed

if TYPE_CHECKING:
    from torch import Tensor

    from ntk_sweep import Network

NETWORKS = [("relu", 300, 3), ("relu", 500, 5), ("relu", 1000, 5), ("sigmoid", 1000, 10)]
PEER = "arb_mat.eig"
PEER_BITS = 256
"""Of its numbers; 128 isolate the eigenvalues of well conditioned kernels only."""
PEER_SAMPLES = 50
"""Inputs of the peer, whose time grows with N⁴: 200 take it minutes."""
METHODS = ["eigh", "compensated", "double-double", "auto", "jacobian", PEER]
REPEATS = 6


def main() -> None:
    """Prints the table and files it beside docs/reference/performance.md."""
    lines = [
        "| network | method | seconds | peak memory, MB | stated relative error of λ_min |",
        "|---|---|---|---|---|",
    ]
    print("\n".join(lines))
    for act, width, depth in NETWORKS:
        for method in METHODS:
            command = [
                sys.executable,
                "-m",
                "benchmarks.numerics.spectrum",
                act,
                str(width),
                str(depth),
                method,
            ]
            answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
            got = json.loads(answer.stdout)
            took = method if got["method"] == method else f"{method} ({got['method']})"
            if method == PEER:
                took = f"python-flint, {PEER}, {PEER_SAMPLES} inputs"
            lines.append(
                f"| {act} {width} × {depth} | {took} | {got['seconds']:.2f} | {got['peak']:.0f} | "
                f"{got['error']:.0e} |"
            )
            print(lines[-1], flush=True)
    page = ROOT / "docs" / "reference" / "performance.md"
    fill_filed(page, "spectrum", "Seconds, peak memory and stated error of each method", lines)


def measure(act: str, width: int, depth: int, method: str) -> dict[str, float | str]:
    """Seconds, peak memory in MB, relative error bound of λ_min and the method used."""
    import torch

    from ntk_sweep import Network, ntk_spectrum

    count = PEER_SAMPLES if method == PEER else 200
    x = torch.rand(count, 784, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    network = Network.initialise(784, width, depth, act, "thesis", seed=0)
    if method == PEER:
        start = time.perf_counter()
        error = _by_flint(network, x)
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "peak": peak_memory(), "error": error, "method": method}
    spectrum = ntk_spectrum(network, x, method=method)
    seconds = least_seconds(lambda: ntk_spectrum(network, x, method=method), REPEATS)
    error = float(spectrum.errors[0] / spectrum.eigenvalues[0])
    return {"seconds": seconds, "peak": peak_memory(), "error": error, "method": spectrum.method}


def _by_flint(network: Network, x: Tensor) -> float:
    """The relative radius of λ_min of Θ in double-double."""
    from flint import arb, arb_mat, ctx

    from ntk_sweep.kernel.centred_passes import centred_passes
    from ntk_sweep.kernel.double_double_kernel import double_double_kernel

    ctx.prec = PEER_BITS
    parts = (part.flatten().tolist() for part in double_double_kernel(centred_passes(network, x)))
    entries = [arb(high) + arb(low) for high, low in zip(*parts, strict=True)]
    values = arb_mat(len(x), len(x), entries).eig(algorithm="vdhoeven_mourrain")
    least = min((value.real for value in values), key=lambda ball: float(ball.mid()))
    return float(least.rad() / least.mid())


if __name__ == "__main__":
    if len(sys.argv) == 5:
        print(json.dumps(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])))
    else:
        main()
