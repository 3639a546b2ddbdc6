"""Error bounds against theorems, on random networks: a table of docs/theory/numerics.md.

    python -m benchmarks.numerics.certify [NETWORKS]

Draws networks of every activation, parametrisation and scale on inputs of many kinds, and compares
each method with `certified`. An eigenvalue is covered where the two enclosures meet; an error below
half a unit of rounding counts as that. Needs python-flint.
"""

from __future__ import annotations

import sys
from collections import defaultdict

import numpy as np
import torch

from benchmarks.places import ROOT
from docs.tools.pages import fill
from ntk_sweep import Network, ntk_spectrum
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.parametrisations import PARAMETRISATIONS
from ntk_sweep.spectrum.methods import CERTIFIED, METHODS
from ntk_sweep.spectrum.spectrum import Spectrum

NETWORKS = 500

UNIT = torch.finfo(torch.float64).eps / 2

KINDS = (
    *("normal", "positive", "pixels 0 to 255", "offset 1e3", "times 1e4", "times 1e-6"),
    *("near-duplicates", "duplicates", "mirrored", "collinear", "one-hot"),
)


def inputs(kind: str, count: int, features: int, draws: np.random.Generator) -> np.ndarray:
    """N inputs of a kind of `KINDS`."""
    x = draws.standard_normal((count, features))
    half = np.resize(x[: (count + 1) // 2], x.shape)
    distance = 10.0 ** -draws.integers(3, 13)
    return {
        "normal": x,
        "positive": np.abs(x),
        "pixels 0 to 255": np.floor(np.clip(np.abs(x) * 100, 0, 255)),
        "offset 1e3": x + 1e3,
        "times 1e4": x * 1e4,
        "times 1e-6": x * 1e-6,
        "near-duplicates": half + distance * x,
        "duplicates": half,
        "mirrored": half * np.resize([1.0, -1.0], count)[:, None],
        "collinear": x[:1] * np.arange(1, count + 1)[:, None],
        "one-hot": np.eye(count, features),
    }[kind]


def network(number: int, features: int, draws: np.random.Generator) -> Network:
    """The network of a number: activations and parametrisations in turn, the rest at random."""
    names, ways = list(ACTIVATIONS), list(PARAMETRISATIONS)
    return Network.initialise(
        features,
        int(draws.integers(2, 40)),
        int(draws.integers(2, 9)),
        names[number % len(names)],
        ways[number // len(names) % len(ways)],
        seed=number,
        weight_std=float(draws.choice([0.1, 0.5, 1.0, 1.5, 3.0])),
        bias_std=[0.0, 0.1, 1.0, None][draws.integers(4)],
    )


def compared(spectrum: Spectrum, certified: Spectrum) -> tuple[torch.Tensor, ...]:
    """Which are covered; of those that both resolve, bound over error, and the relative error."""
    apart = (spectrum.eigenvalues - certified.eigenvalues).abs()
    covered = apart <= spectrum.errors + certified.errors
    known = certified.resolved & spectrum.resolved
    least = (apart + certified.errors).maximum(UNIT * certified.eigenvalues)[known]
    return covered, spectrum.errors[known] / least, least / certified.eigenvalues[known]


def main(networks: int) -> None:
    """Prints the table and puts it into docs/theory/numerics.md."""
    found: dict[str, list[tuple[torch.Tensor, ...]]] = defaultdict(list)
    own: list[torch.Tensor] = []
    for number in range(networks):
        draws = np.random.default_rng(number)
        count, features = int(draws.integers(1, 21)), int(draws.integers(1, 13))
        kind = KINDS[number % len(KINDS)]
        net, x = network(number, features, draws), inputs(kind, count, features, draws)
        certified = ntk_spectrum(net, x, method=CERTIFIED)
        own.append((certified.errors / certified.eigenvalues)[certified.resolved])
        for method in METHODS:
            result = compared(ntk_spectrum(net, x, method=method), certified)
            found[method].append(result)
            if not bool(result[0].all()):
                print(f"not covered: {method}, network {number}, {kind}", file=sys.stderr)
    lines = [
        "| method | eigenvalues | covered | resolved | looseness, median | worst | "
        "relative error, median | worst |",
        "|---" * 8 + "|",
    ]
    for method in METHODS:
        covered, looseness, errors = (
            torch.cat(parts) for parts in zip(*found[method], strict=True)
        )
        figures = [looseness.median(), looseness.max(), errors.median(), errors.max()]
        cells = " | ".join(f"{float(figure):.0e}" for figure in figures)
        lines.append(
            f"| {method} | {len(covered)} | {int(covered.sum())} | {len(errors)} | {cells} |"
        )
    every = torch.cat(own)
    lines.append("")
    lines.append(
        f"{networks} networks; `certified` resolves {len(every)} eigenvalues, to a relative "
        f"{float(every.max()):.1e} at worst."
    )
    print("\n".join(lines))
    if networks == NETWORKS:
        fill(ROOT / "docs" / "theory" / "numerics.md", "certified", "\n".join(lines))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else NETWORKS)
