"""The kernel of one network, beside other tools and beside what the arithmetic costs.

    python -m benchmarks.numerics.kernels

N = 200 inputs of 784 features in [0, 1], float64, parametrisation `standard`, which every tool can
express; all of them get the same weights, and their kernels are compared first. Each measurement is
a process of its own, on all cores. Seconds are the least of three calls, or one if it takes long,
after a first one, which may compile; the peak is that of the whole process, its libraries included.
Peers run in environments of their own (`benchmarks/peers`).

The floor is what forward pass, backward pass and contraction need in multiply-adds at this
machine's rate of float64 matrix products, measured in the same run at the same sizes, and drawing
the weights at the rate of the generator.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.environments import PEERS, interpreter
from benchmarks.places import ROOT
from docs.tools.pages import fill

N_SAMPLES, N_INPUTS = 200, 784
NETWORKS = [("relu", 300, 3), ("relu", 500, 5), ("relu", 1000, 5), ("sigmoid", 1000, 10)]
TIME_LIMIT = 150
"""Seconds for the calls of one peer. A peer that needs more is not asked for larger networks."""
TOO_LONG = f"> {TIME_LIMIT} s"

PEER_TOOLS = {
    "neural-tangents 0.6.5, Jacobian contraction": ("neural_tangents", "jacobian"),
    "neural-tangents 0.6.5, NTK-vector products": ("neural_tangents", "products"),
    "neural-tangents 0.6.5, structured derivatives": ("neural_tangents", "structured"),
    "torch.func, Jacobian contraction": ("torch_func", "jacobian"),
    "torch.func, NTK-vector products": ("torch_func", "products"),
    "NNGeometry 0.4": ("nngeometry", "gram"),
}
OWN_TOOLS = {
    "empirical_ntk": "kernel",
    "drawing the weights and empirical_ntk": "drawn",
    "drawing and ntk_spectrum": "spectrum",
}


def main() -> None:
    """Prints the tables and puts them into docs/reference/performance.md."""
    head = (
        "| tool | "
        + " | ".join(f"{act} {width} × {depth}" for act, width, depth in NETWORKS)
        + " |"
    )
    columns: dict[str, list[dict[str, Any] | str]] = {
        name: [] for name in (*PEER_TOOLS, *OWN_TOOLS, "floor")
    }
    with tempfile.TemporaryDirectory() as folder:
        for network in NETWORKS:
            path = Path(folder) / "network.npz"
            _write(path, *network)
            for name, (peer, implementation) in PEER_TOOLS.items():
                command = [interpreter(peer), PEERS / f"by_{peer}.py", path, implementation]
                columns[name].append(
                    TOO_LONG if TOO_LONG in columns[name] else _run(name, network, command)
                )
            for name, what in OWN_TOOLS.items():
                command = [
                    sys.executable,
                    "-m",
                    "benchmarks.numerics.own_kernels",
                    path,
                    what,
                    *map(str, network),
                ]
                columns[name].append(_run(name, network, command))
            command = [
                sys.executable,
                "-m",
                "benchmarks.numerics.own_kernels",
                path,
                "floor",
                *map(str, network),
            ]
            columns["floor"].append(_run("floor", network, command))
    _compare(columns)
    lines = [head, "|---" * (len(NETWORKS) + 1) + "|"]
    for name, cells in columns.items():
        lines.append(f"| {name} | " + " | ".join(map(_seconds_and_memory, cells)) + " |")
    lines += ["", *_ratios(columns)]
    print("\n".join(lines))
    fill(ROOT / "docs" / "reference" / "performance.md", "kernels", "\n".join(lines))


def _write(path: Path, act: str, width: int, depth: int) -> None:
    import torch

    from ntk_sweep import Network

    network = Network.initialise(N_INPUTS, width, depth, act, "standard", seed=0)
    x = torch.rand(
        N_SAMPLES, N_INPUTS, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    weights = {f"weight{index}": w.numpy() for index, w in enumerate(network.weights)}
    biases = {f"bias{index}": b.numpy() for index, b in enumerate(network.biases)}
    np.savez(path, x=x.numpy(), act=act, **weights, **biases)


def _run(name: str, network: tuple[str, int, int], command: list[Any]) -> dict[str, Any] | str:
    """The line of JSON that a process prints, or why there is none."""
    print(f"{name}, {network[0]} {network[1]} × {network[2]}", file=sys.stderr, flush=True)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(
            list(map(str, command)),
            capture_output=True,
            text=True,
            timeout=TIME_LIMIT,
            cwd=ROOT,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return TOO_LONG
    if done.returncode:
        out_of_memory = any(
            word in done.stderr for word in ("alloc", "memory", "RESOURCE_EXHAUSTED", "MemoryError")
        )
        if done.returncode < 0 or out_of_memory:
            return "out of memory"
        raise SystemExit(f"{name}: {done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def _compare(columns: dict[str, list[dict[str, Any] | str]]) -> None:
    """All tools computed the same kernel."""
    for index, network in enumerate(NETWORKS):
        own = columns["empirical_ntk"][index]
        assert isinstance(own, dict)
        for name, cells in columns.items():
            cell = cells[index]
            if isinstance(cell, dict) and "norm" in cell:
                np.testing.assert_allclose(
                    cell["norm"], own["norm"], rtol=1e-9, err_msg=f"{name}, {network}"
                )
                np.testing.assert_allclose(
                    cell["trace"], own["trace"], rtol=1e-9, err_msg=f"{name}, {network}"
                )


def _seconds_and_memory(cell: dict[str, Any] | str) -> str:
    if isinstance(cell, str):
        return cell
    memory = f", {cell['peak']:,.0f} MB" if "peak" in cell else ""
    return f"{cell['seconds']:.3g} s{memory}"


def _ratios(columns: dict[str, list[dict[str, Any] | str]]) -> list[str]:
    """Ratios of the times: others to `empirical_ntk`, and `empirical_ntk` to the floor."""
    lines = [
        "| | " + " | ".join(f"{act} {width} × {depth}" for act, width, depth in NETWORKS) + " |",
        "|---" * (len(NETWORKS) + 1) + "|",
    ]

    def ratio(above: dict[str, Any] | str, below: dict[str, Any] | str) -> str:
        if isinstance(above, str) or isinstance(below, str):
            return "—"
        return f"{above['seconds'] / below['seconds']:.3g}"

    own = columns["empirical_ntk"]
    for tool in ("neural-tangents", "torch.func", "NNGeometry"):
        best: list[dict[str, Any] | str] = []
        for index in range(len(NETWORKS)):
            cells = [columns[name][index] for name in PEER_TOOLS if name.startswith(tool)]
            done = [cell for cell in cells if isinstance(cell, dict)]
            best.append(min(done, key=lambda cell: cell["seconds"]) if done else "—")
        lines.append(
            f"| best of {tool} / empirical_ntk | " + " | ".join(map(ratio, best, own)) + " |"
        )
    lines.append(
        "| drawing and empirical_ntk / floor | "
        + " | ".join(map(ratio, columns["drawing the weights and empirical_ntk"], columns["floor"]))
        + " |"
    )
    return lines


if __name__ == "__main__":
    main()
