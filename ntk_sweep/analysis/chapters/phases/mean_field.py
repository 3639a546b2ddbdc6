"""Order, chaos and the edge between them, from moments that lie in a file.

`ntk_sweep.limit.mean_field` and `ntk_sweep.limit.critical_line` compute the same to rounding, and
need torch. The moments are theirs, on a grid of variances (``python -m
benchmarks.numerics.moments`` writes it); splines between them are right to 2e-5, which is more than
a figure shows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from scipy.interpolate import CubicSpline

MOMENTS = Path(__file__).parent / "moments.csv"

CRITICAL = 1e-4
"""Slopes this near to 1 count as 1: a depth of 10 000 layers."""

FINE = 32
"""Points between two of the file's, where a fixed point is looked for."""

START = 1.0
"""‖x‖² / n_0 of the inputs, as in `ntk_sweep.limit.mean_field`; seen by GELU and SiLU alone."""


@dataclass(frozen=True)
class Moments:
    """E[σ(√q z)²] / q and E[σ'(√q z)²] as functions of t = log q.

    Attributes:
        places: The file's values of t.
        gain: log of the first.
        slope: log of the second.
    """

    places: np.ndarray
    gain: CubicSpline
    slope: CubicSpline

    def chi(self, weight: float, t: float) -> float:
        """χ_1 = σ_w² E[σ'(√q z)²]."""
        return weight * math.exp(float(self.slope(t)))

    def growth(self, weight: np.ndarray, bias: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The logarithm of V(q)/q, V(q) = σ_w² E[σ(√q z)²] + σ_b²."""
        return np.log(weight * np.exp(self.gain(t)) + bias * np.exp(-t))


@cache
def _file() -> pd.DataFrame:
    return pd.read_csv(MOMENTS)


def known(act: str) -> bool:
    """Whether the file has the moments of an activation."""
    return act in set(_file()["act"])


@cache
def moments(act: str) -> Moments:
    """The moments of an activation."""
    from scipy.interpolate import CubicSpline

    own = _file()[_file()["act"] == act]
    t = np.log(own["variance"].to_numpy())
    gain = np.log(own["square"].to_numpy()) - t
    return Moments(t, CubicSpline(t, gain), CubicSpline(t, np.log(own["slope"].to_numpy())))


def slope(act: str, weight_std: float, bias_std: float) -> float:
    """χ_1 at the fixed point that the first layer's variance converges to.

    V increases, so that variances change in one direction, to the first fixed point on their way.
    Where there is none within the file, its end has the slope.

    Args:
        act: The activation.
        weight_std: σ_w.
        bias_std: σ_b; NaN, no biases, counts as 0.
    """
    from scipy.optimize import brentq

    found = moments(act)
    weight, bias = weight_std**2, 0.0 if math.isnan(bias_std) else bias_std**2
    first = math.log(weight * START + bias)

    def excess(t: float) -> float:
        return float(found.growth(np.array(weight), np.array(bias), np.array(t)))

    upwards = excess(first) > 0
    end = found.places[-1] if upwards else found.places[0]
    way = np.linspace(first, end, FINE * len(found.places))
    signs = found.growth(np.array(weight), np.array(bias), way) > 0
    crossed = np.flatnonzero(signs != upwards)
    if not len(crossed):
        return found.chi(weight, end)
    place = int(crossed[0])
    if not place:
        return found.chi(weight, first)
    return found.chi(weight, brentq(excess, *sorted((way[place - 1], way[place]))))


def phase(chi: float) -> str:
    """The phase of a slope: ordered, critical or chaotic."""
    if abs(chi - 1) <= CRITICAL:
        return "critical"
    return "ordered" if chi < 1 else "chaotic"


def critical_line(act: str) -> tuple[np.ndarray, np.ndarray]:
    """σ_w and σ_b along χ_1 = 1, by rising σ_b; ReLU and LeakyReLU have a single point.

        σ_w² = 1 / E[σ'(√q z)²],   σ_b² = q - σ_w² E[σ(√q z)²]

    Without the part whose fixed point repels variances above it, V'(q) > 1, as that of GELU and
    SiLU does at small σ_b: networks there are not critical.
    """
    t, weight, share, repels = _criticality(act)
    free = bool((np.abs(share) < CRITICAL).all())
    if free:
        return np.sqrt(weight[:1]), np.zeros(1)
    last = int(np.flatnonzero(repels)[-1]) + 1 if repels.any() else 0
    good = (share >= -CRITICAL) & (np.arange(len(t)) >= last)
    return np.sqrt(weight[good]), np.sqrt(np.maximum(share, 0)[good] * np.exp(t[good]))


def lacks_a_part(act: str) -> bool:
    """Whether `critical_line` leaves out a part of χ_1 = 1."""
    _, _, share, repels = _criticality(act)
    return bool((repels & (share >= -CRITICAL)).any())


def _criticality(act: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """t, and at χ_1 = 1 there: σ_w², σ_b²/q, and whether the fixed point repels."""
    found = moments(act)
    t = np.linspace(found.places[0], found.places[-1], FINE * len(found.places))
    weight = np.exp(-found.slope(t))
    kept = weight * np.exp(found.gain(t))
    return t, weight, 1 - kept, kept * (1 + found.gain(t, 1)) > 1 + CRITICAL
