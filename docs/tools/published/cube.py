"""Yang and Salman 2019: the NTK of infinite width on the Boolean cube, degree by degree.

On {±1}^d the kernel depends on the Hamming distance h alone. Its eigenvectors are the monomials
χ_S(x) = ∏_{i ∈ S} x_i, and all those of one degree k = |S| have the same eigenvalue

    λ_k = Σ_h K(h) Σ_j (-1)^j C(k, j) C(d-k, h-j),    of multiplicity C(d, k).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from math import comb

import mpmath
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from docs.tools.published.recursion import DIGITS, squared, tangents
from docs.tools.published.verdict import below, verdict
from ntk_sweep import limit_ntk, limit_spectrum
from ntk_sweep.analysis.writing.entries import Entry, number
from ntk_sweep.analysis.writing.tables import Table, markdown

DIMENSION = 7
POINTS = 2**DIMENSION
MULTIPLICITIES = [comb(DIMENSION, degree) for degree in range(DIMENSION + 1)]
TOLERANCE = 1e-11
"""Relative, for every eigenvalue."""

SHOWN = 1e-11
"""Relative: the twelve digits of `Setting.source`."""


@dataclass(frozen=True)
class Setting:
    """A network, and what the authors' program gives for it.

    Attributes:
        activation: relu or erf.
        weight: σ_w².
        bias: σ_b².
        depth: D weight layers; their `layer` is D - 1.
        source: 128 `boolCubeMu(…, normalize=False)` of thegregyang/NNspectra, `theory.py` at commit
            8c71181e, for degrees 0 to 7, to twelve digits.
    """

    activation: str
    weight: float
    bias: float
    depth: int
    source: tuple[float, ...]

    @property
    def name(self) -> str:
        """For the table."""
        return f"{self.activation}, σ_w² = {self.weight:g}, σ_b² = {self.bias:g}, D = {self.depth}"

    @property
    def arguments(self) -> tuple[str, int, int, str, float, float]:
        """Of `limit_ntk`; the width does not count."""
        return self.activation, 100, self.depth, "ntk", self.weight**0.5, self.bias**0.5


SETTINGS = (
    Setting("relu", 1.0, 1.0, 3, (
        336.568173891, 10.1007055094, 1.02935089865, 0.274168233837,
        0.166949149842, 0.131390681767, 0.115187373646, 0.105894310121,
    )),
    Setting("relu", 2.0, 0.1, 4, (
        389.321141331, 44.3623399629, 10.4525096009, 3.33217674902,
        2.08307492604, 1.53685510075, 1.37281248562, 1.22232416747,
    )),
    Setting("relu", 1.5, 0.2, 10, (
        317.941929152, 6.00782141061, 1.85010388567, 0.948868053569,
        0.697660951814, 0.587520591764, 0.531454460343, 0.496053505701,
    )),
    Setting("erf", 1.0, 1.0, 3, (
        258.672131196, 8.15744135047, 0.821930274903, 0.228905347753,
        0.0833093701373, 0.0397624142168, 0.0220008090473, 0.0136711355119,
    )),
    Setting("erf", 4.0, 0.5, 5, (
        462.183520098, 114.991717447, 36.4939980126, 29.569264935,
        23.9390286501, 22.2063285885, 20.4329297251, 19.6139063561,
    )),
    Setting("erf", 1.25, 0.05, 8, (
        101.094896406, 25.7914834741, 2.41541848569, 1.7067525073,
        0.602905934189, 0.524973426088, 0.288208336952, 0.271159830918,
    )),
)  # fmt: skip


def cube() -> Float[Tensor, "128 7"]:
    """All points of {±1}^7, that of ones first."""
    return torch.tensor(list(itertools.product((1.0, -1.0), repeat=DIMENSION)), dtype=torch.float64)


def by_degree(setting: Setting) -> np.ndarray:
    """Our eigenvalues λ_k, (8,): `limit_ntk` between (1, …, 1) and the cube, summed over it."""
    points = cube()
    row = limit_ntk(points[:1], *setting.arguments, x2=points)[0]
    return np.array([float(row @ points[:, :k].prod(dim=1)) for k in range(DIMENSION + 1)])


def reference(setting: Setting) -> list[mpmath.mpf]:
    """λ_k by the recursion in mpmath, which shares nothing with ours."""
    with mpmath.workdps(DIGITS):
        weight, bias = (squared(scale) for scale in setting.arguments[-2:])
        kernel = [
            tangents(setting.activation, weight, bias, correlation, (setting.depth,))
            for correlation in (1 - mpmath.mpf(2 * h) / DIMENSION for h in range(DIMENSION + 1))
        ]
        return [
            mpmath.fsum(at[setting.depth].other * _krawtchouk(k, h) for h, at in enumerate(kernel))
            for k in range(DIMENSION + 1)
        ]


def worst_of_degrees(setting: Setting) -> float:
    """The largest relative error of `by_degree`."""
    ours, true = by_degree(setting), reference(setting)
    return max(float(abs(a / b - 1)) for a, b in zip(ours, true, strict=True))


def worst_of_spectrum(setting: Setting) -> tuple[float, bool]:
    """The largest relative error of all 128 eigenvalues; whether their bounds hold."""
    true = np.repeat([float(value) for value in reference(setting)], MULTIPLICITIES)
    found = limit_spectrum(cube(), *setting.arguments)
    errors = np.abs(found.eigenvalues.numpy() - np.sort(true))
    return float((errors / np.sort(true)).max()), bool((errors <= found.errors.numpy()).all())


def values_table() -> str:
    """The first setting degree by degree."""
    setting = SETTINGS[0]
    ours = by_degree(setting)
    rows: list[list[Entry]] = [
        [
            k,
            MULTIPLICITIES[k],
            number(setting.source[k], 12),
            number(float(ours[k]), 12),
            number(float(ours[k]) / POINTS, 6),
        ]
        for k in range(DIMENSION + 1)
    ]
    columns = ["degree", "multiplicity", "the authors' program × 128", "ours", "ours / 128"]
    caption = f"Eigenvalues of Θ̄ on {{±1}}⁷: {setting.name}"
    return markdown(Table(caption, columns, rows))


def settings_table() -> str:
    """All settings, with the worst errors."""
    rows: list[list[Entry]] = []
    for setting in SETTINGS:
        degrees = worst_of_degrees(setting)
        spectrum, bounded = worst_of_spectrum(setting)
        authors = float(np.abs(np.array(setting.source) / by_degree(setting) - 1).max())
        good = max(degrees, spectrum) <= TOLERANCE and bounded and authors <= SHOWN
        errors: list[Entry] = [below(value) for value in (degrees, spectrum, authors)]
        rows.append([setting.name, *errors, verdict(good)])
    columns = ["network", "λ_k from mpmath", "all 128 eigenvalues from mpmath"]
    columns += ["λ_k from the authors' program", "verdict"]
    return markdown(Table("Largest relative difference of ours", columns, rows))


def _krawtchouk(degree: int, distance: int) -> int:
    """Σ χ_S over the points at a distance from (1, …, 1), |S| the degree."""
    return sum(
        (-1) ** j * comb(degree, j) * comb(DIMENSION - degree, distance - j)
        for j in range(max(0, distance + degree - DIMENSION), min(degree, distance) + 1)
    )
