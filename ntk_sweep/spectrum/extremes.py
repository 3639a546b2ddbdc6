"""The two ends of a spectrum."""

from __future__ import annotations

from dataclasses import dataclass, fields

from jaxtyping import Float
from torch import Tensor


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
    def of(cls, eigenvalues: Float[Tensor, " N"], errors: Float[Tensor, " N"]) -> Extremes:
        """Those of a whole spectrum, ascending, and of the bounds of its errors."""
        return cls(*(float(one[place]) for place in (0, -1) for one in (eigenvalues, errors)))

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
