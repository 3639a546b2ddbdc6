"""Steps, epochs and flow time of a training run, and how each converts into the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Real as Numbers

from ntk_sweep.dynamics.arguments import check_integer, check_number, non_negative, whole_numbers

Count = TypeVar("Count", int, Numbers[np.ndarray, "*shape"])
Amount = TypeVar("Amount", int | float, Numbers[np.ndarray, "*shape"])


@dataclass(frozen=True)
class TrainingTime:
    """The time scale of one training run.

    An epoch visits every sample once, in ⌈N/B⌉ steps. A step of any batch size moves by -η∇L in
    expectation over random orders. So it stands for the time η of the gradient flow dθ/dt = -∇L.
    If B does not divide N, the samples of the last, smaller batch weigh more; in a fixed order
    this does not average out.

    Attributes:
        n_samples: N ≥ 1.
        batch_size: B, from 1 to N; N is full-batch gradient descent.
        step_size: η > 0.

    Raises:
        ValueError: One is out of range.

    Example:
        >>> time = TrainingTime(n_samples=200, batch_size=50, step_size=0.5)
        >>> time.steps_per_epoch, time.steps(3), time.epochs(6), time.flow_time(6)
        (4, 12, 1.5, 3.0)
    """

    n_samples: int
    batch_size: int
    step_size: float

    def __post_init__(self) -> None:
        check_integer("n_samples", self.n_samples)
        check_integer("batch_size", self.batch_size)
        if self.batch_size > self.n_samples:
            raise ValueError(
                f"batch_size is {self.batch_size}, but there are {self.n_samples} samples only: "
                f"full-batch gradient descent has batch_size={self.n_samples}"
            )
        check_number("step_size", self.step_size, positive=True)

    @property
    def steps_per_epoch(self) -> int:
        """⌈N/B⌉."""
        return -(-self.n_samples // self.batch_size)

    def steps(self, epochs: Count) -> Count:
        """The number of steps after whole numbers of epochs.

        Raises:
            ValueError: `epochs` are not whole numbers, or one is negative.
        """
        return _product(whole_numbers("epochs", epochs), self.steps_per_epoch)

    def epochs(self, steps: Amount) -> Amount:
        """The epochs after so many steps, fractions of one included.

        Raises:
            ValueError: One of `steps` is negative or not finite.
        """
        return _product(non_negative("steps", steps), 1 / self.steps_per_epoch)

    def flow_time(self, steps: Amount) -> Amount:
        """The time t = ηk of the gradient flow after k steps.

        Raises:
            ValueError: One of `steps` is negative or not finite.
        """
        return _product(non_negative("steps", steps), self.step_size)


def _product(values: Numbers[np.ndarray, "*shape"], factor: int | float) -> Any:
    """An array for an array, a plain number for a number."""
    product = values * factor
    return product if product.ndim else product.item()
