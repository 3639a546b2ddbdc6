"""The two ends of a spectrum."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ntk_sweep.spectrum.spectrum import Spectrum


@dataclass(frozen=True)
class Extremes:
    """Both ends of a spectrum.

    Attributes:
        lambda_min: The smallest eigenvalue, not negative.
        lambda_min_error: A bound of its absolute error.
        lambda_max: The greatest eigenvalue.
        lambda_max_error: A bound of its absolute error.
    """

    lambda_min: float
    lambda_min_error: float
    lambda_max: float
    lambda_max_error: float

    @classmethod
    def of(cls, spectrum: Spectrum) -> Extremes:
        """Those of a whole spectrum."""
        values, errors = spectrum.eigenvalues, spectrum.errors
        return cls(float(values[0]), float(errors[0]), float(values[-1]), float(errors[-1]))

    @property
    def resolved(self) -> bool:
        """Whether λ_min exceeds its error bound; otherwise it may be rounding noise."""
        return self.lambda_min > self.lambda_min_error


def extreme_columns(prefix: str, extremes: Extremes | None) -> dict[str, float | None]:
    """The columns of a kernel; null where nothing is known.

    >>> extreme_columns("nngp_", Extremes(1.0, 0.1, 2.0, 0.2))["nngp_lambda_min_error"]
    0.1
    """
    return {prefix + item.name: getattr(extremes, item.name, None) for item in fields(Extremes)}
