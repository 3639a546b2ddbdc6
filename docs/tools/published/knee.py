"""Nguyen, Mondelli, Montúfar 2021: from which width on λ_min grows like the product of the widths.

Without factors, W ~ N(0, 1), the kernel of a ReLU network without biases is
K̄ = (n_0 n^(D-1)/2^D) Θ, Θ that of `ntk` with σ_w² = 2: each factor c_l can be drawn out of f. So
λ_min(K̄) grows like n^(D-1) where λ_min(Θ)/λ_min(Θ̄) is constant. That ratio rises from 0 to 1. The
knee is the width at which its mean over seeds is ½, between two widths by a power law.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from docs.tools.published.verdict import verdict
from ntk_sweep import Network, limit_spectrum, ntk_spectrum
from ntk_sweep.analysis.writing.entries import Entry, number
from ntk_sweep.analysis.writing.tables import Table, markdown

FEATURES, SEEDS = 20, 6
DEPTHS, SIZES = (2, 3), (50, 100, 200, 400)
SHARES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
"""n / N."""

HALF = 0.5
RESAMPLES, LEVEL = 2000, 0.95


@dataclass(frozen=True)
class Curve:
    """λ_min(Θ)/λ_min(Θ̄) of N inputs over widths.

    Attributes:
        size: N.
        depth: D.
        ratios: (widths, seeds).
    """

    size: int
    depth: int
    ratios: np.ndarray

    @property
    def widths(self) -> np.ndarray:
        """Those of the hidden layers."""
        return np.array([max(2, round(share * self.size)) for share in SHARES])

    def knee(self, seeds: np.ndarray | None = None) -> float:
        """The width where the mean over seeds reaches ½."""
        chosen = self.ratios if seeds is None else self.ratios[:, seeds]
        logs, heights = np.log(self.widths), np.log(chosen.mean(axis=1))
        upper = int(np.argmax(heights >= math.log(HALF)))
        share = (math.log(HALF) - heights[upper - 1]) / (heights[upper] - heights[upper - 1])
        return float(np.exp(logs[upper - 1] + share * (logs[upper] - logs[upper - 1])))

    def growth(self) -> float:
        """The slope of log λ_min(K̄) over log n between n = N and 4 N."""
        means = self.ratios.mean(axis=1)
        own = math.log(means[-1] / means[SHARES.index(1.0)]) / math.log(4.0)
        return self.depth - 1 + own


def measured(size: int, depth: int) -> Curve:
    """Draws networks on Gaussian inputs with ‖x‖² = n_0."""
    x = np.random.default_rng(0).standard_normal((size, FEATURES))
    inputs = torch.as_tensor(x * math.sqrt(FEATURES) / np.linalg.norm(x, axis=1, keepdims=True))
    scales = {"weight_std": 2**0.5, "bias_std": None}
    limit = limit_spectrum(inputs, "relu", 100, depth, "ntk", **scales)
    curve = Curve(size, depth, np.empty((len(SHARES), SEEDS)))
    for place, width in enumerate(curve.widths):
        for seed in range(SEEDS):
            network = Network.initialise(FEATURES, int(width), depth, "relu", "ntk", seed, **scales)
            least = float(ntk_spectrum(network, inputs).eigenvalues[0])
            curve.ratios[place, seed] = least / float(limit.eigenvalues[0])
    return curve


def knees(curves: list[Curve]) -> np.ndarray:
    """Knees of resampled seeds, (resamples, curves)."""
    rng = np.random.default_rng(0)
    return np.array(
        [
            [curve.knee(rng.integers(SEEDS, size=SEEDS)) for curve in curves]
            for _ in range(RESAMPLES)
        ]
    )


def knee_table() -> str:
    """The knee for each N, and its exponent."""
    rows: list[list[Entry]] = []
    notes = []
    for depth in DEPTHS:
        curves = [measured(size, depth) for size in SIZES]
        resampled = knees(curves)
        for curve, own in zip(curves, resampled.T, strict=True):
            means = curve.ratios.mean(axis=1)
            knee = curve.knee()
            rows.append(
                [
                    depth,
                    curve.size,
                    *(f"{value:.2f}" for value in means),
                    f"{knee:.0f} ({interval(own, 3)})",
                    f"{knee / curve.size:.2f}",
                    f"{curve.growth():.2f}",
                ]
            )
        logs = np.log(SIZES)
        slopes = np.array([np.polyfit(logs, np.log(one), 1)[0] for one in resampled])
        slope = float(np.polyfit(logs, np.log([curve.knee() for curve in curves]), 1)[0])
        good = all(curve.knee() <= curve.size for curve in curves)
        notes.append(
            f"D = {depth}: knee ∝ N^a, a = {slope:.2f} ({interval(slopes, 2)}); at n = N the "
            f"mean is past ½: {verdict(good)}."
        )
    columns = ["D", "N", *(f"n = {share:g} N" for share in SHARES)]
    columns += ["knee (95 % interval)", "knee / N", "slope, n = N to 4 N"]
    caption = (
        f"Mean λ_min(Θ)/λ_min(Θ̄) over {SEEDS} seeds: ReLU, no biases, n_0 = {FEATURES}; slope of "
        "λ_min(K̄), which is D - 1 in the limit"
    )
    return markdown(Table(caption, columns, rows, notes))


def interval(values: np.ndarray, digits: int) -> str:
    """The ends of the central `LEVEL`."""
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return f"{number(float(low), digits)} to {number(float(high), digits)}"
