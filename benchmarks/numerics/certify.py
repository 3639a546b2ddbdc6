"""Error bounds against theorems, on random networks: two tables of docs/theory/numerics.md.

    python -m benchmarks.numerics.certify [NETWORKS]

Draws networks of every activation, parametrisation, scale and dtype on inputs of many kinds, and
compares each method with `certified`; kernels of infinite width with mpmath. An eigenvalue is
covered where the two enclosures meet; an error below half a unit of rounding counts as that.
Another table says how many of the spectra that are right to `TARGET` say so, with and without
passes in double-double. Needs python-flint.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import replace

import mpmath as mp
import numpy as np
import torch

from benchmarks.places import ROOT
from docs.tools.pages import fill
from ntk_sweep import Network, limit_kernels, ntk_spectrum
from ntk_sweep.kernel.centred_kernel import centred_kernel
from ntk_sweep.kernel.centred_passes import centred_passes
from ntk_sweep.limit.kernel import limit_kernel_spectrum
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.architecture import Architecture
from ntk_sweep.network.initialisation import Initialisation
from ntk_sweep.network.parametrisations import PARAMETRISATIONS
from ntk_sweep.spectrum.methods import CERTIFIED, METHODS
from ntk_sweep.spectrum.spectrum import TARGET, Spectrum, kernel_spectrum
from tests.helpers.exact_limits import exact_limits
from tests.helpers.hard_inputs import KINDS, hard_inputs

NETWORKS = 1000

DTYPES = (torch.float64, torch.float32)

CLOSED = ("relu", "lrelu", "erf")
"""Activations whose duals `exact_limits` has."""

UNIT = torch.finfo(torch.float64).eps / 2


def architecture(number: int, draws: np.random.Generator) -> Architecture:
    """Activations and parametrisations in turn, the rest at random."""
    names, ways = list(ACTIVATIONS), list(PARAMETRISATIONS)
    return Architecture(
        names[number % len(names)],
        int(draws.choice([1, 2, 3, 5, 10, 20, 40])),
        int(draws.integers(2, 9)),
        ways[number // len(names) % len(ways)],
        float(draws.choice([0.1, 0.3, 0.5, 1.0, 1.5, 2.0, 3.0])),
        [None, 0.0, 0.5, 1.0][draws.integers(4)],
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


def of_networks(count: int) -> list[str]:
    """The tables of the methods, and of the spectra that say that they are right."""
    found: dict[str, list[tuple[torch.Tensor, ...]]] = defaultdict(list)
    own: list[torch.Tensor] = []
    said: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for number in range(count):
        draws = np.random.default_rng(number)
        samples, features = int(draws.integers(1, 13)), int(draws.integers(1, 13))
        kind, dtype = KINDS[number % len(KINDS)], DTYPES[number // len(KINDS) % len(DTYPES)]
        shape = Initialisation(architecture(number, draws), features, number, dtype)
        network = Network.from_initialisation(shape)
        x = torch.from_numpy(hard_inputs(kind, samples, features, draws)).to(dtype)
        certified = ntk_spectrum(network, x, method=CERTIFIED)
        own.append((certified.errors / certified.eigenvalues)[certified.resolved])
        name = str(dtype).removeprefix("torch.")
        spectra = {method: ntk_spectrum(network, x, method=method) for method in METHODS}
        once = kernel_spectrum(
            centred_kernel(centred_passes(network, network.as_inputs(x)), target=TARGET)
        )
        ways = {"auto": spectra["auto"], "double-double": spectra["double-double"]}
        for way, spectrum in (*ways.items(), ("auto without passes in double-double", once)):
            if right(spectrum, certified):
                said[name, way].append(spectrum.meets_target)
        for method, spectrum in spectra.items():
            result = compared(spectrum, certified)
            found[f"{method}, {name}"].append(result)
            if not bool(result[0].all()):
                print(f"not covered: {method}, network {number}, {kind}", file=sys.stderr)
    lines = [
        "| method | eigenvalues | covered | resolved | looseness, median | worst | "
        "relative error, median | worst |",
        "|---" * 8 + "|",
    ]
    for name in sorted(found, key=lambda name: name.endswith("32")):
        covered, looseness, errors = (torch.cat(parts) for parts in zip(*found[name], strict=True))
        figures = [looseness.median(), looseness.max(), errors.median(), errors.max()]
        cells = " | ".join(f"{float(figure):.0e}" for figure in figures)
        lines.append(
            f"| {name} | {len(covered)} | {int(covered.sum())} | {len(errors)} | {cells} |"
        )
    every = torch.cat(own)
    lines.append("")
    lines.append(
        f"{count} networks; `certified` resolves {len(every)} eigenvalues, to a relative "
        f"{float(every.max()):.1e} at worst."
    )
    return [*lines, "", *_shares(said)]


def _shares(said: dict[tuple[str, str], list[bool]]) -> list[str]:
    """The table of spectra that say that they are right."""
    lines = [f"| dtype | method | right to {TARGET:.0e} | say so |", "|---" * 4 + "|"]
    for (dtype, way), answers in sorted(said.items()):
        share = f"{sum(answers)} ({sum(answers) / len(answers):.1%})"
        lines.append(f"| {dtype} | {way} | {len(answers)} | {share} |")
    return lines


def of_limits(count: int) -> list[str]:
    """The table of the kernels of infinite width."""
    found: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for number in range(count):
        draws = np.random.default_rng(number)
        samples, features = int(draws.integers(1, 7)), int(draws.integers(1, 13))
        kind, activation = KINDS[number % len(KINDS)], CLOSED[number % len(CLOSED)]
        network = replace(architecture(number, draws), activation=activation)
        x = hard_inputs(kind, samples, features, draws)
        own = network.activation, network.width, network.depth, network.parametrisation
        scales = network.weight_std, network.bias_std
        kernels = limit_kernels(x, *own, *scales)
        spectrum = limit_kernel_spectrum(kernels.ntk)
        with mp.workdps(80):
            exact = exact_limits(x, *own, *scales)
            values = mp.matrix(mp.eigsy(exact[0], eigvals_only=True))
            apart = _differences(spectrum.eigenvalues[:, None], values).abs()[:, 0]
            norms = [
                float(torch.linalg.matrix_norm(_differences(limit.kernel, theta), 2))
                for limit, theta in zip((kernels.ntk, kernels.nngp), exact, strict=True)
            ]
        bounds = kernels.ntk.error_norm, kernels.nngp.error_norm
        covered = sum(norm <= bound for norm, bound in zip(norms, bounds, strict=True))
        within = int((apart <= spectrum.errors).sum())
        largest = float(spectrum.eigenvalues[-1]) or 1.0  # a kernel may be zero
        found[activation].append(
            (covered, within, samples, norms[0] / largest, bounds[0] / largest)
        )
        if covered < 2 or within < samples:
            print(f"not covered: limit of {activation}, {number}, {kind}", file=sys.stderr)
    lines = [
        "| activation | kernels | covered | eigenvalues | covered | error / λ_max, worst | "
        "bound / λ_max, median | worst |",
        "|---" * 8 + "|",
    ]
    for activation, cases in found.items():
        covered, within, samples, errors, relative = np.array(cases).T
        figures = errors.max(), np.median(relative), relative.max()
        cells = " | ".join(f"{figure:.0e}" for figure in figures)
        lines.append(
            f"| {activation} | {2 * len(cases)} | {covered.sum():.0f} | {samples.sum():.0f} | "
            f"{within.sum():.0f} | {cells} |"
        )
    return lines


def _differences(computed: torch.Tensor, exact: mp.matrix) -> torch.Tensor:
    rows, columns = computed.shape
    entries = [
        [float(float(computed[i, j]) - exact[i, j]) for j in range(columns)] for i in range(rows)
    ]
    return torch.tensor(entries, dtype=torch.float64)


def main(networks: int) -> None:
    """Prints the tables and puts them into docs/theory/numerics.md."""
    for name, lines in (
        ("certified", of_networks(networks)),
        ("certified-limits", of_limits(networks)),
    ):
        print("\n".join(lines))
        if networks == NETWORKS:
            fill(ROOT / "docs" / "theory" / "numerics.md", name, "\n".join(lines))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else NETWORKS)
