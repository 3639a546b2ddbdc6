"""The two ends of the spectrum of a kernel that is not the NTK."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

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


def extreme_columns(kernel: str, extremes: Extremes | None) -> dict[str, float | None]:
    """The columns of a kernel of this name; null where nothing is known.

    >>> extreme_columns("nngp", Extremes(1.0, 0.1, 2.0, 0.2))["nngp_lambda_min_error"]
    0.1
    """
    names = [item.name for item in fields(Extremes)]
    values = dict.fromkeys(names) if extremes is None else asdict(extremes)
    return {f"{kernel}_{name}": values[name] for name in names}
