"""Why λ_min stays below that of the limit kernel: the tables of docs/theory/scaling.md.

    python -m benchmarks.numerics.switching [FOLDER]

FOLDER holds FashionMNIST/raw; without it inputs are looked for where a sweep would. Networks of
depth 2 under `thesis`, N inputs of the classes 0 and 9. A unit of the first layer switches if its
pre-activation is positive for one input and negative for another.
"""

from __future__ import annotations

import math
import sys

import numpy as np
import pandas as pd
import torch
from scipy.special import ndtr
from sklearn.isotonic import IsotonicRegression

from benchmarks.numerics.scaling import shape
from benchmarks.places import ROOT
from docs.tools.pages import fill, write_csv
from ntk_sweep import Network, empirical_ntk, limit_spectrum
from ntk_sweep.data.dataset import assemble
from ntk_sweep.data.sources import SOURCES

PAGE = ROOT / "docs" / "theory" / "scaling.md"
ACTS = ("relu", "lrelu", "elu", "sigmoid", "tanh")
SIZES = (25, 50, 100, 200)
WIDTHS = (100, 400, 1600, 6400, 25600, 40000)
SCALED, SCALES = 50, (0.25, 4.0)
"""N at which the inputs are also multiplied by these: more or fewer units switch at one width."""

SEEDS = 3
SHARES = (2, 4, 8, 16, 32, 64)
"""Switching units over N, for the kinks alone."""

DRAWS = 6
POOL = 20_000
"""Weight vectors from which switching units are drawn, about twice the greatest number of these."""


