"""Inputs as the theory takes them: on the unit sphere, or standardised.

Sums are exactly rounded, so that equal inputs stay equal, bit for bit, on every machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ntk_sweep.errors import DataError

if TYPE_CHECKING:
    from jaxtyping import Float

NONE, UNIT_SPHERE, STANDARDISED = "none", "unit_sphere", "standardised"

NORMALISATIONS = (NONE, UNIT_SPHERE, STANDARDISED)
"""What is done with inputs: nothing, x/‖x‖, or (x - m)/s with mean m and standard deviation s of
all values of the training inputs."""

COLUMN = "data_normalise"
"""Of the rows; null stands for none, which all rows of earlier versions have."""


@dataclass(frozen=True)
class Normalisation:
    """How inputs are prepared, once it is known which are trained on.

    Attributes:
        kind: One of `NORMALISATIONS`.
        mean: m of the training inputs; 0 unless they are standardised.
        deviation: s, likewise; 1 unless they are standardised.

    Example:
        >>> x = np.array([[3.0, 4.0], [0.0, 5.0]])
        >>> Normalisation.of("unit_sphere", x)(x)
        array([[0.6, 0.8],
               [0. , 1. ]])
        >>> float(Normalisation.of("standardised", x)(x).mean())
        0.0
    """

    kind: str
    mean: float = 0.0
    deviation: float = 1.0

    @classmethod
    def of(cls, kind: str, x: Float[np.ndarray, "N n_in"]) -> Normalisation:
        """That of the training inputs x, finite.

        Raises:
            DataError: They are all the same number, so that they have no deviation.
        """
        if kind != STANDARDISED:
            return cls(kind)
        mean = math.fsum(x.ravel()) / x.size
        deviation = math.sqrt(math.fsum(np.square(x - mean).ravel()) / x.size)
        if not (math.isfinite(deviation) and deviation > 0):
            raise DataError(
                f"data.normalise={STANDARDISED} divides by the standard deviation of the inputs, "
                f"which is {deviation:g}: use data.normalise={NONE}"
            )
        return cls(kind, mean, deviation)

    def __call__(self, x: Float[np.ndarray, "N n_in"]) -> Float[np.ndarray, "N n_in"]:
        """The inputs, prepared.

        Raises:
            DataError: An input is zero, so that it has no direction.
        """
        if self.kind == NONE:
            return x
        if self.kind == STANDARDISED:
            return (x - self.mean) / self.deviation
        largest = np.abs(x).max(axis=1)
        if (zero := np.flatnonzero(largest == 0)).size:
            raise DataError(
                f"data.normalise={UNIT_SPHERE} divides every input by its norm, but input "
                f"{zero[0]} of those taken is zero: remove it, or use data.normalise={NONE}"
            )
        # powers of two change no digit, and keep squares within range
        x = np.ldexp(x, -np.frexp(largest)[1][:, None])
        norms = np.array([math.sqrt(math.fsum(row)) for row in np.square(x)])
        return x / norms[:, None]


def normalisation_words(kind: str) -> str:
    """It in words; empty where inputs are as they are."""
    return {NONE: "", UNIT_SPHERE: "on the unit sphere", STANDARDISED: "standardised"}[kind]


def normalisation_of(value: object) -> str:
    """That of a row's column."""
    return value if isinstance(value, str) else NONE
