"""How fast eigenvalues fall with their index."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Decay:
    """An exponential decay λ_k = A exp(-r k).

    Attributes:
        level: A.
        rate: r, for an index.
        explained: R² of log λ_k, the part of its variance that the line explains.
    """

    level: float
    rate: float
    explained: float

    def at(self, index: np.ndarray) -> np.ndarray:
        """The fitted values at some indices."""
        return np.exp(np.log(self.level) - self.rate * np.asarray(index, dtype=float))


def exponential(index: np.ndarray, value: np.ndarray) -> Decay | None:
    """The least-squares line through log λ_k over k; None below three points or without a fall.

    Args:
        index: k.
        value: λ_k, positive.
    """
    if len(index) < 3:
        return None
    x, y = np.asarray(index, dtype=float), np.log(np.asarray(value, dtype=float))
    dx, dy = x - x.mean(), y - y.mean()
    # Sums and not products of BLAS, whose last digit depends on where an array lies in memory.
    slope, total = (dx * dy).sum() / (dx**2).sum(), (dy**2).sum()
    if not slope < 0:
        return None
    rest = ((dy - slope * dx) ** 2).sum()
    return Decay(float(np.exp(y.mean() - slope * x.mean())), float(-slope), float(1 - rest / total))
