"""Bounds of float32 networks with kinks, and their errors: a table of docs/theory/numerics.md.

    python -m benchmarks.numerics.single_precision

Each is compared with the network of the same weights and inputs in float64.
"""

from __future__ import annotations

import torch

from benchmarks.places import ROOT
from docs.tools.pages import fill
from ntk_sweep import Network, ntk_spectrum
from ntk_sweep.data.dataset import load_dataset


def compared(activation: str, width: int, depth: int, x: torch.Tensor) -> str:
    """The line of a network."""
    network = Network.initialise(
        x.shape[1], width, depth, activation, "thesis", seed=1, dtype=torch.float32
    )
    weights, biases = ([p.double() for p in part] for part in (network.weights, network.biases))
    exact = ntk_spectrum(
        network.with_parameters(weights, biases), x.double(), method="double-double"
    )
    found = ntk_spectrum(network, x)
    errors = (found.eigenvalues - exact.eigenvalues).abs()
    looseness = (found.errors / (errors + exact.errors)).median()
    least = float(exact.eigenvalues[0])
    figures = [least, float(errors[0]) / least, float(found.errors[0]) / least, float(looseness)]
    cells = " | ".join(f"{figure:.0e}" for figure in figures)
    covered = int((errors <= found.errors + exact.errors).sum())
    return f"| {activation} {width} × {depth} | {cells} | {int(found.resolved.sum())} | {covered} |"


def main() -> None:
    """Prints the table and puts it into docs/theory/numerics.md."""
    x = torch.from_numpy(load_dataset("digits", classes=(0, 9), n_per_class=25).x).float()
    lines = [
        "| network | λ_min | its relative error | the bound of that | looseness, median | "
        "resolved of 50 | covered |",
        "|---" * 7 + "|",
    ]
    for activation in ("relu", "lrelu"):
        for depth in (3, 5, 10):
            for width in (50, 200, 500):
                lines.append(compared(activation, width, depth, x))
    print("\n".join(lines))
    fill(ROOT / "docs" / "theory" / "numerics.md", "float32", "\n".join(lines))


if __name__ == "__main__":
    main()
