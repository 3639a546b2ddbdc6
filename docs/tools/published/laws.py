"""Eigenvalues of drawn networks beside the laws of `linear_width`: a table and a figure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from docs.tools.published.linear_width import (
    conjugate_transform,
    layers,
    moments,
    tangent_transform,
)
from docs.tools.published.verdict import verdict
from ntk_sweep import Network, conjugate_kernel, empirical_ntk
from ntk_sweep.analysis.drawing.rendering import style
from ntk_sweep.analysis.writing.entries import Entry, number
from ntk_sweep.analysis.writing.tables import Table, markdown

WEIGHT = 2.0
"""σ_w²."""

HEIGHT, GRID = 1e-6, 1000
"""Im z, in units of the range, and points at which a density is taken."""

_FIRST = 1e-3
"""The first of them, beyond a mass at 0 and below all else."""

SIZES, SEEDS = (200, 400, 800), 3
"""N, and draws of inputs and weights."""

BINS = 60


@dataclass(frozen=True)
class Case:
    """Ratios at which N grows.

    Attributes:
        features: n_0 / N.
        width: n / N.
        hidden: Hidden layers.
        tangent: Whether the NTK is taken, and not the conjugate kernel.
    """

    features: float
    width: float
    hidden: int
    tangent: bool

    @property
    def name(self) -> str:
        """For the table."""
        kernel = "NTK" if self.tangent else "conjugate kernel"
        layers_ = "one hidden layer" if self.hidden == 1 else f"{self.hidden} hidden layers"
        return f"{kernel}, {layers_}, n_0 = {_times(self.features)}, n = {_times(self.width)}"

    def draw(self, size: int, seed: int) -> tuple[np.ndarray, float]:
        """Eigenvalues over σ_w², ascending, and ‖W^D‖²/n."""
        features, width = round(self.features * size), round(self.width * size)
        x = torch.as_tensor(np.random.default_rng(seed).standard_normal((size, features)))
        network = Network.initialise(
            features,
            width,
            self.hidden + 1,
            "erf",
            "ntk",
            seed,
            weight_std=WEIGHT**0.5,
            bias_std=None,
        )
        kernel = (empirical_ntk if self.tangent else conjugate_kernel)(network, x)
        readout = float(network.weights[-1].square().mean())
        return torch.linalg.eigvalsh(kernel).numpy() / WEIGHT, readout

    def law(self, greatest: float, readout: float = 1.0) -> Law:
        """The predicted law of the eigenvalues up to the greatest one."""
        points = greatest * np.linspace(_FIRST**0.5, 1.0, GRID) ** 2
        z = points + 1j * HEIGHT * greatest
        maps = layers(
            1000, round(1000 * self.features), round(1000 * self.width), self.hidden, WEIGHT
        )
        if self.tangent:
            own = moments(WEIGHT)
            rest = WEIGHT * (own.square_slope - own.mean_slope**2)
            transform = tangent_transform(z, maps, rest, readout)
        else:
            transform = conjugate_transform(z, maps)
        atom = 0.0 if self.tangent else max(0.0, 1 - self.width)
        return Law(points, transform.imag / np.pi, atom)


@dataclass(frozen=True)
class Law:
    """A density.

    Attributes:
        points: Where it is taken, from near 0.
        density: Its values.
        atom: Mass at 0.
    """

    points: np.ndarray
    density: np.ndarray
    atom: float

    def distance(self, eigenvalues: np.ndarray) -> float:
        """The Kolmogorov distance of eigenvalues, by the trapezoidal rule from the right."""
        steps = np.diff(self.points) * (self.density[1:] + self.density[:-1]) / 2
        above = np.append(np.cumsum(steps[::-1])[::-1], 0.0)
        predicted = 1 - np.interp(eigenvalues, self.points, above)
        ranks = np.arange(len(eigenvalues) + 1) / len(eigenvalues)
        gaps = np.maximum(np.abs(predicted - ranks[1:]), np.abs(predicted - ranks[:-1]))
        return float(gaps[eigenvalues > self.points[1]].max())


CASES = (
    Case(1.0, 2.0, 2, tangent=False),
    Case(1.0, 0.5, 2, tangent=False),
    Case(2.0, 1.0, 1, tangent=True),
)


def distances_table() -> str:
    """Kolmogorov distances, which fall as N grows."""
    rows: list[list[Entry]] = []
    for case in CASES:
        for readout in (False, True) if case.tangent else (False,):
            means = []
            for size in SIZES:
                draws = [case.draw(size, seed) for seed in range(SEEDS)]
                found = [
                    case.law(1.3 * values[-1], norm if readout else 1.0).distance(values)
                    for values, norm in draws
                ]
                means.append(float(np.mean(found)))
            name = f"{case.name}, given ‖W^D‖²/n" if readout else case.name
            good = means[-1] < means[0] / (1.5 if case.tangent and not readout else 2.5)
            rows.append([name, *(number(value, 2) for value in means), verdict(good)])
    columns = ["kernel", *(f"N = {size}" for size in SIZES), "verdict"]
    caption = f"Kolmogorov distance of drawn and predicted eigenvalues, means over {SEEDS} draws"
    return markdown(Table(caption, columns, rows))


def figure() -> Figure:
    """Histograms of one draw each, and the densities."""
    with style():
        drawn = Figure(figsize=(9.0, 2.7), layout="constrained")
        for axes, case in zip(drawn.subplots(1, len(CASES)), CASES, strict=True):
            _panel(axes, case)
    return drawn


def _times(share: float) -> str:
    return "N" if share == 1 else f"{share:g} N"


def _panel(axes: Axes, case: Case) -> None:
    size = SIZES[-1]
    values, readout = case.draw(size, 0)
    law = case.law(1.1 * values[-1], readout)
    resolved = values[values > law.points[1]]
    weights = np.full(len(resolved), BINS / (size * values[-1]))
    axes.hist(resolved, BINS, (0.0, values[-1]), weights=weights, color="0.8", label="drawn")
    axes.plot(law.points, law.density, color="C3", linewidth=1.2, label="predicted")
    top = 1.25 * np.histogram(resolved, BINS, (0.0, values[-1]), weights=weights)[0].max()
    axes.set_ylim(0.0, top)
    kernel, network, ratios = case.name.split(", ", 2)
    atom = f", {law.atom:.0%} at 0" if law.atom else ""
    axes.set_title(f"{kernel}, {network}\n{ratios}{atom}", fontsize=8)
    axes.set_xlabel("eigenvalue / σ_w²")
    axes.legend()
