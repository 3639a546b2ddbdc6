"""Error bounds against theorems, on random networks: a table of docs/theory/numerics.md.

    python -m benchmarks.numerics.certify [NETWORKS]

Draws networks of every activation, parametrisation and scale on inputs of many kinds, and compares
each method with `certified`. An eigenvalue is covered where the two enclosures meet; an error below
half a unit of rounding counts as that. A second table says how many of the spectra that are right
to `TARGET` say so, with and without passes in double-double. Needs python-flint.
"""

from __future__ import annotations

import itertools
import sys
from collections import defaultdict

import numpy as np
import torch

from benchmarks.places import ROOT
from docs.tools.pages import fill
from ntk_sweep import Network, ntk_spectrum
from ntk_sweep.kernel.centred_kernel import centred_kernel
from ntk_sweep.kernel.centred_passes import centred_passes
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.parametrisations import PARAMETRISATIONS
from ntk_sweep.spectrum.methods import CERTIFIED, METHODS
from ntk_sweep.spectrum.spectrum import TARGET, Spectrum, kernel_spectrum

NETWORKS = 500

DTYPES = ("float64", "float32")

UNIT = torch.finfo(torch.float64).eps / 2

KINDS = (
    *("normal", "positive", "pixels 0 to 255", "offset 1e3", "offset 1e6", "times 1e4"),
    *("times 1e-6", "rows of all sizes", "near-duplicates", "duplicates", "mirrored", "collinear"),
    "one-hot",
)


def inputs(kind: str, count: int, features: int, draws: np.random.Generator) -> np.ndarray:
    """N inputs of a kind of `KINDS`."""
    x = draws.standard_normal((count, features))
    half = np.resize(x[: (count + 1) // 2], x.shape)
    distance = 10.0 ** -draws.integers(3, 13)
    sizes = 10.0 ** draws.integers(-4, 5, (count, 1))
    return {
        "normal": x,
        "positive": np.abs(x),
        "pixels 0 to 255": np.floor(np.clip(np.abs(x) * 100, 0, 255)),
        "offset 1e3": x + 1e3,
        "offset 1e6": x + 1e6,
        "times 1e4": x * 1e4,
        "times 1e-6": x * 1e-6,
        "rows of all sizes": x * sizes,
        "near-duplicates": half + distance * x,
        "duplicates": half,
        "mirrored": half * np.resize([1.0, -1.0], count)[:, None],
        "collinear": x[:1] * np.arange(1, count + 1)[:, None],
        "one-hot": np.eye(count, features),
    }[kind]


def network(number: int, features: int, dtype: str, draws: np.random.Generator) -> Network:
    """The network of a number: activations and parametrisations in turn, the rest at random."""
    names, ways = list(ACTIVATIONS), list(PARAMETRISATIONS)
    return Network.initialise(
        features,
        int(draws.integers(2, 40)),
        int(draws.integers(2, 9)),
        names[number % len(names)],
        ways[number // len(names) % len(ways)],
        seed=number,
        dtype=getattr(torch, dtype),
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


def right(spectrum: Spectrum, certified: Spectrum) -> bool:
    """Whether every eigenvalue is positive and right to `TARGET`."""
    apart = (spectrum.eigenvalues - certified.eigenvalues).abs() + certified.errors
    return bool(((apart <= TARGET * certified.eigenvalues) & certified.resolved).all())


def plain_passes(net: Network, x: torch.Tensor) -> Spectrum:
    """The spectrum by auto, without passes in double-double."""
    return kernel_spectrum(centred_kernel(centred_passes(net, net.as_inputs(x))))


def main(networks: int) -> None:
    """Prints the tables and puts them into docs/theory/numerics.md."""
    found: dict[str, list[tuple[torch.Tensor, ...]]] = defaultdict(list)
    own: list[torch.Tensor] = []
    said: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for dtype, number in itertools.product(DTYPES, range(networks)):
        draws = np.random.default_rng(number)
        count, features = int(draws.integers(1, 21)), int(draws.integers(1, 13))
        kind = KINDS[number % len(KINDS)]
        net = network(number, features, dtype, draws)
        x = torch.from_numpy(inputs(kind, count, features, draws)).to(getattr(torch, dtype))
        certified = ntk_spectrum(net, x, method=CERTIFIED)
        spectra = {method: ntk_spectrum(net, x, method=method) for method in METHODS}
        for way, spectrum in (("auto", spectra["auto"]), ("float64", plain_passes(net, x))):
            if right(spectrum, certified):
                said[dtype, way].append(spectrum.meets_target)
        if dtype == DTYPES[0]:
            own.append((certified.errors / certified.eigenvalues)[certified.resolved])
        for method, spectrum in spectra.items():
            result = compared(spectrum, certified)
            if dtype == DTYPES[0]:
                found[method].append(result)
            if not bool(result[0].all()):
                print(f"not covered: {method}, {dtype} network {number}, {kind}", file=sys.stderr)
    lines = [*_methods(found), "", *_shares(said)]
    every = torch.cat(own)
    lines.append("")
    lines.append(
        f"{networks} networks of each dtype, of float64 in the first table; `certified` resolves "
        f"{len(every)} of their eigenvalues, to a relative {float(every.max()):.1e} at worst."
    )
    print("\n".join(lines))
    if networks == NETWORKS:
        fill(ROOT / "docs" / "theory" / "numerics.md", "certified", "\n".join(lines))


def _methods(found: dict[str, list[tuple[torch.Tensor, ...]]]) -> list[str]:
    """The table of methods."""
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
    return lines


def _shares(said: dict[tuple[str, str], list[bool]]) -> list[str]:
    """The table of spectra that say that they are right."""
    titles = {"auto": "auto", "float64": "auto, passes in the network's dtype only"}
    lines = [f"| dtype | passes | right to {TARGET:.0e} | say so |", "|---" * 4 + "|"]
    for (dtype, way), answers in said.items():
        share = f"{sum(answers)} ({sum(answers) / len(answers):.1%})"
        lines.append(f"| {dtype} | {titles[way]} | {len(answers)} | {share} |")
    return lines


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else NETWORKS)