def main(folder: str | None) -> None:
    """Prints the tables and puts them into the page."""
    inputs = {size: subset(folder, size) for size in SIZES}
    tables = {"kink": "\n".join(kink_table(inputs))}
    parts = [cases(x, 1.0) for x in inputs.values()]
    parts += [cases(scale * inputs[SCALED], scale) for scale in SCALES]
    found = pd.concat(parts, ignore_index=True)
    tables |= {"networks": "\n".join(network_table(found)), "collapse": "\n".join(collapse(found))}
    columns = list(found.columns)
    lines = [
        f"| {' | '.join(f'{v:.6g}' if isinstance(v, float) else str(v) for v in line)} |"
        for line in found.itertuples(index=False)
    ]
    write_csv(
        PAGE.parent / "tables" / "switching.csv",
        [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", *lines],
    )
    for name, table in tables.items():
        print(f"\n{table}")
        fill(PAGE, name, table)


def subset(folder: str | None, size: int) -> np.ndarray:
    """N images of two classes, as nearly as many of either as can be."""
    source = SOURCES["fashion_mnist"]
    x = assemble(source, *source.find(folder), (0, 9), math.ceil(size / 2)).x
    return x[:size]


def cases(x: np.ndarray, scale: float) -> pd.DataFrame:
    """One line a network on inputs x, (N, n_in).

    Activation, N, width, seed, the units expected and found to switch, and λ_min / λ_min(Θ̄).
    """
    lines = []
    for width in WIDTHS:
        expected = width * switch_probability(x, width)
        for act in ACTS:
            limit = float(limit_spectrum(x, act, width, 2, "thesis").eigenvalues[0])
            for seed in range(SEEDS):
                network = Network.initialise(x.shape[1], width, 2, act, "thesis", seed)
                least = float(torch.linalg.eigvalsh(empirical_ntk(network, x))[0])
                found = switching(network, x)
                lines.append((act, len(x), scale, width, seed, expected, found, least / limit))
    names = ["activation", "N", "scale", "width", "seed", "expected", "found", "ratio"]
    return pd.DataFrame(lines, columns=names)


def switching(network: Network, x: np.ndarray) -> int:
    """How many units of the first hidden layer switch on the inputs x, (N, n_in)."""
    weight, bias = network.weights[0].numpy(), network.biases[0].numpy()
    z = x @ weight.T / math.sqrt(len(bias)) + bias
    return int(((z > 0).any(0) & (z < 0).any(0)).sum())


def projections(x: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """⟨w, x⟩ for draws of w ~ N(0, 1), (draws, N)."""
    return np.random.default_rng(seed).standard_normal((draws, x.shape[1])) @ x.T


def switch_probability(x: np.ndarray, width: int) -> float:
    """P(a first-layer unit switches) under `thesis`: E[Φ(-min g/√n) - Φ(-max g/√n)], g = ⟨w, x⟩.

    The bias is integrated exactly, the weights by a mean over 2000 draws: good to about 0.5 %.
    """
    g = projections(x, 2000, 0) / math.sqrt(width)
    return float((ndtr(-g.min(axis=1)) - ndtr(-g.max(axis=1))).mean())


def mean_range(x: np.ndarray) -> float:
    """E[max ⟨w, x_i⟩ - min ⟨w, x_i⟩], w ~ N(0, 1): the mean width of the inputs' hull."""
    return float(np.ptp(projections(x, 2000, 0), axis=1).mean())


def kink_ratio(x: np.ndarray, units: float, rng: np.random.Generator) -> float:
    """λ_min over its mean's for the kinks alone, of a Poisson number of switching units.

    The leading order of Θ for nearly equal inputs: Σ v² 1_h 1_hᵀ over the switching units, where
    1_h marks the inputs on the positive side of hyperplane h, and v ~ N(0, 1). Directions of
    hyperplanes are drawn in proportion to the inputs' range along them, thresholds uniformly in it.
    The mean is a multiple of -‖x_i - x_j‖ on the vectors of sum zero.
    """
    g = projections(x, POOL, 1)
    spread = np.ptp(g, axis=1)
    chosen = g[rng.choice(POOL, size=rng.poisson(units), p=spread / spread.sum())]
    threshold = rng.uniform(chosen.min(axis=1), chosen.max(axis=1))
    marks = (chosen > threshold[:, None]) * rng.standard_normal((len(chosen), 1))
    marks = marks - marks.mean(axis=1, keepdims=True)
    # the vector of ones, an eigenvector of eigenvalue 0, is moved to the other end
    kernel = marks.T @ marks + len(chosen) * np.ones((len(x), len(x)))
    mean = units / mean_range(x) * shape(x, 0.5) / math.sqrt(2 * math.pi)
    return float(np.linalg.eigvalsh(kernel)[0]) / mean


def kink_table(inputs: dict[int, np.ndarray]) -> list[str]:
    """The ratio of `kink_ratio`, mean and standard deviation over draws."""
    rows = [
        f"| N | E[range] | {' | '.join(f'M/N = {share}' for share in SHARES)} |",
        "|---" * (2 + len(SHARES)) + "|",
    ]
    for size, x in inputs.items():
        rng = np.random.default_rng(size)
        entries = []
        for share in SHARES:
            drawn = [kink_ratio(x, share * size, rng) for _ in range(DRAWS)]
            entries.append(f"{np.mean(drawn):.2f} ± {np.std(drawn, ddof=1):.2f}")
        rows.append(f"| {size} | {mean_range(x):.1f} | {' | '.join(entries)} |")
    return rows


def network_table(found: pd.DataFrame) -> list[str]:
    """Mean ratios of real networks, a row an activation, N and scale, a column a width."""
    rows = [
        f"| N | inputs times | | {' | '.join(f'n = {width:,}' for width in WIDTHS)} |",
        "|---" * (3 + len(WIDTHS)) + "|",
    ]
    for (size, scale), own in found.groupby(["N", "scale"]):
        by_width = own.groupby("width")
        units = [
            f"{mine['expected'].iloc[0] / size:.2f} ({mine['found'].mean() / size:.2f})"
            for _, mine in by_width
        ]
        rows.append(f"| {size} | {scale:g} | M/N expected (found) | {' | '.join(units)} |")
        for act in ("relu", "sigmoid", "elu"):
            means = own[own["activation"] == act].groupby("width")["ratio"].mean()
            entries = " | ".join(f"{value:.2f}" for value in means)
            rows.append(f"| | | {act} | {entries} |")
    return rows


def collapse(found: pd.DataFrame) -> list[str]:
    """Root mean square of the ratio about its best increasing function of each candidate."""
    candidates = {
        "n": ("width", 0),
        "n / N": ("width", 1),
        "M": ("expected", 0),
        "M / N": ("expected", 1),
    }
    rows = [f"| activation | {' | '.join(candidates)} |", "|---" * (1 + len(candidates)) + "|"]
    for act, own in found.groupby("activation", sort=False):
        entries = []
        for column, power in candidates.values():
            size = own[column] / own["N"] ** power
            fitted = IsotonicRegression().fit_transform(size, own["ratio"])
            entries.append(f"{np.sqrt(np.mean((own['ratio'] - fitted) ** 2)):.3f}")
        rows.append(f"| {act} | {' | '.join(entries)} |")
    return rows


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
