"""Which limit kernels points need: a plain record that a driver without torch can make."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ntk_sweep.numerics.thresholds import LIMITS_KEPT_BELOW


@dataclass(frozen=True)
class LimitSpec:
    """The limit kernels of one architecture, which do not depend on weights: several points need
    the same.

    Attributes:
        act: The activation.
        width: The width.
        parametrisation: The parametrisation.
        depths: The depths that the sweep wants, ascending.
    """

    act: str
    width: int
    parametrisation: str
    depths: tuple[int, ...]


def limit_depths(wanted: Iterable[int], depth: int, n_samples: int) -> list[int]:
    """The depths whose limit kernels are computed and kept together with that of `depth`: where
    kernels are small, all that are wanted."""
    return sorted(wanted) if n_samples <= LIMITS_KEPT_BELOW else [depth]
